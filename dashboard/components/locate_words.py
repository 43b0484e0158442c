"""What the reasons, values and fields of the Locate page mean, each in one sentence."""

from __future__ import annotations

import math

REASONS = {
    "ok": "A position, with an ellipse that claims how good it is.",
    "too few sensors": "Fewer than four sensors heard it, the height counting as one.",
    "bad geometry": "The sensors do not determine the position, or its ellipse reaches a sensor.",
    "ambiguous": "Another position explains the times almost as well, or the squares stay low on the way to infinity.",
    "below threshold": "The squares do not rise around the position as the covariance says: the noise is too large.",
    "inconsistent": "The residuals are larger than noise makes them in all but 1 of 10 000 sound fixes.",
    "outside limits": "The times fit a position, but not one at a possible height within reach of the sensors.",
    "not converged": "No minimum was found.",
    "bad input": "An infinite time, or a sensor that is nowhere.",
}
"""Why there is a position or none, as docs/engine-rf-tdoa.md says."""

DILUTIONS = {
    "error_m": ("Error at known height", "m", "Standard deviation of the horizontal position, arrival σ as stated, "
                "for an emitter at the field's height whose height is known: the Cramér–Rao bound."),
    "hdop_known_alt": ("HDOP at known height", "", "Horizontal standard deviation for ranges of standard deviation 1, "
                       "height known."),
    "hdop": ("HDOP", "", "Horizontal standard deviation for ranges of standard deviation 1, height unknown."),
    "gdop": ("GDOP", "", "Standard deviation in space for ranges of standard deviation 1, height unknown."),
    "none": ("No field", "", "Nothing is drawn."),
}  # fmt: skip
"""Title, unit (empty: dimensionless) and meaning of what the field shows."""


def metres(value: float) -> str:
    """A length as people write it.

    Examples
    --------
    >>> metres(43.4), metres(1234.0), metres(float("nan"))
    ('43 m', '1.23 km', '–')
    """
    if not math.isfinite(value):
        return "–"
    if value < 9.95:
        return f"{value:.1f} m"
    return f"{value:.0f} m" if value < 999.5 else f"{value / 1000:.3g} km"


def nanoseconds(value_s: float) -> str:
    """A time in nanoseconds with its sign, or µs where it is long.

    Examples
    --------
    >>> nanoseconds(-21.4e-9), nanoseconds(float("nan"))
    ('−21 ns', '–')
    """
    if not math.isfinite(value_s):
        return "–"
    value = 1e9 * value_s
    text = f"{value:+.0f} ns" if abs(value) < 1e5 else f"{value / 1e3:+.0f} µs"
    return text.replace("-", "−")


def reliability(value: float) -> str:
    """External reliability: in standard deviations, ∞ where nothing is left to check with.

    Examples
    --------
    >>> reliability(12.93), reliability(118_000.0), reliability(float("inf")), reliability(float("nan"))
    ('12.9 σ', '> 999 σ', '∞', '–')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    return f"{value:.3g} σ" if value < 999.5 else "> 999 σ"
