"""An invented air picture for when no recorded one can be had, and for tests that need known motion.

Aircraft fly closed circuits of straight legs and level turns and change between two altitudes, so the picture can run
for ever. It has the columns of the recorded ADS-B samples plus one that says it is synthetic; nothing else is shared
with the engine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["air_picture", "write_json"]

Array = NDArray[np.float64]

STANDARD_RATE_DEG_S = 3.0
"""Standard-rate turn: 360° in two minutes (ICAO Doc 8168, vol. I)."""

MAX_BANK_DEG = 25.0
"""Bank angle that limits the turn of fast aircraft (ICAO Doc 8168, vol. I, holding)."""

_KNOT_M_S = 1852.0 / 3600.0
_GRAVITY_M_S2 = 9.80665
_SEMI_MAJOR_M, _E2 = 6_378_137.0, 6.694_379_990_14e-3  # WGS-84


def air_picture(
    seed: int = 0,
    n: int = 40,
    duration_s: float = 3600.0,
    step_s: float = 10.0,
    *,
    centre: tuple[float, float] = (46.8, 8.2),
    radius_m: float = 150e3,
    start: str = "2020-01-01T00:00:00Z",
) -> pd.DataFrame:
    """Positions of invented aircraft, in the columns of the recorded samples.

    Parameters
    ----------
    seed : int
        Same seed and parameters, same picture.
    n : int
        Number of aircraft.
    duration_s, step_s : float
        Length of the picture and time between fixes, s. The last fix falls before `duration_s`.
    centre : tuple of float
        Latitude and longitude around which the circuits lie, degrees; not within 5° of a pole.
    radius_m : float
        Distance from the centre within which circuits begin, m.
    start : str
        Time of the first fix, ISO 8601; UTC if it has no offset.

    Returns
    -------
    pandas.DataFrame
        One row per fix, ordered by time, then aircraft: ``timestamp`` (UTC), ``altitude`` (ft), ``callsign``,
        ``groundspeed`` (kt), ``icao24`` (``syn001`` …, which no real address can be), ``latitude``,
        ``longitude``, ``track`` (degrees clockwise from true north), ``vertical_rate`` (ft/min) and
        ``synthetic`` (always True).

    Raises
    ------
    ValueError
        If a size is not positive or the centre is too near a pole.

    Examples
    --------
    >>> picture = air_picture(seed=1, n=3, duration_s=60, step_s=10)
    >>> len(picture), sorted(picture.icao24.unique())
    (18, ['syn001', 'syn002', 'syn003'])

    References
    ----------
    ICAO Doc 8168, Procedures for Air Navigation Services, vol. I: turn rate and bank angle.
    """
    if n < 1 or not step_s > 0.0 or not duration_s > 0.0 or not radius_m >= 0.0:
        raise ValueError(f"n={n}, duration_s={duration_s}, step_s={step_s}, radius_m={radius_m}: all must be positive")
    if abs(centre[0]) > 85.0:
        raise ValueError(f"centre latitude {centre[0]} is within 5° of a pole; choose one from -85 to 85")
    rng = np.random.default_rng(seed)
    elapsed_s = np.arange(int(np.ceil(duration_s / step_s)), dtype=np.float64) * step_s
    speed_kt = rng.uniform(220.0, 480.0, n)
    altitude_ft, rate_ft_min = _profile(rng, n, elapsed_s)
    heading, east_m, north_m = _circuit(rng, speed_kt * _KNOT_M_S, elapsed_s)
    distance_m, bearing = radius_m * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    east_m += (distance_m * np.sin(bearing))[:, None]
    north_m += (distance_m * np.cos(bearing))[:, None]
    latitude, longitude = _geodetic(centre, east_m, north_m)
    groundspeed_kt, track_deg = _motion(centre, east_m, north_m, speed_kt[:, None] * _KNOT_M_S, heading)

    digits = max(3, len(str(n)))
    names = np.array([f"{number:0{digits}d}" for number in range(1, n + 1)])
    moments = pd.to_datetime(start, utc=True) + pd.to_timedelta(np.round(elapsed_s * 1000.0), unit="ms")
    times = len(elapsed_s)
    return pd.DataFrame(
        {
            "timestamp": moments.as_unit("ms").repeat(n),
            "altitude": altitude_ft.T.ravel(),
            "callsign": np.tile(np.char.add("SYN", names), times),
            "groundspeed": groundspeed_kt.T.ravel(),
            "icao24": np.tile(np.char.add("syn", names), times),
            "latitude": latitude.T.ravel(),
            "longitude": longitude.T.ravel(),
            "track": track_deg.T.ravel(),
            "vertical_rate": rate_ft_min.T.ravel(),
            "synthetic": np.ones(n * times, dtype=bool),
        }
    )


def write_json(picture: pd.DataFrame, path: Path) -> Path:
    """Writes a picture as the recorded samples are written: JSON records with times in epoch milliseconds.

    Compressed where the name ends in ``.gz``. Returns the path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    epoch_ms = picture["timestamp"].astype("datetime64[ms, UTC]").astype("int64")
    picture.assign(timestamp=epoch_ms).to_json(path, orient="records")
    return path


def _profile(rng: np.random.Generator, n: int, elapsed_s: Array) -> tuple[Array, Array]:
    """Altitude, ft, and vertical rate, ft/min: hold low, climb, hold high, descend, and again."""
    low_ft = rng.integers(60, 240, n)[:, None] * 100.0
    gain_ft = rng.integers(20, 120, n)[:, None] * 100.0
    rate_ft_min = rng.integers(8, 25, n)[:, None] * 100.0
    hold_s = rng.uniform(120.0, 900.0, (n, 1))
    ramp_s = 60.0 * gain_ft / rate_ft_min
    phase_s = (elapsed_s + rng.random((n, 1)) * 2.0 * (hold_s + ramp_s)) % (2.0 * (hold_s + ramp_s))
    climbed = np.clip((phase_s - hold_s) / ramp_s, 0.0, 1.0) - np.clip((phase_s - 2.0 * hold_s - ramp_s) / ramp_s, 0, 1)
    climbing = (phase_s > hold_s) & (phase_s < hold_s + ramp_s)
    descending = phase_s > 2.0 * hold_s + ramp_s
    return low_ft + gain_ft * climbed, rate_ft_min * climbing - rate_ft_min * descending


def _circuit(rng: np.random.Generator, speed_m_s: Array, elapsed_s: Array) -> tuple[Array, Array, Array]:
    """Heading, radians, and east and north offset on a plane map, m, along regular polygons with rounded corners.

    Closed form: no error builds up, and any moment can be had without those before it.
    """
    n = len(speed_m_s)
    speed = speed_m_s[:, None]
    corners = rng.integers(2, 7, n)[:, None]  # two corners are a racetrack, as in a holding
    side = rng.choice([-1.0, 1.0], n)[:, None]  # left or right turns
    leg_s = rng.uniform(60.0, 300.0, (n, 1))
    heading0 = rng.uniform(0.0, 2.0 * np.pi, (n, 1))
    bank_limit = _GRAVITY_M_S2 * np.tan(np.radians(MAX_BANK_DEG)) / speed
    omega = np.minimum(np.radians(STANDARD_RATE_DEG_S), bank_limit)
    turn = 2.0 * np.pi / corners
    segment_s = leg_s + turn / omega
    moment = elapsed_s + rng.random((n, 1)) * corners * segment_s
    done, within = np.divmod(moment, segment_s)
    done %= corners
    straight, turning = np.minimum(within, leg_s), np.maximum(within - leg_s, 0.0)

    # Position as a complex number, east + i north; a heading psi clockwise from north is i exp(-i psi).
    first = 1j * np.exp(-1j * heading0)
    radius = speed / omega
    rotate = np.exp(-1j * side * turn)

    def along(leg: Array, angle: Array) -> NDArray[np.complex128]:
        arc = radius * (1.0 - np.exp(-1j * side * angle)) / (1j * side)
        return speed * leg + arc

    one_segment = along(leg_s, turn)
    before = one_segment * (1.0 - rotate**done) / (1.0 - rotate)
    position = first * (before + rotate**done * along(straight, omega * turning))
    heading = heading0 + side * (done * turn + omega * turning)
    return heading, position.real, position.imag


def _motion(
    centre: tuple[float, float], east_m: Array, north_m: Array, speed_m_s: Array, heading: Array
) -> tuple[Array, Array]:
    """Ground speed, kt, and true track, degrees: what the positions do on the ellipsoid.

    The map is plane and the earth is not, so some 200 km from the centre both differ by a few per cent from
    those on the map. A reader must find positions and velocities that agree.
    """
    half_east, half_north = 0.5 * speed_m_s * np.sin(heading), 0.5 * speed_m_s * np.cos(heading)
    lat1, lon1 = _geodetic(centre, east_m - half_east, north_m - half_north)
    lat2, lon2 = _geodetic(centre, east_m + half_east, north_m + half_north)
    sin2 = np.sin(np.radians((lat1 + lat2) / 2.0)) ** 2
    meridional = _SEMI_MAJOR_M * (1.0 - _E2) / (1.0 - _E2 * sin2) ** 1.5
    parallel = _SEMI_MAJOR_M * np.sqrt((1.0 - sin2) / (1.0 - _E2 * sin2))
    north_m_s = np.radians(lat2 - lat1) * meridional
    east_m_s = np.radians((lon2 - lon1 + 180.0) % 360.0 - 180.0) * parallel
    return np.hypot(north_m_s, east_m_s) / _KNOT_M_S, np.degrees(np.arctan2(east_m_s, north_m_s)) % 360.0


def _geodetic(centre: tuple[float, float], east_m: Array, north_m: Array) -> tuple[Array, Array]:
    """Latitude and longitude of offsets on a plane map, with the radii of curvature of WGS-84."""
    lat0 = np.radians(centre[0])
    lat = lat0 + north_m / _SEMI_MAJOR_M
    for _ in range(3):  # the meridional radius belongs to the middle of the way, which depends on the result
        sin2 = np.sin((lat + lat0) / 2.0) ** 2
        lat = lat0 + north_m * (1.0 - _E2 * sin2) ** 1.5 / (_SEMI_MAJOR_M * (1.0 - _E2))
    parallel = _SEMI_MAJOR_M * np.cos(lat) / np.sqrt(1.0 - _E2 * np.sin(lat) ** 2)
    lon = centre[1] + np.degrees(east_m / parallel)
    return np.degrees(lat), (lon + 180.0) % 360.0 - 180.0
