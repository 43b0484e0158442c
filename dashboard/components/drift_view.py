"""The Drift view: small multiples over a list or a map, evidence beside them, with the time control of every page."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import panel as pn
import param
import pyarrow as pa

from dashboard.components.drift_controls import DriftControls
from dashboard.components.drift_inspector import DriftInspector
from dashboard.components.drift_map import DriftMap
from dashboard.components.drift_state import LISTS, DriftState
from dashboard.components.feed import (
    ALERT_COLUMNS,
    CLUSTER_COLUMNS,
    PLACE_COLUMNS,
    Feed,
    alert_rows,
    cluster_rows,
    place_rows,
)
from dashboard.components.inspector import utc_text
from dashboard.components.multiples import Multiples
from dashboard.components.page_view import PageView
from dashboard.components.widget_style import styled
from engine.frames.drift_frame import DriftFrame, DriftSpec
from engine.frames.spec import hundredths
from engine.station import Station

LIST_HEIGHT, MAP_HEIGHT = 250, 400
"""Height of what stands under the small multiples, pixels."""


class DriftView(PageView):
    """One viewer's look at what drifts.

    Examples
    --------
    In a notebook::

        DriftView(Station(feed="sample").start())
    """

    state: DriftState = param.ClassSelector(
        class_=DriftState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: DriftState | None = None, **params: Any) -> None:
        super().__init__(station, state or DriftState(), **params)
        s = self.state
        self.controls, self.inspector = DriftControls(s), DriftInspector(s)
        self.multiples = Multiples(selected=s.series)
        self.alerts = Feed(columns=ALERT_COLUMNS, acts=True, selected=s.alert, empty="No alert stands: quiet.")
        self.clusters = Feed(columns=CLUSTER_COLUMNS, empty="No cluster was told of inside the window.")
        self.places = Feed(columns=PLACE_COLUMNS, empty="No place was told of inside the window.")
        self.lists = styled(pn.widgets.RadioButtonGroup(options=LISTS, value=s.listed))
        self.told = pn.pane.Str(
            "", margin=(8, 10), stylesheets=["pre { margin: 0; font: inherit; color: var(--muted); }"]
        )
        self._map: DriftMap | None = None
        self._under = pn.Column(sizing_mode="stretch_width", height=LIST_HEIGHT, margin=0)
        self.body = pn.Column(
            self.multiples, pn.Row(self.lists, self.told, margin=(0, 12), sizing_mode="stretch_width", height=38),
            self._under, sizing_mode="stretch_both", margin=0,
        )  # fmt: skip
        self.lists.param.update(sizing_mode="fixed", width=300, height=30)
        self.watch = station.monitoring.board.watch(self.spec(), lambda: self.wake())
        self._seen = self.watch.look()
        self._shown: tuple[DriftFrame, Any] | None = None
        self._behind: tuple[str, pa.Table | None] = ("", None)
        self.lists.param.watch(lambda event: s.param.update(listed=event.new), "value")
        self.multiples.on_series = self._on_series
        self.alerts.on_act = self._on_alert
        self.clusters.on_act = self.places.on_act = lambda _, key: self._on_series(key)
        self.inspector.on_answer = self._answer
        self.controls.on_drill = self._drill
        self._place()

    def spec(self) -> DriftSpec:
        """What this view needs computed."""
        moment_s = hundredths(self.moment_s)
        if moment_s is not None and self.state.mode == "replaying":
            moment_s = float(math.floor(moment_s))  # monitors speak once a second; four frames of it would be the same
        return DriftSpec(float(self.state.window_s), moment_s)

    def draw(self) -> None:
        """Draw the newest frame, ask for another when window or moment changed."""
        spec = self.spec()
        if spec != self.watch.spec:
            self.watch.request(spec)
        s = self.state
        self.controls.tell(self.station.monitoring.drill())
        self._seen = self.watch.look()
        frame = self._seen.frame
        key = (s.monitor, s.shown, s.drills, s.listed, s.series, s.alert, s.theme)
        if frame is None or (self._shown is not None and self._shown[0] is frame and self._shown[1] == key):
            return
        self._shown = (frame, key)
        self.controls.offer([status.monitor for status in frame.monitors])
        self.multiples.draw(frame, s.monitor)
        self.multiples.selected = s.series
        shown = self._wanted(frame.alerts)
        self.alerts.param.update(rows=alert_rows(shown), selected=s.alert, now_s=frame.moment_s)
        self.clusters.param.update(rows=cluster_rows(frame.clusters), selected=s.series, now_s=frame.moment_s)
        self.places.param.update(rows=place_rows(frame.located), selected=s.series, now_s=frame.moment_s)
        self.told.object = f"{len(shown)} of {len(frame.alerts)} alerts · {len(frame.clusters)} clusters"
        if self._map is not None:
            self._map.draw(shown, frame.places)
        alert = self._alert(frame)
        self.inspector.describe(frame, alert, self._events_behind(alert))

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        waiting = {"waiting": self._seen.waiting}
        if self._seen.error:
            return {"kind": "failed", "title": "The monitors could not be read", **waiting,
                    "text": f"{self._seen.error}. It is tried again every second; the log says more."}  # fmt: skip
        frame = self._seen.frame
        if frame is None:
            return {"kind": "loading", **waiting}
        stands = int((frame.alerts["state"] == "raised").sum())
        caption = (
            f"Drift monitors over {frame.spec.window_s / 60:g} min, {stands} alerts stand · "
            f"{utc_text(frame.moment_s)} · seq {frame.seq} · {self.station.health.get('label', '')}"
        )
        if not frame.series and frame.alerts.empty:
            text = (
                "Monitors speak once a minute of event time, from the first events on. "
                "Feed network traffic (FEED=path/to/eve.json make serve), start a drill, or go back to live."
            )
            return {"kind": "empty", "title": "No monitor has spoken yet", "text": text, "caption": caption, **waiting}
        return {"kind": "ok", "caption": caption, "at": f"{frame.moment_s:.2f}", **waiting}

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """Multiples and list."""
        return [pn.Column(self.body, height=640, sizing_mode="stretch_width")]

    def close_watches(self) -> None:
        """Let the board forget this view."""
        self.watch.close()

    def changed(self) -> None:
        """The state changed: place what stands below, then draw."""
        self._place()
        super().changed()

    # -- inside ---------------------------------------------------------------------------------

    def _place(self) -> None:
        listed = self.state.listed
        if listed == "map" and self._map is None:
            self._map = DriftMap(self.state)
            self._shown = None
        wanted = {"alerts": self.alerts, "clusters": self.clusters, "places": self.places, "map": self._map}[listed]
        if self._under.objects != [wanted]:
            self._under.objects = [wanted]
            self._under.height = MAP_HEIGHT if listed == "map" else LIST_HEIGHT
        if self.lists.value != listed:
            self.lists.value = listed

    def _wanted(self, alerts: pd.DataFrame) -> pd.DataFrame:
        s = self.state
        keep = pd.Series(True, alerts.index)
        if s.monitor:
            keep &= alerts["monitor"] == s.monitor
        if not s.drills:
            keep &= alerts["drill"] == ""
        if s.shown != "all":
            keep &= alerts["state"] == "raised"
        if s.shown == "open":
            keep &= ~alerts["acknowledged"].astype(bool) & ~alerts["muted"].astype(bool)
        return alerts[keep]

    def _alert(self, frame: DriftFrame) -> dict[str, Any] | None:
        found = frame.alerts[frame.alerts["alert"] == self.state.alert] if self.state.alert else frame.alerts[:0]
        return found.iloc[0].to_dict() if len(found) else None

    def _events_behind(self, alert: dict[str, Any] | None) -> pa.Table | None:
        if alert is None:
            return None
        if self._behind[0] != alert["alert"]:
            self._behind = (alert["alert"], self.station.monitoring.events_behind(str(alert["seqs"] or "")))
        return self._behind[1]

    def _on_series(self, key: str) -> None:
        self.state.param.update(series=key, alert="")

    def _on_alert(self, do: str, key: str) -> None:
        self.state.param.update(alert=key, series="")
        if do == "ack":
            self._answer("ack")

    def _answer(self, do: str) -> None:
        frame = self._seen.frame
        alert = self._alert(frame) if frame is not None else None
        if alert is None:
            return
        by, note = (str(widget.value or "").strip() for widget in (self.inspector.by, self.inspector.note))
        monitoring, monitor, entity = self.station.monitoring, str(alert["monitor"]), str(alert["entity"])
        if do == "moment":
            # A second on, when what led to it is all there; less where it did not stand as long.
            stood_s = (alert["cleared"] - alert["raised"]).total_seconds()
            self.seek(alert["raised"].timestamp() + (min(1.0, stood_s / 2.0) if stood_s > 0.0 else 1.0))
            return
        if do == "ack":
            taken = monitoring.acknowledge(str(alert["alert"]), by, note)
        else:
            seconds = float(self.inspector.mute_for.value) if do == "mute" else 0.0
            taken = monitoring.mute(monitor, entity, seconds, by, note)
        said = {"ack": "Acknowledged", "mute": "Muted", "unmute": "No longer muted"}[do]
        self.strip.notice = f"{said}, for all viewers" if taken else "The queue is full: try again in a moment"

    def _drill(self, name: str, seed: int) -> None:
        monitoring = self.station.monitoring
        try:
            if monitoring.drill().state == "running":
                monitoring.cancel_drill()
                self.strip.notice = "The drill is cancelled; live state is cleaned"
            else:
                self.strip.notice = f"Drill started: {monitoring.start_drill(name, seed)}"
        except ValueError as error:
            self.strip.notice = str(error)
        self.pull()
