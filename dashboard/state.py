"""The state of one session's view: what it shows, where, and when. Everything in it can be shared.

Components watch it and change it; `dashboard.share` turns it into a link and back. It knows nothing
of widgets or of the engine's objects. What all pages have in common is in `PageState`; each page adds its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import param

from dashboard import words
from dashboard.words import Word
from engine.frames.spec import DEFAULT_CELLS

SPEEDS = (1, 2, 5, 10, 20, 60)
"""Replay speeds offered."""

MODES = ("live", "paused", "replaying")
"""States of the time control; they hold for the whole dashboard of a session."""

MODELS = {
    "Free space (ITU-R P.525)": "free_space",
    "Air: gas (ITU-R P.676)": "atmospheric",
    "Two rays over ground": "two_ray",
    "Thinned with height (crude)": "scale_height",
    "Inverse square (unitless)": "inverse_square",
}
"""Propagation models offered, by label."""

DIFFRACTED = ("free_space", "atmospheric")
"""Models that know the loss beyond the radio horizon (ITU-R P.528)."""

RESOLUTIONS = {"Coarse (16 k cells)": 16_384, "Normal (90 k cells)": DEFAULT_CELLS, "Fine (262 k cells)": 262_144}
"""Grid sizes offered: cells in view at most."""


CONTESTS = {
    "None": "none", "A less B": "ab", "Best server of all groups": "server", "Margin of the best server": "margin",
    "Arbitration score": "score",
}  # fmt: skip
"""What is drawn of dominance, by label."""

GROUPINGS = {
    "Kind": "kind",
    "Cluster": "cluster",
    "Carrier frequency": "frequency",
    "Source": "source",
    "A and B": "ab",
}
"""What makes a group, by label."""


class PageState(param.Parameterized):
    """What every page has: the selection, the moment, the look. A link takes them from page to page."""

    selected = param.String("", doc="Identity of what is selected (an emitter, a host, a run), empty for none.")
    mode: Any = param.Selector(default="live", objects=list(MODES), doc="Live, paused or replaying.")
    moment_s = param.Number(0.0, bounds=(0.0, 4.1e9), doc="The moment shown when not live, epoch seconds.")
    speed: Any = param.Selector(default=10, objects=list(SPEEDS), doc="Replay speed.")
    theme: Any = param.Selector(default="light", objects=["light", "dark"], doc="Look.")

    WORDS: ClassVar[dict[str, Word]] = {}
    """How a page spells what it adds, by name in the link."""

    COMMON: ClassVar[dict[str, Word]] = {
        "select": words.text("selected"),
        "t": words.moment(),
        "play": words.playing(),
        "speed": words.choice("speed"),
        "theme": words.choice("theme"),
    }

    @classmethod
    def words(cls) -> dict[str, Word]:
        """Name in the link → how it is written and read, in the order of the link."""
        return {**cls.WORDS, **cls.COMMON}


_LAYERS = {"field": "show_field", "forecast": "show_forecast", "trails": "show_trails", "emitters": "show_emitters"}


class ViewState(PageState):
    """What one session of the Field page looks at."""

    west = param.Number(5.2, bounds=(-180, 180), doc="West edge of the view, degrees.")
    south = param.Number(45.2, bounds=(-85.06, 85.06), doc="South edge of the view, degrees.")
    east = param.Number(11.2, bounds=(-180, 180), doc="East edge of the view, degrees.")
    north = param.Number(48.4, bounds=(-85.06, 85.06), doc="North edge of the view, degrees.")
    model: Any = param.Selector(
        default="free_space", objects=MODELS, label="Model", doc="Propagation model of both fields."
    )
    show_field = param.Boolean(True, label="Field now", doc="Received power summed over all emitters, at this moment.")
    show_forecast = param.Boolean(
        True, label="Predicted field", doc="The same, with every emitter where it is expected."
    )
    show_trails = param.Boolean(True, label="Trails", doc="Where emitters have been, fading with age.")
    show_emitters = param.Boolean(True, label="Emitters", doc="One arrow per emitter, pointing along its track.")
    show_tiles = param.Boolean(False, label="Online map tiles", doc="Needs internet access; off, nothing is fetched.")
    show_spectrum = param.Boolean(
        False,
        label="Spectrum of the view",
        doc="Plane waves in the field in view, beside the map: how strong, how unusual.",
    )
    height_m = param.Number(
        10.0, bounds=(0.0, 20_000.0), label="Receiver height (m)", doc="Height at which the field is received, m."
    )
    horizon = param.Boolean(
        True, label="Radio horizon", doc="Emitters beyond the 4/3-earth horizon give no power: d = 4.12(√h₁+√h₂) km."
    )
    diffraction = param.Boolean(
        False, label="Loss beyond it (P.528)",
        doc="Beyond the horizon the median loss of ITU-R P.528 instead of nothing; with free space and air.",
    )  # fmt: skip
    forecast_s = param.Number(60.0, bounds=(5.0, 300.0), step=5.0, label="Forecast (s ahead)", doc="How far ahead, s.")
    trail_s = param.Number(
        900.0, bounds=(60.0, 7200.0), step=60.0, label="Trail length (s)", doc="Age at which trails end."
    )
    limits_dbm = param.Range(
        (-80.0, -55.0),
        bounds=(-160.0, 20.0),
        step=1.0,
        label="Colour limits (dBm)",
        doc="Fixed, so that frames compare.",
    )
    cells: Any = param.Selector(default=DEFAULT_CELLS, objects=RESOLUTIONS, label="Grid", doc="Cells in view at most.")

    contest: Any = param.Selector(
        default="none", objects=CONTESTS, label="Dominance",
        doc="A less B: the field of group A less that of group B, dB. Best server: the group with the strongest field.",
    )  # fmt: skip
    group_by: Any = param.Selector(
        default="kind", objects=GROUPINGS, label="Groups by", doc="What makes a group of emitters."
    )
    group_a = param.String(
        "", label="Group A", doc="Words in identity, call sign, kind, cluster or source; * any text."
    )
    group_b = param.String("", label="Group B", doc="As for A; empty is everybody else.")
    contested_db = param.Number(
        3.0, bounds=(0.0, 20.0), step=0.5, label="Contested below (dB)", doc="A smaller lead is nobody's."
    )
    score_signal = param.Number(0.6, bounds=(0.0, 1.0), label="Weight of signal", doc="Total power, -120 to -40 dBm.")
    score_coherence = param.Number(
        0.3, bounds=(0.0, 1.0), label="Weight of coherence", doc="Share of the strongest group in the total power."
    )
    score_likeness = param.Number(
        0.1,
        bounds=(0.0, 1.0),
        label="Weight of 1 - diversity",
        doc="Diversity: evenness of the groups' shares of power.",
    )

    WORDS: ClassVar[dict[str, Word]] = {
        "view": words.degrees_view(),
        "model": words.choice("model"),
        "layers": words.flags(_LAYERS, "the usual layers"),
        "height": words.number("height_m"),
        "horizon": words.flag("horizon"),
        "beyond": words.flag("diffraction"),
        "ahead": words.number("forecast_s"),
        "trail": words.number("trail_s"),
        "limits": words.interval("limits_dbm", "dBm"),
        "cells": words.choice("cells"),
        "tiles": words.flag("show_tiles"),
        "spectrum": words.flag("show_spectrum"),
        "contest": words.choice("contest"),
        "groups": words.choice("group_by"),
        "a": words.text("group_a", "a search", "the usual one is used"),
        "b": words.text("group_b", "a search", "the usual one is used"),
        "contested": words.number("contested_db"),
        "wsignal": words.number("score_signal"),
        "wcoherence": words.number("score_coherence"),
        "wlikeness": words.number("score_likeness"),
    }

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers of the frame that this view needs."""
        wanted = (("field", self.show_field), ("forecast", self.show_forecast), ("trails", self.show_trails))
        return tuple(name for name, on in wanted if on)
