"""The house style of Panel's own widgets: quiet, dense, in the theme's colour tokens."""

from __future__ import annotations

from typing import TypeVar

import panel as pn

from dashboard.theme import ASSETS

WIDGET_CSS = (ASSETS / "widgets.css").read_text()

W = TypeVar("W", bound=pn.viewable.Viewable)


def styled(widget: W, **params: object) -> W:
    """A Panel widget in the house style, as wide as its column."""
    widget.param.update(stylesheets=[WIDGET_CSS], margin=(2, 0, 5, 0), sizing_mode="stretch_width", **params)
    return widget


def heading(text: str) -> pn.viewable.Viewable:
    """A small heading between groups of controls; `text` is ours, never data."""
    css = (ASSETS / "heading.css").read_text()
    return pn.pane.HTML(text, stylesheets=[css], margin=(10, 0, 2, 0))


def told_beside() -> pn.pane.HTML:
    """A part of the inspector that is empty and hidden until it is asked for; its texts are escaped by who fills it."""
    css = (ASSETS / "inspector.css").read_text()
    return pn.pane.HTML("", visible=False, stylesheets=[css], sizing_mode="stretch_width", margin=0)
