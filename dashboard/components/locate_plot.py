"""The Locate picture as one figure without a server: the twin of the live map, for files and notebooks."""

from __future__ import annotations

from bokeh.models import (
    BasicTickFormatter,
    BoxZoomTool,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.models.annotations import ColorBar
from bokeh.models.annotations.labels import Title
from bokeh.models.glyphs import Image, Line, MultiLine, Patches, Scatter, Segment, Text
from bokeh.plotting import figure

from dashboard.components.base_map import View, land_for
from dashboard.components.locate_columns import (
    dilution_colours,
    ellipse_columns,
    field_columns,
    fix_columns,
    line_columns,
    report_columns,
    sensor_columns,
    trail_columns,
)
from dashboard.components.locate_map import TICKS
from dashboard.components.locate_words import DILUTIONS
from dashboard.theme import THEMES
from engine.frames.locate_frame import LocateFrame, limits


def locate_plot(frame: LocateFrame, view: View, theme: str = "light", title: str = "") -> figure:
    """Field, sensors, fixes, hyperbolas and ellipse of a frame.

    Parameters
    ----------
    frame : LocateFrame
    view : View
        Bounds, Web Mercator metres.
    theme : {"light", "dark"}
    title : str
        Over the picture.

    Returns
    -------
    bokeh.plotting.figure
    """
    p = THEMES[theme]
    wheel = WheelZoomTool()
    f = figure(
        x_range=Range1d(start=view[0], end=view[2]), y_range=Range1d(start=view[1], end=view[3]),
        x_axis_type="mercator",
        y_axis_type="mercator", sizing_mode="stretch_both", title=title, match_aspect=True, active_scroll=wheel,
        tools=[PanTool(), wheel, BoxZoomTool(match_aspect=True), ResetTool()], x_axis_label="Longitude (°)",
        y_axis_label="Latitude (°)", output_backend="canvas",
    )  # fmt: skip
    f.background_fill_color, f.border_fill_color = p.map_background, p.surface
    for axis in f.axis:
        axis.axis_label_text_color = axis.major_label_text_color = p.muted
    if isinstance(f.title, Title):
        f.title.text_color = p.muted
    _draw_field(f, frame, theme)
    for kind, (x, y) in land_for(view).items():
        f.add_glyph(ColumnDataSource({"x": x, "y": y}), Line(x="x", y="y", line_color=getattr(p, kind, p.coast)))
    newest = frame.newest
    reports = ColumnDataSource(report_columns(newest, frame.moment_s))
    fixes = ColumnDataSource(fix_columns(newest, frame.moment_s))
    sensors = ColumnDataSource(sensor_columns(frame, theme))
    f.add_glyph(
        ColumnDataSource(trail_columns(frame.fixes.table)),
        MultiLine(xs="xs", ys="ys", line_color=p.emitter, line_alpha=0.55),
    )
    lines = f.add_glyph(
        ColumnDataSource(line_columns(frame)), MultiLine(xs="xs", ys="ys", line_color=p.forecast, line_width=1.6)
    )
    f.add_glyph(reports, Segment(x0="x0", y0="y0", x1="x1", y1="y1", line_color=p.muted))
    f.add_glyph(reports, Scatter(x="x1", y="y1", marker="x", size=6, line_color=p.muted))
    f.add_glyph(
        ColumnDataSource(ellipse_columns(frame)),
        Patches(xs="xs", ys="ys", fill_color=p.selected, fill_alpha=0.15, line_color=p.selected),
    )
    dots = f.add_glyph(
        fixes, Scatter(x="x", y="y", size=7, fill_color=p.emitter, fill_alpha="alpha", line_color=p.emitter_edge)
    )
    f.add_glyph(sensors, Scatter(x="x", y="y", marker="triangle", size=10, fill_color="fill", line_color=p.emitter))
    f.add_glyph(sensors, Text(x="x", y="y", text="label", x_offset=8, y_offset=5, text_font_size="10px",
                              text_color=p.text))  # fmt: skip
    f.add_tools(
        HoverTool(
            renderers=[dots], tooltips=[("", "@entity"), ("90 % ellipse", "@ellipse"), ("from its report", "@error")]
        ),
        HoverTool(renderers=[lines], line_policy="nearest", tooltips=[("measured", "@pair")]),
    )
    return f


def _draw_field(f: figure, frame: LocateFrame, theme: str) -> None:
    """The field with its scale, where there is one."""
    p = THEMES[theme]
    if frame.levels is None:
        return
    levels = LinearColorMapper(palette=dilution_colours(theme), low=-0.5, high=255.5)
    f.add_glyph(
        ColumnDataSource(field_columns(frame)),
        Image(image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=levels), level="image",
    )  # fmt: skip
    name, unit, _ = DILUTIONS[frame.spec.dilution]
    low, high = limits(frame.spec.dilution)
    scale = LogColorMapper(palette=dilution_colours(theme)[:0:-4], low=low, high=high)
    bar = ColorBar(color_mapper=scale, width=11, ticker=FixedTicker(ticks=TICKS))
    bar.formatter = BasicTickFormatter(use_scientific=False)
    bar.title = f"{name} ({unit}, 1 σ)" if unit else name
    bar.background_fill_color = p.surface
    bar.major_label_text_color = bar.title_text_color = p.muted
    f.add_layout(bar, "right")
