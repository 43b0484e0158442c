"""The controls of the Volume page: which fields, in how fine a volume, where it is cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import param

from dashboard.components.volume_state import VolumeState
from dashboard.components.widget_style import heading, styled
from dashboard.words import numbers


class VolumeControls(pn.viewable.Viewer):
    """Widgets of a `VolumeState`, in groups; they change the state and follow it.

    Examples
    --------
    >>> sorted(VolumeControls(VolumeState()).widgets)[:3]
    ['alt_m', 'detail', 'diffraction']
    """

    state: VolumeState = param.ClassSelector(class_=VolumeState, doc="What the widgets change.")  # type: ignore[assignment]

    def __init__(self, state: VolumeState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.on_line: Callable[[], None] | None = None
        self.refuse: Callable[[str], None] = lambda sentence: None
        self._following = False
        p, w = state.param, pn.widgets
        self.widgets = {
            "show_field": styled(w.Checkbox.from_param(p.show_field)),
            "show_forecast": styled(w.Checkbox.from_param(p.show_forecast)),
            "show_emitters": styled(w.Checkbox.from_param(p.show_emitters)),
            "detail": styled(w.Select.from_param(p.detail)),
            "exaggeration": styled(w.FloatSlider.from_param(p.exaggeration, start=1.0, end=40.0, step=1.0)),
            "opacity": styled(w.FloatSlider.from_param(p.opacity, start=0.05, end=1.0, step=0.05)),
            "alt_m": styled(w.FloatSlider.from_param(p.alt_m, start=0.0, end=20_000.0, step=250.0, format="0,0")),
            "model": styled(w.Select.from_param(p.model)),
            "horizon": styled(w.Checkbox.from_param(p.horizon)),
            "diffraction": styled(w.Checkbox.from_param(p.diffraction)),
            "forecast_s": styled(w.FloatSlider.from_param(p.forecast_s, start=5.0, end=300.0, step=5.0)),
            "limits_dbm": styled(w.RangeSlider.from_param(p.limits_dbm, start=-160.0, end=20.0, step=1.0)),
        }
        self.draw_line = styled(w.Button(label="Draw a line on the map"))
        self.ends = styled(w.TextInput(label="Section A, B (lat, lon, lat, lon)", placeholder="47.4, 6.0, 46.2, 9.5"))
        self.draw_line.on_click(lambda _: self.on_line and self.on_line())
        self.ends.param.watch(self._typed, "value")
        state.param.watch(lambda *_: self._follow(), ["line", "west", "east", "south", "north"])
        self._follow()
        ws = self.widgets
        self._layout = pn.Column(
            heading("Fields"), ws["show_field"], ws["show_forecast"], ws["show_emitters"],
            heading("Volume"), ws["detail"], ws["exaggeration"], ws["opacity"],
            heading("Slice and section"), ws["alt_m"], self.draw_line, self.ends,
            heading("Model"), ws["model"], ws["horizon"], ws["diffraction"], ws["forecast_s"],
            heading("Scale"), ws["limits_dbm"],
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def awaits(self, ends: int) -> None:
        """Say how many clicks a line under way still needs; 0 is none under way."""
        self.draw_line.label = {2: "Click where it begins (A)", 1: "Click where it ends (B)"}.get(
            ends, "Draw a line on the map"
        )

    def _follow(self) -> None:
        text = ", ".join(f"{v:.3f}" for v in self.state.section_line)
        self._following = True
        try:
            self.ends.value = text
        finally:
            self._following = False

    def _typed(self, event: Any) -> None:
        if self._following:
            return
        try:
            values = numbers(str(event.new)[:80], 4, "four numbers are needed: lat, lon of A, then lat, lon of B")
            if not all(abs(v) <= 85.06 for v in values[::2]) or not all(abs(v) <= 180 for v in values[1::2]):
                raise ValueError("latitudes to ±85.06° and longitudes to ±180° are needed")
            if abs(values[0] - values[2]) + abs(values[1] - values[3]) < 1e-3:
                raise ValueError("A and B are the same place; a line with a length is needed")
        except ValueError as error:
            self.refuse(str(error))
            return
        self.state.line = tuple(values)
