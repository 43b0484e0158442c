"""From numbers to the 256 levels of a picture: linear, logarithmic, equalised or cyclic. Arrays in, arrays out.

Levels 0 to 252 are colours of the scale; the last three mark −∞, +∞ and NaN, which so never look like numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from dashboard.theme import colours_of_angle, hex_colours, ramp

COLOURS = 253
"""Levels that stand for numbers."""

MINUS_INF, PLUS_INF, NOT_A_NUMBER = 253, 254, 255
SCALES = ("linear", "logarithmic", "equalised")
MAPS = ("sequential", "diverging", "cyclic")

_SEQUENTIAL = {
    "light": ["#fbf7d5", "#c7e29b", "#67bf94", "#2a8f9b", "#2b5c8f", "#2a2a63"],
    "dark": ["#1a1333", "#33337a", "#2a6a9c", "#2f9f94", "#86cf79", "#f5f1a8"],
}
_DIVERGING = {"light": ("#174c8f", "#f7f7f7", "#a3241d"), "dark": ("#6db0ff", "#16191c", "#ff8a70")}
_MARKS = {"light": ("#00a5d6", "#e0218a", "#b9bec2"), "dark": ("#00c8ff", "#ff4fb0", "#4d565d")}
"""−∞, +∞ and NaN by theme: hues that no scale has, and grey."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How numbers become colours.

    Attributes
    ----------
    kind : {"linear", "logarithmic", "equalised"}
    low, high : float
        Numbers with the first and the last colour.
    edges : tuple of float
        Of an equalised scale: upper edge of each colour but the last.
    cyclic : bool
        Whether low and high are the same angle.
    """

    kind: str = "linear"
    low: float = 0.0
    high: float = 1.0
    edges: tuple[float, ...] = ()
    cyclic: bool = False


@cache
def palette(name: str, theme: str) -> list[str]:
    """256 colours: those of the map, then −∞, +∞ and NaN.

    Examples
    --------
    >>> len(palette("sequential", "light")), palette("diverging", "light")[126]
    (256, '#f7f7f7')
    """
    if name == "cyclic":
        rgb = colours_of_angle(COLOURS)
    elif name == "diverging":
        below, zero, above = _DIVERGING[theme]
        half = COLOURS // 2 + 1
        rgb = np.concatenate([ramp([below, zero], half)[:-1], ramp([zero, above], half)])
    else:
        rgb = ramp(_SEQUENTIAL[theme], COLOURS)
    return [*hex_colours(rgb), *_MARKS[theme]]


def scale_for(
    values: np.ndarray, kind: str, limits: tuple[float, float] | None, colour_map: str = "sequential"
) -> Scale:
    """A scale for numbers.

    Parameters
    ----------
    values : ndarray
        What the limits and the histogram are taken from where they are not given.
    kind : {"linear", "logarithmic", "equalised"}
    limits : (float, float) or None
        Lowest and highest number; those of the finite values by default.
    colour_map : {"sequential", "diverging", "cyclic"}
        The limits of a diverging one are made symmetrical about 0; those of a cyclic one are −π and π.
    """
    if colour_map == "cyclic":
        return Scale("linear", -np.pi, np.pi, cyclic=True)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values.reshape(-1)
    low, high = limits or ((float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0))
    if colour_map == "diverging":
        high = max(abs(low), abs(high)) or 1.0
        return Scale("linear", -high, high)
    if kind == "logarithmic":
        positive = finite[finite > 0]
        if low <= 0:
            low = float(positive.min()) if positive.size else 1.0
        high = high if high > low else 10.0 * low
        return Scale(kind, low, high)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        # One value only, but for rounding: it stands in the middle of its scale.
        half = 0.5 * abs(low) or 0.5
        low, high = low - half, high + half
    if kind == "equalised" and finite.size:
        inside = np.sort(finite[(finite >= low) & (finite <= high)].astype("f8").ravel())
        if inside.size:
            at = np.linspace(0, inside.size - 1, COLOURS + 1)[1:-1]
            return Scale(kind, low, high, tuple(np.interp(at, np.arange(inside.size), inside)))
    return Scale("linear", low, high)


def levels(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Levels of numbers.

    Parameters
    ----------
    values : ndarray of real numbers
    scale : Scale

    Returns
    -------
    ndarray of uint8
        0 to 252; numbers beyond the limits have the colour of the limit. A logarithmic scale shows what is not
        positive as its lowest.

    Examples
    --------
    >>> levels(np.array([0.0, 0.5, 9.0, np.nan, np.inf]), Scale("linear", 0.0, 1.0)).tolist()
    [0, 126, 252, 255, 254]
    """
    numbers = values.astype("f8") if values.dtype.itemsize > 4 or values.dtype.kind != "f" else values
    if scale.kind == "equalised":
        share: np.ndarray = np.searchsorted(np.asarray(scale.edges), numbers, side="right")
        out: np.ndarray = np.clip(share, 0, COLOURS - 1)
    else:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if scale.kind == "logarithmic":
                share = np.log(np.where(numbers > 0, numbers, scale.low) / scale.low) / np.log(scale.high / scale.low)
            else:
                share = (numbers - scale.low) / (scale.high - scale.low)
            if scale.cyclic:
                share = share % 1.0
            out = np.nan_to_num(np.clip(share, 0.0, 1.0) * COLOURS, nan=0.0)
    out = np.minimum(out, COLOURS - 1).astype("u1")
    if values.dtype.kind == "f":
        out[np.isnan(values)] = NOT_A_NUMBER
        out[np.isposinf(values)] = PLUS_INF
        out[np.isneginf(values)] = MINUS_INF
    return out


def ticks(scale: Scale, count: int = 6) -> dict[float, str]:
    """Places on the colour bar (in levels, 0 to 253) and the numbers there, as text.

    Examples
    --------
    >>> ticks(Scale("linear", 0.0, 10.0), 5)
    {0.0: '0', 50.6: '2', 101.2: '4', 151.8: '6', 202.4: '8', 253.0: '10'}
    """
    low, high = scale.low, scale.high
    if scale.cyclic:
        return {0.0: "−π", COLOURS / 4: "−π/2", COLOURS / 2: "0", 3 * COLOURS / 4: "π/2", float(COLOURS): "π"}
    if scale.kind == "equalised":
        edges = np.concatenate([[low], scale.edges, [high]])
        at = np.linspace(0, COLOURS, count)
        return {float(place): f"{np.interp(place, np.arange(len(edges)), edges):.3g}" for place in at}
    if scale.kind == "logarithmic":
        first, last = int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9))
        every = max(1, (last - first) // count + 1)
        numbers = [10.0**power for power in range(first, last + 1, every)]
        if len(numbers) < 3:
            numbers = [float(f"{v:.2g}") for v in np.geomspace(low, high, count)]
        span = np.log(high / low)
        found = {round(COLOURS * float(np.log(number / low) / span), 3): f"{number:g}" for number in numbers}
    else:
        step = nice_step((high - low) / count)
        many = range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)
        decimals = max(int(np.ceil(-np.log10(step) - 1e-9)), 0)
        found = {}
        for k in many:
            number = k * step
            said = f"{number:.{min(decimals, 12)}f}" if step >= 1e-4 and abs(number) < 1e6 else f"{number:.6g}"
            found[round(COLOURS * float((number - low) / (high - low)), 3)] = said.replace("-", "−")
    return {place: said for place, said in found.items() if -1e-6 <= place <= COLOURS + 1e-6}


def nice_step(raw: float) -> float:
    """The next of 1, 2, 5 · 10ⁿ that is not below a step."""
    power = 10.0 ** np.floor(np.log10(raw))
    return float(next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= raw * (1 - 1e-9)))
