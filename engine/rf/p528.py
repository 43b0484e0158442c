"""Median transmission loss between antennas above a smooth earth, within the horizon and beyond it: ITU-R P.528-5.

Rays bent by the reference atmosphere, the last lobe of the two-ray interference, smooth-earth diffraction,
troposcatter and the median of long-term variability. It fills tables at set-up and is far too slow for
cells; it must not know emitters or grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.rf.atmosphere import reference_atmosphere
from engine.rf.attenuation import GAS_FREQ_HZ, _dry, _wet, gas_path_attenuation_db

Array = NDArray[np.float64]

FREQ_HZ = (100e6, 30e9)
"""Frequencies the Recommendation speaks of, Hz."""

LEAST_HEIGHT_M = 1.5
"""Least antenna height it speaks of, m; lower antennas count as this high."""

EARTH_KM, EFFECTIVE_KM, SURFACE_N = 6371.0, 9257.0, 341.0
"""Earth radius, its effective radius, and surface refractivity."""

PERMITTIVITY, CONDUCTIVITY = 15.0, 0.005
"""Of average ground: relative, and S/m."""

_TOP_KM = 100.0


@dataclass(frozen=True)
class _Terminal:
    """One end: height, horizon distance, effective height and its shortfall, ray length (km) and gas (dB) to there."""

    height: float
    horizon: float
    effective: float
    excess: float
    ray: float
    gas_db: float


def _specific_db_per_km(freq_hz: float, pressure_hpa: Array, e_hpa: Array, temperature_k: Array) -> Array:
    """The sums of P.676, which P.528 takes down to 100 MHz although P.676 speaks of 1 GHz and more."""
    f = freq_hz / 1e9
    return _dry(f, pressure_hpa, e_hpa, temperature_k) + _wet(f, pressure_hpa, e_hpa, temperature_k)


@lru_cache(maxsize=64)
def _grazing_ray(freq_hz: float) -> tuple[Array, Array, Array, Array, float]:
    """Ray that leaves the ground horizontally: heights, arc, length (km), gas (dB) and the invariant n r.

    Layers of P.676-13 equation (14), each with the refractive index of its middle.
    """
    heights = np.concatenate([[0.0], np.cumsum(1e-4 * np.exp(np.arange(922) / 100.0))])
    heights = np.append(heights[heights < _TOP_KM], _TOP_KM)
    middle = (heights[1:] + heights[:-1]) / 2.0
    pressure, temperature, vapour = reference_atmosphere(middle * 1e3)
    e_hpa = vapour * temperature / 216.7
    # P.453, equations (3) and (6). The tables of P.528 were made with the total pressure in place of the dry one,
    # which moves the horizon outwards by half a percent: several dB beyond it at 5 GHz.
    total = pressure + e_hpa
    n = 1.0 + 1e-6 * (77.6 * total / temperature + 72.0 * e_hpa / temperature + 3.75e5 * e_hpa / temperature**2)
    r = EARTH_KM + heights
    invariant = float(n[0] * r[0])
    low, high = np.minimum(invariant / (n * r[:-1]), 1.0), np.minimum(invariant / (n * r[1:]), 1.0)
    length = r[1:] * np.sqrt(1.0 - high**2) - r[:-1] * np.sqrt(1.0 - low**2)
    arc = EARTH_KM * (np.arccos(high) - np.arccos(low))
    gamma = _specific_db_per_km(freq_hz, pressure, e_hpa, temperature)
    sums = [np.concatenate([[0.0], np.cumsum(part)]) for part in (arc, length, gamma * length)]
    return heights, sums[0], sums[1], sums[2], invariant


def _trace(freq_hz: float, height_km: ArrayLike) -> tuple[Array, Array, Array]:
    """Arc, ray length (km) and gas (dB) from the ground, grazing, up to a height."""
    heights, arc, length, gas, invariant = _grazing_ray(freq_hz)
    height = np.asarray(height_km, dtype=np.float64)
    inside = np.minimum(height, _TOP_KM)
    # Squares are linear in height near the ground, where the distances themselves have a vertical tangent.
    out = [np.sqrt(np.interp(inside, heights, part**2)) for part in (arc, length, gas)]
    r_top, r = EARTH_KM + _TOP_KM, EARTH_KM + np.maximum(height, _TOP_KM)
    out[0] = out[0] + EARTH_KM * (np.arccos(invariant / r) - np.arccos(invariant / r_top))
    out[1] = out[1] + np.sqrt(r**2 - invariant**2) - np.sqrt(r_top**2 - invariant**2)
    return out[0], out[1], out[2]


def _terminal(freq_hz: float, height_m: float) -> _Terminal:
    """Annex 2, section 4."""
    height = max(height_m, LEAST_HEIGHT_M) / 1e3
    arc, ray, gas = (float(v) for v in _trace(freq_hz, height))
    effective = EFFECTIVE_KM / np.cos(arc / EFFECTIVE_KM) - EFFECTIVE_KM if arc / EFFECTIVE_KM < 1.5 else height
    return _Terminal(height, arc, float(effective), float(height - effective), ray, gas)


def _diffraction_db(f_mhz: float, d1: float, d2: float, distance: Array) -> Array:
    """Smooth-earth diffraction, horizontal polarisation; Annex 2, section 10 (Vogler 1964)."""
    third = f_mhz ** (1.0 / 3.0)
    s = 18_000.0 * CONDUCTIVITY / f_mhz
    k = 0.01778 / third * ((PERMITTIVITY - 1.0) ** 2 + s**2) ** -0.25
    scale = (1.607 - k) * third

    def far(x: Any) -> Any:
        return 0.05751 * x - 10.0 * np.log10(x)

    def height(x: float) -> float:
        y = 40.0 * np.log10(x) - 117.0
        if x > 2000.0:
            return float(far(x))
        if x > 200.0:
            weight = 0.0134 * x * np.exp(-0.005 * x)
            return float(weight * y + (1.0 - weight) * far(x))
        if x >= 450.0 / -(np.log10(k) ** 3):
            return float(y) if abs(y) < 117.0 else -117.0
        return float(20.0 * np.log10(k) - 15.0 + 2.5e-5 * x**2 / k)

    return far(scale * distance) - height(scale * d1) - height(scale * d2) - 20.0


def _troposcatter(f_mhz: float, ends: tuple[_Terminal, _Terminal], distance: Array) -> tuple[Array, Array]:
    """Troposcatter loss, dB, and the height of the common volume, km; Annex 2, section 11."""
    one, two = ends
    ds = np.maximum(distance - one.horizon - two.horizon, 0.0)
    dz = np.maximum(0.5 * ds, 1e-9)
    a_m = 1.0 / EARTH_KM
    dn = a_m - 1.0 / EFFECTIVE_KM
    gamma_e = SURFACE_N * 1e-6 / dn

    def q(height: Array) -> Array:
        return a_m - dn / np.exp(np.minimum(35.0, height / gamma_e))

    q0, qa, qb = a_m - dn, q((dz / 2) ** 2 / (2 * EFFECTIVE_KM)), q(dz**2 / (2 * EFFECTIVE_KM))
    q_a, q_b = q((7 * q0 + 6 * qa - qb) * dz**2 / 96.0), q((q0 + 2 * qa) * dz**2 / 6.0)
    hv, theta = (q0 + 2 * q_a) * dz**2 / 6.0, (q0 + 4 * q_a + q_b) * dz / 3.0
    e1 = 5.67e-6 * SURFACE_N**2 - 0.00232 * SURFACE_N + 0.031
    e2 = 0.0002 * SURFACE_N**2 - 0.06 * SURFACE_N + 6.6
    gamma = 0.1424 * (1.0 + e1 / np.exp(np.minimum(35.0, (hv / 4.0) ** 6)))
    efficiency = 83.1 - e2 / (1.0 + 0.07716 * hv**2) + 20 * np.log10((0.1424 / gamma) ** 2 * np.exp(gamma * hv))
    legs = [
        np.sqrt(t.effective**2 + 4 * (EFFECTIVE_KM + t.effective) * EFFECTIVE_KM
                * np.sin(t.horizon / (2 * EFFECTIVE_KM)) ** 2) + dz
        for t in ends
    ]  # fmt: skip
    ell = legs[0] + legs[1]
    s, eta, kappa = (legs[0] - legs[1]) / ell, gamma * theta * ell / 2.0, f_mhz / 0.0477
    rho1, rho2 = 2 * kappa * theta * one.effective, 2 * kappa * theta * two.effective
    x1, x2 = (1 + s) ** 2 * eta, (1 - s) ** 2 * eta
    q1, q2 = x1**2 + rho1**2, x2**2 + rho2**2
    b = (
        6 + 8 * s**2 + 8 * (1 - s) * x1**2 * rho1**2 / q1**2 + 8 * (1 + s) * x2**2 * rho2**2 / q2**2
        + 2 * (1 - s**2) * (1 + 2 * x1**2 / q1) * (1 + 2 * x2**2 / q2)
    )  # fmt: skip
    root = np.sqrt(2.0)
    c = 12 * ((rho1 + root) / rho1) ** 2 * ((rho2 + root) / rho2) ** 2 * (rho1 + rho2) / (rho1 + rho2 + 2 * root)
    volume = 10 * np.log10(((1 - s**2) ** 2 * eta**2 + b * eta) * q1 * q2 / (rho1**2 * rho2**2) + c)
    loss = efficiency + volume + 10 * np.log10(kappa * theta**3 / ell)
    return np.where(ds > 0.0, loss, 0.0), np.where(ds > 0.0, hv, 0.0)


def _median_variability(f_mhz: float, both: float, distance: Array, f_theta: Array, gain_db: Array) -> Array:
    """Median of the long-term variability, dB of gain, conditional on the level; Annex 2, section 14."""
    dq = both + 65.0 * (100.0 / f_mhz) ** (1.0 / 3.0)
    de = np.where(distance <= dq, 130.0 * distance / dq, 130.0 + distance - dq)
    g10 = 1.05 if f_mhz > 1600.0 else 0.21 * np.sin(5.22 * np.log10(f_mhz / 200.0)) + 1.28

    def curve(c1: float, c2: float, c3: float, n1: float, n2: float, n3: float, f_inf: float, f_m: float) -> Array:
        f2 = f_inf + (f_m - f_inf) * np.exp(-c2 * de**n2)
        return (c1 * de**n1 - f2) * np.exp(-c3 * de**n3) + f2

    y10 = curve(5.25e-4, 1.57e-6, 4.70e-7, 1.97, 2.31, 2.90, 5.4, 10.0)
    v50 = curve(1.59e-5, 1.56e-11, 2.77e-8, 2.32, 4.08, 3.25, 0.0, 3.9)
    too_strong = np.maximum(gain_db + f_theta * (y10 * g10 + v50) - 3.0, 0.0)
    return f_theta * v50 - too_strong


def _reflection(f_mhz: float, psi: Array) -> tuple[Array, Array]:
    """Size and phase of the ground's reflection coefficient, horizontal polarisation; Annex 2, section 9."""
    x = 18_000.0 * CONDUCTIVITY / f_mhz
    y = PERMITTIVITY - np.cos(psi) ** 2
    root = np.sqrt(y - 1j * x)
    ratio = (np.sin(psi) - root) / (np.sin(psi) + root)
    return np.abs(ratio), -np.angle(ratio) % (2 * np.pi)


def _rays(ends: tuple[_Terminal, _Terminal], psi: Array) -> dict[str, Any]:
    """Direct and reflected ray for grazing angles at the ground; Annex 2, section 7."""
    a = EARTH_KM / (1.0 + (EARTH_KM / EFFECTIVE_KM - 1.0) * np.cos(psi))
    bend = (a - EARTH_KM) / (EFFECTIVE_KM - EARTH_KM)
    theta, across, rise, radius = [], [], [], []
    for t in ends:
        h = t.height - t.excess * bend
        z = a + h
        angle = np.arccos(np.clip(a * np.cos(psi) / z, -1.0, 1.0)) - psi
        theta.append(angle)
        radius.append(z)
        across.append(z * np.sin(angle))
        rise.append(np.where(psi > 1.56, h, across[-1] * np.tan(np.minimum(psi, 1.56))))
    total = across[0] + across[1]
    alpha = np.arctan((rise[1] - rise[0]) / np.maximum(total, 1e-12))
    direct = np.maximum(np.abs(radius[0] - radius[1]), total / np.cos(alpha))
    reflected = np.maximum(total / np.cos(psi), direct)
    return {
        "a": a, "across": across, "distance": np.maximum(a * (theta[0] + theta[1]), 0.0), "direct": direct,
        "reflected": reflected, "difference": 4.0 * rise[0] * rise[1] / (direct + reflected),
        "elevation": alpha - theta[0],
    }  # fmt: skip


def _within_horizon(
    f_mhz: float, ends: tuple[_Terminal, _Terminal], at_horizon_db: float, d_d: float
) -> dict[str, Any]:
    """Gain of the two rays over free space, dB, along the line of sight, by distance; Annex 2, sections 6 and 8."""
    psi = np.concatenate([np.geomspace(1e-7, 0.05, 3000), np.linspace(0.05, np.pi / 2, 400)[1:-1]])
    rays = _rays(ends, psi)
    limit = ends[0].horizon + ends[1].horizon
    wave = 0.2997925 / f_mhz
    # Difference of paths rises with the grazing angle, distance falls.
    psi_limit = np.interp(wave / 2.0, rays["difference"], psi)
    d_y6 = float(np.interp(wave / 6.0, rays["difference"], rays["distance"]))
    size, phase = _reflection(f_mhz, psi)
    r = [across / np.cos(psi) for across in rays["across"]]
    both = r[0] * r[1] / rays["reflected"]
    spread = 1.0 + 2 * both * (1 + np.sin(psi) ** 2) / (rays["a"] * np.sin(psi)) + (2 * both / rays["a"]) ** 2
    size = size * np.where(np.tan(psi) >= 0.1, 1.0, spread**-0.5)
    size = size * np.minimum(rays["direct"] / rays["reflected"], 1.0)
    lag = 2 * np.pi * rays["difference"] / wave + phase
    level = 20.0 * np.log10(np.maximum(np.minimum(np.abs(1.0 + size * np.exp(-1j * lag)), 1.0), 1e-6))
    gain = np.where(psi > psi_limit, 0.0, level)
    d_0 = d_y6 if d_y6 < limit else ends[0].horizon
    if ends[0].horizon < d_d < limit:
        d_0 = d_y6 if d_d < d_y6 < limit else d_d
    order = np.argsort(rays["distance"])
    distance, gain = rays["distance"][order], gain[order]
    gain_0 = float(np.interp(d_0, distance, gain))
    line = (distance - d_0) * (-at_horizon_db - gain_0) / max(limit - d_0, 1e-9) + gain_0
    gain = np.where(distance > d_0, line, gain)
    return {"distance": distance, "gain": gain, "direct": rays["direct"][order], "elevation": rays["elevation"][order]}


def _beyond_line(f_mhz: float, ends: tuple[_Terminal, _Terminal]) -> tuple[float, float, float, float, float]:
    """Diffraction loss at the horizon, where it vanishes, slope and intercept of its line, and where scatter begins.

    Annex 2, section 3, steps 3 and 6.
    """
    limit = ends[0].horizon + ends[1].horizon
    step = (EFFECTIVE_KM**2 / f_mhz) ** (1.0 / 3.0)
    d3, d4 = limit + 0.5 * step, limit + 1.5 * step
    a3, a4 = _diffraction_db(f_mhz, ends[0].horizon, ends[1].horizon, np.array([d3, d4]))
    slope = float((a4 - a3) / (d4 - d3))
    intercept = float(a4 - slope * d4)
    at_horizon, vanishes = slope * limit + intercept, -intercept / slope
    search = limit + 3.0 + np.arange(100, dtype=np.float64)
    scatter, _ = _troposcatter(f_mhz, ends, search)
    valid = np.flatnonzero(scatter >= 20.0)
    for i in valid[1:]:
        if scatter[i] - scatter[i - 1] <= slope:
            if scatter[i - 1] < slope * search[i - 1] + intercept:
                slope = float((scatter[i - 1] - at_horizon) / (search[i - 1] - limit))
                intercept = float(scatter[i - 1] - slope * search[i - 1])
                return at_horizon, vanishes, slope, intercept, float(-search[i])
            return at_horizon, vanishes, slope, intercept, float(search[i])
    return at_horizon, vanishes, slope, intercept, float("inf")


def median_excess_loss_db(freq_hz: float, alt1_m: float, alt2_m: float, arc_m: ArrayLike, *, gas: bool = True) -> Array:
    """Median transmission loss less free space over the straight line, by distance along the ground.

    Horizontal polarisation, average ground, a smooth spherical earth, half of the time.

    Parameters
    ----------
    freq_hz : float
        100 MHz to 30 GHz.
    alt1_m, alt2_m : float
        Antenna heights above the ground, m, up to 20 km in the Recommendation; below 1.5 m counts as 1.5 m.
    arc_m : array_like of float
        Distance along the ground, m, not negative.
    gas : bool
        Whether absorption by P.676 is in it.

    Returns
    -------
    ndarray of float64
        dB, of the shape of `arc_m`.

    Raises
    ------
    ValueError
        A frequency outside 100 MHz to 30 GHz.

    Examples
    --------
    >>> [round(float(v)) for v in median_excess_loss_db(1.2e9, 15.0, 10_000.0, [100e3, 450e3])]
    [0, 32]

    References
    ----------
    ITU-R P.528-5, A propagation prediction method for aeronautical mobile and radionavigation services, Annex 2.
    """
    if not FREQ_HZ[0] <= freq_hz <= FREQ_HZ[1]:
        raise ValueError(f"freq_hz is {freq_hz}; P.528 holds from {FREQ_HZ[0]:g} to {FREQ_HZ[1]:g} Hz")
    f_mhz = freq_hz / 1e6
    low, high = sorted((max(alt1_m, LEAST_HEIGHT_M), max(alt2_m, LEAST_HEIGHT_M)))
    ends = (_terminal(freq_hz, low), _terminal(freq_hz, high))
    limit = ends[0].horizon + ends[1].horizon
    arc = np.maximum(np.asarray(arc_m, dtype=np.float64) / 1e3, 1e-3)
    at_horizon, vanishes, slope, intercept, crossing = _beyond_line(f_mhz, ends)
    sight = _within_horizon(f_mhz, ends, at_horizon, vanishes)
    gain = np.interp(arc, sight["distance"], sight["gain"])
    elevation = np.interp(arc, sight["distance"], sight["elevation"])
    with np.errstate(divide="ignore", invalid="ignore"):
        f_theta = np.maximum(0.5 - np.arctan(20.0 * np.log10(32.0 * np.maximum(elevation, 1e-9))) / np.pi, 0.0)
    f_theta = np.where(elevation <= 0.0, 1.0, np.where(elevation >= 1.0, 0.0, f_theta))
    loss = -gain - _median_variability(f_mhz, limit, arc, f_theta, gain)
    chord = _chord_km(arc, ends)
    inside = arc < limit
    if gas:
        loss = loss + _gas_in_sight_db(freq_hz, ends, chord, limit)
    diffraction = slope * arc + intercept
    scatter, volume = _troposcatter(f_mhz, ends, arc)
    # The search found where scatter overtakes; a negative mark says that the line was bent to meet it.
    later = np.where(arc < abs(crossing), diffraction, scatter if crossing < 0 else np.minimum(scatter, diffraction))
    _, ray, absorbed = _trace(freq_hz, volume)
    beyond = later - _median_variability(f_mhz, limit, arc, np.ones_like(arc), -later)
    beyond = beyond + 20.0 * np.log10((ends[0].ray + ends[1].ray + 2.0 * ray) / chord)
    if gas:
        beyond = beyond + ends[0].gas_db + ends[1].gas_db + 2.0 * absorbed
    return np.where(inside, loss, beyond)


def _gas_in_sight_db(freq_hz: float, ends: tuple[_Terminal, _Terminal], chord: Array, limit: float) -> Array:
    """Gas along the line of sight, over an earth of the radius that puts the horizon where the bent ray has it."""
    low, high = ends[0].height, ends[1].height
    k = limit**2 / (2.0 * EARTH_KM * (np.sqrt(low) + np.sqrt(high)) ** 2)
    reach = np.maximum(chord, high - low) * 1e3
    path = gas_path_attenuation_db(max(freq_hz, GAS_FREQ_HZ[0]), low * 1e3, high * 1e3, reach, k_factor=float(k))
    return path * gas_below_1_ghz(freq_hz)


def gas_below_1_ghz(freq_hz: float) -> float:
    """Specific attenuation at the ground over that at 1 GHz, for frequencies below; 1 above."""
    if freq_hz >= GAS_FREQ_HZ[0]:
        return 1.0
    ground = [np.array([v]) for v in (1013.25, 9.97, 288.15)]
    return float(_specific_db_per_km(freq_hz, *ground)[0] / _specific_db_per_km(GAS_FREQ_HZ[0], *ground)[0])


def horizon_chord_km(alt1_m: ArrayLike, alt2_m: ArrayLike) -> Array:
    """Straight distance, km, at which bent rays from two heights touch the ground at the same point; they broadcast."""
    heights = [np.maximum(np.asarray(alt, dtype=np.float64), LEAST_HEIGHT_M) / 1e3 for alt in (alt1_m, alt2_m)]
    arc = _trace(1e9, heights[0])[0] + _trace(1e9, heights[1])[0]
    r1, r2 = EARTH_KM + heights[0], EARTH_KM + heights[1]
    return np.asarray(np.sqrt((r1 - r2) ** 2 + 4.0 * r1 * r2 * np.sin(arc / (2.0 * EARTH_KM)) ** 2))


def _chord_km(arc: Array, ends: tuple[_Terminal, _Terminal]) -> Array:
    r1, r2 = EARTH_KM + ends[0].height, EARTH_KM + ends[1].height
    return np.sqrt((r1 - r2) ** 2 + 4.0 * r1 * r2 * np.sin(arc / (2.0 * EARTH_KM)) ** 2)
