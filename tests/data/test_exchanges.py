"""The exchange points that ship with the package lie where an independent list of cities says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data.exchanges import known_exchanges
from engine.geo import slant_range_m


def test_points_in_cities_of_natural_earth_lie_there(real_data: Callable[[str], Path]) -> None:
    places = json.loads(real_data("land/ne_110m_populated_places_simple.geojson").read_text())["features"]
    cities = {p["properties"]["nameascii"]: (p["properties"]["latitude"], p["properties"]["longitude"]) for p in places}
    spelled = {"London": "LINX LON1", "Amsterdam": "AMS-IX", "Vienna": "VIX", "Prague": "NIX.CZ", "Tokyo": "JPIX Tokyo",
               "Singapore": "SGIX", "Nairobi": "KIXP", "Moscow": "MSK-IX", "Sydney": "IX Australia Sydney",
               "Los Angeles": "Any2 Los Angeles", "Santiago": "PIT Chile", "Cairo": "CAIX"}  # fmt: skip
    names, lat, lon = known_exchanges()
    assert len(set(names)) == len(names) >= 80
    assert sum(city in cities for city in spelled) >= 10
    for city, name in spelled.items():
        if city in cities:
            row = names.index(name)
            away_m = float(np.asarray(slant_range_m(*cities[city], 0.0, lat[row], lon[row], 0.0)))
            assert away_m < 40e3, (city, away_m)
