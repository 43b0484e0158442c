"""Known internet exchange points with positions: a table that ships with the package.

A small list of well-known ones, not a complete one. Exchange and city are public facts; the position is the city's
(GeoNames, CC BY 4.0), good to some ten kilometres. See `data.build_exchanges` for the origin.
"""

from __future__ import annotations

import csv
from functools import cache

from data.loader import locate

NAME = "exchanges/points.csv"

ATTRIBUTION = "Positions of cities: GeoNames (geonames.org), CC BY 4.0"


@cache
def known_exchanges() -> tuple[list[str], list[float], list[float]]:
    """Names, latitudes and longitudes, degrees, of known internet exchange points.

    Examples
    --------
    >>> names, lat, lon = known_exchanges()
    >>> lat[names.index("AMS-IX")], lon[names.index("AMS-IX")]
    (52.37, 4.89)
    """
    with locate(NAME).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [row["name"] for row in rows], [float(row["lat"]) for row in rows], [float(row["lon"]) for row in rows]
