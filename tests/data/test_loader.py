"""A data set is found beside the project, in the cache, or fetched once and checked."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data.loader import DataUnavailable, locate
from data.registry import DataSet, Origin, known

CONTENT = b"real bytes" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ORIGIN = Origin("test", "url", "bytes of this test", "none", "https://example.org")


@dataclass
class Server:
    """An origin on this machine that counts what it was asked."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def origin_server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "origin"
    folder.mkdir()
    server = Server(folder)

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, *_: object) -> None:
            server.asked.append(self.path)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield server
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An empty folder beside the project and an empty cache."""
    shared, run = tmp_path / "shared", tmp_path / "run"
    shared.mkdir()
    monkeypatch.setenv("SCYTHE_SHARED_DATA", str(shared))
    monkeypatch.setenv("DATA_DIR", str(run))
    return shared, run / "cache"


def registered(server: Server, name: str = "a/b.bin", sha256: str = SHA256) -> dict[str, DataSet]:
    return {name: DataSet(name, replace(ORIGIN, url=server.url), len(CONTENT), sha256, member="b.bin")}


def test_what_lies_beside_the_project_is_used_where_it_lies(folders: tuple[Path, Path], origin_server: Server) -> None:
    shared, _ = folders
    (shared / "a").mkdir()
    (shared / "a/b.bin").write_bytes(CONTENT)
    assert locate("a/b.bin", registry=registered(origin_server)) == shared / "a/b.bin"
    assert origin_server.asked == []


def test_the_origin_is_asked_once(folders: tuple[Path, Path], origin_server: Server) -> None:
    _, cache = folders
    (origin_server.folder / "b.bin").write_bytes(CONTENT)
    paths = {locate("a/b.bin", registry=registered(origin_server)) for _ in range(3)}
    assert paths == {cache / "a/b.bin"}
    assert (cache / "a/b.bin").read_bytes() == CONTENT
    assert len(origin_server.asked) == 1


def test_many_askers_at_once_fetch_once(folders: tuple[Path, Path], origin_server: Server) -> None:
    (origin_server.folder / "b.bin").write_bytes(CONTENT)
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: locate("a/b.bin", registry=registered(origin_server)), range(8)))
    assert len(set(paths)) == 1
    assert len(origin_server.asked) == 1


@pytest.mark.parametrize("wrong", [b"other bytes" * 900, b"", CONTENT + b"!", CONTENT[:-1]])
def test_other_bytes_are_never_kept(folders: tuple[Path, Path], origin_server: Server, wrong: bytes) -> None:
    _, cache = folders
    (origin_server.folder / "b.bin").write_bytes(wrong)
    with pytest.raises(DataUnavailable, match=r"a/b\.bin"):
        locate("a/b.bin", registry=registered(origin_server))
    assert [path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"] == []


def test_a_damaged_cache_is_fetched_again(folders: tuple[Path, Path], origin_server: Server) -> None:
    (origin_server.folder / "b.bin").write_bytes(CONTENT)
    path = locate("a/b.bin", registry=registered(origin_server))
    path.write_bytes(CONTENT[:100])
    assert locate("a/b.bin", registry=registered(origin_server)).read_bytes() == CONTENT


def test_a_wrong_file_beside_the_project_is_reported_and_left_alone(
    folders: tuple[Path, Path], origin_server: Server
) -> None:
    shared, _ = folders
    (shared / "a").mkdir()
    (shared / "a/b.bin").write_bytes(CONTENT[::-1])
    with pytest.raises(DataUnavailable, match="is not the registered"):
        locate("a/b.bin", registry=registered(origin_server))
    assert (shared / "a/b.bin").read_bytes() == CONTENT[::-1]


def test_without_download_the_origin_is_not_asked(folders: tuple[Path, Path], origin_server: Server) -> None:
    (origin_server.folder / "b.bin").write_bytes(CONTENT)
    with pytest.raises(DataUnavailable, match="not allowed"):
        locate("a/b.bin", download=False, registry=registered(origin_server))
    assert origin_server.asked == []


def test_what_is_missing_comes_with_the_way_to_get_it(folders: tuple[Path, Path]) -> None:
    with pytest.raises(DataUnavailable, match=r"naturalearthdata\.com"):
        locate("land/ne_50m_coastline.geojson")


def test_an_origin_that_is_away_is_named(folders: tuple[Path, Path], origin_server: Server) -> None:
    with pytest.raises(DataUnavailable, match=r"127\.0\.0\.1.*not found|Not Found"):
        locate("a/b.bin", registry=registered(origin_server))


def test_a_cache_that_cannot_be_written_is_named(
    folders: tuple[Path, Path], origin_server: Server, tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    with pytest.raises(DataUnavailable, match="cannot be written"):
        locate("a/b.bin", registry=registered(origin_server))


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(DataUnavailable, match=r"did you mean 'tracks/switzerland\.json\.gz'"):
        locate("tracks/switzerland.json")


def test_a_wheel_that_pip_cannot_find_is_named(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip at once finds nothing, with or without a network
    origin = replace(ORIGIN, kind="wheel", distribution="traffic", version="0.0.0.dev0")
    sets = {"a": DataSet("a", origin, 1, SHA256, member="m")}
    command = [sys.executable, "-c", "import pip"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this environment has no pip")
    with pytest.raises(DataUnavailable, match=r"pip could not download traffic==0\.0\.0\.dev0"):
        locate("a", registry=sets)


def test_the_main_replay_set_holds_what_the_registry_says(real_data: Callable[[str], Path]) -> None:
    name = "tracks/switzerland.json.gz"
    with gzip.open(real_data(name)) as stream:
        rows = json.load(stream)
    # Counts as its publishers give them; see `about` in the registry.
    assert "139 098" in known()[name].about
    assert len(rows) == 139_098
    assert len({row["icao24"] for row in rows}) == 842
