"""Monitors of places: paths that meet, load near exchange points, lanes that two sides hold, intent; and the review."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from scipy.stats import binom

from engine.drift import (
    ConflictMonitor,
    ExchangeMonitor,
    ExchangePoints,
    PhantomMonitor,
    conflict_replay,
    convergences,
    heat_surprise,
    intent_field,
    intent_score,
    review,
)
from engine.drift.conflict import dominance
from engine.drift.intent import PARTS
from engine.drift.sphere import distance_km, kernel_field, lat_lon, unit_vectors
from engine.events.schema import event_table
from engine.monitors import AlertBoard, MonitorRunner
from tests.benchmarks.streams import deeds, poisson, table, zipf

SPHERE = Geod(a=6_371_008.8, b=6_371_008.8)
T0_S = 1.7e9 - 1.7e9 % 3600.0


def lanes(
    rng: np.random.Generator, lat: float, lon: float, n: int, off_m: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Paths that pass a place, by pyproj: ends 300 to 600 km away on both sides, as unit vectors."""
    out = []
    for _ in range(n):
        x, y, _ = SPHERE.fwd(lon, lat, rng.uniform(0, 360), abs(rng.normal(0, off_m)) if off_m else 0.0)
        bearing = rng.uniform(0, 360)
        a = SPHERE.fwd(x, y, bearing, rng.uniform(3e5, 6e5))
        b = SPHERE.fwd(x, y, bearing + 180.0, rng.uniform(3e5, 6e5))
        out.append((a[1], a[0], b[1], b[0]))
    ends = np.array(out)
    return unit_vectors(ends[:, 0], ends[:, 1]), unit_vectors(ends[:, 2], ends[:, 3])


@pytest.mark.parametrize("place", [(47.0, 9.0), (0.0, 179.95), (-62.0, -30.0), (88.5, 40.0)])
def test_paths_of_three_clusters_meet_where_they_were_made_to_meet(place: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    start, end = lanes(rng, *place, 12, off_m=3_000.0)
    # Paths of the same clusters that lie anywhere.
    noise = [lanes(rng, place[0] - 4.0 + rng.uniform(-1, 1), place[1] + rng.uniform(-2, 2), 1) for _ in range(20)]
    start = np.concatenate([start, *(a for a, _ in noise)])
    end = np.concatenate([end, *(b for _, b in noise)])
    found = convergences(start, end, [f"c{i % 3}" for i in range(len(start))])
    best = found[0]
    assert best.surprise > 5.0 and len(best.clusters) == 3
    assert distance_km(unit_vectors(best.lat, best.lon)[0], unit_vectors(*place)[0]) < 5.0
    assert all(other.surprise < 4.0 for other in found[1:])


def test_paths_of_two_clusters_or_to_one_host_or_along_one_line_are_no_place() -> None:
    rng = np.random.default_rng(2)
    start, end = lanes(rng, 47.0, 9.0, 12)
    assert convergences(start, end, ["a", "b"] * 6) == []
    host = np.repeat(unit_vectors(47.0, 9.0), 12, axis=0)
    assert all(c.surprise < 4.0 for c in convergences(start, host, ["a", "b", "c"] * 4))
    same = np.repeat(start[:1], 12, axis=0), np.repeat(end[:1], 12, axis=0)
    assert convergences(*same, ["a", "b", "c"] * 4) == []


def test_paths_at_random_seldom_seem_to_meet() -> None:
    rng = np.random.default_rng(3)
    tops = []
    for _ in range(60):
        n = int(rng.integers(20, 90))
        ends = [unit_vectors(rng.uniform(40, 55, n), rng.uniform(-5, 20, n)) for _ in range(2)]
        found = convergences(ends[0], ends[1], [f"c{i % 8}" for i in range(n)])
        tops.append(max((c.surprise for c in found), default=0.0))
    assert np.mean(np.array(tops) > 2.0) <= 0.1 and max(tops) < 5.0


def path_events(place: tuple[float, float], n: int = 24, seed: int = 4) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(seed)
    start, end = lanes(rng, *place, n)
    (lat, lon), (dest_lat, dest_lon) = lat_lon(start), lat_lon(end)
    payload = [
        f'{{"cluster": "c{i % 4}", "dest_lat": {a:.6f}, "dest_lon": {b:.6f}}}'
        for i, (a, b) in enumerate(zip(dest_lat, dest_lon, strict=True))
    ]
    times = np.round((T0_S + np.sort(rng.uniform(0, 60, n))) * 1e6).astype(np.int64)
    return times, {"lat": lat, "lon": lon, "payload": payload}


def test_a_known_exchange_point_nearby_keeps_the_monitor_quiet() -> None:
    times, columns = path_events((46.0, 7.5))
    events = event_table(times, "net.flow", ["f"] * len(times), "test", **columns)
    unknown, known = PhantomMonitor(), PhantomMonitor(ExchangePoints(["near"], [46.3], [7.5]))
    found = unknown.update(events) + unknown.advance(T0_S + 90.0)
    assert [t.raised for t in found] == [True]
    assert found[0].place == pytest.approx((46.0, 7.5), abs=0.05)
    assert {name for name, _ in found[0].parts} == {"c0", "c1", "c2", "c3"}
    assert known.update(events) + known.advance(T0_S + 90.0) == []
    assert [t.raised for t in unknown.advance(T0_S + 1000.0)] == [False]


def test_the_nearest_exchange_point_is_the_one_brute_force_finds_also_across_the_antimeridian() -> None:
    rng = np.random.default_rng(5)
    points = ExchangePoints([f"p{i}" for i in range(50)], rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50))
    lat, lon = np.r_[rng.uniform(-90, 90, 300), points.lat], np.r_[rng.uniform(-180, 180, 300), points.lon - 1e-4]
    lon = (lon + 180.0) % 360.0 - 180.0
    found = points.nearest(lat, lon, within_km=900.0)
    for row in range(len(lat)):
        away = [SPHERE.inv(lon[row], lat[row], x, y)[2] / 1e3 for x, y in zip(points.lon, points.lat, strict=True)]
        assert found[row] == (int(np.argmin(away)) if min(away) < 900.0 else -1)
    with pytest.raises(ValueError, match=r"'p' is at 91\.0"):
        ExchangePoints(["p"], [91.0], [0.0])


def test_surprise_of_a_load_is_as_rare_as_it_says() -> None:
    rng = np.random.default_rng(6)
    past, load = rng.poisson(20, (4000, 30)), rng.poisson(20, 4000)
    surprise = np.array([heat_surprise(float(n), row) for n, row in zip(load, past, strict=True)])
    for level in (1.0, 2.0):
        assert np.mean(surprise > level) < 1.3 * 10**-level + 3.0 * math.sqrt(10**-level / 4000)
    assert heat_surprise(0.0, []) == 0.0 and heat_surprise(1e9, [0.0] * 20) <= 300.0


def test_load_near_an_exchange_point_is_counted_and_a_flood_raises() -> None:
    rng = np.random.default_rng(7)
    times = np.sort(np.r_[rng.uniform(0, 2400, 400), rng.uniform(1800, 1860, 300)])
    near = rng.uniform(size=len(times)) < 0.8
    events = event_table(
        np.round((T0_S + times) * 1e6).astype(np.int64), "net.flow", ["f"] * len(times), "test",
        lat=np.where(near, 50.2, 40.0), lon=np.where(near, 8.6, 0.0),
    )  # fmt: skip
    monitor = ExchangeMonitor(ExchangePoints(["DE-CIX", "AMS-IX"], [50.11, 52.37], [8.68, 4.89]))
    found = monitor.update(events)
    assert [(t.entity, t.raised) for t in found][:1] == [("DE-CIX", True)]
    assert found[0].time_s == T0_S + 1860.0 and found[0].place == (50.11, 8.68)
    whole = np.floor(times / 60.0)
    last = int((near & (whole == whole.max() - 1)).sum())
    assert monitor.heat().set_index("name").loc["DE-CIX", "events_per_min"] == last
    field = monitor.field([50.11, 52.37], [4.89, 8.68])
    assert field.attrs["units"] == "1" and float(field.max()) == pytest.approx(
        min(last, 1.0) if last else 0.0, abs=1e-6
    )


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 60), st.integers(1, 60))
def test_dominance_turns_its_sign_with_the_sides_and_its_chance_is_a_binomial_tail(
    a: float, b: float, n: int, m: int
) -> None:
    assert dominance(a, b, a, b)[0] == pytest.approx(-dominance(b, a, b, a)[0], abs=1e-9)
    db, p = dominance(n, m, n, m)  # events of energy 1: counts
    assert db == pytest.approx(10 * math.log10(n / m))
    assert p == pytest.approx(binom.sf(max(n, m) - 1, n + m, 0.5), rel=1e-9)


def two_sides() -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(8)
    rows = []
    for t in np.arange(0.0, 60.0, 0.1):
        red = 20.0 <= t < 40.0
        rows.append((t, "taken", "red" if red else "blue"))
        rows.append((t, "held", "blue" if rng.uniform() < 0.9 else "red"))
        rows.append((t, "even", "red" if rng.uniform() < 0.5 else "blue"))
    payload = [f'{{"lane": "{lane}", "side": "{side}", "energy": 1.5}}' for _, lane, side in rows]
    times = np.round((T0_S + np.array([t for t, *_ in rows])) * 1e6).astype(np.int64)
    return times, {"payload": payload, "lat": np.full(len(rows), 47.0), "lon": np.full(len(rows), 8.0)}


def test_only_the_lane_that_changed_hands_is_in_conflict_now_and_in_the_replay() -> None:
    times, columns = two_sides()
    events = event_table(times, "emitter.pulse", ["e"] * len(times), "test", **columns)
    monitor = ConflictMonitor()
    found = monitor.update(events)
    assert [(t.entity, t.raised) for t in found] == [("taken", True)]
    assert found[0].time_s == T0_S + 25.0 and found[0].place == (47.0, 8.0)
    replay = conflict_replay(events, T0_S, T0_S + 60.0, 5.0)
    assert replay["lane"].values[replay["opposed"].values].tolist() == ["taken"]
    held = replay["dominance_db"].sel(lane="taken").values
    assert (np.sign(held) == np.repeat([1, -1, 1], 4) * (1 if replay.attrs["side_a"] == "blue" else -1)).all()
    total = float((replay["energy_a"] + replay["energy_b"]).sum())
    assert total == pytest.approx(1.5 * len(times)) and replay["dominance_db"].attrs["units"] == "dB"
    assert conflict_replay(events.slice(0, 0), T0_S, T0_S + 10.0).sizes == {"lane": 0, "time": 2}
    with pytest.raises(ValueError, match="steps forward"):
        conflict_replay(events, T0_S, T0_S)


def test_intent_is_the_weighted_mean_of_its_parts_and_its_labels_follow() -> None:
    found = intent_score(0.8, 0.5, 0.25, 1.0)
    assert found.score == pytest.approx(0.3 * 0.8 + 0.2 * 0.5 + 0.2 * 0.25 + 0.3 * 1.0)
    assert sum(found.parts.values()) == pytest.approx(found.score) and found.label == "ACTIVE"
    assert intent_score(0, 0, 0, 0).label == "LATENT"
    assert intent_score(1, 0, 0.5, 0).label == "COVERT"  # a beat and a silence: nothing to be seen
    assert intent_score(0, 0.2, 0, 1).label == "FORMING"
    assert intent_score(5, 5, 5, 5, {"timing": 7.0}).score == pytest.approx(1.0)
    only = intent_score(0.6, 1, 1, 1, dict.fromkeys(PARTS, 0.0) | {"timing": 2.0})
    assert only.score == pytest.approx(0.6)
    for wrong in ({"mood": 1.0}, {"timing": -1.0}, dict.fromkeys(PARTS, 0.0)):
        with pytest.raises(ValueError, match="weights"):
            intent_score(0, 0, 0, 0, wrong)
    with pytest.raises(ValueError, match="finite"):
        intent_score(math.nan, 0, 0, 0)


def test_the_intent_field_is_the_score_at_a_cluster_and_the_formula_everywhere() -> None:
    scores = pd.DataFrame({"lat": [47.0, 46.5, np.nan], "lon": [8.0, 7.0, 1.0], "score": [0.5, 0.8, 1.0]})
    lat, lon = np.linspace(46, 48, 9), np.linspace(6.5, 9.0, 11)
    field = intent_field(scores, lat, lon, radius_km=20.0)
    assert field.dims == ("lat", "lon") and field.attrs["units"] == "1"
    left = np.ones((9, 11))
    for row in scores.dropna().itertuples():
        for i, j in np.ndindex(left.shape):
            km = SPHERE.inv(lon[j], lat[i], row.lon, row.lat)[2] / 1e3
            left[i, j] *= 1.0 - row.score * math.exp(-((km / 20.0) ** 2) / 2.0)
    assert np.allclose(field.values, 1.0 - left, atol=1e-9)
    assert kernel_field([0.0], [0.0], [], [], [], 1.0).tolist() == [[0.0]]


def best_split(series: np.ndarray, penalty: float, least: int) -> list[int]:
    """The minimum of squared deviations and penalties by trying all, with dynamic programming."""
    n = len(series)
    cost = [0.0] + [math.inf] * n
    back = [0] * (n + 1)
    for last in range(least, n + 1):
        for first in range(0, last - least + 1):
            part = series[first:last]
            value = cost[first] + float(((part - part.mean()) ** 2).sum()) + (penalty if first else 0.0)
            if value < cost[last] - 1e-12:
                cost[last], back[last] = value, first
    ends, at = [], n
    while at:
        ends.append(at)
        at = back[at]
    return ends[::-1]


@pytest.mark.parametrize("seed", range(5))
def test_the_review_finds_the_best_of_all_splits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.choice([0.0, 4.0, -5.0, 9.0], 4, replace=False), rng.integers(8, 20, 4))
    series = levels + rng.standard_normal(len(levels))
    noise = 1.4826 * float(np.median(np.abs(np.diff(series)))) / math.sqrt(2.0)
    noise = max(noise, 0.02 * float(np.abs(series - np.median(series)).max()))
    wanted = best_split(series / noise, 6.0 * math.log(len(series)), 4)
    found = review(60.0 * np.arange(len(series)), series)
    assert np.cumsum(found["n"]).tolist() == wanted
    assert found["level"].to_numpy() == pytest.approx([p.mean() for p in np.split(series, wanted[:-1])])


def test_the_review_leaves_what_does_not_change_whole() -> None:
    rng = np.random.default_rng(9)
    split = sum(len(review(range(300), rng.standard_normal(300))) > 1 for _ in range(100))
    assert split <= 2
    assert len(review(range(50), [3.0] * 50)) == 1 and review([], []).empty and len(review([1.0], [2.0])) == 1
    assert len(review(range(50), [0.1 + 1e-17 * i for i in range(50)])) == 1
    with pytest.raises(ValueError, match="ascend"):
        review([2.0, 1.0], [0.0, 0.0])


def test_intent_is_raised_by_a_cluster_that_acts_in_step_drifts_and_climbs_and_not_by_one_that_does_not() -> None:
    rng = np.random.default_rng(7)
    hours, change_s = 0.5, T0_S + 1_800.0
    beat = np.sort(change_s + 6.0 * np.arange(150) + rng.normal(0.0, 0.6, 150))
    climb = np.clip(1.0 + 6.0 * (beat - change_s) / 900.0 + 0.5 * rng.standard_normal(150), 1.0, 7.0)
    other = np.roll(zipf(20, 1.0), 10)
    stream = table(
        [
            deeds(rng, poisson(rng, 600.0, hours), "c0"), deeds(rng, beat, "c0", other, climb),
            deeds(rng, poisson(rng, 600.0, hours), "calm"), deeds(rng, poisson(rng, 600.0, 0.26, change_s), "calm"),
        ]
    )  # fmt: skip
    runner, board = MonitorRunner(limit_s=None), AlertBoard()
    runner.apply(stream)
    board.apply(runner.take())
    found = board.table(0.0).set_index(["monitor", "entity"])
    assert "calm" not in found.index.get_level_values("entity")
    raised = found.loc[("intent", "c0"), "raised"].timestamp()
    assert change_s + 300.0 < raised < change_s + 1_080.0
    parts = found.loc[("intent", "c0"), "parts"]
    assert all(name in parts for name in ("timing", "drift", "slope"))
