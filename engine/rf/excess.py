"""Loss beyond free space as tables over height and distance: gas, rain, and what the earth's bulge takes.

A table holds, for one frequency and one altitude of the receivers, the loss by the emitter's height and
by distance in units of the horizon's, so that the kink at the horizon stays in one place. Kernels read it;
filling one takes a tenth of a second and is kept. It must not know grids or how emitters are summed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.rf._chebyshev import NODES, lagrange_weights
from engine.rf._gas_path import along_paths
from engine.rf._laws import FIRST, LEAST_LOG2, ROWS, SMOOTH_STRIDE, TABLE, TWO_RAY
from engine.rf.attenuation import (
    EARTH_RADIUS_M,
    GAS_FREQ_HZ,
    K_FACTOR,
    RAIN_FREQ_HZ,
    gas_path_attenuation_db,
    rain_attenuation_db_per_km,
)
from engine.rf.p528 import EARTH_KM, LEAST_HEIGHT_M, gas_below_1_ghz, horizon_chord_km, median_excess_loss_db
from engine.units import wavelength_m

Array = NDArray[np.float64]
Tables = NDArray[np.float32]

STEPS, SPAN = 1024, 3.0
"""Steps of a table, and the distance at its end in horizons; beyond it the loss goes on as it ends."""

HEIGHTS_M: Array = np.concatenate([LEAST_HEIGHT_M * 1.12 ** np.arange(91), [1e5, 1e6, 1e7, 4e7]])
"""Emitter heights of the rows, m: up to 40 km by steps of 12 %, and to geostationary orbit."""

SAMPLES: Array = np.concatenate(
    [
        np.linspace(0.0, 0.7, 60, endpoint=False),
        np.linspace(0.7, 1.15, 180, endpoint=False),
        np.linspace(1.15, SPAN, 60),
    ]
)
"""Distances, in horizons, at which the models are computed; steps in between are linear in dB."""

DB_PER_LOG2 = 10.0 * np.log10(2.0)

SMOOTH_DB = 3e-4
"""Error, dB, of interpolation along the distance at which a box counts as smooth."""

_WIDTHS = (4, 8, 16, 32, 64, 128, 256)
_UNIT, _DENSE = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES), np.linspace(-1.0, 1.0, 25)
_TO_DENSE = lagrange_weights(_DENSE, _UNIT)


@dataclass(frozen=True)
class Air:
    """What is in the way besides distance; hashable, to be a key.

    Attributes
    ----------
    gas : bool
        Absorption by P.676 in the reference atmosphere.
    bulge : bool
        Median loss by P.528 within and beyond the horizon.
    rain_mm_h : float
        Rain rate everywhere below `rain_height_m`, mm/h; P.838 for circular polarisation, horizontal paths.
    rain_height_m : float
        Top of the rain, m.
    """

    gas: bool = False
    bulge: bool = False
    rain_mm_h: float = 0.0
    rain_height_m: float = 3_000.0


@dataclass(frozen=True, eq=False)
class TabledLoss:
    """Law of emitters at heights (n,) and frequencies (n,) through some air."""

    alt_m: Array
    freq_hz: Array
    air: Air
    code: int = TABLE

    def at_level(self, alt_m: float) -> tuple[Array, Tables, Tables]:
        """Rows of the law, tables of log2 of the factor, and widths of smoothness, for receivers at one altitude."""
        height = np.clip(self.alt_m, HEIGHTS_M[0], HEIGHTS_M[-1])
        row = np.minimum(np.searchsorted(HEIGHTS_M, height, side="right") - 1, HEIGHTS_M.size - 2)
        # Only the rows that some emitter needs, those of one frequency after the other.
        freqs, kind = np.unique(self.freq_hz, return_inverse=True)
        wanted = np.unique(np.concatenate([kind * HEIGHTS_M.size + row, kind * HEIGHTS_M.size + row + 1]))
        filled = [
            loss_row(float(freqs[code // HEIGHTS_M.size]), int(code % HEIGHTS_M.size), float(alt_m), self.air)
            for code in wanted
        ]
        step = np.log(HEIGHTS_M[row + 1] / HEIGHTS_M[row])
        rows = np.zeros((ROWS - FIRST, height.size))
        rows[1] = np.searchsorted(wanted, kind * HEIGHTS_M.size + row)
        rows[2] = np.log(height / HEIGHTS_M[row]) / step
        rows[3] = (STEPS - 1) / (SPAN * horizon_chord_km(height, alt_m))
        return rows, np.stack([table for table, _ in filled])[None], np.stack([width for _, width in filled])[None]


@dataclass(frozen=True, eq=False)
class TwoRay:
    """Law of a direct and a ground-reflected ray over flat ground, for antenna heights (n,) and frequencies (n,).

    ``reflection`` is the size of the reflection coefficient, whose phase is taken as 180 degrees: grazing.
    """

    alt_m: Array
    freq_hz: Array
    reflection: float = 1.0
    code: int = TWO_RAY

    def at_level(self, alt_m: float) -> tuple[Array, Tables, Tables]:
        """Rows of the law; it needs no tables."""
        h1, h2 = np.maximum(self.alt_m, LEAST_HEIGHT_M) / 1e3, max(alt_m, LEAST_HEIGHT_M) / 1e3
        product = 4.0 * h1 * h2
        half_wave_number = np.pi / (wavelength_m(self.freq_hz) / 1e3)
        # Where the phase between the rays is pi, the last maximum: beyond it nothing swings.
        total = 2.0 * half_wave_number * product / np.pi
        rough = np.where(total > np.sqrt(product), (total - product / total) / 2.0, 0.0)
        rows = np.zeros((ROWS - FIRST, h1.size))
        rows[0], rows[1], rows[2], rows[4] = product, half_wave_number, self.reflection, np.maximum(rough, 0.0)
        none: Any = np.zeros((1, 2, 2), np.float32)
        return rows, none, none


@lru_cache(maxsize=16_384)
def loss_row(freq_hz: float, row: int, rx_alt_m: float, air: Air) -> tuple[Tables, Tables]:
    """Log2 of the factor on power by distance, (STEPS,), never rising; and the widths of smoothness in steps."""
    height = float(HEIGHTS_M[row])
    reference_m = float(horizon_chord_km(height, rx_alt_m)) * 1e3
    loss = excess_loss_db(freq_hz, height, rx_alt_m, SAMPLES * reference_m, air)
    loss = np.maximum.accumulate(np.maximum(loss, 0.0))
    values = np.maximum(-np.interp(np.linspace(0.0, SPAN, STEPS), SAMPLES, loss) / DB_PER_LOG2, LEAST_LOG2)
    return values.astype(np.float32), _smooth(values)


def excess_loss_db(freq_hz: float, alt1_m: float, alt2_m: float, distance_m: Array, air: Air) -> Array:
    """Loss beyond free space between two heights, dB, by slant range; what tables are made of and held to.

    Parameters
    ----------
    freq_hz, alt1_m, alt2_m : float
        Hz and m; heights below 1.5 m count as 1.5 m.
    distance_m : float64, shape (k,)
        Slant range, m. Less than the difference of heights cannot be; there the loss goes down to 0 in proportion,
        so that tables have no kink at the path straight up.
    air : Air

    Returns
    -------
    ndarray of float64, shape (k,)
        dB. P.528's excess has gas in it if `air` has.
    """
    low, high = sorted((max(alt1_m, LEAST_HEIGHT_M), max(alt2_m, LEAST_HEIGHT_M)))
    distance = np.maximum(distance_m, max(high - low, 1.0))
    loss = np.zeros_like(distance)
    if air.bulge:
        r1, r2 = EARTH_KM + low / 1e3, EARTH_KM + high / 1e3
        square = ((distance / 1e3) ** 2 - (r1 - r2) ** 2) / (4.0 * r1 * r2)
        arc = 2.0 * EARTH_KM * np.arcsin(np.sqrt(np.clip(square, 0.0, 1.0)))
        loss = loss + median_excess_loss_db(freq_hz, low, high, arc * 1e3, gas=air.gas)
    elif air.gas:
        path = gas_path_attenuation_db(max(freq_hz, GAS_FREQ_HZ[0]), low, high, distance)
        loss = loss + path * gas_below_1_ghz(freq_hz)
    if air.rain_mm_h > 0.0 and freq_hz >= RAIN_FREQ_HZ[0]:
        per_m = float(rain_attenuation_db_per_km(freq_hz, air.rain_mm_h)) / 1e3
        out, ends = np.empty_like(distance), np.ones_like(distance)
        column, flat = np.array([0.0, air.rain_height_m]), np.full(2, per_m)
        along_paths(low * ends, high * ends, distance, K_FACTOR * EARTH_RADIUS_M, column, flat, out)
        loss = loss + out
    return loss * np.minimum(distance_m / distance, 1.0)


def _smooth(values: Array) -> Tables:
    """Largest half-width, steps, within which 8 nodes represent factor/d^2 along the distance to `SMOOTH_DB`."""
    centre = np.arange(0, STEPS, SMOOTH_STRIDE, dtype=np.float64)
    steps, slope = np.arange(STEPS, dtype=np.float64), values[-1] - values[-2]

    def law(at: Array) -> Array:
        factor = np.interp(at, steps, values) + np.maximum(at - (STEPS - 1), 0.0) * slope
        return factor * np.log(2.0) - 2.0 * np.log(np.maximum(at, 1e-3))

    widths, going = np.zeros(centre.size), np.ones(centre.size, dtype=bool)
    top = law(centre[:, None])
    for width in _WIDTHS:
        carried = np.exp(law(centre[:, None] + width * _UNIT) - top) @ _TO_DENSE.T
        exact = np.exp(law(centre[:, None] + width * _DENSE) - top)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.abs(10.0 * np.log10(carried / exact)).max(axis=1)
        going &= (error < SMOOTH_DB) & (2 * width <= centre)
        widths[going] = width
    return widths.astype(np.float32)
