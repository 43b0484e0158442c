"""The controls of the picture on the Runs page: only those that the picture shown has."""

from __future__ import annotations

from typing import Any

import panel as pn

from dashboard.components.run_listing import Listing
from dashboard.components.run_rows import numeric
from dashboard.components.runs_state import RunsState
from dashboard.components.widget_style import heading, styled
from engine.hunts import HuntDesk
from engine.run_grids import GridInfo

PLAY_MS = 160
"""One frame of the history, ms."""

_SHOWN = {
    "scatter": ("x", "y", "colour"), "parallel": ("colour",), "wall": ("dataset", "order", "limits", "low", "high"),
    "run": ("dataset", "frame", "play", "compare", "scale", "limits", "low", "high"), "files": (),
}  # fmt: skip
_COLUMNS = ("x", "y", "colour", "order")


class RunPictureControls:
    """Widgets of a `RunsState` for the picture; they change the state and follow it.

    Parameters
    ----------
    state : RunsState
    """

    def __init__(self, state: RunsState) -> None:
        self.state, p, w = state, state.param, pn.widgets
        self._quiet = self._playing = False
        self.widgets: dict[str, Any] = {
            "hunt": styled(w.Select(label="Runs of", options={"All hunts": ""}, value="")),
            "follow": styled(w.Select.from_param(p.follow)),
            "x": styled(w.Select(label="Across", options=[state.x], value=state.x)),
            "y": styled(w.Select(label="Up", options=[state.y], value=state.y)),
            "colour": styled(w.Select(label="Colour", options=[state.colour], value=state.colour)),
            "order": styled(w.Select(label="Sorted by", options=[state.order], value=state.order)),
            "dataset": styled(w.Select(label="Dataset", options=[state.dataset], value=state.dataset)),
            "frame": styled(w.IntSlider(label="Frame of the history", start=0, end=1, value=0)),
            "play": styled(w.Button(label="Play the history")),
            "compare": styled(w.Select.from_param(p.compare)),
            "scale": styled(w.Select.from_param(p.scale)),
            "limits": styled(w.Select.from_param(p.limits)),
            "low": styled(w.FloatInput(label="Lowest colour at", value=state.fixed[0])),
            "high": styled(w.FloatInput(label="Highest colour at", value=state.fixed[1])),
        }
        for name in ("hunt", *_COLUMNS, "dataset", "frame"):
            self.widgets[name].param.watch(lambda event, name=name: self._chosen(name, event.new), "value")
        for name in ("low", "high"):
            self.widgets[name].param.watch(lambda _: self._fixed(), "value")
        self.widgets["play"].on_click(lambda _: self._play())
        ws = self.widgets
        self.view = pn.Column(
            heading("Runs"), ws["hunt"], ws["follow"], heading("Picture"),
            *(ws[name] for name in list(ws)[2:]),
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def draw(self, found: Listing, desk: HuntDesk, datasets: list[GridInfo]) -> None:
        """Follow the state, and what there is to choose from."""
        self._quiet = True
        try:
            self._follow(found, desk, datasets)
        finally:
            self._quiet = False

    # -- inside ---------------------------------------------------------------------------------------

    def _follow(self, found: Listing, desk: HuntDesk, datasets: list[GridInfo]) -> None:
        s = self.state
        hunts = {"All hunts": ""} | {
            f"{h['sampler']}, seed {h['seed']} · {str(h['hunt_id'])[:8]}": str(h["hunt_id"]) for h in desk.hunts
        }
        if s.hunt and s.hunt not in hunts.values():
            hunts[f"{s.hunt[:8]} (not here)"] = s.hunt
        self._options("hunt", hunts, s.hunt)
        there = numeric(found.table)
        for name in ("x", "y", "colour"):
            value = getattr(s, name)
            self._options(name, there if value in there else [*there, value], value)
        orders = {
            f"{n}, {way}": sign + n
            for n in there
            for sign, way in (("-", "from high to low"), ("", "from low to high"))
        }
        self._options("order", orders if s.order in orders.values() else {**orders, s.order: s.order}, s.order)
        names = [d.name for d in datasets] or ["final_rho", "final_g_tt", "rho_s"]
        self._options("dataset", names if s.dataset in names else [*names, s.dataset], s.dataset)
        frames = next((d.frames for d in datasets if d.name == s.dataset), 1)
        self._frames = frames
        if frames > 1:
            slider = self.widgets["frame"]
            slider.param.update(end=frames - 1, value=min(s.frame, frames - 1))
        shown = {"hunt", "follow", *_SHOWN[s.look]}
        if frames <= 1:
            shown -= {"frame", "play"}
        if s.limits != "fixed":
            shown -= {"low", "high"}
        self.widgets["low"].value, self.widgets["high"].value = s.fixed
        if not s.others:
            shown -= {"compare"}
        for name, widget in self.widgets.items():
            if widget.visible != (name in shown):
                widget.visible = name in shown

    def _options(self, name: str, options: Any, value: Any) -> None:
        widget = self.widgets[name]
        if widget.options != options or widget.value != value:
            widget.param.update(options=options, value=value)

    def _chosen(self, name: str, value: Any) -> None:
        if not self._quiet and value is not None:
            setattr(self.state, name, value)

    def _fixed(self) -> None:
        low, high = self.widgets["low"].value, self.widgets["high"].value
        if not self._quiet and low is not None and high is not None and low < high:
            self.state.fixed = (low, high)

    def _play(self) -> None:
        self._playing = not self._playing
        self.widgets["play"].label = "Stop" if self._playing else "Play the history"
        if self._playing:
            self._step()

    def _step(self) -> None:
        document = pn.state.curdoc
        if not self._playing or self.state.look != "run" or self._frames <= 1 or document is None:
            self._playing, self.widgets["play"].label = False, "Play the history"
            return
        self.state.frame = (self.state.frame + 1) % self._frames
        # Without a session (a notebook) the loop of the kernel would be held by this; there the slider does it.
        if document.session_context is not None:
            document.add_timeout_callback(self._step, PLAY_MS)
