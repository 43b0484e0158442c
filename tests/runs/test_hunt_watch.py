"""The watch: what appears, is replaced, truncated or removed is noticed, read whole, and told once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from engine.runs import ArtifactChange, RunWatch, run_id, simulate, validate, write_artifact, write_provenance
from engine.runs.watch_index import ArtifactIndex


class Heard:
    """Changes as they are told."""

    def __init__(self) -> None:
        self.changes: list[ArtifactChange] = []
        self._arrived = threading.Condition()

    def __call__(self, changes: list[ArtifactChange]) -> None:
        with self._arrived:
            self.changes += changes
            self._arrived.notify_all()

    def wait(self, wish: Callable[[ArtifactChange], bool], within_s: float = 60.0) -> ArtifactChange:
        with self._arrived:
            assert self._arrived.wait_for(lambda: any(map(wish, self.changes)), within_s), self.changes
            return next(change for change in self.changes if wish(change))


def artifact(folder: Path, seed: int = 0) -> Path:
    return write_artifact(simulate({"N_grid": 8, "T_steps": 1, "seed": seed}), folder)


@pytest.mark.parametrize("poll", [False, True])
def test_files_that_come_change_and_go_are_noticed(tmp_path: Path, poll: bool) -> None:
    before = artifact(tmp_path, seed=1)
    heard, told = Heard(), list[dict[str, Any]]()
    with RunWatch(tmp_path, heard, poll=poll, sink=told.append) as watch:
        assert watch.ready(60.0)
        assert heard.wait(lambda c: c.path == before).change == "added"
        path = artifact(tmp_path, seed=2)
        seen = heard.wait(lambda c: c.path == path)
        assert (seen.change, seen.kind, seen.status) == ("added", "artifact", "ok")
        assert seen.run_id == run_id({"N_grid": 8, "T_steps": 1, "seed": 2})
        whole = path.read_bytes()
        path.write_bytes(whole[:1000])
        cut = heard.wait(lambda c: c.path == path and c.status == "unreadable")
        assert cut.change == "changed" and cut.reason
        path.write_bytes(whole)
        heard.wait(lambda c: c.path == path and c.change == "changed" and c.status == "ok")
        report = write_provenance(validate(path), tmp_path)
        heard.wait(lambda c: c.path == report and c.status == "ok")
        (row,) = watch.artifacts(where={"kind": "provenance"}).to_pylist()
        assert row["log_prime_sse"] == validate(path)["metrics"]["log_prime_sse"]
        path.unlink()
        gone = heard.wait(lambda c: c.path == path and c.change == "removed")
        assert gone.run_id == seen.run_id
        assert watch.artifacts()["path"].to_pylist() == sorted(map(str, (before, report)))
        assert watch.errors == 0
    kinds = {event["kind"] for event in told}
    assert kinds == {"artifact_seen", "artifact_changed", "artifact_removed", "provenance_seen"}


def test_folders_that_are_moved_in_or_removed_and_come_back_are_noticed(tmp_path: Path) -> None:
    watched, aside = tmp_path / "watched", tmp_path / "aside"
    watched.mkdir()
    aside.mkdir()
    inner = artifact(aside).name
    heard = Heard()
    with RunWatch([watched], heard, rescan_s=0.5) as watch:
        assert watch.ready(60.0)
        os.rename(aside, watched / "inner")
        heard.wait(lambda c: c.path == watched / "inner" / inner and c.change == "added")
        os.rename(watched, tmp_path / "elsewhere")
        heard.wait(lambda c: c.path == watched / "inner" / inner and c.change == "removed")
        heard.changes.clear()
        os.rename(tmp_path / "elsewhere", watched)
        heard.wait(lambda c: c.path == watched / "inner" / inner and c.change == "added")


def test_a_writer_may_open_what_was_noticed_and_hidden_files_are_nobodys(tmp_path: Path) -> None:
    heard = Heard()
    with RunWatch(tmp_path, heard) as watch:
        assert watch.ready(60.0)
        (tmp_path / ".rho_history_ab.h5.1.part").write_bytes(b"half")
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "provenance_x.json").write_text('{"metrics": {"log_prime_sse": "<b>"}}')
        odd = heard.wait(lambda c: c.kind == "provenance")
        assert odd.status == "unreadable" and "log_prime_sse" in odd.reason
        path = artifact(tmp_path)
        heard.wait(lambda c: c.path == path)
        with h5py.File(path, "r+") as file:  # would be refused while a reader has it open
            file.attrs["note"] = 1
        heard.wait(lambda c: c.path == path and c.change == "changed")
        assert {change.path for change in heard.changes} == {path, odd.path}


def test_a_listener_that_raises_does_not_end_the_watch_and_an_index_is_kept(tmp_path: Path) -> None:
    index, folder = tmp_path / "index.duckdb", tmp_path / "runs"
    folder.mkdir()

    def fail(changes: list[ArtifactChange]) -> None:
        raise KeyError("listener")

    with RunWatch(folder, fail, index=index) as watch:
        assert watch.ready(60.0)
        first = artifact(folder, seed=1)
        end = time.monotonic() + 60
        while watch.errors == 0 and time.monotonic() < end:
            time.sleep(0.01)
        assert watch.last_error == "KeyError: 'listener'"
    second = artifact(folder, seed=2)
    heard = Heard()
    with RunWatch(folder, heard, index=index) as watch:
        assert watch.ready(60.0)
        assert [change.path for change in heard.changes] == [second]  # the first is known, and is not read again
        assert watch.artifacts(columns=["path"])["path"].to_pylist() == sorted(map(str, (first, second)))
    with pytest.raises(ValueError, match="no folder"):
        RunWatch(tmp_path / "nowhere")


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    index = ArtifactIndex()
    paths = [artifact(tmp_path, seed) for seed in range(3)]
    assert len(list(index.scan(tmp_path))) == 3
    assert list(index.scan(tmp_path)) == [] and list(index.look(paths[0])) == []
    os.utime(paths[1], ns=(1, 1))
    assert [change.change for change in index.scan(tmp_path)] == ["changed"]
    assert index.count() == 3
    index.close()
