"""What one session of the Locate page looks at: by which measurements, with which trust in them, and where."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote, unquote

import param

from dashboard import words
from dashboard.components.measured_state import MeasuredState
from dashboard.state import PageState
from dashboard.words import Word
from engine.rf.arrival_fixes import FixSettings

METHODS = {"Arrival times": "tdoa", "Received power": "rssi"}
"""By what is located, by label."""

DILUTIONS = {
    "Error at known height": "error_m", "HDOP at known height": "hdop_known_alt", "HDOP": "hdop", "GDOP": "gdop",
    "No field": "none",
}  # fmt: skip
"""What the field shows, by label."""

LISTS = {"Newest": "newest", "All fixes": "fixes", "No position": "failed", "Sensors": "sensors"}
"""What stands under the map, by label."""

MOST_OFF = 200
"""Sensors that a link may switch off."""

_LAYERS = {
    "sensors": "show_sensors", "lines": "show_lines", "fixes": "show_fixes", "trails": "show_trails",
    "reports": "show_reports",
}  # fmt: skip


class TdoaState(PageState):
    """Trust in arrival times, field of dilution, layers and view."""

    sigma_ns = param.Number(
        100.0, bounds=(1.0, 100_000.0), label="Arrival time σ (ns)",
        doc="Standard deviation of one arrival time; the ellipses follow it.",
    )  # fmt: skip
    tie = param.Boolean(
        True, label="Use reported height", doc="The height that a message reports counts as one more measurement."
    )
    alt_sigma_m = param.Number(
        100.0, bounds=(1.0, 10_000.0), label="Reported height σ (m)", doc="Standard deviation of that height."
    )
    report_sigma_m = param.Number(
        75.0, bounds=(0.0, 10_000.0), label="Report age σ (m)",
        doc="How far a reported position lies from where the emitter was when it sent it; it was some 0.1 s old.",
    )  # fmt: skip
    off: Any = param.ClassSelector(class_=tuple, default=(), doc="Sensors that are switched off, by name.")
    dilution: Any = param.Selector(
        default="error_m", objects=DILUTIONS, label="Field", doc="What the geometry of the sensors allows, anywhere."
    )
    field_alt_m = param.Number(
        10_000.0, bounds=(0.0, 30_000.0), label="Height of the field (m)", doc="Above the ellipsoid."
    )
    reach_km = param.Number(
        400.0, bounds=(1.0, 1_000.0), label="Sensors hear up to (km)", doc="And never beyond the radio horizon."
    )
    window_s = param.Number(
        900.0, bounds=(60.0, 3_600.0), label="Fixes of the last (s)", doc="Trails and lists reach back so far."
    )
    show_sensors = param.Boolean(True, label="Sensors", doc="Triangles; hollow where switched off.")
    show_lines = param.Boolean(
        True, label="Measured hyperbolas", doc="Of the selected message: one line per pair of sensors."
    )
    show_fixes = param.Boolean(True, label="Fixes", doc="The newest of each emitter; selected: its 90 % ellipse.")
    show_trails = param.Boolean(True, label="Trails", doc="Earlier fixes of each emitter.")
    show_reports = param.Boolean(True, label="Reported positions", doc="Where the message itself says it is (crosses).")
    listed: Any = param.Selector(default="newest", objects=LISTS, doc="What stands under the map.")
    message = param.String("", doc="One message looked at closely; empty: the newest of what is selected.")
    west = param.Number(5.8, bounds=(-180, 180), doc="West edge of the map, degrees.")
    south = param.Number(46.4, bounds=(-85.06, 85.06), doc="South edge of the map, degrees.")
    east = param.Number(13.2, bounds=(-180, 180), doc="East edge of the map, degrees.")
    north = param.Number(49.8, bounds=(-85.06, 85.06), doc="North edge of the map, degrees.")

    WORDS: ClassVar[dict[str, Word]] = {
        "sigma": words.number("sigma_ns"),
        "tie": words.flag("tie"),
        "tiesigma": words.number("alt_sigma_m"),
        "report": words.number("report_sigma_m"),
        "off": Word(lambda s: ",".join(quote(name, safe="") for name in s.off) or "none", lambda t, s: _off(t)),
        "dop": words.choice("dilution"),
        "dopalt": words.number("field_alt_m"),
        "reach": words.number("reach_km"),
        "window": words.number("window_s"),
        "layers": words.flags(_LAYERS, "the usual layers"),
        "list": words.choice("listed"),
        "message": words.text("message", "a message", "the newest is shown"),
        "view": words.degrees_view(),
    }

    @property
    def settings(self) -> FixSettings:
        """What is taken for true while fixes are computed."""
        return FixSettings(
            float(self.sigma_ns), float(self.alt_sigma_m) if self.tie else None, float(self.report_sigma_m),
            tuple(sorted(self.off)),
        )  # fmt: skip


class LocateState(TdoaState, MeasuredState):
    """What the page as a whole looks at: by arrival times or by received power, each with its own."""

    method: Any = param.Selector(default="tdoa", objects=METHODS, label="Located by", doc="What is measured.")

    WORDS: ClassVar[dict[str, Word]] = {"mode": words.choice("method"), **TdoaState.WORDS, **MeasuredState.WORDS}


def _off(text: str) -> dict[str, Any]:
    names = () if text == "none" else tuple(unquote(part) for part in text.split(","))
    needed = f"'none' or at most {MOST_OFF} names of sensors between commas are needed, all are on"
    if len(names) > MOST_OFF or not all(0 < len(name) <= words.MAX_TEXT and name.isprintable() for name in names):
        raise ValueError(needed)
    return {"off": tuple(sorted(set(names)))}
