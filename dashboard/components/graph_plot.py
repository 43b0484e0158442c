"""The graph as a HoloViews overlay: the twin of the live picture for notebooks, files and composition.

A pure function of a frame as `engine.frames.graph_frame.GraphFrames` computes it.
"""

from __future__ import annotations

import holoviews as hv
import numpy as np

from dashboard.components.graph_colours import KIND_COLOURS, density_colours, kind_colours, line_colours
from dashboard.components.graph_glyphs import node_columns, segment_columns
from dashboard.theme import THEMES
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_levels import Levels


def graph_plot(frame: GraphFrame, theme: str = "light") -> hv.Overlay:
    """Density or single nodes, and incidences, of a frame, in units of its space.

    Parameters
    ----------
    frame : GraphFrame
    theme : {"light", "dark"}

    Returns
    -------
    holoviews.Overlay
        The images hold the eight-bit levels of the picture, row 0 south; 0 is nothing.
    """
    # Once only: in a notebook each further call would load Bokeh again, from the network.
    if "bokeh" not in hv.Store.loaded_backends():
        hv.extension("bokeh", logo=False)
    spec, picture, p = frame.spec, frame.picture, THEMES[theme]
    kinds = spec.by == "kind"
    layers: list[hv.Element] = []
    if picture.lines is not None:
        layers.append(_image(frame, picture.lines, "lines").opts(cmap=line_colours(theme)))
    if picture.segments.num_rows:
        ends, _ = segment_columns(frame)
        segments = hv.Segments(tuple(ends[name] for name in ("x0", "y0", "x1", "y1")), ["x", "y", "x1", "y1"])
        layers.append(segments.opts(color=p.border, alpha=0.42, line_width=1))
    if picture.nodes is not None:
        palette = kind_colours(theme) if kinds else density_colours(theme)
        layers.append(_image(frame, picture.nodes, "level of nodes").opts(cmap=palette))
    columns = node_columns(frame, names=True)
    ids = np.array(columns["id"], dtype=object)
    category = picture.drawn["category"].to_numpy().astype(int)
    level = picture.drawn["level"].to_numpy().astype(int)
    colour = np.array(KIND_COLOURS[theme])[category] if kinds else np.array(density_colours(theme))[level]
    points = hv.Points((columns["x"], columns["y"], ids, colour), ["x", "y"], ["id", "colour"])
    layers.append(points.opts(color="colour", size=8, line_color=p.emitter_edge, tools=["hover"]))
    labels = [(x, y, text) for x, y, text in zip(columns["x"], columns["y"], columns["label"], strict=True) if text]
    layers.append(hv.Labels(labels, ["x", "y"], "name").opts(text_color=p.text, text_font_size="8pt", xoffset=0))
    n = picture.numbers
    return hv.Overlay(layers).opts(
        hv.opts.Overlay(
            data_aspect=1, responsive=True, min_height=480, xaxis=None, yaxis=None,
            title=f"{n['in_view']:,} of {n['nodes']:,} nodes, {n['edges_in_view']:,} of {n['edges']:,} hyperedges",
            xlim=(spec.west, spec.east), ylim=(spec.south, spec.north), bgcolor=p.map_background,
        )
    )  # fmt: skip


def _image(frame: GraphFrame, levels: Levels, name: str) -> hv.Image:
    spec = frame.spec
    dx, dy = (spec.east - spec.west) / spec.nx, (spec.north - spec.south) / spec.ny
    # Coordinates at exactly even steps: an image misplaces uneven ones without a word.
    xs = np.linspace(spec.west + dx / 2, spec.east - dx / 2, spec.nx)
    ys = np.linspace(spec.south + dy / 2, spec.north - dy / 2, spec.ny)
    return hv.Image((xs, ys, levels.cells), ["x", "y"], name).opts(clim=(-0.5, 255.5))
