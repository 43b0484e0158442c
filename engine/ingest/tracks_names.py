"""Which column means what, and in which unit: the table of names that track files use.

One place for the habits of readsb, OpenSky, traffic, Movebank and of people who write CSV by hand.
It looks at names only, never at values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.units import M_S_PER_FOOT_PER_MINUTE, M_S_PER_KNOT, METRES_PER_FOOT

_LENGTH = {"m": 1.0, "metres": 1.0, "meters": 1.0, "km": 1000.0, "ft": METRES_PER_FOOT, "feet": METRES_PER_FOOT}
_SPEED = {
    "m_s": 1.0, "mps": 1.0, "km_h": 1 / 3.6, "kmh": 1 / 3.6, "kph": 1 / 3.6, "mph": 0.44704,
    "ft_min": M_S_PER_FOOT_PER_MINUTE, "fpm": M_S_PER_FOOT_PER_MINUTE,
    "kt": M_S_PER_KNOT, "kts": M_S_PER_KNOT, "knots": M_S_PER_KNOT,
}  # fmt: skip
_FREQUENCY = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
_TIME = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_ANGLE = {"deg": 1.0, "degrees": 1.0}

UNITS: dict[str, dict[str, float]] = {
    "lat": _ANGLE, "lon": _ANGLE, "track_deg": _ANGLE, "alt_m": _LENGTH, "speed_m_s": _SPEED,
    "vertical_rate_m_s": _SPEED, "freq_hz": _FREQUENCY, "eirp_dbm": {"dbm": 1.0}, "time": _TIME,
    "position_time_s": _TIME, "seen_pos_s": {"s": 1.0},
}  # fmt: skip
"""Units understood in a column name, by field: factor to the field's own unit."""

# Field → names, the better one first; "name:unit" where the name alone implies a unit.
# "aviation" and "opensky" stand for the unit that the name has in that dialect, see `column_meanings`.
ALIASES: dict[str, tuple[str, ...]] = {
    "id": (
        "icao24", "hex", "icao", "icao_address", "id", "emitter_id", "entity", "emitter", "individual_local_identifier",
        "tag_local_identifier", "mmsi", "vehicle_id", "device_id",
    ),
    "time": ("timestamp", "time", "datetime", "date_time", "utc", "ts", "epoch", "now"),
    "lat": ("lat", "latitude", "location_lat", "location_latitude", "position_lat", "y_lat"),
    "lon": ("lon", "longitude", "lng", "long", "location_lon", "location_long", "location_longitude", "position_lon"),
    "alt_m": (
        "alt_geom:ft", "geoaltitude:geo", "geo_altitude:m", "height_above_ellipsoid:m", "alt:m", "altitude:aviation",
        "location_alt:m", "alt_baro:ft", "baroaltitude:m", "baro_altitude:m", "height_above_msl:m", "height:m",
        "elevation:m",
    ),
    "location": ("location",),
    "position": ("position",),
    "speed_m_s": ("speed:m_s", "groundspeed:kt", "gs:kt", "ground_speed:m_s", "velocity:m_s"),
    "track_deg": ("track", "heading", "course", "cog", "true_track", "bearing"),
    "vertical_rate_m_s": (
        "geom_rate:ft_min", "baro_rate:ft_min", "vertical_rate:aviation_rate", "vert_rate:ft_min", "vertrate:m_s",
        "climb:m_s",
    ),
    "callsign": ("callsign", "flight", "call_sign"),
    "emitter_kind": ("emitter_kind", "kind"),
    "position_time_s": ("position_time", "last_position", "lastposupdate", "time_position"),
    "seen_pos_s": ("seen_pos:s",),
    "eirp_dbm": ("eirp:dbm",),
    "freq_hz": ("freq:hz", "frequency:hz"),
    "confidence": ("confidence",),
    "anomaly_score": ("anomaly_score",),
    "cluster": ("cluster",),
    "on_ground": ("on_ground", "onground"),
    "synthetic": ("synthetic",),
    "visible": ("visible",),
}  # fmt: skip
"""Names of each field, normalised, the preferred first: where a record has several, the first with a value wins.

Heights above the ellipsoid come before barometric ones, since `alt_m` is a height above the ellipsoid.
"""

ADSB_ID_NAMES = ("icao24", "hex", "icao", "icao_address")
_OPENSKY_NAMES = frozenset({"baroaltitude", "baro_altitude", "velocity", "vertrate", "lastposupdate", "true_track"})
_AVIATION_NAMES = frozenset({*ADSB_ID_NAMES, "groundspeed", "gs", "callsign", "flight"})

_PLACES = {
    alias.partition(":")[0]: (field, rank, alias.partition(":")[2])
    for field, aliases in ALIASES.items()
    for rank, alias in enumerate(aliases)
}
_BRACKETED = re.compile(r"^(.*?)\s*[\[(]\s*([^\])]+?)\s*[\])]\s*$")
_SUFFIXES = sorted({unit for units in UNITS.values() for unit in units}, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one column holds.

    Attributes
    ----------
    column : str
        Its name in the source.
    field : str
        A key of `ALIASES`.
    rank : int
        Preference among the columns of the same field, lowest first.
    scale : float
        Factor from the column's unit to the field's.
    unit_named : bool
        True where the column's own name says the unit.
    """

    column: str
    field: str
    rank: int
    scale: float
    unit_named: bool


def normalised(name: str) -> str:
    """A column name in the form that `ALIASES` uses.

    Examples
    --------
    >>> normalised(" Location-Lat ")
    'location_lat'
    """
    return re.sub(r"[\s\-.:/_]+", "_", name.strip().lower()).strip("_")


def column_meanings(names: Iterable[str]) -> list[Meaning]:
    """Meanings of those columns that have one, the preferred of each field first.

    A unit in the name wins (``altitude_ft``, ``groundspeed [kt]``). Otherwise the name implies it, for
    some names together with the company it keeps: ``altitude`` is feet among aviation names and metres
    elsewhere; ``geoaltitude`` and ``vertical_rate`` are feet and feet per minute, but metres and metres
    per second among the names of the OpenSky network.

    Parameters
    ----------
    names : iterable of str
        Column names of a source.

    Returns
    -------
    list of Meaning

    Examples
    --------
    >>> [(m.column, m.field, m.scale) for m in column_meanings(["Altitude (ft)", "lat", "colour"])]
    [('Altitude (ft)', 'alt_m', 0.3048), ('lat', 'lat', 1.0)]

    References
    ----------
    readsb README-json.md; OpenSky REST API, "All State Vectors"; Movebank Attribute Dictionary.
    """
    names = [name for name in names if isinstance(name, str)]
    company = {normalised(name) for name in names}
    meanings = [meaning for name in names if (meaning := _meaning(name, company)) is not None]
    return sorted(meanings, key=lambda meaning: (meaning.field, meaning.rank))


def _meaning(name: str, company: set[str]) -> Meaning | None:
    bracketed = _BRACKETED.match(name)
    base = normalised(bracketed.group(1) if bracketed else name)
    unit = normalised(bracketed.group(2)) if bracketed else ""
    if not bracketed and base not in _PLACES:
        for suffix in _SUFFIXES:
            stem = base.removesuffix("_" + suffix)
            if stem != base and stem in _PLACES and suffix in UNITS.get(_PLACES[stem][0], {}):
                base, unit = stem, suffix
                break
    if base not in _PLACES:
        return None
    field, rank, implied = _PLACES[base]
    if unit:
        scale = UNITS.get(field, {}).get(unit)
        return None if scale is None else Meaning(name, field, rank, scale, True)
    implied = _in_dialect(implied, company)
    return Meaning(name, field, rank, UNITS[field][implied] if implied else 1.0, False)


def _in_dialect(unit: str, company: set[str]) -> str:
    opensky = bool(company & _OPENSKY_NAMES)
    if unit == "geo":
        return "m" if opensky else "ft"
    aviation = bool(company & _AVIATION_NAMES) and not opensky
    if unit == "aviation":
        return "ft" if aviation else "m"
    if unit == "aviation_rate":
        return "ft_min" if aviation else "m_s"
    return unit
