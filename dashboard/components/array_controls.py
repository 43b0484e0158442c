"""Controls of an array view: scale, limits and what they are taken from."""

from __future__ import annotations

from typing import Any

import panel as pn

from dashboard.components.array_levels import SCALES
from dashboard.components.array_view import ArrayView
from dashboard.components.widget_style import styled

_SCALES = {"Linear": "linear", "Logarithmic": "logarithmic", "Histogram-equalised": "equalised"}
_FROM = {"This picture": "own", "All pictures": "shared", "Fixed": "fixed"}


class ArrayControls(pn.viewable.Viewer):
    """Scale and colour limits of one or more views, in one row.

    Parameters
    ----------
    *views : ArrayView
        The first one says what the controls begin with.
    """

    def __init__(self, *views: ArrayView, **params: Any) -> None:
        super().__init__(**params)
        assert set(_SCALES.values()) == set(SCALES)
        self.views = views
        first = views[0]
        self.scale = styled(pn.widgets.Select(label="Colour scale", options=_SCALES, value=first.scale))
        self.limits_from = styled(pn.widgets.Select(label="Colour limits", options=_FROM, value=first.limits_from))
        self.low = styled(pn.widgets.FloatInput(label="Lowest", value=first.limits[0]))
        self.high = styled(pn.widgets.FloatInput(label="Highest", value=first.limits[1]))
        self.fit = styled(pn.widgets.Button(label="Fit to view"))
        self.scale.param.watch(lambda event: self._set(scale=event.new), "value")
        self.limits_from.param.watch(self._from, "value")
        for bound in (self.low, self.high):
            bound.param.watch(self._bounds, "value")
        self.fit.on_click(lambda _: self._fit())
        first.param.watch(lambda *_: self._follow(), ["scale", "limits_from", "limits"])
        self._following = False
        self._follow()

    def __panel__(self) -> pn.viewable.Viewable:
        parts = (self.scale, self.limits_from, self.low, self.high, self.fit)
        for part in parts:
            part.param.update(margin=(2, 10, 5, 0), align="end")
        return pn.Row(*parts, margin=(0, 8), sizing_mode="stretch_width")

    def _set(self, **values: Any) -> None:
        if not self._following:
            for view in self.views:
                view.param.update(**values)

    def _from(self, event: Any) -> None:
        if event.new == "fixed" and not self._following:
            # What is fixed is what was seen last.
            scale = self.views[0].drawn_with
            self._set(limits=(scale.low, scale.high))
        self._set(limits_from=event.new)

    def _bounds(self, *_: Any) -> None:
        low, high = self.low.value, self.high.value
        if low is not None and high is not None and low < high:
            self._set(limits=(float(low), float(high)))

    def _fit(self) -> None:
        self.views[0].fit_limits()
        self._set(limits=self.views[0].limits, limits_from="fixed")

    def _follow(self) -> None:
        first = self.views[0]
        self._following = True
        try:
            self.scale.value, self.limits_from.value = first.scale, first.limits_from
            self.low.value, self.high.value = first.limits
            self.low.disabled = self.high.disabled = first.limits_from != "fixed"
        finally:
            self._following = False
