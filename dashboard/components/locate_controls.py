"""The controls of arrival times: trust, field, sensors and layers."""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from dashboard.components.locate_state import TdoaState
from dashboard.components.widget_style import heading, styled

LIST_HEIGHT = 150
"""Height of the list of sensors, pixels."""


class LocateControls(pn.viewable.Viewer):
    """Widgets of a `TdoaState`.

    Examples
    --------
    >>> LocateControls(TdoaState()).widgets["sigma_ns"].value
    100.0
    """

    state: TdoaState = param.ClassSelector(class_=TdoaState, doc="What the widgets change.")  # type: ignore[assignment]

    def __init__(self, state: TdoaState, **params: Any) -> None:
        super().__init__(state=state, **params)
        p, w = state.param, pn.widgets
        self.widgets = {
            "sigma_ns": styled(w.FloatInput.from_param(p.sigma_ns, step=10.0)),
            "tie": styled(w.Checkbox.from_param(p.tie)),
            "alt_sigma_m": styled(w.FloatInput.from_param(p.alt_sigma_m, step=10.0)),
            "report_sigma_m": styled(w.FloatInput.from_param(p.report_sigma_m, step=5.0)),
            "dilution": styled(w.Select.from_param(p.dilution)),
            "field_alt_m": styled(w.FloatInput.from_param(p.field_alt_m, step=1000.0)),
            "reach_km": styled(w.FloatInput.from_param(p.reach_km, step=50.0)),
            "window_s": styled(w.FloatInput.from_param(p.window_s, step=60.0)),
        }
        layers = ("show_sensors", "show_fixes", "show_lines", "show_trails", "show_reports")
        self.widgets |= {name: styled(w.Checkbox.from_param(p[name])) for name in layers}
        self.sensors = styled(w.CheckBoxGroup(label="", options=[], value=[], inline=False))
        self.all_on = styled(w.Button(label="Switch all sensors on"))
        self._telling = False
        self.sensors.param.watch(self._switched, "value")
        self.all_on.on_click(lambda _: setattr(self.state, "off", ()))
        ws = self.widgets
        self._layout = pn.Column(
            heading("Layers"), *(ws[name] for name in layers),
            heading("Field"), ws["dilution"], ws["field_alt_m"], ws["reach_km"],
            heading("Trust"), ws["sigma_ns"], ws["tie"], ws["alt_sigma_m"], ws["report_sigma_m"], ws["window_s"],
            heading("Sensors in use"),
            pn.Column(self.sensors, height=LIST_HEIGHT, scroll="y-auto", margin=0, sizing_mode="stretch_width"),
            self.all_on, margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def offer(self, names: list[str]) -> None:
        """Offer these sensors, those that are off unchecked."""
        off = set(self.state.off)
        names = sorted({*names, *off}, key=lambda name: (len(name), name))
        value = [name for name in names if name not in off]
        if names == self.sensors.options and value == self.sensors.value:
            return
        self._telling = True
        try:
            self.sensors.param.update(options=names, value=value)
        finally:
            self._telling = False
        self.all_on.disabled = not off

    def _switched(self, event: Any) -> None:
        if not self._telling:
            self.state.param.update(off=tuple(sorted(set(self.sensors.options) - set(event.new))))
