"""What one session's look at measured fields is: which measurements, which model, which map, where."""

from __future__ import annotations

from typing import Any, ClassVar

import param

from dashboard import words
from dashboard.state import PageState
from dashboard.words import Word

LAYERS = {
    "All four maps": "all", "Measured": "measured", "Modelled": "modelled", "Residual": "residual",
    "Uncertainty": "uncertainty",
}  # fmt: skip
"""What is shown, by label."""

LAWS = {
    "Kriged field": "kriged", "Fitted field": "fitted", "Log-distance law": "log_distance",
    "Free space (ITU-R P.525)": "free_space", "Two rays over ground": "two_ray",
}  # fmt: skip
"""Models that measurements are held against, by label."""

BLOCKS = {"100 m": 100.0, "200 m": 200.0, "400 m": 400.0}
"""Sides of the squares that are held out, by label, m."""

CELLS = {"Coarse (64)": 64, "Normal (96)": 96, "Fine (160)": 160}
"""Cells of the fields along their longer side, by label."""


class MeasuredState(PageState):
    """Which measurements, held against which model, and what of it is on the screen."""

    campaign = param.String("", doc="Campaign, empty for the one heard last.")
    transmitter = param.String("", doc="Transmitter, empty for the one measured most.")
    receiver = param.String("", doc="Receiver, empty for the one with most measurements.")
    layer: Any = param.Selector(default="all", objects=LAYERS, label="Maps", doc="All four side by side, or one.")
    law: Any = param.Selector(
        default="kriged", objects=LAWS, label="Modelled by", doc="What the measurements are held against."
    )
    block_m: Any = param.Selector(
        default=200.0, objects=BLOCKS, label="Squares held out",
        doc="Side of the squares; a model is scored in squares that it has not seen.",
    )  # fmt: skip
    carried_m = param.Number(
        1.5, bounds=(0.5, 500.0), label="Height of the carried end (m)",
        doc="Above ground; for free space and two rays. Fitted models have it in their offset.",
    )  # fmt: skip
    fixed_m = param.Number(
        15.0, bounds=(0.5, 2000.0), label="Height of the fixed end (m)",
        doc="Above ground; for free space and two rays. Campaigns seldom tell it.",
    )  # fmt: skip
    grid_cells: Any = param.Selector(default=96, objects=CELLS, label="Grid", doc="Cells along the longer side.")
    area: Any = param.ClassSelector(
        class_=tuple, default=(), doc="West, south, east, north in view, degrees; empty for all of the campaign."
    )

    WORDS: ClassVar[dict[str, Word]] = {
        "campaign": words.text("campaign", "the name of a campaign", "the one heard last is shown"),
        "tx": words.text("transmitter", "the name of a transmitter", "the one measured most is shown"),
        "rx": words.text("receiver", "the name of a receiver", "the one measured most is shown"),
        "maps": words.choice("layer"),
        "law": words.choice("law"),
        "block": words.choice("block_m"),
        "carried": words.number("carried_m"),
        "fixed": words.number("fixed_m"),
        "mgrid": words.choice("grid_cells"),
        "area": Word(lambda s: ",".join(f"{v:.6f}" for v in s.area) or "all", lambda t, s: _area(t)),
    }


def point_of(selected: str) -> int | None:
    """Number of the measurement that is selected, or None where something else is, or nothing.

    Examples
    --------
    >>> point_of("measurement:17"), point_of("4b1805"), point_of("measurement:x")
    (17, None, None)
    """
    kind, _, number = selected.partition(":")
    return int(number) if kind == "measurement" and number.isascii() and number.isdigit() and len(number) < 9 else None


def _area(text: str) -> dict[str, Any]:
    if text == "all":
        return {"area": ()}
    needed = "'all' or west,south,east,north in degrees with west < east and south < north are needed, all is shown"
    west, south, east, north = words.numbers(text, 4, needed)
    if not (-180 <= west < east <= 180 and -85.06 <= south < north <= 85.06):
        raise ValueError(needed)
    return {"area": (west, south, east, north)}
