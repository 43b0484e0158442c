"""Weights decay as exp(-λt), by a clock and not by sweeps, and no order of arrival changes where they end."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hypergraph import Hypergraph
from engine.hypergraph.store import DECAY_PER_S


def one(weight=1.0, time=0.0, rate=DECAY_PER_S):
    graph = Hypergraph(rate)
    graph.add(pd.DataFrame({"edge": ["e"], "node": ["a"], "weight": [weight], "time": [time]}))
    return graph


def test_a_weight_halves_in_ln2_over_lambda():
    graph = one(weight=8.0, time=1.76e9)
    for halvings in (1, 2, 3):
        graph.decay(1.76e9 + halvings * math.log(2) / 0.001)
        assert graph.edge("e").weight == pytest.approx(8.0 / 2**halvings, rel=1e-9)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20))
def test_decaying_in_steps_is_decaying_at_once(steps):
    stepwise, at_once = one(), one()
    for moment in np.cumsum(steps):
        stepwise.decay(moment)
    at_once.decay(np.cumsum(steps)[-1])
    assert stepwise.edge("e").weight == at_once.edge("e").weight


@given(st.lists(st.tuples(st.floats(0, 5_000), st.floats(0, 10)), min_size=1, max_size=12), st.randoms())
def test_reinforcements_add_up_to_the_sum_of_what_is_left_of_each(given_, random):
    graph = one(weight=2.0)
    shuffled = list(given_)
    random.shuffle(shuffled)
    for moment, amount in shuffled:
        graph.reinforce("e", amount, time=moment)
    graph.decay(5_000.0)
    expected = 2.0 * math.exp(-5) + sum(a * math.exp(-0.001 * (5_000 - t)) for t, a in given_)
    assert graph.edge("e").weight == pytest.approx(expected, rel=1e-9)


@given(st.permutations([(10.0, 3.0), (20.0, 0.0), (30.0, 5.0), (40.0, np.nan)]), st.integers(1, 4))
def test_the_weight_stated_last_counts_however_the_rows_arrive(rows, cut):
    graph = Hypergraph(0.0)
    for part in (rows[:cut], rows[cut:]):
        graph.add({"edge": ["e"] * len(part), "node": ["a"] * len(part), "weight": [w for _, w in part],
                   "time": [t for t, _ in part]})  # fmt: skip
    edge = graph.edge("e")
    assert (edge.weight, edge.created_s, edge.last_seen_s) == (5.0, 10.0, 40.0)


def test_zero_stays_zero_and_is_pruned_only_below_a_threshold_above_it():
    graph = one(weight=0.0)
    graph.decay(1e6)
    assert graph.edge("e").weight == 0.0
    assert graph.prune(0.0) == 0 and graph.prune(1e-300) == 1


def test_what_was_stated_after_the_clock_does_not_grow():
    graph = one(time=5_000.0)
    graph.decay(1_000.0)
    assert graph.edge("e").weight == 1.0
    graph.decay(6_000.0)
    assert graph.edge("e").weight == pytest.approx(math.exp(-1))


def test_the_clock_does_not_run_back():
    graph = one()
    graph.decay(10.0)
    with pytest.raises(ValueError, match=r"10\.000"):
        graph.decay(9.0)


def test_rows_without_time_count_from_the_first_moment_known():
    graph = Hypergraph()
    graph.add(pd.DataFrame({"edge": ["e"], "node": ["a"]}))
    graph.decay(1e9)
    assert graph.edge("e").weight == 1.0
    graph.decay(1e9 + 1_000)
    assert graph.edge("e").weight == pytest.approx(math.exp(-1))


def test_a_new_rate_holds_from_the_clock_on():
    graph = one()
    graph.decay(1_000.0)
    graph.set_decay(0.002)
    assert graph.edge("e").weight == pytest.approx(math.exp(-1))
    graph.decay(2_000.0)
    assert graph.edge("e").weight == pytest.approx(math.exp(-3))


def test_years_of_silence_neither_overflow_nor_lose_the_new():
    graph = one(time=0.0)
    graph.add(pd.DataFrame({"edge": ["f"], "node": ["a"], "weight": [1.0], "time": [3e9]}))
    graph.decay(3e9)
    assert graph.edges().weight.to_dict() == {"e": 0.0, "f": 1.0}


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Zurich"])
def test_moments_are_seconds_or_timestamps_of_any_zone(zone):
    moment = pd.Timestamp("2024-07-01 12:00", tz=zone)
    seconds = moment.timestamp()
    graph = Hypergraph()
    graph.add(pd.DataFrame({"edge": ["e", "f"], "node": ["a", "a"], "time": [moment, pd.NaT]}))
    assert graph.edge("e").created_s == seconds == graph.edge("f").created_s
    graph.decay(moment + pd.Timedelta(seconds=1_000))
    assert graph.clock_s == seconds + 1_000


def test_recent_edges_are_the_newest_first_and_weigh_enough():
    graph = Hypergraph(0.0)
    graph.add(
        pd.DataFrame({"edge": list("efgh"), "node": list("aaaa"), "weight": [1, 0.0, 0.2, 1], "time": [1, 2, 3, 4.0]})
    )
    assert list(graph.recent_edges(2).index) == ["h", "g", "f"]
    assert list(graph.recent_edges(pd.Timestamp(2, unit="s"), min_weight=0.1).index) == ["h", "g"]
    assert list(graph.recent_edges(5).index) == []


def test_hot_entities_by_degree_and_by_strength_and_statistics_by_kind():
    graph = Hypergraph(0.0)
    graph.add(pd.DataFrame({"edge": list("eefg"), "node": list("abbc"), "weight": [1, 1, 2, 9.0],
                            "kind": ["dns", "dns", "flow", None]}))  # fmt: skip
    assert list(graph.hot_entities(2).index) == ["b", "a"]
    assert graph.hot_entities(2, by="weight").strength.to_dict() == {"c": 9.0, "b": 3.0}
    assert graph.hot_entities(0).empty
    stats = graph.scope_stats("dns")
    assert (stats.count, stats.min_weight, stats.max_weight, stats.mean_weight) == (1, 1.0, 1.0, 1.0)
    assert graph.scope_stats().mean_weight == 4.0
    assert graph.scope_stats("never seen").count == 0 and math.isnan(graph.scope_stats("never seen").mean_weight)
