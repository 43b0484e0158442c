"""Identities of clusters: the best assignment, whatever the order; splits, merges, births, deaths; the live fold."""

import itertools

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events.schema import DRILL_ENDED, FIX, event_table
from engine.hypergraph import BehaviourClusters, ClusterTracker, PositionClusters
from engine.hypergraph.clusters_track import BORN, DIED, MERGED, SPLIT
from engine.ingest import read_eve, read_tracks
from engine.monitors.grouping import Grouping

LABELS = st.lists(st.integers(-1, 4), min_size=12, max_size=12)


def told(tracked):
    payloads = [orjson.loads(p) for p in tracked.events["payload"].to_pylist()]
    return list(zip(tracked.events["kind"].to_pylist(), payloads, strict=True))


def sets_of(labels):
    return {c: {i for i, v in enumerate(labels) if v == c} for c in set(labels) if c >= 0}


@given(LABELS, LABELS)
def test_the_assignment_has_the_greatest_sum_of_jaccard_indices(before, after):
    tracker = ClusterTracker(min_overlap=1e-6)
    first = tracker.update(range(12), before, 0.0).labels.tolist()
    second = tracker.update(range(12), after, 1.0).labels.tolist()
    old, new = sets_of(first), sets_of(second)
    ours = sum(len(old[c] & new[c]) / len(old[c] | new[c]) for c in old.keys() & new.keys())
    a, b = list(old.values()), list(new.values())
    few, many = (a, b) if len(a) <= len(b) else (b, a)
    every = itertools.permutations(many, len(few))
    best = max(sum(len(x & y) / len(x | y) for x, y in zip(few, order, strict=True)) for order in every)
    assert ours == pytest.approx(best)
    assert [{i for i, v in enumerate(after) if v == after[min(m)]} for m in b] == b  # clusters stay what they are


@given(st.lists(LABELS, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_the_numbers_of_clusters_matter(runs, random):
    one, other = ClusterTracker(), ClusterTracker()
    for at, labels in enumerate(runs):
        order = list(range(12))
        random.shuffle(order)
        number = list(range(5))
        random.shuffle(number)
        first = one.update(range(12), labels, float(at))
        second = other.update(order, [number[labels[i]] if labels[i] >= 0 else -1 for i in order], float(at))
        assert first.labels[order].tolist() == second.labels.tolist()
        assert told(first) == told(second)


@given(st.lists(LABELS, min_size=1, max_size=6))
def test_each_identity_begins_and_ends_with_one_event(runs):
    tracker, living = ClusterTracker(), set()
    for at, labels in enumerate(runs):
        tracked = tracker.update(range(12), labels, float(at))
        for kind, payload in told(tracked):
            if kind in (BORN, SPLIT):
                assert payload["to"] not in living
                living.add(payload["to"])
            else:
                living.remove(payload["from"])
        assert living == set(tracked.labels.tolist()) - {-1}


@given(st.integers(0, 10_000))
def test_a_small_drift_keeps_all_identities(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 20)
    tracker = ClusterTracker()
    first = tracker.update(range(120), labels, 0.0).labels
    for at in range(5):
        # In each cluster up to three of twenty nodes come from elsewhere.
        labels = np.repeat(np.arange(6), 20)
        labels[rng.choice(120, 3, replace=False)] = rng.integers(-1, 6, 3)
        tracked = tracker.update(range(120), rng.permutation(6)[labels] * (labels >= 0) - (labels < 0), at + 1.0)
        kept = labels == np.repeat(np.arange(6), 20)
        assert (tracked.labels == first)[kept].all() and not tracked.events.num_rows


def test_a_split_keeps_the_identity_with_the_larger_part_and_a_merge_with_the_larger_one():
    tracker = ClusterTracker()
    tracker.update(range(10), [0] * 10, 0.0)
    split = tracker.update(range(10), [0] * 4 + [1] * 6, 1.0)
    assert split.labels.tolist() == [1] * 4 + [0] * 6
    assert told(split) == [(SPLIT, {"from": 0, "to": 1, "overlap": 1.0, "nodes": 4})]
    merged = tracker.update(range(10), [0] * 10, 2.0)
    assert merged.labels.tolist() == [0] * 10
    assert told(merged) == [(MERGED, {"from": 1, "to": 0, "overlap": 1.0, "nodes": 4})]
    assert merged.events["entity"].to_pylist() == ["cluster:1"]
    gone = tracker.update(range(20, 30), [0] * 10, 3.0)
    assert sorted(kind for kind, _ in told(gone)) == [BORN, DIED] and set(gone.labels.tolist()) == {2}
    assert gone.events["time"].cast(pa.int64()).to_pylist() == [3_000_000] * 2


def test_what_disappears_and_what_is_asked_wrongly():
    tracker = ClusterTracker()
    assert tracker.update([], [], 0.0).labels.tolist() == [] and tracker.version == 0
    first = tracker.update(["a", 1, "1", "b"], [0, 1, 0, 1], 1.0).labels
    assert tracker.version == 1
    assert tracker.update(["1", 1, "b", "a"], [0, 1, 1, 0], 2.0).labels.tolist() == first[[2, 1, 3, 0]].tolist()
    assert tracker.version == 1
    assert [kind for kind, _ in told(tracker.update([], [], 3.0))] == [DIED, DIED]
    with pytest.raises(ValueError, match="name a node twice"):
        tracker.update(["a", "a"], [0, 0], 4.0)
    with pytest.raises(ValueError, match="there are 1 ids"):
        tracker.update(["a"], [0, 0], 4.0)
    with pytest.raises(ValueError, match="min_overlap is 0"):
        ClusterTracker(min_overlap=0.0)


@pytest.fixture(scope="module")
def fixes(real_data):
    events, _ = read_tracks(real_data("tracks/switzerland.json.gz"))
    order = pc.sort_indices(events, [("time", "ascending")])
    events = events.take(order)
    return events.slice(60_000, 15_000)


def test_the_live_fold_does_not_depend_on_how_events_were_cut(fixes):
    rng, answers = np.random.default_rng(0), []
    for cuts in ([0, len(fixes)], np.unique([0, *rng.integers(0, len(fixes), 60), len(fixes)]).tolist()):
        fold, changes = PositionClusters(step_s=300.0, window_s=300.0, method="dbscan", eps=40.0, min_size=3), []
        assert isinstance(fold, Grouping)
        for first, last in itertools.pairwise(cuts):
            fold.apply(fixes.slice(first, last - first))
            changes += fold.take()
        answers.append((dict(fold.mapping()), fold.version, pa.concat_tables(changes).to_pylist()))
    assert answers[0] == answers[1] and answers[0][0] and answers[0][2]


def test_aircraft_keep_their_clusters_from_run_to_run(fixes):
    """Of the aircraft in clusters at two runs a minute apart most are under one name; by a run's own numbers fewer."""
    fold, before, kept, kept_number = (
        PositionClusters(step_s=60.0, window_s=120.0, method="dbscan", eps=40.0),
        {},
        [],
        [],
    )
    for first in range(0, len(fixes), 50):
        last = fold.found
        fold.apply(fixes.slice(first, 50))
        if fold.found is not last:
            number = dict(zip(fold.found.node.values.tolist(), fold.found.cluster.values.tolist(), strict=True))
            now = {entity: (name, number[entity]) for entity, name in fold.mapping().items()}
            kept += [before[entity][0] == now[entity][0] for entity in before.keys() & now.keys()]
            kept_number += [before[entity][1] == now[entity][1] for entity in before.keys() & now.keys()]
            before = now
    assert len(kept) > 500 and np.mean(kept) > max(0.85, np.mean(kept_number) + 0.05)


def test_a_fold_forgets_what_is_old_and_gives_names_that_monitors_group_by():
    fold = PositionClusters(step_s=60.0, window_s=60.0, method="dbscan", eps=5.0, min_size=2)
    here = event_table([0, 1_000_000], FIX, ["a", "b"], "t", lat=[47.0, 47.001], lon=[8.0, 8.0])
    other = event_table([2_000_000], "note", ["c"], "t", lat=[47.0], lon=[8.0])
    fold.apply(pa.concat_tables([here, other]))
    assert fold.clusters_of(["a"]) == [None] and fold.found is None
    fold.advance(60.0)
    assert fold.clusters_of(["b", "a", "c"]) == ["geo:0", "geo:0", None] and fold.version == 1
    assert fold.found.attrs["at_s"] == 60.0 and fold.found.identity.values.tolist() == [0]
    assert fold.found.silence_pressure.values[0] == pytest.approx(np.log10(1.0 + 59.0))
    fold.advance(600.0)
    assert fold.clusters_of(["a"]) == [None] and fold.version == 2
    assert [table["kind"][0].as_py() for table in fold.take()] == [BORN, DIED]


@pytest.mark.parametrize("cut", [1, 3, 100])
def test_what_a_drill_played_is_in_no_cluster_once_it_has_ended(cut):
    fold = PositionClusters(step_s=60.0, window_s=600.0, method="dbscan", eps=5.0, min_size=2)
    names = ["drill:swarm:1/a", "drill:swarm:1/b", "drill:swarm:10/c", "drill:swarm:10/d", "real", "true"]
    lat = [10.0, 10.0, 20.0, 20.0, 30.0, 30.0]
    events = pa.concat_tables([
        event_table(list(range(6)), FIX, names, "test", lat=lat, lon=[0.0] * 6),
        event_table([70_000_000], FIX, ["real"], "test", lat=[30.0], lon=[0.0]),
        event_table([80_000_000], DRILL_ENDED, ["drill:swarm:1"], "test"),
        # Of another drill that merely begins alike nothing is taken away.
        event_table([90_000_000], FIX, ["true"], "test", lat=[30.0], lon=[0.0]),
    ])  # fmt: skip
    seen = []
    for first in range(0, events.num_rows, cut):
        fold.apply(events.slice(first, cut))
        seen.append(sorted(fold.mapping()))
    assert seen[-1] == sorted(names[2:])
    assert sorted(names) in seen or cut > 1, "while it ran they were in one"
    assert fold.found["node_count"].values.tolist() == [2, 2]


def test_hosts_of_a_real_log_are_grouped_by_what_they_do(real_data):
    events, _ = read_eve(real_data("net/eve_large.json.bz2"))
    fold = BehaviourClusters(step_s=20 * 3600.0, window_s=86_400.0)
    for first in range(0, len(events), 10_000):
        fold.apply(events.slice(first, 10_000))
    assert fold.mapping() and all(entity.startswith("host:") for entity in fold.mapping())
    names = set(fold.mapping().values())
    assert len(names) == fold.found.sizes["cluster_id"] and all(name.startswith("role:") for name in names)
