"""Monitors: the same keys and finite numbers whatever comes, the same alarms however it is cut, the right labels."""

from __future__ import annotations

import bz2
import json
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.drift import (
    BehaviourMonitor,
    ConflictMonitor,
    DriftGate,
    ExchangeMonitor,
    ExchangePoints,
    Hysteresis,
    IntentMonitor,
    KillChainMonitor,
    Limit,
    Metric,
    Monitor,
    PhantomMonitor,
    SilenceMonitor,
    Stability,
    TimingMonitor,
    Transition,
    WindowedCounts,
    alert_events,
    behaviour_label,
    burst_size,
    gini,
    hhi,
    kill_chain_slope,
    shannon_entropy,
)
from engine.drift.clusters import ClusterMonitor
from engine.drift.gate import REFERENCE_CALLS
from engine.drift.monitor import LevelMonitor
from engine.events.payload import payload_columns
from engine.events.schema import SCHEMA, empty_events, event_table

T0_S = 1_699_999_200.0  # a whole hour
EXCHANGES = ExchangePoints(["one", "two"], [47.0, 46.0], [8.0, 9.0])
MONITORS: list[Callable[[], Monitor]] = [
    DriftGate, Stability, BehaviourMonitor, KillChainMonitor, TimingMonitor, SilenceMonitor, ConflictMonitor,
    PhantomMonitor, partial(ExchangeMonitor, EXCHANGES), IntentMonitor, partial(KillChainMonitor, bucket_s=2.0),
]  # fmt: skip
KINDS = [
    "edge.reinforced", "edge.added", "edge.weakened", "edge.pruned", "decay.set", "decision.proposed",
    "decision.abstained", "tool.called", "note", "net.flow",
]  # fmt: skip


def busy(n: int, seconds: float, seed: int = 0, constant: bool = False) -> pa.Table:
    """Events of all kinds, with all payload keys; all alike where `constant`."""
    rng = np.random.default_rng(seed)
    times = T0_S + np.sort(rng.uniform(0, seconds, n))
    pick = np.zeros(n, np.int64) if constant else rng.integers(0, 1000, n)
    payload = [
        f'{{"delta": 1, "weight": {0.1 * (i % 7)}, "lambda_per_s": 0.00{1 + i % 3}, "tool": "t{i % 5}",'
        f' "cluster": "c{i % 4}", "dest_port": {i % 9}, "proto": "p{i % 2}", "stage": {1 + i % 7}, "side": "s{i % 3}",'
        f' "energy": {1 + i % 2}, "dest_lat": {40 + i % 11}, "dest_lon": {5 + i % 13}}}'
        for i in pick.tolist()
    ]
    kinds = [KINDS[i % len(KINDS)] for i in pick.tolist()]
    entities = [f"e{i % 31}" for i in pick.tolist()]
    lat, lon = 44.0 + pick % 7, 3.0 + pick % 9
    return event_table(
        np.round(times * 1e6).astype(np.int64), kinds, entities, "test", lat=lat, lon=lon, payload=payload
    )


def said(transitions: list[Transition]) -> list[tuple]:
    return [(t.time_s, t.entity, t.raised, t.label, t.metric.value) for t in transitions]


@pytest.mark.parametrize("make", MONITORS)
def test_a_monitor_has_the_same_keys_and_finite_numbers_for_any_window(make: Callable[[], Monitor]) -> None:
    keys = list(make().state())
    windows = [
        empty_events(), busy(1, 1.0), busy(3, 30.0), busy(3000, 7200.0, constant=True), busy(30_000, 700.0),
    ]  # fmt: skip
    for events in windows:
        monitor = make()
        monitor.update(events)
        monitor.update(empty_events())
        for state in (monitor.state(), (monitor.advance(T0_S + 1e6), monitor.state())[1]):
            assert list(state) == keys
            for name, metric in state.items():
                assert metric.name == name
                assert all(map(math.isfinite, (metric.value, metric.window_s, metric.trend_per_h)))
                assert metric.state in {"insufficient", "quiet", "raised"}
                assert all(0.0 <= share <= 1.0 for _, share in metric.responsible)
            for result, _ in monitor.results().values():
                assert all(map(math.isfinite, (result.value, result.window_s, result.trend_per_h)))
            assert set(monitor.raised()) <= set(monitor.results())
    assert all(metric.state == "insufficient" for metric in make().state().values())


@settings(max_examples=3)
@given(cuts=st.lists(st.integers(0, 4000), min_size=1, max_size=4), seed=st.integers(0, 3))
@pytest.mark.parametrize("make", MONITORS)
def test_alarms_do_not_depend_on_how_events_are_cut_into_batches(
    make: Callable[[], Monitor], cuts: list[int], seed: int
) -> None:
    # Those that look every few seconds need no hours to be cut in.
    events = busy(4000, 4500.0 if make().step_s >= 60.0 else 400.0, seed)
    whole, pieces = make(), make()
    at_once = said(whole.update(events))
    edges = [0, *sorted(cuts), 4000]
    by_pieces = []
    for a, b in pairwise(edges):
        by_pieces += said(pieces.update(events.slice(a, b - a)))
    assert by_pieces == at_once
    assert pieces.state() == whole.state()


@pytest.mark.parametrize("make", MONITORS)
def test_what_is_forgotten_leaves_no_trace(make: Callable[[], Monitor]) -> None:
    ours = busy(2000, 1000.0)
    # The same again as of other names, as a drill would bring it: other clusters, entities and lanes, marked alike.
    payload = pa.array([text.replace('"c', '"drill:d:1/c') for text in ours["payload"].to_pylist()])
    theirs = ours.set_column(9, "payload", payload)
    theirs = theirs.set_column(4, "entity", pa.array([f"drill:d:1/{e}" for e in ours["entity"].to_pylist()]))
    keep = ~np.isin(ours["kind"].to_pylist(), ["decay.set", "tool.called", "decision.proposed", "decision.abstained"])
    both = pa.concat_tables([theirs.filter(pa.array(keep)), ours]).sort_by("time")
    with_them, without = make(), make()
    with_them.update(both)
    without.update(ours)
    found = with_them.forget("drill:d:1/")
    assert all(not t.raised for t in found)
    names = {name for name in with_them.results() if name.startswith("drill:")}
    assert not names and not [name for name in with_them.raised() if name.startswith("drill:")]
    if isinstance(with_them, ClusterMonitor) and not isinstance(with_them, PhantomMonitor):
        assert sorted(with_them.clusters()) == sorted(without.clusters())
        for name, metric in without.clusters().items():
            if not isinstance(with_them, ExchangeMonitor):  # past minutes were judged with the others in them
                assert with_them.clusters()[name].n == metric.n
    if isinstance(with_them, LevelMonitor):
        a, b = with_them.state(), without.state()
        assert a[
            "mutation_concentration" if "mutation_concentration" in a else "weight_variance"
        ].value == pytest.approx(
            b["mutation_concentration" if "mutation_concentration" in b else "weight_variance"].value
        )


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 5)), min_size=1, max_size=200),
    st.lists(st.integers(0, 200), max_size=4),
)
def test_a_sliding_window_holds_what_a_batch_over_its_buckets_counts(
    events: list[tuple[float, int]], cuts: list[int]
) -> None:
    counts = WindowedCounts(bucket_s=60.0, buckets=5)
    edges = [0, *sorted(cuts), len(events)]
    for a, b in pairwise(edges):
        part = events[a:b]
        counts.add([t for t, _ in part], [k for _, k in part], list("abcdef"))
    # Slow twin: what lies in the buckets of the window at the end.
    last = max(int(t // 60) for t, _ in events)
    kept: Counter[str] = Counter()
    for a, b in pairwise(edges):
        for t, k in events[a:b]:
            if t // 60 > last - 5:
                kept["abcdef"[k]] += 1
    names, totals = counts.totals()
    assert dict(zip(names, totals.tolist(), strict=True)) == dict(kept)
    for measure in (gini, hhi, shannon_entropy):
        assert measure(totals) == pytest.approx(measure(list(kept.values())), abs=1e-12)


def test_a_window_of_too_many_keys_forgets_those_with_least() -> None:
    counts = WindowedCounts(bucket_s=60.0, buckets=3, max_keys=64)
    rng = np.random.default_rng(0)
    for minute in range(20):
        keys = [f"k{i}" for i in rng.integers(0, 10_000, 500)] + ["big"] * 500
        codes = np.unique(keys, return_inverse=True)
        counts.add(np.full(1000, 60.0 * minute), codes[1], codes[0].tolist())
    names, totals = counts.totals()
    assert len(names) <= 64
    assert totals[names.index("big")] == 1500.0
    assert counts.forgotten > 0


# --- alarms


def test_an_alarm_speaks_once_and_not_at_every_crossing() -> None:
    alarm = Hysteresis(Limit(10.0, 8.0, raise_after=2, clear_after=3))
    values = [11, 9, 11, 11, 9, 11, 7, 7, 9, 7, 7, 7]
    changes = {i: change for i, v in enumerate(values) if (change := alarm.look(float(v), float(i))) is not None}
    assert changes == {3: True, 11: False}


def test_an_alarm_whose_evidence_is_gone_clears() -> None:
    alarm = Hysteresis(Limit(10.0, 8.0, raise_after=1, clear_after=2))
    assert alarm.look(20.0, 0.0) is True
    assert alarm.look(20.0, 1.0, sufficient=False) is None
    assert alarm.look(20.0, 2.0, sufficient=False) is False


def test_a_limit_that_would_flutter_is_refused() -> None:
    with pytest.raises(ValueError, match="flutter"):
        Limit(0.75, 0.80)
    with pytest.raises(ValueError, match="no metric"):
        DriftGate(limits={"ginny": Limit(0.5, 0.4)})


def test_transitions_become_events_with_their_evidence() -> None:
    metric = Metric("hhi", 0.5, "", 0.25, "raised", T0_S - 60, T0_S, 40, responsible=(("e1", 0.7), ("e2", 0.1)))
    events = alert_events([Transition("gate", metric, T0_S, True, "hhi", "x")])
    assert events.schema == SCHEMA
    row = events.to_pylist()[0]
    assert (row["kind"], row["entity"], row["source"]) == ("alert.raised", "hhi", "drift.gate")
    assert row["time"].timestamp() == T0_S
    evidence = payload_columns(events, {"value": float, "n": float, "responsible": str})
    assert (evidence["value"][0], evidence["n"][0]) == (0.5, 40.0)
    assert evidence["responsible"][0] == "e1 0.700; e2 0.100"


# --- gate and stability


def stream(
    kind: str, targets: list[str], every_s: float = 1.0, payload: str | None = None, at: float = T0_S
) -> pa.Table:
    times = at + every_s * np.arange(len(targets))
    return event_table(np.round(times * 1e6).astype(np.int64), kind, targets, "test", payload=[payload] * len(targets))


def test_the_gate_says_what_batch_metrics_of_the_same_events_say() -> None:
    rng = np.random.default_rng(3)
    targets = [f"e{i}" for i in rng.zipf(1.5, 2000) if i < 100]
    gate = DriftGate()
    gate.update(stream("edge.reinforced", targets))
    counts = list(Counter(targets).values())
    state = gate.state()
    assert state["reinforcement_gini"].value == pytest.approx(gini(counts))
    assert state["mutation_concentration"].value == pytest.approx(hhi(counts))
    assert state["entity_concentration"].value == pytest.approx(max(counts) / len(targets))
    top, share = Counter(targets).most_common(1)[0]
    assert state["entity_concentration"].responsible[0] == (top, pytest.approx(share / len(targets)))


def test_gini_counts_entities_that_are_changed_but_never_reinforced() -> None:
    gate = DriftGate()
    gate.update(stream("edge.reinforced", ["a"] * 40))
    gate.update(stream("edge.pruned", ["b", "c", "d"], at=T0_S + 60))
    assert gate.state()["reinforcement_gini"].value == pytest.approx(0.75)


def test_reinforcement_that_concentrates_is_alerted_once_and_names_the_one() -> None:
    gate = DriftGate()
    even = [f"e{i % 40}" for i in range(1800)]
    assert gate.update(stream("edge.reinforced", even)) == []
    found = gate.update(stream("edge.reinforced", ["e7"] * 3500, at=T0_S + 1800))
    raised = {t.entity: t for t in found if t.raised}
    assert {"reinforcement_gini", "mutation_concentration", "entity_concentration"} <= set(raised)
    assert raised["entity_concentration"].metric.responsible[0][0] == "e7"
    assert len([t for t in found if t.raised and t.entity == "reinforcement_gini"]) == 1
    assert gate.state()["reinforcement_gini"].trend_per_h > 0


@pytest.mark.parametrize(("first", "last", "sign"), [(40, 4, -1), (4, 40, 1)])
def test_entropy_that_freezes_or_dissolves_is_a_trend_and_one_that_swings_is_none(
    first: int, last: int, sign: int
) -> None:
    rng = np.random.default_rng(5)
    width = np.linspace(first, last, 3600)
    moving = [f"e{int(rng.uniform(0, w))}" for w in width]
    gate = DriftGate()
    gate.update(stream("edge.reinforced", moving))
    assert math.copysign(1, gate.state()["entropy_slope"].value) == sign
    assert gate.alarms["entropy_slope"].raised
    swinging = 22 + 18 * np.sin(2 * np.pi * np.arange(7200) / 600)
    healthy = DriftGate()
    found = healthy.update(stream("edge.reinforced", [f"e{int(rng.uniform(0, w))}" for w in swinging]))
    assert [t for t in found if t.entity == "entropy_slope"] == []


def test_tool_use_is_held_against_the_reference_given_or_learned() -> None:
    def calls(tools: str, n: int, at: float) -> pa.Table:
        names = [tools[i % len(tools)] for i in range(n)]
        times = np.round((at + 5.0 * np.arange(n)) * 1e6).astype(np.int64)
        return event_table(times, "tool.called", ["agent"] * n, "test", payload=[f'{{"tool": "{t}"}}' for t in names])

    for gate in (DriftGate(reference={"a": 0.5, "b": 0.5}), DriftGate()):
        assert gate.update(calls("ab", REFERENCE_CALLS, T0_S)) == []
        found = gate.update(calls("aaaaaaaaac", 1500, T0_S + 5 * REFERENCE_CALLS))
        alert = next(t for t in found if t.entity == "tool_skew")
        assert alert.raised and {name for name, _ in alert.metric.responsible} >= {"a"}


def test_an_analyst_who_never_abstains_is_overconfident_once_there_is_evidence() -> None:
    gate = DriftGate()
    assert gate.update(stream("decision.proposed", ["analyst"] * 60, every_s=20.0)) == []  # 0 of 60 may be chance
    found = gate.update(stream("decision.proposed", ["analyst"] * 120, every_s=20.0, at=T0_S + 1200))
    assert [(t.entity, t.raised) for t in found] == [("abstention_rate", True)]
    humble = DriftGate()
    mixed = pa.concat_tables(
        [stream("decision.abstained" if i % 5 == 0 else "decision.proposed", ["analyst"], at=T0_S + 20.0 * i)
         for i in range(300)]
    )  # fmt: skip
    assert humble.update(mixed) == []
    assert humble.state()["abstention_rate"].value == pytest.approx(0.2, abs=0.01)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=60))
def test_a_burst_is_the_most_events_in_any_minute(times: list[float]) -> None:
    brute = max(sum(start <= t <= start + 60.0 for t in times) for start in times)
    assert burst_size(times) == brute


def test_three_mutations_of_one_target_within_a_minute_oscillate() -> None:
    stability = Stability()
    found = stability.update(stream("edge.reinforced", ["a", "a", "a"], every_s=10.0))
    found += stability.advance(T0_S + 60)
    assert [(t.entity, t.metric.value) for t in found] == [("oscillation", 3.0)]
    assert found[0].metric.responsible[0][0] == "a"
    assert not stability.stable
    stability.advance(T0_S + 400)
    assert stability.unstable_for_s() in {0.0, 340.0}


def test_three_mutations_within_a_minute_are_no_oscillation_where_all_targets_are_changed_as_often() -> None:
    rng = np.random.default_rng(5)
    targets = [f"e{i}" for i in rng.integers(0, 50, 20 * 30)]
    stability = Stability()
    found = stability.update(stream("edge.reinforced", targets, every_s=3.0))
    assert stability.state()["oscillation"].value >= 3.0
    assert not [t for t in found if t.entity == "oscillation"]
    found = stability.update(stream("edge.reinforced", ["e7"] * 30, every_s=4.0, at=T0_S + 1_801))
    assert [t.entity for t in found if t.raised and t.entity == "oscillation"] == ["oscillation"]


def test_a_target_that_is_made_and_unmade_reverses_and_a_busy_one_does_not() -> None:
    flutter = pa.concat_tables(
        [stream("edge.added" if i % 2 else "edge.pruned", ["a"], at=T0_S + 5.0 * i) for i in range(24)]
    )
    busy_one = stream("edge.reinforced", ["a"] * 24, every_s=5.0)
    for events, reversals in ((flutter, 12.0), (busy_one, 0.0)):
        stability = Stability()
        stability.update(events)
        assert stability.state()["reversals"].value == reversals
        assert stability.state()["oscillation"].value == 13.0


def test_weights_rates_and_prunes_are_what_numpy_says() -> None:
    rng = np.random.default_rng(6)
    weights = rng.uniform(0, 1, 50)
    parts = [
        stream("edge.reinforced", [f"e{i}"], payload=f'{{"weight": {w}}}', at=T0_S + i) for i, w in enumerate(weights)
    ]
    rates = [1e-3, 2e-3, 5e-3, 1e-3, 1e-3]
    parts += [
        stream("decay.set", ["g"], payload=f'{{"lambda_per_s": {r}}}', at=T0_S + 60 + i) for i, r in enumerate(rates)
    ]
    parts.append(stream("edge.pruned", [f"p{i}" for i in range(25)], at=T0_S + 70))
    stability = Stability()
    stability.update(pa.concat_tables(parts))
    state = stability.state()
    assert state["weight_variance"].value == pytest.approx(weights.var())
    assert state["decay_volatility"].value == pytest.approx(np.std(rates) / np.mean(rates))
    assert state["prune_ratio"].value == pytest.approx(25 / 75)


def test_a_burst_surprises_where_it_is_rare_and_not_where_it_is_usual() -> None:
    rng = np.random.default_rng(12)
    surprise = {}
    for load, per_min in (("calm", 4), ("busy", 400)):
        targets = [f"e{i}" for i in rng.integers(0, 40, 10 * per_min)]
        stability = Stability()
        stability.update(stream("edge.added", targets, every_s=60.0 / per_min))
        before = stability.state()["burst_surprise"].value
        stability.update(stream("edge.added", ["e7"] * 12, every_s=4.0, at=T0_S + 601))
        after = stability.state()["burst_surprise"]
        assert before < 2.0
        surprise[load] = after.value
    assert surprise["calm"] > 6.0
    assert surprise["busy"] < 2.0


def test_stability_remembers_a_bounded_number_of_targets() -> None:
    stability = Stability()
    for minute in range(3):
        targets = [f"m{minute}e{i}" for i in range(15_000)]
        stability.update(stream("edge.added", targets, every_s=0.003, at=T0_S + 60 * minute))
    assert len(stability._slots) <= 20_000
    assert math.isfinite(stability.state()["oscillation"].value)


# --- behaviour and kill chain


def windows(rng: np.random.Generator, laws: list[np.ndarray], n: int = 300) -> np.ndarray:
    return np.array([rng.multinomial(n, law) for law in laws])


def test_behaviour_has_the_label_of_how_it_was_made() -> None:
    a, b = np.r_[0.5, 0.3, 0.1, 0.1], np.r_[0.1, 0.1, 0.3, 0.5]
    way = np.linspace(0, 1, 12)[:, None]
    made = {
        "STABLE": [a] * 12,
        "SNAPPING": [a] * 7 + [b] * 5,
        "OSCILLATING": ([a] * 3 + [b] * 3) * 2,
        "DRIFTING": list(a * (1 - way) + b * way),
    }
    for label, laws in made.items():
        found = [behaviour_label(windows(np.random.default_rng(seed), laws)).label for seed in range(20)]
        assert found.count(label) >= 19, (label, found)
    snap = behaviour_label(windows(np.random.default_rng(0), made["SNAPPING"]))
    assert snap.at == 7
    assert snap.moved > 0.4


def test_too_few_events_are_stable_and_have_no_magnitude() -> None:
    for counts in (np.zeros((12, 4)), np.zeros((0, 4)), np.eye(4)):
        found = behaviour_label(counts)
        assert (found.label, found.magnitude, found.windows) == ("STABLE", 0.0, 0)


def test_a_cluster_that_moves_to_other_ports_snaps_and_its_neighbour_does_not() -> None:
    rng = np.random.default_rng(8)
    times = T0_S + np.sort(rng.uniform(0, 7200, 8000))
    cluster = rng.integers(0, 2, 8000)
    port = np.where((cluster == 1) & (times > T0_S + 3600), 4444, rng.choice([80, 443, 22], 8000))
    payload = [f'{{"cluster": "c{c}", "dest_port": {p}}}' for c, p in zip(cluster, port, strict=True)]
    events = event_table(np.round(times * 1e6).astype(np.int64), "net.flow", ["h"] * 8000, "test", payload=payload)
    found = BehaviourMonitor(["dest_port"]).update(events)
    first = found[0]
    assert (first.entity, first.label, first.parts[0][0]) == ("c1", "SNAPPING", "dest_port")
    assert 0 < first.time_s - (T0_S + 3600) <= 600
    assert {t.entity for t in found} == {"c1"}


def test_a_climb_is_imminent_only_when_it_is_sure_and_near() -> None:
    minutes = 60.0 * np.arange(20)
    now = float(minutes[-1])
    near, far = 2 + 0.2 * np.arange(20), 2 + 0.02 * np.arange(20)
    assert kill_chain_slope(minutes, near, now).label == "IMMINENT"
    found = kill_chain_slope(minutes, far, now)
    assert found.label == "RISING"
    assert found.time_to_last_s == pytest.approx((7 - far[-1]) / 0.02 * 60)
    assert kill_chain_slope(minutes, near[::-1], now).label == "FALLING"
    assert kill_chain_slope(minutes, np.full(20, 7.0), now).label == "FLAT"
    assert kill_chain_slope(minutes[:3], near[:3], now).label == "INSUFFICIENT"
    wild = near.copy()
    wild[5] = 1000.0
    assert kill_chain_slope(minutes, wild, now).slope_per_h == pytest.approx(12.0, rel=0.05)


def test_the_kill_chain_monitor_takes_one_score_a_minute_so_that_bursts_do_not_count_as_evidence() -> None:
    burst = stream("net.alert", ["c"] * 600, every_s=0.1, payload='{"stage": 1}')
    climb = stream("net.alert", ["c"] * 600, every_s=0.1, payload='{"stage": 5}', at=T0_S + 60)
    monitor = KillChainMonitor()
    assert monitor.update(pa.concat_tables([burst, climb])) + monitor.advance(T0_S + 180) == []
    assert monitor.chains["c"].label == "INSUFFICIENT"
    assert monitor.chains["c"].n == 2


# --- timing and silence


def test_a_beat_is_raised_and_random_events_are_not() -> None:
    rng = np.random.default_rng(9)
    random_times = T0_S + np.sort(rng.uniform(0, 3600, 400))
    chance = event_table(np.round(random_times * 1e6).astype(np.int64), "note", ["chance"] * 400, "test")
    monitor = TimingMonitor()
    found = monitor.update(pa.concat_tables([chance, stream("note", ["beat"] * 60, every_s=7.0, at=T0_S + 3600)]))
    assert [(t.entity, t.raised) for t in found] == [("beat", True)]
    assert monitor.rhythms["beat"].dominant_period_s == pytest.approx(7.0, rel=1e-3)


def test_a_cluster_that_falls_silent_is_raised_and_clears_when_it_speaks() -> None:
    monitor = SilenceMonitor()
    assert monitor.update(stream("note", ["a"] * 100)) == []
    assert [(t.entity, t.raised) for t in monitor.advance(T0_S + 160)] == [("a", True)]
    found = monitor.update(stream("note", ["a"] * 20, at=T0_S + 160))
    assert [(t.entity, t.raised) for t in found] == [("a", False)]


def test_the_silent_longest_gives_its_place() -> None:
    monitor = SilenceMonitor(max_clusters=5)
    monitor.update(stream("note", [f"c{i}" for i in range(30)]))
    assert monitor.forgotten == 25
    assert monitor.state()["clusters"].value == 5.0


# --- the real log


def eve_events(path: Path) -> pa.Table:
    """Suricata events as a batch: entity is the flow's source, and all are one cluster, that of the sensor."""
    times, kinds, entities, payload = [], [], [], []
    with bz2.open(path, "rt") as lines:
        for line in lines:
            record = json.loads(line)
            if record["event_type"] == "stats":
                continue
            times.append(record["timestamp"])
            kinds.append("net." + record["event_type"])
            entities.append(record.get("src_ip", "none"))
            fields = {
                "dest_port": str(record.get("dest_port", "")),
                "proto": record.get("proto", ""),
                "cluster": "sensor",
            }
            payload.append(json.dumps(fields))
    stamps = np.array([np.datetime64(t[:-5], "us") for t in times]) - np.timedelta64(3, "h")
    order = np.argsort(stamps, kind="stable")
    take = lambda column: [column[i] for i in order]  # noqa: E731
    return event_table(stamps[order], take(kinds), take(entities), "eve", payload=take(payload))


def test_two_days_of_a_real_sensor_raise_few_alarms_and_each_has_its_evidence(real_data: Callable[[str], Path]) -> None:
    events = eve_events(real_data("net/eve_large.json.bz2"))
    assert events.num_rows > 19_000
    span = events["time"].cast(pa.int64()).to_numpy()
    days = (span[-1] - span[0]) / 86_400e6
    assert 2.0 < days < 3.0
    found = {}
    for monitor, most in ((BehaviourMonitor(["dest_port", "proto"]), 24), (TimingMonitor(), 6), (SilenceMonitor(), 2)):
        raised = [t for t in monitor.update(events) if t.raised]
        assert len(raised) / days <= most, (monitor.name, len(raised))
        for t in raised:
            assert t.metric.n > 0
            assert t.metric.value > t.metric.threshold
            assert t.metric.start_s < t.metric.end_s == t.time_s
        assert monitor.state()["clusters"].value == 1.0
        found[monitor.name] = raised
    # The file has one gap of hours in each night; they are the silences, and nothing else is.
    gaps_s = np.sort(np.diff(span) / 1e6)
    assert len(found["silence"]) == np.sum(gaps_s > 3600.0) == 2
    assert [t for t in DriftGate().update(events) + Stability().update(events) if t.raised] == []
