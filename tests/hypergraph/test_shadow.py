"""Shadow edges: log-odds as the definition has them, promoted and expired once, told as events."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pyarrow as pa
import pytest

from engine.events.log import EventLog
from engine.events.schema import event_table
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.relations import PROMOTED
from engine.hypergraph.shadow import EXPIRED, ShadowFold, ShadowModel, shadow_history

STILL = ShadowModel(forget_s=1e12, timing_every_s=1e12)


def tls(rows: list[tuple[float, str, str, str]]) -> pa.Table:
    """Handshakes: (time s, client, server, JA3)."""
    payload = [orjson.dumps({"src_ip": a, "dest_ip": b, "ja3": j}).decode() for _, a, b, j in rows]
    times = np.array([round(row[0] * 1e6) for row in rows], np.int64)
    return event_table(times, "net.tls", [f"e{i}" for i in range(len(rows))], "t", payload=payload)


def crowd(n: int = 100, at: float = 0.0) -> list[tuple[float, str, str, str]]:
    """Hosts with nothing in common."""
    return [(at, f"10.0.1.{i}", f"10.9.0.{i}", f"own{i}") for i in range(n)]


def confidence(fold: ShadowFold, moment_s: float) -> dict[tuple[str, str], float]:
    table = fold.snapshot(moment_s)
    return {
        (a[5:], b[5:]): c for a, b, c in zip(*(table[x].to_pylist() for x in ("a", "b", "confidence")), strict=True)
    }


def test_a_shared_fingerprint_and_a_shared_peer_weigh_what_bayes_says() -> None:
    fold = ShadowFold(STILL)
    fold.apply(tls([*crowd(98), (1, "10.0.0.1", "10.9.1.1", "rare"), (2, "10.0.0.2", "10.9.1.2", "rare")]))
    odds = 0.1 / 0.9 * 0.5 / (2 / 100)
    assert confidence(fold, 2.0) == {("10.0.0.1", "10.0.0.2"): pytest.approx(odds / (1 + odds))}
    fold.apply(tls([(3, "10.0.0.1", "10.9.7.7", "other1"), (4, "10.0.0.2", "10.9.7.7", "other2")]))
    odds *= 0.2 / (2 / 100)
    assert odds / (1 + odds) > 0.95
    told = shadow_history(fold.take_transitions())
    assert told["kind"].to_pylist() == [PROMOTED] and told["confidence"][0].as_py() == pytest.approx(
        odds / (1 + odds), abs=1e-4
    )
    assert "ja3:rare" in told["evidence"][0].as_py() and "10.9.7.7" in told["evidence"][0].as_py()
    assert confidence(fold, 4.0) == {} and fold.take_transitions().num_rows == 0


def test_what_many_have_proposes_nothing() -> None:
    fold = ShadowFold(STILL)
    fold.apply(tls([(i, f"10.0.0.{i}", f"10.9.0.{i}", "browser") for i in range(100)]))
    pairs = confidence(fold, 100.0)
    assert len(pairs) <= 8 * 7 / 2 and all(value < 0.5 for value in pairs.values())


def test_without_news_confidence_goes_back_to_the_prior() -> None:
    fold = ShadowFold(ShadowModel(forget_s=100.0, timing_every_s=1e12))
    fold.apply(tls([*crowd(98), (1, "10.0.0.1", "10.9.1.1", "rare"), (2, "10.0.0.2", "10.9.1.2", "rare")]))
    prior, full = math.log(0.1 / 0.9), math.log(0.1 / 0.9 * 25)
    for later in (0.0, 100.0, 1e6):
        log_odds = prior + (full - prior) * math.exp(-later / 100.0)
        assert confidence(fold, 2.0 + later)[("10.0.0.1", "10.0.0.2")] == pytest.approx(1 / (1 + math.exp(-log_odds)))


def test_being_active_together_again_and_again_promotes_and_never_expires() -> None:
    first = [*crowd(98), (1, "10.0.0.1", "10.9.1.1", "rare"), (1.2, "10.0.0.2", "10.9.1.2", "rare")]
    together, apart = ShadowFold(), ShadowFold()
    for fold, shift in ((together, 0.2), (apart, 40.0)):
        fold.apply(tls(first))
        for k in range(1, 200):
            at = 97.0 * k
            fold.apply(tls([(at, "10.0.0.1", "10.9.1.1", "rare"), (at + shift, "10.0.0.2", "10.9.1.2", "rare")]))
    assert shadow_history(together.take_transitions())["kind"].to_pylist() == [PROMOTED]
    said = shadow_history(apart.take_transitions())
    assert said["kind"].to_pylist() == [EXPIRED] and "not active together" in said["evidence"][0].as_py()


def test_who_has_been_seen_to_speak_is_no_shadow() -> None:
    fold = ShadowFold(STILL)
    fold.apply(tls([*crowd(98), (1, "10.0.0.1", "10.9.1.1", "rare"), (2, "10.0.0.2", "10.9.1.2", "rare")]))
    fold.apply(tls([(3, "10.0.0.2", "10.0.0.1", "own")]))
    assert confidence(fold, 3.0) == {} and fold.counts["observed"] == 1
    assert fold.take_transitions().num_rows == 0


def test_a_promotion_in_the_log_is_an_edge_of_the_graph_and_is_not_told_twice() -> None:
    events = tls([*crowd(98), (1, "10.0.0.1", "10.9.1.1", "rare"), (2, "10.0.0.2", "10.9.1.2", "rare"),
                  (3, "10.0.0.1", "10.9.7.7", "x1"), (4, "10.0.0.2", "10.9.7.7", "x2")])  # fmt: skip
    with EventLog(":memory:") as log:
        log.append(events)
        fold = ShadowFold(STILL)
        fold.apply(log.since(0))
        log.append(fold.take_transitions())
        graph = GraphFold()
        graph.apply(log.since(0))
        edge = (
            graph.snapshot(4.0).edges_of("host:10.0.0.1").filter(pa.compute.field("kind").cast(pa.string()) == PROMOTED)
        )
        assert edge["id"].to_pylist() == ["promoted:host:10.0.0.1 host:10.0.0.2"]
        again = ShadowFold(STILL)
        again.apply(log.since(0))
        assert again.take_transitions().num_rows == 0 and again.snapshot(5.0).num_rows == 0
        assert shadow_history(log.between(-1, 10, kinds=[PROMOTED])).num_rows == 1


def test_what_is_remembered_is_bounded() -> None:
    model = ShadowModel(max_pairs=50, max_things=300, timing_every_s=1e12)
    fold, rng = ShadowFold(model), np.random.default_rng(0)
    for part in range(10):
        names = rng.integers(0, 2_000, (500, 3))
        fold.apply(tls([(part + i / 500, f"10.0.{a // 250}.{a % 250}", f"10.9.{b // 250}.{b % 250}", f"j{c}")
                        for i, (a, b, c) in enumerate(names)]))  # fmt: skip
    assert fold.snapshot(10.0).num_rows <= 50
    assert max(len(fold._hosts), len(fold._things), len(fold._settled)) <= 300
    assert fold.counts["forgotten"] > 0
