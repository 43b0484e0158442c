"""A station that stops, or whose start fails, leaves nothing; no other runs in this process meanwhile."""

import threading
import time

import psutil
import pytest

from engine.events.log import EventLog
from engine.events.logfile import LogLockedError
from engine.frames.spec import FieldSpec, snap_view
from engine.station import Station

PATIENCE_S = 60.0


def left_behind(threads, children):
    mine = {thread for thread in threading.enumerate() if thread not in threads}
    return mine, [child for child in psutil.Process().children(recursive=True) if child not in children]


@pytest.fixture
def tidy():
    """Fails a test after which a thread runs or a process lives that did not before."""
    threads, children = set(threading.enumerate()), psutil.Process().children(recursive=True)
    yield
    end = time.monotonic() + PATIENCE_S
    while (left := left_behind(threads, children)) != (set(), []):
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.01)


@pytest.mark.usefixtures("tidy")
def test_stopped_it_leaves_no_thread_no_process_and_a_free_folder(traffic, tmp_path):
    station = Station(tmp_path, feed=str(traffic)).start()
    assert station.embedded is not None and psutil.pid_exists(station.embedded.pid)
    watch = station.board.watch(FieldSpec(*snap_view(600e3, 5_650e3, 1_250e3, 6_170e3, 4_096)), lambda: None)
    end = time.monotonic() + PATIENCE_S
    while watch.frame is None:
        assert time.monotonic() < end, "no frame came"
        time.sleep(0.01)
    station.stop()
    station.stop()
    assert station.phase == "dead"
    with EventLog(tmp_path / "events.duckdb") as log:
        assert log.last_seq == station.log.last_seq > 0


@pytest.mark.usefixtures("tidy")
@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"feed": "no/such/file.csv"}, FileNotFoundError, "no/such/file.csv"),
        ({"redis_url": "ftp://x"}, ValueError, "redis"),
    ],
)
def test_what_was_opened_is_closed_when_the_start_fails_midway(tmp_path, options, error, says):
    with pytest.raises(error, match=says):
        Station(tmp_path, **{"feed": "none", **options}).start()
    EventLog(tmp_path / "events.duckdb").close()


@pytest.mark.usefixtures("tidy")
def test_a_second_station_on_one_folder_is_refused_and_the_first_goes_on(tmp_path, redis_server):
    with Station(tmp_path, redis_server, "none") as first:
        with pytest.raises(LogLockedError, match=r"events\.duckdb"):
            Station(tmp_path, redis_server, "none").start()
        assert first.phase == "ready" and first.log.last_seq == 0
