"""The gate refuses what no emitter can do, and nothing else."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import FIX, event_table
from engine.geo import slant_range_m
from engine.ingest import FixGate, Rejects
from engine.ingest.gate import (
    DEFAULT_SPEED_LIMIT_M_S,
    HEAL_AFTER,
    HEAL_TIME_AFTER,
    POSITION_SLACK_M,
    SPEED_LIMITS_M_S,
    TIME_SLACK_S,
)

ACCEPTED, DUPLICATE, BACKWARDS, JUMP = range(4)


def fixes(*rows, kind=None):
    """Rows of (entity, seconds, lat, lon)."""
    entity, seconds, lat, lon = zip(*rows, strict=True)
    time_us = np.array([round(s * 1e6) for s in seconds], np.int64)
    payload = None if kind is None else [orjson.dumps({"emitter_kind": kind}).decode()] * len(rows)
    return event_table(time_us, FIX, list(entity), "test", lat=lat, lon=lon, payload=payload)


def verdicts(*rows, kind=None, **options):
    return FixGate(**options).judge(fixes(*rows, kind=kind)).tolist()


def test_a_slow_emitter_passes_and_others_do_not_disturb_it():
    rows = [(name, t, 47 + t / 1e4, 8 + len(name)) for t in range(0, 100, 10) for name in ("a", "bb", "ccc")]
    assert set(verdicts(*rows)) == {ACCEPTED}


def test_the_same_fix_again_is_a_duplicate_and_a_parked_emitter_is_not():
    assert verdicts(("a", 0, 47, 8), ("a", 0, 47, 8), ("a", 10, 47, 8), ("a", 20, 47, 8)) == [0, DUPLICATE, 0, 0]


def test_an_older_fix_goes_backwards():
    assert verdicts(("a", 100, 47, 8), ("a", 99.9, 47, 8), ("b", 5, 47, 8), ("a", 100.1, 47, 8)) == [0, BACKWARDS, 0, 0]


@pytest.mark.parametrize("kind", [*SPEED_LIMITS_M_S, "never heard of", None])
def test_the_speed_limit_of_each_kind_holds(kind):
    limit = SPEED_LIMITS_M_S.get(kind, DEFAULT_SPEED_LIMIT_M_S)
    reach_m = limit * (10 + TIME_SLACK_S) + POSITION_SLACK_M
    degrees = reach_m / float(slant_range_m(-0.5, 8, 0, 0.5, 8, 0))
    for factor, verdict in ((0.98, ACCEPTED), (1.02, JUMP)):
        assert verdicts(("a", 0, 0.1, 8), ("a", 10, 0.1 + factor * degrees, 8), kind=kind) == [0, verdict]


def test_a_limit_can_be_set():
    step = [("a", 0, 47, 8), ("a", 10, 47.1, 8)]  # 11 km in 10 s
    assert verdicts(*step, kind="rocket") == [0, JUMP]
    assert verdicts(*step, kind="rocket", limits={"rocket": 2_000}) == [0, ACCEPTED]


@pytest.mark.parametrize("start", [(0.0, 179.99), (89.9, 0.0), (-89.99, 30.0)])
def test_the_antimeridian_and_the_poles_are_ordinary_places(start):
    lat, lon = start
    across = (lat, -179.99) if lon > 179 else (lat, lon + 180 if lon < 1 else lon - 180)
    near = float(slant_range_m(lat, lon, 0, *across, 0))
    assert verdicts(("a", 0, lat, lon), ("a", near / 300, *across)) == [0, ACCEPTED]


def test_one_wrong_fix_is_refused_alone():
    assert verdicts(("a", 0, 47, 8), ("a", 10, -47, 8), ("a", 20, 47, 8.01), ("a", 30, 47, 8.02)) == [0, JUMP, 0, 0]


def test_a_wrong_first_fix_heals():
    rows = [("a", 0, -47, 8), *[("a", 10 * k, 47, 8 + k / 100) for k in range(1, 6)]]
    assert HEAL_AFTER == 3
    assert verdicts(*rows) == [0, JUMP, JUMP, ACCEPTED, 0, 0]


def test_refused_fixes_that_disagree_never_heal():
    rows = [("a", 0, 0.0, 8), *[("a", 10 * k, 20.0 + 25 * (k % 2) + k, 8) for k in range(1, 12)]]
    assert verdicts(*rows) == [0, *[JUMP] * 11]


def test_a_good_fix_in_between_breaks_the_chain():
    far = [("a", 10 * k, -47, 8) if k % 3 else ("a", 10 * k, 47, 8) for k in range(13)]
    assert verdicts(*far) == [ACCEPTED if k % 3 == 0 else JUMP for k in range(13)]


def test_a_repeated_record_is_no_further_witness():
    rows = [("a", 0, 47, 8), ("a", 10, -47, 8), ("a", 10, -47, 8), ("a", 10, -47, 8), ("a", 20, 47, 8)]
    assert verdicts(*rows) == [0, JUMP, JUMP, JUMP, 0]


def test_a_first_fix_from_the_future_heals_later_than_a_jump():
    rows = [("a", 10_000_000, 47, 8), *[("a", 10 * k, 47, 8) for k in range(1, 14)]]
    assert verdicts(*rows) == [0, *[BACKWARDS] * (HEAL_TIME_AFTER - 1), *[ACCEPTED] * (14 - HEAL_TIME_AFTER)]


def test_a_late_burst_is_refused_whole():
    rows = [("a", 100, 47, 8), *[("a", 50 + k, 47, 8) for k in range(5)], ("a", 110, 47, 8)]
    assert verdicts(*rows) == [0, *[BACKWARDS] * 5, 0]


def test_silence_is_no_reason():
    assert verdicts(("a", 0, 47, 8), ("a", 30 * 86_400, -33, 151)) == [0, ACCEPTED]


def test_a_stale_position_that_catches_up_has_not_jumped():
    stale = [("a", t, 47, 8) for t in range(0, 300, 10)]
    assert verdicts(*stale, ("a", 300, 47.9, 8)) == [0] * 31  # 100 km: 300 m/s since the position was new


def test_the_gate_remembers_across_batches_and_counts_where_it_was_asked():
    gate, rejects = FixGate(), Rejects()
    assert gate.filter(fixes(("a", 0, 47, 8))).num_rows == 1
    batch = fixes(("a", 10, -47, 8), ("b", 10, 1, 1), ("a", 0, 47, 8))
    kept = gate.filter(batch, rejects, where=lambda row: f"line {row + 7}")
    assert kept["entity"].to_pylist() == ["b"]
    assert rejects.counts == {"implausible_jump": 1, "duplicate": 1} and rejects.records == 0
    assert rejects.examples["implausible_jump"] == "line 7: ['a', '1970-01-01T00:00:10+00:00', -47.0, 8.0]"


def test_memory_is_bounded_and_the_longest_silent_are_forgotten():
    gate = FixGate(max_emitters=100)
    for k in range(50):
        gate.judge(fixes(("old", k, 47, 8), *[(f"{k}-{n}", k, 47, 8) for n in range(30)]))
        assert len(gate) <= 100
    assert gate.judge(fixes(("old", 51, -47, 8))).tolist() == [JUMP]
    assert gate.judge(fixes(("0-0", 51, -47, 8))).tolist() == [ACCEPTED]


def test_a_batch_of_more_emitters_than_fit_is_judged():
    rows = [(f"e{n}", 0, 47, 8) for n in range(250)]
    assert verdicts(*rows, max_emitters=100) == [0] * 250


def test_limits_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="'ship' is -1"):
        FixGate(limits={"ship": -1})
    with pytest.raises(ValueError, match="max_emitters is 0"):
        FixGate(max_emitters=0)


def slow_twin(rows):
    """The rules of the gate, written down once more, fix by fix."""
    last, chains, result = {}, {}, []
    for entity, now, lat, lon in rows:
        verdict = ACCEPTED
        if entity in last:
            then, still, where = last[entity]
            moved = float(slant_range_m(lat, lon, 0, *where, 0))
            if (now, moved) == (then, 0.0):
                result.append(DUPLICATE)
                continue
            if now < then:
                verdict = BACKWARDS
            elif moved > 450 * (now - still + TIME_SLACK_S) + POSITION_SLACK_M:
                verdict = JUMP
            if verdict:
                chain = chains.get(entity, [])
                if chain:
                    before, place = chain[-1]
                    gap = float(slant_range_m(lat, lon, 0, *place, 0))
                    if now < before or gap > 450 * (now - before + TIME_SLACK_S) + POSITION_SLACK_M:
                        chain = []
                    elif now == before:
                        chain = chain[:-1]
                chains[entity] = [*chain, (now, (lat, lon))]
                if len(chains[entity]) >= (HEAL_AFTER if verdict == JUMP else HEAL_TIME_AFTER):
                    verdict = ACCEPTED
        if not verdict:
            moved = entity not in last or last[entity][2] != (lat, lon) or now < last[entity][1]
            last[entity] = (now, now if moved else last[entity][1], (lat, lon))
            chains.pop(entity, None)
        result.append(verdict)
    return result


spots = st.sampled_from([(47.0, 8.0), (47.02, 8.0), (47.3, 8.1), (-47.0, 8.0), (-47.01, 8.0), (10.0, -170.0)])
feeds = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40), spots), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(feeds, st.integers(1, 60))
def test_the_kernel_does_what_the_rules_say_however_the_feed_is_cut(feed, cut):
    rows = [(entity, 10 * tick, *spot) for entity, tick, spot in feed]
    gate = FixGate()
    got = [code for at in range(0, len(rows), cut) for code in gate.judge(fixes(*rows[at : at + cut])).tolist()]
    assert got == slow_twin(rows)


def test_real_spoofing_stands_out_and_stale_survey_flights_do_not(real_data):
    from engine.ingest import read_tracks

    counts = {}
    for name in ("noisy_spoofing", "savan"):
        events, _ = read_tracks(real_data(f"tracks/{name}.json.gz"))
        rejects = Rejects()
        passed = FixGate().filter(events.sort_by("time"), rejects)
        counts[name] = rejects.total / events.num_rows
        assert passed.num_rows + rejects.total == events.num_rows
    assert 0 < counts["savan"] < 1e-4 < counts["noisy_spoofing"] < 1e-2
