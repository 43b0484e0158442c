"""The running engine on real files, a real server and real traffic: nothing lost, nothing twice, nothing left over."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import redis

from engine.config import Settings
from engine.events.embedded import EmbeddedRedis
from engine.events.log import EventLog
from engine.events.logfile import LogLockedError
from engine.events.message import EVENTS_CHANNEL
from engine.events.schema import FIX
from engine.frames.spec import FieldSpec, snap_view
from engine.ingest.tracks_read import read_tracks
from engine.ingest.tracks_replay import TrackReplay
from engine.rf.tracks import TIME, TrackFold
from engine.station import Station, data_path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


def wait_until(true, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def station(traffic, tmp_path_factory):
    """One that just runs, for looking at."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("run"), feed=str(traffic), backfill_s=900.0)
    with Station(settings=settings) as running:
        wait_until(lambda: len(running.tracks()) > 10 and running.health.get("newest_s"))
        yield running


class Count:
    """A fold that keeps the first and last seq of each batch."""

    def __init__(self):
        self.batches = []

    def apply(self, table):
        seq = table["seq"].to_numpy()
        self.batches.append((int(seq[0]), int(seq[-1]), table.num_rows))

    def assert_all(self, last, after=0):
        for first, final, n in self.batches:
            assert first == after + 1 and final - first + 1 == n
            after = final
        assert after == last


# -- using it ---------------------------------------------------------------------------------------


def test_started_it_is_ready_and_real_traffic_flows_through_it(station):
    assert station.phase == "ready"
    at_first = station.log.last_seq
    wait_until(lambda: station.log.last_seq > at_first and station.follower.stats().lag == 0)
    # What monitors and clusters say of the traffic is an event, too.
    others = {source for source in station.log.since(0)["source"].to_pylist() if source != "hour"}
    assert all(source.split(".")[0] in ("drift", "clusters", "geo", "shadow") for source in others), others
    wait_until(lambda: station.health["phase"] == "ready")
    health = station.health
    assert health["bus_ok"] and health["mode"] == "bus" and health["write_errors"] == 0
    assert health["seq"] <= station.log.last_seq
    assert abs(health["newest_s"] - time.time()) < 30.0
    assert health["label"].startswith("hour.json, 2018-08-01T09:00:00+00:00 to ") and health["synthetic"] is False


def test_in_a_script_it_gives_tables_and_labelled_fields(station):
    emitters = station.emitters()
    assert {"id", "lat", "lon", "alt_m", "eirp_dbm", "freq_hz", "age_s"} <= set(emitters)
    assert emitters["lat"].between(44, 50).all() and emitters["lon"].between(3, 13).all()
    field = station.field(model="free_space", horizon=False)
    assert field["power_dbm"].dims == ("lat", "lon") and field["power_dbm"].attrs["units"] == "dBm"
    # No cell receives more than all emitters at the least distance, nor less than the strongest from afar.
    assert -130.0 < float(field["power_dbm"].min()) < float(field["power_dbm"].max()) < 0.0
    assert "intensity" in station.field(model="inverse_square")


def test_a_past_moment_is_the_same_fold_over_the_log(station):
    moment = time.time() - 120.0
    past = station.tracks(moment)
    fold = TrackFold(station.tracks_fold.history)
    fold.apply(station.log.between(pd.Timestamp(0, tz="UTC"), pd.Timestamp(moment, unit="s", tz="UTC"), kinds=[FIX]))
    whole = fold.snapshot(moment)
    np.testing.assert_array_equal(past.ring, whole.ring)
    pd.testing.assert_frame_equal(past.table, whole.table)
    assert len(past) > 10 and (past.newest(TIME) <= moment).all()


def test_trails_of_the_past_are_those_that_were_live(station):
    end = float(int(time.time()) - 60)
    live = station.segments(end - 300.0, end)
    past = station.segments(end - 300.0, end, moment_s=end)
    assert len(past) > 50
    # The replay cannot join the first fix of the window to the one before it.
    assert {tuple(row) for row in past.tolist()} <= {tuple(row) for row in live.tolist()}
    late = live[live[:, 4] > end - 300.0 + 15.0]
    assert {tuple(row) for row in late.tolist()} <= {tuple(row) for row in past.tolist()}


def test_a_history_holds_the_events_of_one_emitter_only(station):
    name = station.tracks().table["id"][0]
    events = station.history(name, time.time() - 300.0, time.time())
    assert events.num_rows and set(events["entity"].to_pylist()) == {name}


def test_frames_of_now_and_of_the_past_come_from_the_board(station):
    bounds = snap_view(600e3, 5_650e3, 1_250e3, 6_170e3, 4_096)
    live = station.board.watch(FieldSpec(*bounds), lambda: None)
    moment = round(time.time() - 200.0, 2)
    past = station.board.watch(FieldSpec(*bounds, moment_s=moment), lambda: None)
    try:
        wait_until(lambda: live.frame is not None and past.frame is not None)
        assert live.error is None and past.error is None
        assert set(live.frame.levels) == {"field", "forecast", "trails"}
        assert live.frame.levels["field"].any() and past.frame.levels["trails"].any()
        assert past.frame.moment_s == moment
        assert past.frame.tracks.table["id"].tolist() == station.tracks(moment).table["id"].tolist()
    finally:
        live.close()
        past.close()


def test_the_slider_reaches_from_the_first_event_to_now(station):
    wait_until(lambda: station.span is not None and sum(station.density) > 100)
    first = station.log.bounds()[0].timestamp()
    assert station.span[0] == pytest.approx(first, abs=1.0)
    assert station.span[1] > first and sum(station.density) <= station.log.last_seq


# -- the bus goes away and comes back ---------------------------------------------------------------


def at_rest(station, for_s=0.7):
    """Whether nothing was written, queued or folded for a while, and all that was written is folded."""

    def state():
        queue, follower = station.queue.stats(), station.follower.stats()
        return queue.depth, queue.put, station.log.last_seq, follower.cursor, follower.folded

    before = state()
    time.sleep(for_s)
    depth, _, last, cursor, _ = before
    return before == state() and depth == 0 and cursor == last


def test_every_event_is_folded_exactly_once_while_the_server_stops_and_restarts(traffic, tmp_path):
    events, _ = read_tracks(traffic)
    count, saw = Count(), []
    with EmbeddedRedis() as server, Station(tmp_path, server.url, "none") as station:
        assert station.embedded is None
        station.follower.add(count)
        wait_until(lambda: station.health.get("bus_ok"))
        station.add_source(TrackReplay("fast", events, speed=float("inf"), loop=True))
        wait_until(lambda: station.log.last_seq > 10_000)

        server.stop()
        stopped_s = time.time()
        during = station.log.last_seq
        wait_until(lambda: not station.health["bus_ok"])
        saw.append(dict(station.health))
        wait_until(lambda: station.log.last_seq > during + 5_000)
        server.restart()
        wait_until(lambda: station.health["bus_ok"])
        after = station.log.last_seq
        wait_until(lambda: station.log.last_seq > after + 5_000)

        for source in station.sources:
            source.stop()
        # Monitors answer what they fold with events of their own: it takes some rounds until nobody has more to say.
        wait_until(lambda: at_rest(station))
        last, stats = station.log.last_seq, station.follower.stats()
        count.assert_all(last)
        assert station.tracks_fold.seq == station.tracks_fold.folded == last
        played = station.log.since(0)["source"].to_pylist().count("fast")
        wait_until(lambda: station.follower.mode == "bus")

    assert saw[0]["bus_lost_s"] - stopped_s < 2.0
    assert "log" in saw[0]["bus_doing"] and "try" in saw[0]["bus_doing"]
    assert (stats.cursor, stats.lag, stats.folded, stats.broken, stats.log_errors) == (last, 0, last, 0, 0)
    assert {name: fold.events for name, fold in stats.folds.items()} == dict.fromkeys(stats.folds, last)
    assert all(fold.errors == 0 for fold in stats.folds.values())
    assert sum(source.stats().events for source in station.sources) == played


def test_a_server_that_never_was_there_keeps_nothing_from_being_folded(traffic, tmp_path):
    with Station(tmp_path, "redis://127.0.0.1:1/0", str(traffic)) as station:
        assert station.embedded is None
        wait_until(lambda: len(station.tracks()) > 5)
        wait_until(lambda: station.health.get("bus_ok") is False)
        assert station.health["mode"] == "log"


def test_with_a_given_server_none_is_started(traffic, tmp_path, redis_server):
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    with Station(tmp_path, redis_server, "none") as station:
        assert {child.pid for child in psutil.Process().children(recursive=True)} <= children
        wait_until(lambda: station.health.get("bus_ok"))
        with contextlib.closing(redis.Redis.from_url(redis_server)) as client:
            wait_until(lambda: dict(client.pubsub_numsub(EVENTS_CHANNEL))[EVENTS_CHANNEL.encode()] >= 1)


# -- it is killed -----------------------------------------------------------------------------------

_CHILD = """
import sys, time
from pathlib import Path
from engine.config import Settings
from engine.ingest.tracks_read import read_tracks
from engine.ingest.tracks_replay import TrackReplay
from engine.station import Station

folder, traffic = sys.argv[1:]
station = Station(settings=Settings(data_dir=Path(folder), feed=traffic, backfill_s=900.0)).start()
while not station.log.last_time("hour"):
    time.sleep(0.01)
time.sleep(0.5)
station.add_source(TrackReplay("fast", read_tracks(traffic)[0], speed=float("inf"), loop=True))
while True:
    print(station.log.last_seq, station.embedded.pid, flush=True)
"""


@pytest.fixture(scope="module")
def killed(traffic, tmp_path_factory):
    """The folder of a station that was killed while it was writing, and the last seq it had acknowledged."""
    folder = tmp_path_factory.mktemp("killed")
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), str(traffic)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "NUMBA_THREADING_LAYER": "threadsafe"},
    )  # fmt: skip
    try:
        acknowledged = server = 0
        refused = None
        while acknowledged < 15_000:
            line = child.stdout.readline()
            assert line, "the station ended by itself"
            acknowledged, server = map(int, line.split())
            if refused is None:
                with pytest.raises(LogLockedError) as refused:
                    Station(folder, feed="none").start()
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split("\n")
        acknowledged = max([acknowledged, *(int(line.split()[0]) for line in rest[:-1])])
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    return folder, acknowledged, server, str(refused.value)


def test_killed_while_writing_it_has_lost_nothing_that_it_had_acknowledged(killed):
    folder, acknowledged, _, _ = killed
    with EventLog(folder / "events.duckdb") as log:
        seq = log.since(0)["seq"].to_numpy()
    assert len(seq) >= acknowledged > 0
    np.testing.assert_array_equal(seq, np.arange(1, len(seq) + 1))


def test_killed_it_leaves_no_server_behind(killed):
    wait_until(lambda: not psutil.pid_exists(killed[2]))


def test_a_folder_in_use_by_another_process_is_refused_by_name(killed):
    assert "events.duckdb" in killed[3]


def test_restarted_it_shows_what_was_known_and_goes_on_without_doing_anything_twice(killed, traffic):
    folder = killed[0]
    with EventLog(folder / "events.duckdb") as log:
        before, ended = log.last_seq, log.last_time("hour")
        known = TrackFold()
        known.apply(log.between(pd.Timestamp(ended) - pd.Timedelta(minutes=3), ended, sources=["hour"]))
    moment = ended.timestamp()
    with Station(settings=Settings(data_dir=folder, feed=str(traffic), backfill_s=900.0)) as station:
        assert station.tracks_fold.folded > 100
        again = station.tracks(moment)
        assert again.table["id"].tolist() == known.snapshot(moment).table["id"].tolist() != []
        wait_until(lambda: station.log.last_time("hour") > ended and station.log.last_seq > before + 20)
        events = station.log.since(0)
    mine = events.filter(np.array(events["source"].to_pylist()) == "hour").select(["entity", "time"]).to_pandas()
    assert not mine.duplicated().any()
    # and nothing is left out either: no gap as long as the restart took, in what was rebased
    assert mine["time"].sort_values().diff().max() < pd.Timedelta(seconds=10)


# -- nothing to show, and settings ------------------------------------------------------------------


def test_a_field_of_nothing_is_refused_with_what_to_do(redis_server):
    with Station(":memory:", redis_server, "none") as station:
        with pytest.raises(ValueError, match="pass a grid"):
            station.field()
        assert len(station.emitters()) == 0 and len(station.tracks(time.time())) == 0


def test_arguments_go_before_settings(tmp_path):
    settings = Settings(data_dir=Path("elsewhere"), redis_url="redis://a", feed="sample", backfill_s=7.0)
    chosen = Station(tmp_path, "redis://b", "none", settings).settings
    assert (chosen.data_dir, chosen.redis_url, chosen.feed, chosen.backfill_s) == (tmp_path, "redis://b", "none", 7.0)
    assert Station(settings=settings).settings == settings
    assert data_path(Settings(data_dir=tmp_path)) == str(tmp_path)
