"""Ranges that one or more array pictures share, and the view in them once it rests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bokeh.models import ColumnDataSource, CustomJS, Range1d

from dashboard.components.array_source import Bounds
from dashboard.theme import ASSETS

_ARRAY_JS = (ASSETS / "array.js").read_text()


class LinkedRanges:
    """The x and y range of one or more pictures: what is zoomed in one is zoomed in all.

    Parameters
    ----------
    square : bool
        Keep one unit of x as long as one of y.

    Examples
    --------
    Two views side by side::

        ranges = LinkedRanges()
        left, right = ArrayView(a, ranges=ranges), ArrayView(b, ranges=ranges)
    """

    def __init__(self, square: bool = True) -> None:
        self.x_range, self.y_range = Range1d(), Range1d()
        # The browser's every small step must not come back as a message: only the resting view does.
        self.x_range.syncable = self.y_range.syncable = False
        self.viewport = ColumnDataSource(data={"v": []})
        self.place = ColumnDataSource(data={"home": [0.0] * 4, "go": [0.0] * 4, "square": [int(square)] * 4})
        self.home: Bounds | None = None
        self.view: Bounds | None = None
        self.pixels = (512, 512)
        self._listeners: list[Callable[[], None]] = []
        self._wired = False
        self.viewport.on_change("data", self._moved)

    def listen(self, changed: Callable[[], None]) -> None:
        """Call when the view has come to rest at other bounds."""
        self._listeners.append(changed)

    def settle(self, home: Bounds, keep: bool = False) -> None:
        """Take the bounds of a whole picture, and show them if they are others than before.

        Parameters
        ----------
        home : (left, bottom, right, top)
        keep : bool
            Keep the view all the same, as for a file that grows.
        """
        if home == self.home:
            return
        fresh = self.home is None or not keep
        self.home = home
        # Nowhere to go: the browser must not take the bounds of last time for a wish of now.
        self.place.data = {**self.place.data, "home": list(home), "go": [0.0] * 4}
        if fresh:
            self.go(home)

    def go(self, bounds: Bounds) -> None:
        """Show these bounds; with square cells at least these."""
        if not all(map(math.isfinite, bounds)) or bounds[0] >= bounds[2] or bounds[1] >= bounds[3]:
            raise ValueError(f"bounds are {bounds}; they must be finite, left below right and bottom below top")
        self.view = bounds
        self.x_range.update(start=bounds[0], end=bounds[2])
        self.y_range.update(start=bounds[1], end=bounds[3])
        self.place.data = {**self.place.data, "go": list(bounds)}

    def wire(self, fig: Any) -> None:
        """Let a figure with these ranges report its view; the first one does it for all."""
        if self._wired:
            return
        self._wired = True
        args = {"fig": fig, "viewport": self.viewport, "place": self.place}
        # The first callback to run brings the script along, so that it works in a notebook too.
        load = f"if (!window.scytheArray) {{ {_ARRAY_JS} }}\n"
        fit = CustomJS(args=args, code=load + "scytheArray.fit(fig, viewport, place)")
        fig.js_on_change("inner_width", fit)
        fig.js_on_change("inner_height", fit)
        self.place.js_on_change("data", CustomJS(args=args, code=load + "scytheArray.go(fig, viewport, place)"))
        moved = CustomJS(args=args, code="window.scytheArray && scytheArray.moved(fig, viewport)")
        for axis_range in (self.x_range, self.y_range):
            axis_range.js_on_change("start", moved)
            axis_range.js_on_change("end", moved)
        home = CustomJS(args=args, code="window.scytheArray && scytheArray.home(fig, viewport, place)")
        fig.js_on_event("doubletap", home)
        fig.js_on_event("reset", home)

    def _moved(self, attr: str, old: object, new: dict[str, list[float]]) -> None:
        values = [float(v) for v in new.get("v", [])]
        if len(values) != 6 or not all(map(math.isfinite, values)) or values[2] <= values[0] or values[3] <= values[1]:
            return
        self.view = (values[0], values[1], values[2], values[3])
        self.pixels = (int(min(max(values[4], 16), 1024)), int(min(max(values[5], 16), 1024)))
        for listener in self._listeners:
            listener()
