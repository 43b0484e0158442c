"""The controls of the Field page: what is shown, by which model, within which limits."""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from dashboard.components.widget_style import heading, styled
from dashboard.state import ViewState


class FieldControls(pn.viewable.Viewer):
    """Widgets of a `ViewState`, in groups; they change the state and follow it.

    Examples
    --------
    >>> controls = FieldControls(ViewState())
    >>> len(controls.widgets) > 8
    True
    """

    state: ViewState = param.ClassSelector(class_=ViewState, doc="What the widgets change.")  # type: ignore[assignment]

    def __init__(self, state: ViewState, **params: Any) -> None:
        super().__init__(state=state, **params)
        p = state.param
        w = pn.widgets
        # No editable slider: its JavaScript link keeps every session that ever had one in memory (panel 1.9.4).
        self.widgets = {
            "show_field": styled(w.Checkbox.from_param(p.show_field)),
            "show_forecast": styled(w.Checkbox.from_param(p.show_forecast)),
            "show_trails": styled(w.Checkbox.from_param(p.show_trails)),
            "show_emitters": styled(w.Checkbox.from_param(p.show_emitters)),
            "show_spectrum": styled(w.Checkbox.from_param(p.show_spectrum)),
            "model": styled(w.Select.from_param(p.model)),
            "height_m": styled(w.FloatInput.from_param(p.height_m, step=10.0)),
            "horizon": styled(w.Checkbox.from_param(p.horizon)),
            "diffraction": styled(w.Checkbox.from_param(p.diffraction)),
            "forecast_s": styled(w.FloatSlider.from_param(p.forecast_s, start=5.0, end=300.0, step=5.0)),
            "trail_s": styled(w.FloatInput.from_param(p.trail_s, step=60.0, start=60.0, end=7200.0)),
            "limits_dbm": styled(w.RangeSlider.from_param(p.limits_dbm, start=-160.0, end=20.0, step=1.0)),
            "cells": styled(w.Select.from_param(p.cells)),
            "contest": styled(w.Select.from_param(p.contest)),
            "group_by": styled(w.Select.from_param(p.group_by)),
            "group_a": styled(w.TextInput.from_param(p.group_a, placeholder="aircraft, swr*")),
            "group_b": styled(w.TextInput.from_param(p.group_b, placeholder="all others")),
            "contested_db": styled(w.FloatInput.from_param(p.contested_db, step=0.5)),
            "score_signal": styled(w.FloatInput.from_param(p.score_signal, step=0.1)),
            "score_coherence": styled(w.FloatInput.from_param(p.score_coherence, step=0.1)),
            "score_likeness": styled(w.FloatInput.from_param(p.score_likeness, step=0.1)),
            "show_tiles": styled(w.Checkbox.from_param(p.show_tiles)),
        }
        ws = self.widgets
        self._layout = pn.Column(
            heading("Layers"), ws["show_field"], ws["show_forecast"], ws["show_trails"], ws["show_emitters"],
            ws["show_spectrum"],
            heading("Model"), ws["model"], ws["height_m"], ws["horizon"], ws["diffraction"],
            heading("Forecast and trails"), ws["forecast_s"], ws["trail_s"],
            heading("Dominance"), ws["contest"], ws["group_by"], ws["group_a"], ws["group_b"], ws["contested_db"],
            ws["score_signal"], ws["score_coherence"], ws["score_likeness"],
            heading("Scale and grid"), ws["limits_dbm"], ws["cells"], ws["show_tiles"],
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self._fold()
        state.param.watch(self._fold, ["contest", "group_by"])

    def _fold(self, *_: Any) -> None:
        """Only the widgets that mean something for what is drawn."""
        s = self.state
        shown = {
            "group_by": s.contest in ("server", "margin", "score"),
            "group_a": s.contest == "ab" or (s.contest != "none" and s.group_by == "ab"),
            "contested_db": s.contest in ("ab", "server", "margin"),
            "score_signal": s.contest == "score",
        }
        shown["group_b"] = shown["group_a"]
        shown["score_coherence"] = shown["score_likeness"] = shown["score_signal"]
        for name, visible in shown.items():
            self.widgets[name].visible = visible

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout
