"""Shipped coastlines and borders lie where independent sources have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from data.land import RESOLUTIONS, Polylines, lines

EARTH_KM = 6371.0


def unit_vectors(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Points on the unit sphere: chord times earth radius is distance, antimeridian or not."""
    lam, phi = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])


def dense(lon: np.ndarray, lat: np.ndarray, offsets: np.ndarray, spacing_deg: float = 0.01) -> np.ndarray:
    """Points along every polyline, so that nearest point and nearest line are the same to about 1 km."""
    keep = np.ones(len(lon) - 1, dtype=bool)
    keep[offsets[1:-1] - 1] = False
    start, end = np.flatnonzero(keep), np.flatnonzero(keep) + 1
    parts = np.maximum(1, np.ceil(np.hypot(lon[end] - lon[start], lat[end] - lat[start]) / spacing_deg)).astype(int)
    segment = np.repeat(np.arange(len(start)), parts)
    share = (np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)) / parts[segment]
    first, last = start[segment], end[segment]
    return unit_vectors(lon[first] + share * (lon[last] - lon[first]), lat[first] + share * (lat[last] - lat[first]))


def read_geojson(path: Path) -> Polylines:
    parts: list[np.ndarray] = []
    for feature in json.loads(path.read_text())["features"]:
        geometry = feature["geometry"]
        many = geometry["coordinates"] if geometry["type"] == "MultiLineString" else [geometry["coordinates"]]
        parts.extend(np.asarray(part, dtype=float)[:, :2] for part in many)
    flat = np.concatenate(parts)
    return Polylines(flat[:, 0], flat[:, 1], np.cumsum([0, *map(len, parts)]))


def distance_km(points: np.ndarray, line: Polylines) -> np.ndarray:
    return EARTH_KM * cKDTree(dense(*line)).query(points)[0]


@pytest.mark.parametrize(("resolution", "file"), [("110m", "ne_110m_coastline"), ("50m", "ne_50m_coastline")])
def test_coastline_is_natural_earths(resolution: str, file: str, real_data: Callable[[str], Path]) -> None:
    published = read_geojson(real_data(f"land/{file}.geojson"))
    ours = lines(resolution)["coastline"]
    there = distance_km(unit_vectors(published.lon, published.lat), ours)
    back = distance_km(unit_vectors(ours.lon, ours.lat), published)
    # The grid is 0.4 km at the equator. Natural Earth's releases differ in a few islets and river mouths.
    for error_km in (there, back):
        assert np.quantile(error_km, 0.98) < 1.0
        assert error_km.mean() < 3.0


# Three-country points as surveyed (Wikipedia, tripoints of Switzerland, Germany, Austria, France, Italy, Luxembourg).
TRIPOINTS = {
    "CH-DE-FR Dreiländereck, Basel": (7.5886, 47.5897),
    "AT-CH-IT Piz Lad": (10.4709, 46.8549),
    "CH-FR-IT Mont Dolent": (7.0447, 45.9228),
    "DE-FR-LU Schengen": (6.3672, 49.4694),
    "DE-PL-CZ Zittau": (14.8233, 50.8706),
}


@pytest.mark.parametrize("place", TRIPOINTS.values(), ids=TRIPOINTS.keys())
def test_borders_pass_where_three_countries_meet(place: tuple[float, float]) -> None:
    lon, lat = place
    nearby = lines("10m", bounds=(lon - 1, lat - 1, lon + 1, lat + 1))["borders"]
    here = unit_vectors(np.array([lon]), np.array([lat]))
    assert distance_km(here, nearby)[0] < 1.5


def test_the_inner_land_has_borders_and_no_coast() -> None:
    alps = lines("10m", bounds=(6.0, 45.9, 10.4, 47.7))
    assert len(alps["borders"].lon) > 500
    assert len(alps["coastline"].lon) == 0


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_no_line_crosses_the_antimeridian_or_runs_along_the_maps_edge(resolution: str) -> None:
    for kind, polylines in lines(resolution).items():
        assert np.isfinite(polylines.lon).all() and np.isfinite(polylines.lat).all()
        for lon, lat in zip(*polylines.split(), strict=True):
            assert np.abs(np.diff(lon)).max() < 180.0, kind
            edge = (np.abs(lon) > 179.99) | (lat < -89.9)
            assert not (edge[:-1] & edge[1:]).any(), kind


windows = st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90)).map(
    lambda box: (box[0], min(box[1], box[3]), box[2], max(box[1], box[3]))
)


@settings(max_examples=60, deadline=None)
@given(bounds=windows, kind=st.sampled_from(["coastline", "borders"]))
def test_a_window_keeps_every_point_inside_and_invents_none(
    bounds: tuple[float, float, float, float], kind: str
) -> None:
    west, south, east, north = bounds
    whole, cut = lines("110m")[kind], lines("110m", bounds)[kind]

    def inside(polylines: Polylines) -> set[tuple[float, float]]:
        lon, lat = polylines.lon, polylines.lat
        across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
        keep = across & (lat >= south) & (lat <= north)
        return set(zip(lon[keep], lat[keep], strict=True))

    assert inside(cut) == inside(whole)
    assert set(zip(cut.lon, cut.lat, strict=True)) <= set(zip(whole.lon, whole.lat, strict=True))
    assert cut.offsets[0] == 0 and cut.offsets[-1] == len(cut.lon)
    assert len(cut.split()[0]) == len(cut.offsets) - 1


def test_callers_cannot_damage_what_others_share() -> None:
    with pytest.raises(ValueError, match="read-only"):
        lines("110m")["coastline"].lon[0] = 0.0


def test_wrong_requests_are_named() -> None:
    with pytest.raises(ValueError, match=r"'25m' is not shipped"):
        lines("25m")
    with pytest.raises(ValueError, match="south above north"):
        lines("110m", bounds=(0, 10, 5, -10))
