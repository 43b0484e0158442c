"""How everything looks: colours of both themes, colour maps, and the shell that pages are set in.

One place for all colours, so that a hue means the same on every page. It knows Bokeh's property
names and nothing of the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

ASSETS = Path(__file__).parent / "assets"
"""Style sheets, scripts and the page template, served or inlined from here; nothing comes from elsewhere."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one theme, as CSS hex; text on surface has a contrast of at least 4.5 : 1."""

    name: str
    surface: str
    map_background: str
    text: str
    muted: str
    line: str
    coast: str
    border: str
    grid: str
    emitter: str
    emitter_edge: str
    forecast: str
    selected: str
    trail: tuple[int, int, int]


LIGHT = Palette(
    name="light",
    surface="#ffffff",
    map_background="#f4f7f8",
    text="#1c2730",
    muted="#55636e",
    line="#d5dce1",
    coast="#33424d",
    border="#51606b",
    grid="#dfe5e9",
    emitter="#10212c",
    emitter_edge="#ffffff",
    forecast="#b85000",
    selected="#a6117d",
    trail=(40, 60, 72),
)
DARK = Palette(
    name="dark",
    surface="#12181d",
    map_background="#0b1014",
    text="#e3eaef",
    muted="#9aa8b2",
    line="#2a343c",
    coast="#a5b4be",
    border="#8fa3b0",
    grid="#1b242b",
    emitter="#f3fbff",
    emitter_edge="#0b1014",
    forecast="#ff9d3c",
    selected="#ff7ad9",
    trail=(205, 222, 232),
)
THEMES = {"light": LIGHT, "dark": DARK}
"""Themes by name, as the URL spells them."""


def _oklab(hex_colour: str) -> np.ndarray:
    """OKLab coordinates of an sRGB colour (Ottosson 2020): equal steps in it look equal."""
    rgb = np.array([int(hex_colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return _LMS_TO_LAB @ np.cbrt(_RGB_TO_LMS @ linear)


def _srgb(lab: np.ndarray) -> np.ndarray:
    """sRGB bytes of OKLab colours, (n, 3); what lies outside the gamut is clipped."""
    linear = np.clip((np.linalg.inv(_RGB_TO_LMS) @ (np.linalg.inv(_LMS_TO_LAB) @ lab.T) ** 3).T, 0.0, 1.0)
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255.0 * np.clip(rgb, 0.0, 1.0))


_RGB_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def ramp(anchors: list[str], n: int = 256) -> np.ndarray:
    """n sRGB colours through the anchors with evenly spaced lightness: a perceptually sequential map, (n, 3).

    The hue follows the anchors, the lightness runs straight from the first to the last of them.
    """
    lab = np.array([_oklab(a) for a in anchors])
    share = (lab[:, 0] - lab[0, 0]) / (lab[-1, 0] - lab[0, 0])
    at = np.linspace(0.0, 1.0, n)
    return _srgb(np.column_stack([np.interp(at, share, lab[:, k]) for k in range(3)]))


def colours_of_angle(n: int) -> np.ndarray:
    """n sRGB colours round a circle, (n, 3): for phases, where the first and the last are neighbours.

    The hue goes round once at even chroma; the lightness goes up and down once, so that it reads without colour vision.
    """
    angle = 2.0 * np.pi * (np.arange(n) + 0.5) / n
    return _srgb(
        np.column_stack([0.66 - 0.16 * np.cos(angle), 0.115 * np.cos(angle - 0.6), 0.115 * np.sin(angle - 0.6)])
    )


def hex_colours(rgb: np.ndarray) -> list[str]:
    """CSS hex of sRGB bytes, (n, 3)."""
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in rgb.astype(int)]


def _hex_alpha(rgb: np.ndarray, alpha: np.ndarray) -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}{a:02x}" for (r, g, b), a in zip(rgb.astype(int), alpha.astype(int), strict=True)]


_FIELD = {
    "light": ["#f4fafb", "#c3e8ee", "#86cfe0", "#4fb0d2", "#2b8bbe", "#1a669f"],
    "dark": ["#0b1014", "#0d2b47", "#105485", "#1587ae", "#35bccc", "#b4f4ee"],
}
_FORECAST = {
    "light": ["#ffe3c2", "#ffbf75", "#f69a3a", "#dd7408"],
    "dark": ["#4a2306", "#93480c", "#e07d1f", "#ffc078"],
}


def field_colours(theme: str) -> list[str]:
    """256 colours of the real field, blue to cyan; entry 0 (no power, or under the limits) is transparent.

    Lightness runs evenly away from the background, so that a strong field stands out and a weak one
    recedes on either theme, and the map reads the same without colour vision.
    """
    alpha = np.full(256, 255)
    alpha[0] = 0
    return _hex_alpha(ramp(_FIELD[theme]), alpha)


def forecast_colours(theme: str) -> list[str]:
    """256 colours of the predicted field: one orange, its opacity rising with power; entry 0 is transparent.

    The rise is steep, because half-transparent orange on blue reads as neither.
    """
    level = np.linspace(0.0, 1.0, 256)
    return _hex_alpha(ramp(_FORECAST[theme]), 245.0 * np.clip((level - 0.42) / 0.58, 0.0, 1.0) ** 2)


def trail_colours(theme: str) -> list[str]:
    """256 colours of trails, by recency: old ones fade out."""
    level = np.linspace(0.0, 1.0, 256)
    alpha = 255.0 * (0.08 + 0.50 * level**1.3)
    alpha[0] = 0
    return _hex_alpha(np.tile(THEMES[theme].trail, (256, 1)), alpha)


_COLOURS = {"field": field_colours, "forecast": forecast_colours, "trails": trail_colours}


@cache
def colours(layer: str, theme: str) -> list[str]:
    """The 256 colours of a layer in a theme, made once."""
    return _COLOURS[layer](theme)
