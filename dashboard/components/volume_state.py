"""What one session of the Volume page looks at."""

from __future__ import annotations

from typing import Any, ClassVar

import param

from dashboard import words
from dashboard.state import DIFFRACTED, MODELS, PageState
from dashboard.words import Word
from engine.frames.spec import Horizon
from engine.frames.volume_spec import Line

DETAIL_LABELS = {
    "Automatic": "auto", "16 × 16 × 16": "16", "32 × 32 × 32": "32", "64 × 64 × 16": "64x16",
    "64 × 64 × 64": "64", "128 × 128 × 32": "128x32",
}  # fmt: skip
"""Levels of detail offered, by label."""

SHOWN = {"All": "all", "Volume": "volume", "Slice": "slice", "Section": "section"}
"""What fills the picture, by label."""

HOME = (-20.0, 26.0, 2.85, 0.5, 0.5, 0.32)
"""Where the camera begins: azimuth and elevation (degrees), distance (half diagonals), what it looks at (shares)."""


def _camera() -> Word:
    needed = "azimuth, elevation, distance and x,y,z of what is looked at are needed, the usual camera is used"
    bounds = ((-180.0, 180.0), (-10.0, 89.0), (0.3, 8.0), (-1.0, 2.0), (-1.0, 2.0), (-1.0, 2.0))

    def read(text: str, state: Any) -> dict[str, Any]:
        values = words.numbers(text, 6, needed)
        if not all(low <= v <= high for v, (low, high) in zip(values, bounds, strict=True)):
            raise ValueError(needed)
        return {"camera": tuple(values)}

    return Word(lambda state: ",".join(f"{v:g}" for v in state.camera), read)


def _places(attribute: str, n: int, what: str) -> Word:
    """Latitudes and longitudes in turn, ``none`` for none."""
    needed = f"{what} in degrees {'are' if n > 2 else 'is'} needed, none is used"

    def read(text: str, state: Any) -> dict[str, Any]:
        if text == "none":
            return {attribute: ()}
        values = words.numbers(text, n, needed)
        # A height may follow the place of a point.
        pairs = values[: 2 * (n // 2)]
        if not all(-85.06 <= lat <= 85.06 for lat in pairs[::2]) or not all(-180 <= lon <= 180 for lon in pairs[1::2]):
            raise ValueError(needed)
        return {attribute: tuple(values)}

    return Word(lambda state: ",".join(f"{v:.5f}" for v in getattr(state, attribute)) or "none", read)


def _line() -> Word:
    place = _places("line", 4, "lat,lon,lat,lon of the ends of a line")

    def read(text: str, state: Any) -> dict[str, Any]:
        changes = place.read(text, state)
        line = changes["line"]
        if line and abs(line[0] - line[2]) + abs(line[1] - line[3]) < 1e-3:
            raise ValueError("a line with a length is needed, none is used")
        return changes

    return Word(place.write, read)


class VolumeState(PageState):
    """Place, fields, detail, camera, slice and section."""

    west = param.Number(5.2, bounds=(-180, 180), doc="West edge of the view, degrees.")
    south = param.Number(45.2, bounds=(-85.06, 85.06), doc="South edge of the view, degrees.")
    east = param.Number(11.2, bounds=(-180, 180), doc="East edge of the view, degrees.")
    north = param.Number(48.4, bounds=(-85.06, 85.06), doc="North edge of the view, degrees.")
    model: Any = param.Selector(default="free_space", objects=MODELS, label="Model", doc="Propagation model.")
    horizon = param.Boolean(
        True, label="Radio horizon", doc="Emitters beyond the 4/3-earth horizon give no power: d = 4.12(√h₁+√h₂) km."
    )
    diffraction = param.Boolean(
        False, label="Loss beyond it (P.528)", doc="Beyond the horizon the median loss of ITU-R P.528, not nothing."
    )  # fmt: skip
    show_field = param.Boolean(True, label="Field now", doc="Received power summed over all emitters, at this moment.")
    show_forecast = param.Boolean(
        True, label="Predicted field",
        doc="With every emitter where it is expected; beside the field of now drawn where it is stronger.",
    )  # fmt: skip
    show_emitters = param.Boolean(True, label="Emitters", doc="A point per emitter over its place on the ground.")
    forecast_s = param.Number(60.0, bounds=(5.0, 300.0), label="Forecast (s ahead)", doc="How far ahead, s.")
    limits_dbm = param.Range(
        (-75.0, -40.0), bounds=(-160.0, 20.0), step=1.0, label="Colour limits (dBm)",
        doc="One scale for both fields and all three pictures; fixed, so that frames compare.",
    )  # fmt: skip
    detail: Any = param.Selector(
        default="auto", objects=DETAIL_LABELS, label="Cells", doc="Level of detail; automatic: coarser while time runs."
    )
    exaggeration = param.Number(
        8.0, bounds=(1.0, 40.0), step=1.0, label="Heights × (exaggeration)", doc="How many times heights are stretched."
    )
    opacity = param.Number(0.6, bounds=(0.05, 1.0), step=0.05, label="Opacity", doc="Opacity of the strongest cells.")
    alt_m = param.Number(
        9000.0, bounds=(0.0, 20_000.0), step=250.0, label="Slice at (m)", doc="Height of the slice above the ellipsoid."
    )
    line: Any = param.ClassSelector(
        class_=tuple, default=(), doc="lat, lon, lat, lon of the section; empty: west to east."
    )
    probe: Any = param.ClassSelector(
        class_=tuple, default=(), doc="lat, lon, alt_m of a point whose exact values are told."
    )
    camera: Any = param.ClassSelector(class_=tuple, default=HOME, doc="See `HOME`.")
    shown: Any = param.Selector(default="all", objects=SHOWN, doc="What fills the picture.")

    WORDS: ClassVar[dict[str, Word]] = {
        "view": words.degrees_view(),
        "model": words.choice("model"),
        "horizon": words.flag("horizon"),
        "beyond": words.flag("diffraction"),
        "layers": words.flags(
            {"field": "show_field", "forecast": "show_forecast", "emitters": "show_emitters"}, "the usual layers"
        ),
        "ahead": words.number("forecast_s"),
        "limits": words.interval("limits_dbm", "dBm"),
        "detail": words.choice("detail"),
        "heights": words.number("exaggeration"),
        "opacity": words.number("opacity"),
        "slice": words.number("alt_m"),
        "line": _line(),
        "probe": _places("probe", 3, "lat,lon and height of a point"),
        "camera": _camera(),
        "shown": words.choice("shown"),
    }

    @property
    def horizon_word(self) -> Horizon:
        """What becomes of power beyond the radio horizon, as specs spell it."""
        return "diffraction" if self.horizon and self.diffraction and self.model in DIFFRACTED else bool(self.horizon)

    @property
    def detail_now(self) -> str:
        """The level of detail to compute: automatic is the usual one, and a coarser one while a replay runs."""
        if self.detail != "auto":
            return str(self.detail)
        return "32" if self.mode == "replaying" else "64x16"

    @property
    def section_line(self) -> Line:
        """The line of the section; without one, west to east through the middle of the view."""
        if len(self.line) == 4:
            return tuple(float(v) for v in self.line)  # type: ignore[return-value]
        middle, inset = 0.5 * (self.south + self.north), 0.04 * (self.east - self.west)
        return (middle, self.west + inset, middle, self.east - inset)
