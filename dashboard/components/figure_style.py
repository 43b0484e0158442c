"""Bokeh figures that are no map in the house style: quiet axes in the theme's colours, wheel zooms, drag pans."""

from __future__ import annotations

from typing import Any

from bokeh.models import BoxZoomTool, DataRange1d, PanTool, ResetTool, WheelZoomTool
from bokeh.models.annotations.labels import Title
from bokeh.plotting import figure

from dashboard.theme import THEMES


def chart(theme: str, **options: Any) -> figure:
    """An empty figure; its ranges stay in the browser, so that no small step of the viewer becomes a message."""
    wheel = WheelZoomTool()
    ranges = {name: options.pop(name, None) or DataRange1d() for name in ("x_range", "y_range")}
    for axis_range in ranges.values():
        axis_range.syncable = False
    tools = options.pop("tools", None)
    if tools is None:
        tools = [PanTool(), wheel, BoxZoomTool(), ResetTool()]
        options.setdefault("active_scroll", wheel)
    fig = figure(
        tools=tools, toolbar_location=options.pop("toolbar_location", "above"), min_border=4,
        output_backend="canvas", lod_threshold=None, **ranges, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    fig.toolbar.logo = None
    fig.toolbar_inner = True  # shown under the pointer only, it needs no room of its own
    fig.toolbar.autohide = True
    restyle(fig, theme)
    return fig


def restyle(fig: figure, theme: str) -> None:
    """Recolour a figure in place."""
    p = THEMES[theme]
    fig.background_fill_color = fig.border_fill_color = p.surface
    fig.outline_line_color = p.line
    for axis in fig.axis:
        axis.axis_label_text_color = axis.major_label_text_color = p.muted
        axis.axis_line_color = axis.major_tick_line_color = p.line
        axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size = axis.major_label_text_font_size = "11px"
    for grid in fig.grid:
        grid.grid_line_color = p.grid
    for title in [fig.title] if isinstance(fig.title, Title) else []:
        title.text_color, title.text_font_size, title.text_font_style = p.muted, "11px", "normal"
