"""Spatial queries find what looking at every point finds, at poles and antimeridian too, and look at few."""

from fractions import Fraction

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hypergraph import SphereIndex, great_circle_km
from engine.hypergraph.sphere import EARTH_RADIUS_KM

SPHERE = pyproj.Geod(a=EARTH_RADIUS_KM * 1e3, b=EARTH_RADIUS_KM * 1e3)
TOLERANCE_KM = 1e-6

LAT = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 90.0, 89.999999, -89.999999, 0.0, -0.0, 1e-9]))
LON = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 180.0, 179.999999, -179.999999, 0.0, -0.0, 90.0]))
POINT = st.tuples(LAT, LON)
# Drawn from a few, so that duplicates abound.
POINTS = st.one_of(
    st.lists(POINT, max_size=40),
    st.lists(POINT, min_size=1, max_size=4).flatmap(lambda few: st.lists(st.sampled_from(few), max_size=60)),
)


def distances_km(points, lat, lon):
    """By PROJ, to every point."""
    there = np.array(points, dtype=np.float64).reshape(-1, 2)
    here = np.broadcast_to([lat, lon], there.shape)
    return SPHERE.inv(here[:, 1], here[:, 0], there[:, 1], there[:, 0])[2] / 1e3


def index_of(points):
    there = np.array(points, dtype=np.float64).reshape(-1, 2)
    return SphereIndex(there[:, 0], there[:, 1])


def lies_between(lon, west, east):
    """Whether going east from `west` one meets `lon` before `east`, by exact angles and nothing else."""
    lon, west, east = Fraction(lon), Fraction(west), Fraction(east)
    return east - west >= 360 or (lon - west) % 360 <= (east - west) % 360 or lon in (west, east)


@given(POINTS, POINT, st.one_of(st.floats(0, 25_000), st.sampled_from([0.0, 1e-3, 20_015.2])))
def test_radius_finds_what_is_within(points, here, km):
    far = distances_km(points, *here)
    found = index_of(points).radius(*here, km)
    assert found.tolist() == sorted(found)
    np.testing.assert_array_less(far[found], km + TOLERANCE_KM)
    missed = np.setdiff1d(np.arange(len(points)), found)
    np.testing.assert_array_less(km - TOLERANCE_KM, far[missed])


@given(POINTS, POINT, st.integers(1, 50))
def test_nearest_come_in_order_and_nobody_nearer_is_left_out(points, here, k):
    far = distances_km(points, *here)
    index = index_of(points)
    found = index.nearest(*here, k)
    assert len(found) == len(set(found)) == min(k, len(points))
    np.testing.assert_allclose(far[found], np.sort(far)[: len(found)], atol=TOLERANCE_KM)
    np.testing.assert_allclose(index.distance_km(*here, found), far[found], atol=TOLERANCE_KM)


@given(
    POINTS,
    st.lists(LON, min_size=2, max_size=2),
    st.lists(LAT, min_size=2, max_size=2),
    st.sampled_from([0, 360, -360]),
)
def test_a_box_holds_what_lies_between_its_meridians_and_parallels(points, meridians, parallels, turn):
    (west, east), (south, north) = meridians, sorted(parallels)
    expected = [
        i for i, (lat, lon) in enumerate(points)
        if south <= lat <= north and (abs(lat) == 90.0 or lies_between(lon, west, east) or
                                      (abs(lon) == 180.0 and lies_between(-lon, west, east)))
    ]  # fmt: skip
    index = index_of(points)
    assert index.bbox(west, south, east, north).tolist() == expected
    if turn and (west + turn) - turn == west and (east + turn) - turn == east and west < east:
        assert index.bbox(west + turn, south, east + turn, north).tolist() == expected


def test_large_random_sets_agree_with_looking_at_every_point():
    rng = np.random.default_rng(5)
    n = 30_000
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    lat[:2_000] = rng.choice([90.0, -90.0, 89.9999, 10.0], 2_000)
    lon[1_000:3_000] = rng.choice([180.0, -180.0, 179.9999], 2_000)
    index = SphereIndex(lat, lon)
    for _ in range(60):
        p, q, km = rng.uniform(-90, 90), rng.uniform(-180, 180), rng.choice([50.0, 500.0, 5_000.0])
        far = great_circle_km(p, q, lat, lon)
        assert index.radius(p, q, km).tolist() == np.flatnonzero(far <= km).tolist()
        assert index.nearest(p, q, 20).tolist() == np.lexsort((np.arange(n), far))[:20].tolist()
        west, width, south, height = (
            rng.uniform(-180, 180),
            rng.uniform(0, 90),
            rng.uniform(-90, 60),
            rng.uniform(0, 40),
        )
        inside = ((lon - west) % 360 <= width) | (np.abs(lat) == 90)
        inside &= (lat >= south) & (lat <= south + height)
        assert index.bbox(west, south, west + width, south + height).tolist() == np.flatnonzero(inside).tolist()


def test_great_circles_are_those_of_proj():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-1, 1, (2, 5_000)) * [[90], [180]], rng.uniform(-1, 1, (2, 5_000)) * [[90], [180]]
    # Some next to each other, some next to the antipode, where formulas lose digits.
    b[:, :1000] = a[:, :1000] + rng.uniform(-1e-6, 1e-6, (2, 1000))
    b[0, 1000:2000], b[1, 1000:2000] = -a[0, 1000:2000] + 1e-7, (a[1, 1000:2000] + 360.0) % 360.0 - 180.0
    theirs = SPHERE.inv(a[1], a[0], b[1], b[0])[2] / 1e3
    np.testing.assert_allclose(great_circle_km(a[0], a[1], b[0], b[1]), theirs, atol=TOLERANCE_KM)


def test_a_pole_is_one_point_on_every_meridian():
    index = SphereIndex([90.0, 90.0, -90.0, 89.0], [0.0, 120.0, 7.0, -60.0])
    assert index.bbox(10.0, 80.0, 20.0, 90.0).tolist() == [0, 1]
    assert index.radius(90.0, -45.0, 0.0).tolist() == [0, 1]
    assert index.nearest(89.5, 120.0, 3).tolist() == [0, 1, 3]


def test_invalid_positions_never_enter_and_rows_keep_their_numbers():
    index = SphereIndex([np.nan, 91.0, 5.0, 0.0, np.inf, 6.0], [0.0, 0.0, 181.0, np.nan, 0.0, 6.0])
    assert (len(index), index.rejected) == (1, 5)
    assert (
        index.nearest(0, 0, 9).tolist()
        == index.radius(0, 0, 30_000).tolist()
        == index.bbox(-180, -90, 180, 90).tolist()
        == [5]
    )


def test_an_empty_index_finds_nothing():
    index = SphereIndex([], [])
    assert [len(x) for x in (index.radius(0, 0, 1e5), index.nearest(0, 0, 3), index.bbox(-180, -90, 180, 90))] == [
        0,
        0,
        0,
    ]


def test_questions_without_sense_are_refused():
    index = SphereIndex([0.0], [0.0])
    for attempt in (
        lambda: index.nearest(0, 0, 0),
        lambda: index.nearest(91, 0),
        lambda: index.radius(0, np.nan, 1),
        lambda: index.radius(0, 0, np.nan),
        lambda: index.bbox(0, np.nan, 1, 1),
        lambda: SphereIndex([0.0], [0.0, 1.0]),
    ):
        with pytest.raises(ValueError, match=r"must"):
            attempt()
    assert index.radius(0, 0, -1.0).tolist() == []


def test_a_box_looks_at_few_boxes_and_at_some_more_for_200_times_the_points():
    looked = {}
    for n in (1_000, 200_000):
        rng = np.random.default_rng(n)
        lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
        index = SphereIndex(lat, lon)
        half = np.degrees(np.sqrt(np.pi * 4 / n))
        counts = []
        for _ in range(200):
            p, q = rng.uniform(-50, 50), rng.uniform(-100, 100)
            index.bbox(q - half, p - half, q + half, p + half)
            counts.append(index.boxes_visited)
        looked[n] = np.mean(counts)
    # A tree of fan 16 is two levels deeper at 200 000 than at 1 000; a scan would look at 200 times as many.
    assert looked[200_000] < 8 * looked[1_000] < 200_000 / 16 / 40
