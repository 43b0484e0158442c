"""JA3 and JA4 that stay while addresses change: against a definition written down naively, on real and made cases."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa
import pytest

from engine.events.schema import event_table
from engine.hypergraph.fingerprint_stability import FingerprintStability
from engine.ingest import read_eve


def naive(sightings: list[tuple[float, str]], window_s: float) -> tuple[int, int]:
    """Transitions in all, and the most that lie within any window, by trying every pair of them."""
    moves = [later[0] for earlier, later in pairwise(sightings) if earlier[1] != later[1]]
    most = max((sum(a <= t <= a + window_s for t in moves) for a in moves), default=0)
    return len(moves), most


def tls(rows: list[tuple[float, str, str]], key: str = "ja3") -> pa.Table:
    payload = [orjson.dumps({"src_ip": address, key: name}).decode() for _, address, name in rows]
    times = np.array([round(t * 1e6) for t, _, _ in rows], np.int64)
    return event_table(times, "net.tls", ["e"] * len(rows), "t", payload=payload)


def test_on_real_eve_it_counts_what_the_definition_counts(real_data) -> None:
    """The reference reads the JSON itself."""
    path = real_data("net/eve-2.json")
    by_name: dict[str, list[tuple[float, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        name = record.get("tls", {}).get("ja3", {}).get("hash")
        if record["event_type"] == "tls" and name:
            moment = np.datetime64(record["timestamp"][:26], "us").astype(np.int64) * 1e-6
            by_name.setdefault(name, []).append((moment, record["src_ip"]))
    assert len(by_name) >= 5 and sum(map(len, by_name.values())) > 200
    fold = FingerprintStability(more_than=0, window_s=600.0)
    events, _ = read_eve(path)
    for first in range(0, events.num_rows, 100):
        fold.apply(events.slice(first, 100))
    found = fold.table(all_of_them=True).to_pylist()
    mine = {row["fingerprint"]: (row["transitions"], row["most_in_window"]) for row in found if row["kind"] == "ja3"}
    # What is older than something heard before is left out.
    in_order = {
        name: [pair for i, pair in enumerate(sightings) if pair[0] >= max(t for t, _ in sightings[: i + 1])]
        for name, sightings in by_name.items()
    }
    assert sum(map(len, in_order.values())) > 100
    assert mine == {name: naive(sightings, 600.0) for name, sightings in in_order.items()}


@pytest.mark.parametrize("seed", range(5))
def test_on_random_roaming_it_counts_what_the_definition_counts(seed) -> None:
    rng = np.random.default_rng(seed)
    times = np.sort(np.round(rng.uniform(0, 5_000, 400), 1))
    rows = [(t, f"10.0.0.{rng.integers(6)}", f"f{rng.integers(4)}") for t in times]
    fold = FingerprintStability(more_than=5, window_s=200.0)
    fold.apply(tls(rows, key="ja4"))
    for row in fold.table(all_of_them=True).to_pylist():
        sightings = [(t, a) for t, a, name in rows if name == row["fingerprint"]]
        assert (row["transitions"], row["most_in_window"]) == naive(sightings, 200.0)
    stable = {row["fingerprint"] for row in fold.table().to_pylist()}
    assert stable == {n for n in {r[2] for r in rows} if naive([r[:2] for r in rows if r[2] == n], 200.0)[1] > 5}


def test_more_than_three_within_ten_minutes_and_not_a_moment_longer() -> None:
    for step, stable in ((200.0, True), (200.1, False)):
        fold = FingerprintStability()
        fold.apply(tls([(step * i, f"10.0.0.{i}", "a") for i in range(5)]))
        assert fold.table().num_rows == stable, step
    fold.apply(tls([(0.0, "10.0.0.1", "b"), *((i + 1.0, f"10.0.0.{2 + i}", "b") for i in range(3))]))
    assert "b" not in fold.table()["fingerprint"].to_pylist()


def test_a_host_that_roams_is_told_from_a_crowd() -> None:
    fold = FingerprintStability()
    fold.apply(
        tls([(i, f"10.0.0.{i}", "roams") for i in range(20)] + [(i, f"10.1.0.{i % 3}", "crowd") for i in range(20)])
    )
    told = {row["fingerprint"]: row["returns"] / row["transitions"] for row in fold.table().to_pylist()}
    assert told["roams"] == 0.0 and told["crowd"] > 0.8


def test_old_news_is_counted_and_changes_nothing() -> None:
    fold = FingerprintStability()
    fold.apply(tls([(10.0, "10.0.0.1", "a"), (5.0, "10.0.0.2", "a"), (11.0, "10.0.0.1", "a")]))
    assert fold.counts["late"] == 1 and fold.table(all_of_them=True)["transitions"].to_pylist() == [0]


def test_only_those_that_are_roaming_now_are_listed_for_a_moment() -> None:
    fold = FingerprintStability()
    fold.apply(tls([(i, f"10.0.0.{i}", "a") for i in range(10)]))
    assert fold.table(9.0 + 600.0).num_rows == 1 and fold.table(9.1 + 600.0).num_rows == 0
