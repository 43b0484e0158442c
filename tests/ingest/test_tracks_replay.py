"""Replay: recorded fixes come at the right time, once, and go on after a restart as if nothing had been."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from engine.events import FIX, event_table
from engine.events.queue import BoundedQueue
from engine.ingest import CaptureEngine, FixGate, Rejects, Sink, TrackReplay, read_tracks
from engine.ingest.tracks_schedule import rebased, times_us

T0 = 1_533_106_800  # 2018-08-01T07:00:00Z
WINDOW = ("2018-08-01T07:00:00Z", "2018-08-01T07:10:00Z")
NOW = 1_800_000_000.0


def recording(count=60, emitters=5, step_s=10):
    """Aircraft that circle for ten minutes: each round ends where it began."""
    k, n = np.divmod(np.arange(count * emitters), emitters)
    turn = 2 * np.pi * k / count
    payload = [json.dumps({"position_time_s": T0 + int(step_s * i) - 2.5, "emitter_kind": "aircraft"}) for i in k]
    names = [f"e{i}" for i in n]
    time_us = (T0 + step_s * k).astype(np.int64) * 1_000_000
    lat, lon = 47 + n + 0.1 * np.sin(turn), 8 + 0.1 * np.cos(turn)
    return event_table(time_us, FIX, names, "file", lat=lat, lon=lon, payload=payload)


class Collected:
    """A sink with room for everything."""

    def __init__(self):
        self.tables, self.lock = [], threading.Lock()

    def put(self, table, timeout_s=None):
        with self.lock:
            self.tables.append(table)
        return table.num_rows

    def table(self):
        with self.lock:
            return pa.concat_tables(self.tables).combine_chunks() if self.tables else None

    def rows(self):
        with self.lock:
            return sum(table.num_rows for table in self.tables)


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


def until(condition, limit_s=60.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def keys(table):
    return list(zip(table["entity"].to_pylist(), times_us(table).tolist(), table["lat"].to_pylist(), strict=True))


def test_it_is_a_capture_engine_and_the_queue_is_a_sink():
    assert isinstance(TrackReplay("x", recording()), CaptureEngine) and isinstance(BoundedQueue(), Sink)


# -- at original times ----------------------------------------------------------------------------


def test_as_fast_as_possible_gives_the_whole_recording_in_order_of_time():
    fixes, sink = recording(), Collected()
    shuffled = fixes.take(np.random.default_rng(1).permutation(fixes.num_rows))
    replay = TrackReplay("sample", shuffled, speed=math.inf)
    replay.start(sink)
    assert replay.join(60)
    got = sink.table()
    assert sorted(keys(got)) == sorted(keys(fixes)) and (np.diff(times_us(got)) >= 0).all()
    assert set(got["source"].to_pylist()) == {"sample"}
    stats = replay.stats()
    assert (stats.state, stats.events, stats.packets, stats.progress, stats.drops) == ("finished", 300, 300, 1.0, 0)


def test_a_file_is_read_gated_and_told_about(real_data):
    path = real_data("tracks/zurich_airport.json.gz")
    whole, _ = read_tracks(path)
    sink = Collected()
    replay = TrackReplay("zurich", path, speed=math.inf)
    replay.start(sink)
    assert replay.join(60)
    stats = replay.stats()
    assert stats.packets == whole.num_rows == sink.rows() + sum(stats.rejected.values())
    assert set(stats.rejected) == set(stats.examples) == {"duplicate", "implausible_jump"}
    assert stats.parse_errors == 0


def test_spoofing_can_be_watched_as_it_was(real_data):
    path = real_data("tracks/noisy_spoofing.json.gz")
    sink = Collected()
    replay = TrackReplay("spoofed", path, speed=math.inf, gate=False)
    replay.start(sink)
    assert replay.join(60) and sink.rows() == read_tracks(path)[0].num_rows


def test_fixes_wait_for_their_time():
    clock, sink = Clock(NOW), Collected()
    replay = TrackReplay("slow", recording(), speed=10, clock=clock)
    replay.start(sink)
    until(lambda: replay.stats().state == "running")
    time.sleep(0.5)
    assert sink.rows() == 0 or set(times_us(sink.table())) == {T0 * 1_000_000}
    clock.now += 3.0001  # 30 s of the recording: the fixes at 0, 10, 20 and nearly 30 s
    until(lambda: sink.rows() >= 20)
    time.sleep(0.3)
    replay.stop()
    assert sink.rows() == 20 and replay.stats().progress < 1


def test_the_backfill_comes_at_once_and_since_skips_what_is_known():
    clock, sink = Clock(NOW), Collected()
    replay = TrackReplay("x", recording(), backfill_s=100, since=T0 + 50, clock=clock)
    replay.start(sink)
    until(lambda: sink.rows() >= 20)
    replay.stop()
    assert set(times_us(sink.table()) // 1_000_000 - T0) == {60, 70, 80, 90}


def test_a_loop_goes_on_later_and_later():
    sink = Collected()
    replay = TrackReplay("x", recording(), speed=math.inf, loop=True)
    replay.start(sink)
    until(lambda: sink.rows() >= 900)
    replay.stop()
    times = times_us(sink.table())[:900] // 1_000_000 - T0
    assert times.tolist() == [t for t in range(0, 1800, 10) for _ in range(5)]
    assert replay.stats().progress is None


def test_a_full_queue_slows_the_replay_and_loses_nothing():
    queue = BoundedQueue(maxsize_events=40)
    replay = TrackReplay("x", recording(), speed=math.inf)
    replay.start(queue)
    got = []
    while (table := queue.get(timeout_s=5.0)) is not None:
        got += keys(table)
        time.sleep(0.01)
        if len(got) == 300:
            break
    assert replay.join(60) and sorted(got) == sorted(keys(recording()))
    assert replay.stats().drops == 0


def test_stop_and_start_again_neither_lose_nor_repeat():
    queue, got = BoundedQueue(maxsize_events=7), []
    replay = TrackReplay("x", recording(), speed=math.inf)
    for _ in range(3):
        replay.start(queue)
        with pytest.raises(RuntimeError, match="running already"):
            replay.start(queue)
        for _ in range(4):
            table = queue.get(timeout_s=5.0)
            got += keys(table)
        replay.stop()
        assert replay.stats().state == "idle"
    replay.start(queue)
    while len(got) < 300:
        got += keys(queue.get(timeout_s=5.0))
    assert replay.join(60) and sorted(got) == sorted(keys(recording()))


def test_stop_does_not_wait_for_a_dead_consumer():
    queue = BoundedQueue(maxsize_events=5)
    replay = TrackReplay("x", recording(), speed=math.inf)
    replay.start(queue)
    until(lambda: queue.stats().depth == 5)
    replay.stop()
    assert replay.join(0) and replay.stats().events == 5


@pytest.mark.parametrize(("content", "words"), [(None, "FileNotFoundError"), (b"", "nothing to play")])
def test_a_source_that_cannot_play_says_why(tmp_path, content, words, caplog):
    path = tmp_path / "tracks.json"
    if content is not None:
        path.write_bytes(content)
    replay = TrackReplay("x", path)
    replay.start(Collected())
    assert replay.join(60)
    stats = replay.stats()
    assert stats.state == "failed" and words in stats.last_error
    if content is not None:
        assert stats.rejected == {"empty_source": 1}


@pytest.mark.parametrize("wrong", [{"speed": 0}, {"speed": -1}, {"speed": math.nan}, {"backfill_s": -1}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TrackReplay("x", recording(), **wrong)
    with pytest.raises(ValueError, match="window"):
        TrackReplay.rebased("x", recording(), window=("2018-08-02", "2018-08-01"))


# -- rebased to now -------------------------------------------------------------------------------


def test_every_fix_is_due_once_per_round_at_its_place_in_the_round():
    fixes = recording()
    start, length = T0 * 1_000_000, 600_000_000
    schedule = rebased(fixes, start, start + length)
    begin = int(NOW * 1e6)
    table = schedule.between(begin, begin + 3 * length)
    assert table.num_rows == 3 * fixes.num_rows and (np.diff(times_us(table)) >= 0).all()
    recorded = np.array([json.loads(p)["recorded_at"] for p in table["payload"].to_pylist()])
    recorded_us = np.array([np.datetime64(text[:-1], "us").astype(np.int64) for text in recorded])
    phase = (times_us(table) - (recorded_us - start)) % length
    assert (phase < 10_000_000).all()  # less than one step of the recording
    by_emitter = {}
    for name, value in zip(table["entity"].to_pylist(), phase.tolist(), strict=True):
        by_emitter.setdefault(name, set()).add(value)
    assert all(len(values) == 1 for values in by_emitter.values()) and len(set(map(min, by_emitter.values()))) == 5


def test_the_schedule_does_not_depend_on_how_time_is_cut():
    schedule = rebased(recording(), T0 * 1_000_000, (T0 + 600) * 1_000_000)
    begin = int(NOW * 1e6)
    cuts = np.sort(np.random.default_rng(3).integers(begin, begin + 1_500_000_000, 40))
    edges = [begin, *cuts.tolist(), begin + 1_500_000_000]
    parts = pa.concat_tables([schedule.between(a, b) for a, b in itertools.pairwise(edges)])
    whole = schedule.between(edges[0], edges[-1])
    assert parts.equals(whole) and schedule.count(edges[0], edges[-1]) == whole.num_rows


def test_fixes_on_a_common_grid_arrive_evenly(real_data):
    fixes = read_tracks(real_data("tracks/switzerland.json.gz"))[0].sort_by("time")
    hour = rebased(fixes, (T0 + 3600) * 1_000_000, (T0 + 7200) * 1_000_000)
    begin = int(NOW * 1e6)
    times = times_us(hour.between(begin, begin + 3_600_000_000))
    per_second = np.bincount((times - begin) // 1_000_000, minlength=3600)
    # as recorded, nine seconds of ten are empty
    assert (per_second == 0).mean() < 0.5 and per_second.max() < 4 * per_second.mean() + 5


def test_positions_age_as_they_did():
    schedule = rebased(recording(), T0 * 1_000_000, (T0 + 600) * 1_000_000)
    table = schedule.between(int(NOW * 1e6), int((NOW + 30) * 1e6))
    for moment, payload in zip(times_us(table).tolist(), table["payload"].to_pylist(), strict=True):
        assert json.loads(payload)["position_time_s"] == pytest.approx(moment / 1e6 - 2.5, abs=1e-5)
        assert json.loads(payload)["emitter_kind"] == "aircraft"


def replayed(clock, since=None, backfill_s=300.0):
    sink = Collected()
    replay = TrackReplay.rebased("x", recording(), window=WINDOW, backfill_s=backfill_s, since=since, clock=clock)
    replay.start(sink)
    return replay, sink


def test_the_backfill_fills_the_past_and_then_time_goes_on():
    clock = Clock(NOW)
    replay, sink = replayed(clock)
    until(lambda: sink.rows() >= 150)  # 5 emitters, 300 s, one fix per 10 s
    times = times_us(sink.table())
    assert sink.rows() == 150 and times.min() > (NOW - 300) * 1e6 and times.max() <= NOW * 1e6
    clock.now += 20
    until(lambda: sink.rows() >= 160)
    replay.stop()
    assert sink.rows() == 160 and replay.stats().state == "idle" and replay.stats().progress is None


def test_a_new_process_goes_on_where_the_old_one_ended():
    clock = Clock(NOW)
    first, sink = replayed(clock)
    until(lambda: sink.rows() >= 150)
    first.stop()
    clock.now += 100
    second, rest = replayed(clock, since=times_us(sink.table())[-1] / 1e6)
    until(lambda: rest.rows() >= 50)
    second.stop()
    unbroken, whole = replayed(clock, backfill_s=400.0)
    until(lambda: whole.rows() >= 200)
    unbroken.stop()
    assert keys(sink.table()) + keys(rest.table()) == keys(whole.table())


def test_a_clock_set_back_repeats_nothing_and_a_long_sleep_is_counted():
    clock = Clock(NOW)
    replay, sink = replayed(clock, backfill_s=0.0)
    clock.now += 30
    until(lambda: sink.rows() >= 15)
    clock.now -= 20
    time.sleep(0.5)
    assert sink.rows() == 15
    clock.now += 20 + 6000
    until(lambda: replay.stats().drops > 0)
    until(lambda: sink.rows() >= 45)  # the last 60 s
    replay.stop()
    assert replay.stats().drops + replay.stats().events == 5 * 603
    assert len(set(keys(sink.table()))) == sink.rows() == 45


def test_no_fix_in_the_window_is_a_failure_with_words(caplog):
    replay = TrackReplay.rebased("x", recording(), window=("2019-01-01", "2019-01-02"))
    replay.start(Collected())
    assert replay.join(60)
    stats = replay.stats()
    assert stats.state == "failed" and "no fix of the recording lies in the window" in stats.last_error


def test_the_seam_of_a_real_loop_asks_no_emitter_to_jump(real_data):
    fixes = read_tracks(real_data("tracks/switzerland.json.gz"))[0].sort_by("time")
    start, length = (T0 + 7200) * 1_000_000, 600_000_000  # ten minutes: nearly all aircraft cross the seam
    schedule = rebased(fixes, start, start + length)
    begin = int(NOW * 1e6) // length * length
    rejects = Rejects()
    three_rounds = schedule.between(begin, begin + 3 * length)
    FixGate().filter(three_rounds, rejects)
    window = fixes.filter((times_us(fixes) >= start) & (times_us(fixes) < start + length))
    real = {key[0::2] for key in keys(window)}
    assert {key[0::2] for key in keys(three_rounds)} <= real  # nothing is invented between the ends
    crossing = len(set(window["entity"].to_pylist()))
    assert rejects.total <= 0.05 * crossing and three_rounds.num_rows > 0.5 * 3 * window.num_rows
