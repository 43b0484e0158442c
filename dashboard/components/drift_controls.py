"""The controls of the Drift page: window, filters, and the drills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import param

from dashboard.components.drift_state import DriftState
from dashboard.components.drift_words import monitor_word
from dashboard.components.widget_style import heading, styled
from engine.drills import SCENARIOS
from engine.monitoring import DrillStatus


class DriftControls(pn.viewable.Viewer):
    """Widgets of a `DriftState`, and the button that starts and cancels a drill.

    Examples
    --------
    >>> DriftControls(DriftState()).play.name != ""
    True
    """

    state: DriftState = param.ClassSelector(class_=DriftState, doc="What the widgets change.")  # type: ignore[assignment]

    def __init__(self, state: DriftState, **params: Any) -> None:
        super().__init__(state=state, **params)
        p, w = state.param, pn.widgets
        self.on_drill: Callable[[str, int], None] | None = None
        self.window = styled(w.Select.from_param(p.window_s))
        self.monitor = styled(w.Select(label="Monitor", options={"All monitors": ""}, value=""))
        self.shown = styled(w.Select.from_param(p.shown))
        self.drills = styled(w.Checkbox.from_param(p.drills))
        self.scenario = styled(w.Select(label="Drill", options={s.title: s.name for s in SCENARIOS.values()}))
        self.seed = styled(w.IntInput(label="Seed", value=0, start=0, end=10_000))
        self.play = styled(w.Button(label="Start the drill"))
        self.told = pn.pane.Str("", margin=(2, 0), sizing_mode="stretch_width", stylesheets=[_TOLD])
        self.about = pn.pane.Str("", margin=(2, 0), sizing_mode="stretch_width", stylesheets=[_TOLD])
        self.monitor.param.watch(lambda event: state.param.update(monitor=event.new), "value")
        self.scenario.param.watch(lambda _: self._describe(), "value")
        self.play.on_click(lambda _: self._played())
        self._describe()
        self._layout = pn.Column(
            heading("Monitors"), self.window, self.monitor, heading("Alerts"), self.shown, self.drills,
            heading("Drills"), self.scenario, self.about, self.seed, self.play, self.told,
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def offer(self, monitors: list[str]) -> None:
        """Offer these monitors in the filter."""
        names = sorted({*monitors, *filter(None, [self.state.monitor])})
        options = {"All monitors": "", **{monitor_word(name).title: name for name in names}}
        if options != self.monitor.options:
            self.monitor.param.update(options=options, value=self.state.monitor)
        elif self.monitor.value != self.state.monitor:
            self.monitor.value = self.state.monitor

    def tell(self, drill: DrillStatus) -> None:
        """Say how the drill is."""
        running = drill.state == "running"
        label = "Cancel the drill" if running else "Start the drill"
        if self.play.label != label:
            self.play.label = label
        text = {
            "idle": "", "running": f"{drill.title}: {100 * drill.progress:.0f} %, marked as a drill everywhere",
            "finished": f"{drill.title}: over; live state is as it was, the log keeps it",
            "failed": f"{drill.title} failed: {drill.error}",
        }.get(drill.state, drill.state)  # fmt: skip
        if self.told.object != text:
            self.told.object = text

    def _describe(self) -> None:
        self.about.object = SCENARIOS[str(self.scenario.value)].about

    def _played(self) -> None:
        if self.on_drill is not None:
            self.on_drill(str(self.scenario.value), int(self.seed.value or 0))


_TOLD = "pre { white-space: pre-wrap; margin: 0; font: inherit; color: var(--muted); font-size: 12px; }"
