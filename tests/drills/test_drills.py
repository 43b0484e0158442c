"""Drills: the same seed is the same drill, all of it is marked, monitors detect it, and after the end nothing stays."""

from __future__ import annotations

import itertools
import time

import numpy as np
import orjson
import pyarrow as pa
import pytest

from data.exchanges import known_exchanges
from engine.drift import ExchangePoints
from engine.drills import FIVE, SCENARIOS, DrillSource, ends_of_unfinished, run
from engine.drills.__main__ import main, make_runner
from engine.drills.emitters import RING_KM
from engine.drills.request import answer_requests, decode_request, encode_request
from engine.drills.scenario import MAX_DURATION_S, MAX_ENERGY, Script, weakened
from engine.drills.score import alerts_of, merged, played, score
from engine.events import FIX, BoundedQueue, payload_columns
from engine.events.schema import SCHEMA
from engine.geo import slant_range_m
from engine.ingest.protocol import CaptureEngine
from engine.monitors import DRILL_ENDED, DRILL_STARTED

T0_S = 1.7e9


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_is_the_same_drill_short_weak_and_marked(name: str) -> None:
    drill, again, other = run(name, 5), run(name, 5), run(name, 6)
    assert drill.events.equals(again.events) and drill.expectation == again.expectation
    assert not drill.events.drop_columns(["entity", "source"]).equals(other.events.drop_columns(["entity", "source"]))
    assert drill.events.schema == SCHEMA
    time_s = drill.events["time"].cast(pa.int64()).to_numpy() * 1e-6
    assert drill.duration_s <= MAX_DURATION_S and time_s.min() >= 0.0 and time_s.max() <= drill.duration_s
    assert (np.diff(time_s) >= 0.0).all()
    payload = payload_columns(drill.events, {"energy": float, "drill": str, "synthetic": bool, "cluster": str})
    assert payload["energy"].min() >= 0.0 and payload["energy"].max() <= MAX_ENERGY
    assert set(payload["drill"]) == {drill.run_id} and all(payload["synthetic"])
    assert all(cluster.startswith(f"{drill.run_id}/") for cluster in payload["cluster"])
    assert all(entity.startswith(f"{drill.run_id}/") for entity in drill.events["entity"].to_pylist())
    assert set(drill.events["source"].to_pylist()) == {drill.run_id} and drill.run_id.startswith("drill:")
    assert drill.events.num_rows <= 2_000  # what the queue before the log holds
    assert all(wanted.within_s <= drill.duration_s for wanted in drill.expectation.detections)


def test_what_is_no_drill_is_named() -> None:
    with pytest.raises(ValueError, match=r"'picnic'.*sync_burst"):
        run("picnic")
    with pytest.raises(ValueError, match="seed is -1"):
        run("swarm", -1)
    with pytest.raises(ValueError, match=r"energy of e is 2\.5"):
        Script("drill:x:1", 1, 45.0).add(0.0, FIX, "e", energy=2.5)


def test_a_weak_drill_is_a_seeded_part_of_the_whole_one() -> None:
    whole = run("c2_relay", 3)
    weak, again = weakened(whole, 0.5), weakened(whole, 0.5)
    assert weak.events.equals(again.events) and weak.expectation == whole.expectation
    assert 0.35 < weak.events.num_rows / whole.events.num_rows < 0.65
    assert set(weak.events.to_pandas()["payload"]) <= set(whole.events.to_pandas()["payload"])
    assert weakened(whole, 1.0).events.equals(whole.events)
    with pytest.raises(ValueError, match="share is 0"):
        weakened(whole, 0)


def test_the_ring_of_the_sync_burst_has_its_radius_and_fires_together() -> None:
    drill = run("sync_burst", 2)
    wanted = drill.expectation.detections[0]
    pulses = drill.events.filter(pa.compute.equal(drill.events["kind"], "emitter.pulse"))
    lat, lon = (pulses[name].to_numpy() for name in ("lat", "lon"))
    away = slant_range_m(lat, lon, 0.0, wanted.lat, wanted.lon, 0.0)
    assert np.allclose(away, 1e3 * RING_KM, rtol=2e-3)
    time_s = np.sort(pulses["time"].cast(pa.int64()).to_numpy() * 1e-6)
    assert len(set(pulses["entity"].to_pylist())) == 6
    assert (np.ptp(time_s.reshape(-1, 6), axis=1) < 0.1).all()


def test_the_swarm_flies_at_the_speed_it_reports() -> None:
    drill = run("swarm", 1)
    fixes = drill.events.filter(pa.compute.equal(drill.events["kind"], FIX))
    speed = payload_columns(fixes, {"speed_m_s": float})["speed_m_s"]
    assert speed.min() >= 14.0 and speed.max() <= 22.0
    rows = [i for i, name in enumerate(fixes["entity"].to_pylist()) if name.endswith("/drone3")]
    lat, lon = (fixes[name].to_numpy()[rows] for name in ("lat", "lon"))
    moved = slant_range_m(lat[:-1], lon[:-1], 0.0, lat[1:], lon[1:], 0.0)
    assert np.allclose(moved, speed[rows[0]], rtol=5e-3)


def test_the_phantom_is_far_from_every_known_exchange() -> None:
    points = ExchangePoints(*known_exchanges())
    for seed in range(20):
        wanted = run("phantom_emerge", seed).expectation.detections[0]
        assert points.nearest([wanted.lat], [wanted.lon], within_km=90.0).tolist() == [-1]


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name in (*FIVE, "swarm") for seed in (0, 11)])
def test_declared_monitors_detect_a_drill_in_time_and_place_and_nothing_else_fires(name: str, seed: int) -> None:
    found = score(run(name, seed), SCHEMA.empty_table(), T0_S + 7.0 * seed, make_runner)
    assert found.missed == () and found.other == () and found.left == ()
    assert len(found.found) == len(run(name, seed).expectation.detections)


def test_a_drill_that_is_not_played_to_its_end_is_missed() -> None:
    drill = run("recon_exfil", 0)
    stub = played(drill, T0_S).slice(0, 20)
    assert alerts_of(merged([stub]), make_runner).empty


def drained(queue: BoundedQueue) -> pa.Table:
    parts = list(itertools.takewhile(lambda part: part is not None, iter(lambda: queue.get(), 0)))
    return pa.concat_tables(parts)


def test_a_second_press_cancels_and_the_end_is_the_last_word() -> None:
    queue = BoundedQueue(5_000)
    source = DrillSource("swarm", 3)
    assert isinstance(source, CaptureEngine) and source.name != DrillSource("swarm", 3).name
    source.start(queue)
    with pytest.raises(RuntimeError, match="has been started"):
        source.start(queue)
    time.sleep(1.0)
    assert source.running and source.stats().state == "running"
    source.cancel()
    assert not source.running and source.stats().state == "finished"
    events = drained(queue)
    kinds = events["kind"].to_pylist()
    assert kinds[0] == DRILL_STARTED and kinds[-1] == DRILL_ENDED and kinds.count(DRILL_ENDED) == 1
    assert 2 < events.num_rows < source.run.events.num_rows
    last = orjson.loads(events["payload"][-1].as_py())
    assert (last["reason"], last["emitted"]) == ("cancelled", events.num_rows - 1)
    assert set(events["source"].to_pylist()) == {source.run.run_id}
    source.stop()  # harmless


def test_a_drill_plays_to_its_end_by_the_clock() -> None:
    clock = [T0_S]

    def now() -> float:
        clock[0] += 1.0  # each look a second later
        return clock[0]

    queue = BoundedQueue(5_000)
    source = DrillSource("c2_relay", 1, now=now)
    source.start(queue)
    source._thread.join(30.0)  # type: ignore[union-attr]
    events = drained(queue)
    assert events.num_rows == source.run.events.num_rows + 2
    assert orjson.loads(events["payload"][-1].as_py())["reason"] == "finished"
    assert source.stats().progress == 1.0 and source.stats().drops == 0


def test_a_drill_is_asked_for_over_the_bus() -> None:
    asked: list[tuple[str, int] | str] = []
    handle = answer_requests(lambda name, seed: asked.append((name, seed)), lambda: asked.append("cancel"))
    for message in (encode_request("start", "ew_sweep", 4), encode_request("cancel"), b"{}", b"\xff", b'{"v": 1}'):
        handle(message)
    assert asked == [("ew_sweep", 4), "cancel"]
    with pytest.raises(ValueError, match="'picnic'"):
        encode_request("start", "picnic")
    with pytest.raises(ValueError, match="v = 1"):
        decode_request(b'{"v": 7}')


def test_the_command_line_lists_and_plays(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in SCENARIOS)
    assert main(["run", "sync_burst", "--seed", "2"]) == 0
    assert "SIMULTANEOUS" in capsys.readouterr().out


def test_a_drill_whose_process_died_is_ended_at_the_next_start() -> None:
    queue = BoundedQueue(5_000)
    for name in ("swarm", "c2_relay"):
        source = DrillSource(name, 1)
        source.start(queue)
        source.cancel()
    words = drained(queue)
    keep = [not (k == DRILL_ENDED and ":swarm:" in e) for k, e in zip(words["kind"].to_pylist(),
            words["entity"].to_pylist(), strict=True)]  # fmt: skip
    found = ends_of_unfinished(words.filter(pa.array(keep)), T0_S)
    assert found["kind"].to_pylist() == [DRILL_ENDED] and ":swarm:" in found["entity"][0].as_py()
    assert ends_of_unfinished(words, T0_S).num_rows == 0
