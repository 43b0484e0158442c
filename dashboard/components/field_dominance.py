"""Dominance on the field map: one image over the field, its colour bar, and the panel that says who holds how much.

Names of groups come from data and are escaped. It draws what a frame holds (`engine.frames.field_dominance`).
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, FixedTicker, LinearColorMapper
from bokeh.models.annotations import ColorBar
from bokeh.models.glyphs import Image
from bokeh.palettes import Cividis256, Viridis256

from dashboard.components.widget_style import told_beside
from dashboard.state import ViewState
from dashboard.theme import THEMES, hex_colours, ramp
from engine.frames.field_dominance import SPAN_DB, Dominance
from engine.frames.field_frame import FieldFrame

SERVERS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c")
"""Colours of groups, told apart without colour vision (Okabe and Ito 2008), and grey for the others."""

CONTESTED = "#f7f7f7"
"""Nobody's cells: near-white, as zero is."""

DEFINITIONS = {
    "ab": "Field of A less field of B, each summed over its emitters in mW, dB. Blue: A leads, red: B does, "
    "white: the lead is under the contested margin.",
    "server": "The group whose summed field is strongest, if it leads the second by the contested margin.",
    "margin": "Summed field of the strongest group less that of the second, dB; white: under the contested margin.",
    "score": "Arbitration score, 0 to 1: (w₁ signal + w₂ coherence + w₃ (1 − diversity)) / (w₁ + w₂ + w₃). Signal: "
    "total power from −120 to −40 dBm. Coherence: the strongest group's share. "
    "Diversity: evenness of the shares (Pielou).",
}

SCALES = {
    "ab": (-SPAN_DB, SPAN_DB, 10.0, "A less B (dB): blue A, red B"),
    "margin": (0.0, SPAN_DB, 10.0, "Strongest less second (dB)"),
    "score": (0.0, 1.0, 0.2, "Arbitration score"),
}
"""Least and greatest value, step of the ticks and title of each colour bar."""

EMPTY: dict[str, list[Any]] = {"image": [], "x": [], "y": [], "dw": [], "dh": []}


def palette(contest: str, contested_db: float) -> list[str]:
    """256 colours of a picture of dominance; entry 0, nobody received, is transparent but for the score."""
    if contest == "server":
        named = [SERVERS[k % len(SERVERS)] for k in range(254)]
        return ["#00000000", *named, CONTESTED]
    if contest == "score":
        return ["#00000000", *Viridis256[1:]]
    if contest == "margin":
        lead = (np.arange(256) - 1) / 254 * SPAN_DB
        return ["#00000000", *(Cividis256[255 - k] if lead[k] >= contested_db else CONTESTED for k in range(1, 256))]
    half = 127
    blue, red = (hex_colours(ramp([CONTESTED, *to], half)) for to in (["#6baed6", "#08519c"], ["#fb6a4a", "#a50f15"]))
    colours = ["#00000000", *reversed(red), CONTESTED, *blue]
    delta = (np.arange(256) - 1) / 254 * 2 * SPAN_DB - SPAN_DB
    return [c if k == 0 or abs(d) >= contested_db else CONTESTED
            for k, (c, d) in enumerate(zip(colours, delta, strict=True))]  # fmt: skip


class DominanceLayer:
    """The image and its colour bar on a figure, and the panel beside it."""

    def __init__(self, figure: Any, state: ViewState) -> None:
        self.state = state
        self.source = ColumnDataSource(data=dict(EMPTY))
        self._mapper = LinearColorMapper(palette=palette("ab", state.contested_db), low=-0.5, high=255.5)
        glyph = Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=self._mapper, global_alpha=0.82)
        self.image = figure.add_glyph(self.source, glyph, level="image")
        self._figure = figure
        # Now, not when first wanted: events of a figure that is in a document already are not subscribed to any more.
        figure.on_event(Tap, self._tapped)
        self._scale = LinearColorMapper(palette=palette("ab", 0.0)[1:], low=-SPAN_DB, high=SPAN_DB)
        self.bar: Any = None
        self.panel = told_beside()
        self.words = ColumnDataSource(tags=["none"])
        """What a byte means, for the read-out of the browser: picture, contested margin and span (dB), groups."""
        self._frame: FieldFrame | None = None
        self._place: tuple[float, float] | None = None

    def draw(self, frame: FieldFrame) -> None:
        """Draw the dominance of a frame, or take it away."""
        self._frame, held = frame, frame.dominance
        s = frame.spec
        if held is None:
            if len(self.source.data["image"]):
                self.source.data = dict(EMPTY)
        else:
            self._colour(s.contest, s.contested_db)
            words = [s.contest, s.contested_db, SPAN_DB, *(name[:40] for name in held.names)]
            if self.words.tags != words:
                self.words.tags = words
            self.source.data = {
                "image": [held.levels], "x": [s.west_m], "y": [s.south_m],
                "dw": [s.east_m - s.west_m], "dh": [s.north_m - s.south_m],
            }  # fmt: skip
        self._tell()

    def _colour(self, contest: str, contested_db: float) -> None:
        colours = palette(contest, contested_db)
        if list(self._mapper.palette) != colours:
            self._mapper.palette = colours
        if self.bar is None:
            # Made when first wanted: most viewers never ask for it.
            self.bar = ColorBar(
                color_mapper=self._scale, width=11, padding=4, margin=0, location=(0, 0), bar_line_color=None
            )
            self._figure.add_layout(self.bar, "right")
        self.bar.visible = contest != "server"
        low, high, step, self.bar.title = SCALES.get(contest, SCALES["ab"])
        self._scale.update(palette=colours[1:], low=low, high=high)
        self.bar.ticker = FixedTicker(ticks=[round(v, 1) for v in np.arange(low, high + 1e-9, step)])
        p = THEMES[self.state.theme]
        self.bar.background_fill_color = p.surface
        self.bar.major_label_text_color = self.bar.title_text_color = p.muted
        self.bar.major_label_text_font_size = self.bar.title_text_font_size = "11px"
        self.bar.title_text_font_style = "normal"

    def _tapped(self, event: Any) -> None:
        self._place = (event.x, event.y)
        self._tell()

    def _tell(self) -> None:
        frame = self._frame
        if frame is None or frame.dominance is None:
            self.panel.visible = False
            if self.bar is not None:
                self.bar.visible = False
            return
        html = dominance_html(frame.dominance, frame.spec.contest, frame.spec.contested_db)
        if self._place is not None:
            html += place_html(frame, *self._place)
        self.panel.param.update(object=html, visible=True)


def dominance_html(held: Dominance, contest: str, contested_db: float) -> str:
    """Who holds how much of the frame, as HTML; names are escaped."""
    colours = ("#08519c", "#a50f15") if contest == "ab" else SERVERS
    rows = "".join(
        f'<tr><td><span style="color:{colours[k % len(colours)]}">■</span> {escape(name[:40])} ({held.members[k]})</td>'
        f"<td>{100 * held.share[k]:.1f} %</td><td>{held.area_km2[k]:,.0f} km²</td></tr>"
        for k, name in enumerate(held.names)
    )
    rows += (
        f"<tr><td>□ contested (&lt; {contested_db:g} dB)</td><td>{100 * held.contested_share:.1f} %</td>"
        f"<td>{held.contested_km2:,.0f} km²</td></tr><tr><td>nobody received</td>"
        f"<td>{100 * held.nobody_share:.1f} %</td><td></td></tr>"
    )
    head = "<tr><th>group (emitters)</th><th>share</th><th>area</th></tr>"
    return f"<h4>Dominance in the frame</h4><p>{DEFINITIONS[contest]}</p><table>{head}{rows}</table>"


def place_html(frame: FieldFrame, x_m: float, y_m: float) -> str:
    """Who is strongest in the cell at a place (Web Mercator, m), by how much, and every group's power."""
    s, held = frame.spec, frame.dominance
    if held is None or not (s.west_m <= x_m < s.east_m and s.south_m <= y_m < s.north_m):
        return "<p>Click a place in the frame for the powers there.</p>"
    column = int((x_m - s.west_m) / (s.east_m - s.west_m) * s.nx)
    row = int((y_m - s.south_m) / (s.north_m - s.south_m) * s.ny)
    power = held.power_dbm[:, row, column]
    order = np.argsort(-power, kind="stable")
    if np.isneginf(power[order[0]]):
        return "<h4>At the place clicked</h4><p>Nobody is received.</p>"
    lead = float(power[order[0]] - power[order[1]]) if len(power) > 1 else np.inf
    who = escape(held.names[order[0]][:40]) if lead >= s.contested_db else "contested"
    listed = "".join(
        f"<tr><td>{escape(held.names[k][:40])}</td>"
        f"<td>{'–' if np.isneginf(power[k]) else f'{power[k]:.2f} dBm'}</td></tr>"
        for k in order
    )
    led = f"by {lead:.2f} dB" if np.isfinite(lead) else "without a rival"
    return f"<h4>At the place clicked</h4><p>{who}, {led}</p><table>{listed}</table>"
