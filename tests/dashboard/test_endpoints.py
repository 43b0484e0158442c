"""The plain HTTP beside the pages, asked by a real client: probes, numbers, and files of any view."""

import asyncio
import json
import re

import pytest
import xarray as xr
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from dashboard import exports, live
from dashboard.endpoints import ROUTES
from dashboard.exports import MAX_WAITING
from data.synthetic import air_picture, write_json


def ask(*paths):
    """Answers of a server with our routes to requests made together."""

    async def scene():
        (socket,) = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(Application(ROUTES))
        server.add_socket(socket)
        client = AsyncHTTPClient(force_instance=True, defaults={"request_timeout": 60.0, "connect_timeout": 60.0})
        base = f"http://127.0.0.1:{socket.getsockname()[1]}"
        try:
            return await asyncio.gather(*(client.fetch(base + path, raise_error=False) for path in paths))
        finally:
            client.close()
            server.stop()
            await server.close_all_connections()

    answers = asyncio.run(scene())
    return answers[0] if len(paths) == 1 else answers


@pytest.fixture
def no_station(monkeypatch):
    monkeypatch.setattr(live, "_station", None)
    monkeypatch.setattr(live, "_failure", None)


@pytest.fixture(scope="module")
def station(tmp_path_factory, redis_server):
    """The process's station, playing an invented picture whose last half hour is there at once."""
    folder = tmp_path_factory.mktemp("run")
    path = write_json(air_picture(seed=5, n=15, duration_s=600.0, step_s=5.0), folder / "air.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "_station", None)
        patch.setattr(live, "_failure", None)
        for name, value in {"DATA_DIR": folder, "REDIS_URL": redis_server, "FEED": path, "BACKFILL_S": 600}.items():
            patch.setenv(name, str(value))
        running = live.station()
        assert running.follower.wait_for(1, 30.0)
        for _ in range(600):
            # The cursor moves when all folds have had a batch, the newest moment when the first has.
            if len(running.tracks()) == 15 and running.health.get("newest_s") and running.health["seq"]:
                break
            running.follower.wait_for(running.log.last_seq + 1, 0.1)
        yield running
        live.shut_down()


@pytest.mark.usefixtures("no_station")
def test_alive_is_not_ready_before_the_station_runs():
    health, ready, metrics = ask("/health", "/ready", "/metrics")
    assert health.code == 200 and json.loads(health.body) == {"status": "ok"}
    assert ready.code == 503 and json.loads(ready.body)["status"] == "warming"
    assert metrics.code == 200 and b"scythe_ready 0" in metrics.body
    assert live._station is None, "a probe starts nothing"


def test_why_it_did_not_start_is_told(no_station, monkeypatch):
    monkeypatch.setattr(live, "_failure", "LogLockedError: in use")
    ready = ask("/ready")
    assert ready.code == 503 and json.loads(ready.body)["error"] == "LogLockedError: in use"


def test_ready_once_the_station_runs_and_no_more_while_it_drains(station, monkeypatch):
    assert ask("/ready").code == 200
    monkeypatch.setattr(station, "phase", "draining")
    ready = ask("/ready")
    assert ready.code == 503 and json.loads(ready.body)["status"] == "draining"


def test_metrics_are_in_the_prometheus_text_format_and_true(station):
    answer = ask("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().strip().splitlines()
    sample = re.compile(r'[a-zA-Z_:][\w:]*(\{\w+="[^"\\\n]*"\})? [-+]?(\d+(\.\d+)?([eE][-+]?\d+)?|NaN|\+?Inf)')
    assert [line for line in lines if not sample.fullmatch(line)] == []
    assert len({line.rsplit(" ", 1)[0] for line in lines}) == len(lines)
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    assert values["scythe_ready"] == 1 and values["scythe_write_errors"] == 0
    assert 0 < values["scythe_seq"] <= station.log.last_seq


def test_probes_are_json_and_text_and_nothing_else_is_served():
    assert ask("/health").headers["Content-Type"] == "application/json"
    for path in ("/take/../secret", "/take/field.exe", "/take/", "/metrics/x", "/healthz"):
        assert ask(path).code == 404


@pytest.mark.parametrize(("name", "kind"), [("field.nc", "netcdf"), ("field.html", "html"), ("field.py", "python")])
def test_the_files_of_a_view_can_be_fetched_by_a_program(station, name, kind):
    answer = ask(f"/take/{name}?view=5,45,11,48&cells=16384")
    assert answer.code == 200 and kind in answer.headers["Content-Type"]
    assert name in answer.headers["Content-Disposition"] and "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(answer.body) > 500


def test_the_file_is_of_the_view_and_the_moment_asked_for(station, tmp_path):
    moment = int(station.health["newest_s"]) - 30
    answer = ask(f"/take/field.nc?view=7,46,9,47.5&ahead=30&height=100&cells=16384&at={moment}")
    path = tmp_path / "field.nc"
    path.write_bytes(answer.body)
    with xr.open_dataset(path, engine="h5netcdf") as field:
        assert field.lat.min() <= 46 and field.lat.max() >= 47.5 and field.lon.min() <= 7 and field.lon.max() >= 9
        assert (field.attrs["forecast_s"], field.attrs["height_m"]) == (30.0, 100.0)
        tracks = station.tracks(float(moment))
        assert field["emitter"].astype(str).values.tolist() == tracks.table["id"].tolist() != []


@pytest.mark.parametrize("wrong", ["height=tall", "at=yesterday", "at=nan", "at=-5", "view=1,2", "layers=%3Cscript%3E"])
def test_a_request_that_makes_no_sense_is_refused_by_name(station, wrong):
    answer = ask(f"/take/field.nc?{wrong}")
    assert answer.code == 400 and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.body.decode().startswith(wrong.split("=")[0])


def test_whoever_asks_for_too_much_at_once_is_told_to_come_again_and_can(station):
    paths = [f"/take/field.py?cells=16384&at={1_000_000 + i}" for i in range(4)]
    for _ in range(MAX_WAITING - 1):  # others are being served
        exports._places.acquire()
    try:
        assert ask(paths[0]).code == 200
        exports._places.acquire()
        answers = ask(*paths)
        assert {answer.code for answer in answers} == {503} and b"try again" in answers[0].body
        exports._places.release()
        assert ask("/take/field.py?height=tall").code == 400  # gives its place back, too
        assert ask(paths[1]).code == 200
    finally:
        for _ in range(MAX_WAITING - 1):
            exports._places.release()


def test_many_files_asked_for_together_are_all_right(station):
    answers = ask(*(f"/take/field.nc?cells=16384&height={i}" for i in range(6)))
    assert {answer.code for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 6
