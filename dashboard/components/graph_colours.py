"""Colours of the graph in both themes: of density, of incidences, and of kinds of nodes."""

from __future__ import annotations

from functools import cache

import numpy as np

from dashboard.theme import ramp
from engine.frames.graph_levels import SHADES

_DENSITY = {
    "light": ["#f0cf8e", "#e8a050", "#d4673f", "#a93a52", "#6d1f5e", "#2c0f47"],
    "dark": ["#3a1a5e", "#7d2170", "#c13c5d", "#ec7440", "#f9b84a", "#fdf5c4"],
}
_LINES = {"light": (58, 84, 104), "dark": (132, 168, 192)}

KIND_COLOURS = {
    "light": (
        "#0072b2", "#0f8a68", "#d58a00", "#b5609a", "#7b2d6b", "#d1491b", "#3f9fdc", "#8a7a00", "#87949e",
    ),
    "dark": (
        "#4aa8f0", "#2fd0a2", "#f5b942", "#f09ccb", "#b98cff", "#ff8a5c", "#93dcff", "#d9d05e", "#7c8a94",
    ),
}  # fmt: skip
"""Of `engine.frames.graph_picture.CATEGORIES` and, last, of all other kinds (Okabe and Ito 2008, toned)."""


def _rgba(rgb: np.ndarray, alpha: np.ndarray) -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}{a:02x}" for (r, g, b), a in zip(rgb.astype(int), alpha.astype(int), strict=True)]


@cache
def density_colours(theme: str) -> list[str]:
    """256 colours of density, of even steps in lightness away from the ground; entry 0 is transparent."""
    alpha = np.full(256, 255)
    alpha[0] = 0
    return _rgba(ramp(_DENSITY[theme]), alpha)


@cache
def line_colours(theme: str) -> list[str]:
    """256 colours of incidences: one hue, more of it where there are more; entry 0 is transparent."""
    level = np.linspace(0.0, 1.0, 256)
    alpha = 255.0 * (0.10 + 0.55 * level**1.4)
    alpha[0] = 0
    return _rgba(np.tile(_LINES[theme], (256, 1)), alpha)


@cache
def kind_colours(theme: str) -> list[str]:
    """256 colours of `engine.frames.graph_levels.categorise`: nine hues in 28 shades each."""
    out = ["#00000000"]
    for colour in KIND_COLOURS[theme]:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        out += _rgba(np.tile(rgb, (SHADES, 1)), np.linspace(125.0, 255.0, SHADES))
    return out + ["#00000000"] * (256 - len(out))
