"""What the colours of the graph's picture mean: one bar beside it, for values or for kinds."""

from __future__ import annotations

from typing import Any

from bokeh.models import FixedTicker, LinearColorMapper
from bokeh.models.annotations import ColorBar

from dashboard.components.graph_colours import KIND_COLOURS, density_colours
from dashboard.components.graph_glyphs import duration_text, number_text
from dashboard.theme import THEMES
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_picture import CATEGORIES

OTHER = "other kinds"

_TITLES = {
    ("count", True): "Nodes per cell",
    ("count", False): "Hyperedges of a node",
    ("weight", True): "Weight per cell",
    ("weight", False): "Weight of a node",
    ("recency", True): "Last seen, time before",
    ("recency", False): "Last seen, time before",
    ("kind", True): "Most frequent kind in a cell; fuller: more nodes",
    ("kind", False): "Kind of node",
}
_SCALES = {"linear": "linear", "log": "logarithmic", "equalised": "equalised: equal areas, not equal steps"}


class GraphLegend:
    """The colour bar of a figure.

    Attributes
    ----------
    categories : list of str
        What each category of nodes stands for.
    title : str
        What the bar says.
    """

    def __init__(self, figure: Any, mapper: LinearColorMapper) -> None:
        self.categories = [*CATEGORIES, OTHER]
        self.title = ""
        self._colours = LinearColorMapper(palette=list(mapper.palette)[1:], low=1, high=255)
        # Bokeh's bar keeps the ticker that it began with (3.9.2): its ticks are changed, never itself.
        self._ticker = FixedTicker(ticks=[])
        self._bar = ColorBar(
            color_mapper=self._colours, width=11, padding=4, margin=0, location=(0, 0), bar_line_color=None,
            ticker=self._ticker, title_standoff=6,
        )  # fmt: skip
        self._figure = figure
        figure.add_layout(self._bar, "right")
        self._told: Any = None

    def tell(self, frame: GraphFrame, theme: str) -> None:
        """Say what the colours of a frame mean."""
        spec, picture = frame.spec, frame.picture
        present = sorted({category for _, _, category in picture.kinds})
        told = (spec.by, spec.scale, picture.detail == "density", picture.ticks, tuple(present), theme)
        if told == self._told:
            return
        self._told = told
        dense = picture.detail == "density"
        title = _TITLES[spec.by, dense]
        if spec.by != "kind":
            title += f" ({_SCALES[spec.scale]})"
        elif dense and spec.scale != "log":
            title += f" ({_SCALES[spec.scale].split(':')[0]})"
        self.title = title
        if spec.by == "kind":
            self._colours.update(palette=[KIND_COLOURS[theme][k] for k in present] or ["#00000000"], low=0,
                                 high=max(len(present), 1))  # fmt: skip
            ticks = [(i + 0.5, self.categories[k]) for i, k in enumerate(present)]
        else:
            self._colours.update(palette=density_colours(theme)[1:], low=1, high=255)
            text = duration_text if spec.by == "recency" else number_text
            ticks = [(level, text(value)) for level, value in picture.ticks]
        # The names come first: a tick without one would show its number for a moment.
        self._bar.major_label_overrides = {at: label for at, label in ticks}
        self._ticker.ticks = [at for at, _ in ticks]
        self._bar.title = title
        # A bar does not make room for new labels by itself (bokeh 3.9.2); the figure's layout does.
        self._figure.min_border_right = 5 if self._figure.min_border_right == 4 else 4
        self._restyle(theme)

    def _restyle(self, theme: str) -> None:
        p, bar = THEMES[theme], self._bar
        bar.background_fill_color = p.surface
        bar.major_label_text_color = bar.title_text_color = p.muted
        bar.major_label_text_font_size = bar.title_text_font_size = "11px"
        bar.title_text_font_style = "normal"
        bar.major_tick_line_color = p.muted
