"""Numbers of clusters: what NumPy and SciPy say of the same events; as events; bounded; of now and then."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
from scipy.stats import entropy

from engine.events import EventLog, event_table
from engine.hypergraph.sphere import great_circle_km
from engine.monitors import MEASURED, ClusterBoard, MonitorRunner, clusters_as_of
from engine.monitors.cluster_numbers import MAX_EVENTS, NUMBERS, WINDOW_S, ClusterNumbers, measured_rows
from engine.monitors.output import table_of
from engine.monitors.vocabulary import DRILL_ENDED

T0_S = 1.7e9 - 1.7e9 % 60.0


def events_of(n: int = 300, seed: int = 1) -> pd.DataFrame:
    """Events of three clusters of some nodes, each node at a place and in a system of its own."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 3, n)
    node = rng.integers(0, 4 + cluster)
    lat, lon = 45.0 + cluster + 0.01 * node, 7.0 + 0.02 * node
    return pd.DataFrame(
        {"cluster": [f"c{c}" for c in cluster], "node": [f"n{c}.{i}" for c, i in zip(cluster, node, strict=True)],
         "time_s": np.sort(T0_S + rng.uniform(0.0, 600.0, n)), "lat": lat, "lon": lon, "asn": 64_500.0 + node % 3}
    )  # fmt: skip


def pushed(events: pd.DataFrame) -> ClusterNumbers:
    numbers = ClusterNumbers()
    for _, part in events.groupby(np.arange(len(events)) // 37):
        numbers.push(*(part[name].to_numpy() for name in ("cluster", "node", "time_s", "lat", "lon", "asn")))
    return numbers


def test_numbers_are_what_others_compute_from_the_same_events() -> None:
    events, at_s = events_of(), T0_S + 700.0
    found = pushed(events).measure(at_s)
    counts = events.groupby(["cluster", "node"]).size()
    for name, mine in events.groupby("cluster"):
        row, per_node = found.loc[name], counts.loc[name].to_numpy()
        places = mine.groupby("node")[["lat", "lon"]].last()
        assert (row.node_count, row.activity) == (len(per_node), len(mine))
        assert row.entropy == pytest.approx(entropy(per_node, base=2))
        systems = mine.groupby("node")["asn"].last().value_counts().to_numpy()
        assert row.asn_diversity == pytest.approx(entropy(systems) / math.log(len(systems))) and row.asn_known == 1.0
        assert row.activity_score == pytest.approx(per_node.mean() / (per_node.mean() + counts.mean()))
        assert (row.lat, row.lon) == pytest.approx((places.lat.mean(), places.lon.mean()), abs=1e-4)
        away = great_circle_km(places.lat.to_numpy(), places.lon.to_numpy(), row.lat, row.lon)
        assert row.radius_km == pytest.approx(away.max())
        span, quiet = np.ptp(mine["time_s"]), at_s - mine["time_s"].max()
        assert row.silence_pressure == pytest.approx((len(mine) - 1) * math.log10(1.0 + quiet / span))
        assert 0.9 < row.coherence <= 1.0  # clusters a hundred kilometres apart, each a few across


def test_what_is_not_known_is_not_said_and_old_events_do_not_count() -> None:
    events = events_of().assign(lat=np.nan, lon=np.nan, asn=np.nan)
    numbers = pushed(events)
    found = numbers.measure(T0_S + 700.0)
    unknown = found[["lat", "lon", "radius_km", "coherence", "asn_diversity"]]
    assert unknown.isna().all(axis=None) and (found["asn_known"] == 0.0).all()
    rows = measured_rows(found, T0_S)
    assert len(rows) == 3 and "coherence" not in rows[0]["payload"] and "NaN" not in rows[0]["payload"]
    assert numbers.measure(T0_S + WINDOW_S + 700.0).empty and ClusterNumbers().measure(0.0).empty


def test_an_entity_of_its_own_is_no_cluster_and_memory_is_bounded() -> None:
    numbers, n = ClusterNumbers(), 30_000
    alone = np.array([f"x{i % 9}" for i in range(n)], object)
    nowhere = np.full(n, np.nan)
    for k in range(4):
        numbers.push(alone, alone, np.full(n, T0_S + k), nowhere, nowhere, nowhere)
    assert numbers.measure(T0_S + 9.0).empty
    assert numbers._held <= MAX_EVENTS + n


def test_the_runner_tells_the_numbers_and_the_board_has_them_now_and_of_the_past(tmp_path) -> None:
    events = events_of()
    run = "drill:x:1:ab"
    table = event_table(
        np.round(events["time_s"].to_numpy() * 1e6).astype(np.int64), "net.flow", events["node"].tolist(), "test",
        lat=events["lat"].to_numpy(), lon=events["lon"].to_numpy(),
        payload=[f'{{"cluster": "{c if c != "c2" else run + "/ring"}"}}' for c in events["cluster"]],
    )  # fmt: skip
    runner, board = MonitorRunner({}, limit_s=None), ClusterBoard()
    runner.apply(table)
    told = runner.take()
    told = told.filter(pc.equal(told["kind"], MEASURED))
    assert told["entity"].unique().to_pylist().count("c0") == 1
    board.apply(told)
    found = board.table(T0_S + 600.0, 3600.0).set_index("cluster")
    assert set(found.index) == {"c0", "c1", f"{run}/ring"} and set(NUMBERS) < set(found.columns)
    spark = found.loc["c0", "spark"]
    assert 8 <= len(spark) <= 11 and spark == sorted(spark)  # all of the ten minutes are inside the window
    with EventLog(tmp_path / "events.duckdb") as log:
        log.append(told)
        past = clusters_as_of(log, T0_S + 301.0).table(T0_S + 301.0, 3600.0).set_index("cluster")
        assert past.loc["c0", "activity"] == spark[len(past.loc["c0", "spark"]) - 1] < spark[-1]
    end = event_table([round((T0_S + 601.0) * 1e6)], DRILL_ENDED, [run], run)
    runner.apply(end)
    board.apply(end)
    assert f"{run}/ring" not in set(board.table(T0_S + 700.0, 3600.0)["cluster"])
    assert f"{run}/ring" not in runner._numbers.measure(T0_S + 660.0).index
    assert board.table(T0_S + 9e3, 60.0).empty
    board.apply(table_of([]))
