"""The house style of Panel's own widgets: quiet, dense, in the theme's colour tokens."""

from __future__ import annotations

from typing import TypeVar

import panel as pn

WIDGET_CSS = """
:host { --bk-font: inherit; color: var(--text); font-size: 12.5px; }
label, .bk-slider-title, .bk-input-group > label { color: var(--muted) !important; font-size: 12px !important; }
.bk-input, select.bk-input, input[type=text], input[type=number] { background: var(--field) !important; color: var(--text) !important;
  border: 1px solid var(--line) !important; border-radius: 4px; font-size: 12.5px !important; min-height: 26px; height: 28px; padding: 0 8px; }
.bk-input:focus { border-color: var(--accent) !important; box-shadow: 0 0 0 1px var(--accent) !important; }
.bk-btn { background: var(--field) !important; color: var(--text) !important; border: 1px solid var(--line) !important; border-radius: 4px; font-size: 12.5px; }
.bk-btn:hover { border-color: var(--accent) !important; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.bk-input-group > span, .checkbox span, .bk-input-group label span { color: var(--text); }
label:has(input[type=checkbox]) { color: var(--text) !important; font-size: 12.5px !important; }
input[type=checkbox] { accent-color: var(--accent); }
.noUi-target { background: var(--line); border: 0; box-shadow: none; } .noUi-connect { background: var(--accent) !important; }
.noUi-handle { background: var(--surface) !important; border: 1px solid var(--accent) !important; box-shadow: none !important; }
.bk-slider-value, .bk-slider-title { color: var(--text) !important; }
"""

W = TypeVar("W", bound=pn.viewable.Viewable)


def styled(widget: W, **params: object) -> W:
    """A Panel widget in the house style, as wide as its column."""
    widget.param.update(stylesheets=[WIDGET_CSS], margin=(2, 0, 5, 0), sizing_mode="stretch_width", **params)
    return widget


def heading(text: str) -> pn.viewable.Viewable:
    """A small heading between groups of controls; `text` is ours, never data."""
    css = ":host { color: var(--muted); font-size: 11px; letter-spacing: .06em; text-transform: uppercase; font-weight: 600; }"
    return pn.pane.HTML(text, stylesheets=[css], margin=(10, 0, 2, 0))
