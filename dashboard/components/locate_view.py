"""The Locate view: where emitters are, by arrival times at sensors or by received power, with one time control.

By arrival times it looks at what the desk of the station computes; by received power it hosts the view of measured
fields, which shares state, strip and bell.
"""

from __future__ import annotations

import math
from typing import Any

import panel as pn
import param

from dashboard.components.feed import Feed
from dashboard.components.inspector import utc_text
from dashboard.components.locate_controls import LocateControls
from dashboard.components.locate_inspector import LocateInspector
from dashboard.components.locate_map import SENSOR, LocateMap
from dashboard.components.locate_rows import FIX_COLUMNS, SENSOR_COLUMNS, fix_rows, listed, sensor_rows
from dashboard.components.locate_state import LISTS, LocateState
from dashboard.components.locate_wanted import locate_spec
from dashboard.components.locate_words import DILUTIONS
from dashboard.components.measured_view import MeasuredView
from dashboard.components.page_view import PageView
from dashboard.components.widget_style import heading, styled
from engine.frames.locate_frame import LocateFrame, LocateSpec
from engine.locate_desk import LocateDesk
from engine.station import Station

LIST_HEIGHT = 168
"""Height of the list under the map, pixels."""

_LINE = "pre { margin: 0; font: inherit; font-size: 12px; color: var(--muted); }"


class _Mounted(MeasuredView):
    """The view of measured fields inside another one, which draws it when it draws itself."""

    def pull(self) -> None:
        """Ring the view around this one."""
        self.wake()


class LocateView(PageView):
    """One viewer's look at where emitters are.

    Examples
    --------
    In a notebook::

        LocateView(Station(feed="tdoa").start())
    """

    state: LocateState = param.ClassSelector(
        class_=LocateState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: LocateState | None = None, **params: Any) -> None:
        super().__init__(station, state or LocateState(), **params)
        s = self.state
        self.map, self._controls, self._inspector = LocateMap(s), LocateControls(s), LocateInspector(s)
        self.method = styled(pn.widgets.RadioButtonGroup.from_param(s.param.method))
        self.lists = styled(pn.widgets.RadioButtonGroup(options=LISTS, value=s.listed))
        self.lists.param.update(sizing_mode="fixed", width=330, height=28)
        self.rows = Feed(columns=FIX_COLUMNS, empty="No message was heard within the time listed.")
        self.told = pn.pane.Str("", margin=(7, 10), stylesheets=[_LINE])
        self._by_times = pn.Column(
            self.map, pn.Row(self.lists, self.told, margin=(0, 12), sizing_mode="stretch_width", height=34),
            pn.Column(self.rows, height=LIST_HEIGHT, sizing_mode="stretch_width", margin=0),
            sizing_mode="stretch_both", margin=0,
        )  # fmt: skip
        self.controls = pn.Column(heading("Located by"), self.method, margin=0, sizing_mode="stretch_width")
        self.body = pn.Column(sizing_mode="stretch_both", margin=0)
        self.inspector = pn.Column(margin=0, sizing_mode="stretch_width")
        self._measured: _Mounted | None = None
        self._shown: tuple[Any, ...] = ()
        self.desk = station.desk(LocateDesk)
        self.watch = self.desk.board.watch(self.spec(), lambda: self.wake())
        self._seen = self.watch.look()
        self.lists.param.watch(lambda event: s.param.update(listed=event.new), "value")
        self.rows.on_act = self._picked
        self._place()

    @property
    def frame(self) -> LocateFrame | None:
        """The frame on the screen."""
        return self._seen.frame

    def spec(self) -> LocateSpec:
        """What this view needs computed."""
        return locate_spec(self.state, self.map.view, self.moment_s)

    def draw(self) -> None:
        """Draw the newest frame, ask for another when the wish changed."""
        if self._measured is not None and self.state.method == "rssi":
            self._measured.draw()
            return
        spec = self.spec()
        if spec != self.watch.spec:
            self.watch.request(spec)
        self._seen = self.watch.look()
        frame, s = self._seen.frame, self.state
        key = (frame, s.listed, s.selected, s.message, s.off, s.theme)
        if frame is None or self._shown == key:
            return
        self._shown = key
        self.map.draw(frame)
        self._controls.offer(frame.sensors["sensor"].astype(str).tolist())
        self._inspector.describe(frame)
        self._list(frame)

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        if self._measured is not None and self.state.method == "rssi":
            return self._measured.picture()
        waiting = {"waiting": self._seen.waiting}
        if self._seen.error:
            return {"kind": "failed", "title": "The positions could not be computed", **waiting,
                    "text": f"{self._seen.error}. It is tried again every second; the log says more."}  # fmt: skip
        frame = self._seen.frame
        if frame is None:
            return {"kind": "loading", **waiting}
        caption = self._caption_of(frame)
        if not len(frame.fixes.table) and frame.sensors.empty:
            text = (
                "No sensor and no arrival time is known at this moment. Start a source: FEED=tdoa make serve plays "
                "recorded ones; or scrub back, or go back to live."
            )
            return {"kind": "empty", "title": "No sensor was heard of", "text": text, "caption": caption, **waiting}
        return {"kind": "ok", "caption": caption, "at": f"{frame.moment_s:.2f}", **waiting}

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """Map and list."""
        return [pn.Column(self.body, height=640, sizing_mode="stretch_width")]

    def close_watches(self) -> None:
        """Let the boards forget this view."""
        self.watch.close()
        if self._measured is not None:
            self._measured.close()

    def changed(self) -> None:
        """The state changed: place what is looked at, then draw."""
        self._place()
        super().changed()

    # -- inside ---------------------------------------------------------------------------------

    def _place(self) -> None:
        if self.state.method == "rssi" and self._measured is None:
            self._measured = _Mounted(self.station, self.state)
            self._measured.wake = lambda: self.wake()
        measured = self._measured if self.state.method == "rssi" else None
        wanted: tuple[Any, Any, Any] = (self._controls, self._by_times, self._inspector)
        if measured is not None:
            wanted = (measured.controls, measured.body, measured.inspector)
        head = self.controls.objects[:2]
        for holder, parts in ((self.controls, [*head, wanted[0]]), (self.body, [wanted[1]]),
                              (self.inspector, [wanted[2]])):  # fmt: skip
            if holder.objects != parts:
                holder.objects = parts
        if self.lists.value != self.state.listed:
            self.lists.value = self.state.listed

    def _list(self, frame: LocateFrame) -> None:
        s = self.state
        sensors = s.listed == "sensors"
        rows = sensor_rows(frame) if sensors else fix_rows(listed(frame, s.listed))
        columns = SENSOR_COLUMNS if sensors else FIX_COLUMNS
        picked = s.selected if sensors else s.message
        if not sensors and frame.row >= 0:
            picked = str(frame.fixes.table["key"].iloc[frame.row])
        changes = {"columns": columns, "rows": rows, "selected": picked, "now_s": math.floor(frame.moment_s)}
        self.rows.param.update(**{k: v for k, v in changes.items() if getattr(self.rows, k) != v})
        score = frame.score
        inside = ""
        if math.isfinite(score["inside"]):
            inside = f" · median {score['error_m']:.0f} m off, {100 * score['inside']:.0f} % in 90 %"
        text = f"{int(frame.fixes.table['ok'].sum())} of {len(frame.fixes.table)} located{inside}"
        if self.told.object != text:
            self.told.object = text

    def _picked(self, _: str, key: str) -> None:
        if key.startswith(SENSOR):
            self.state.param.update(selected=key, message="")
            return
        frame = self._seen.frame
        table = frame.fixes.table if frame is not None else None
        found = table[table["key"] == key] if table is not None else None
        if found is not None and len(found):
            # In the list of the newest, what is picked goes on to be the newest.
            message = "" if self.state.listed == "newest" else key
            self.state.param.update(selected=str(found["entity"].iloc[0]), message=message)

    def _act(self, action: dict[str, Any]) -> None:
        if action["do"] == "clear":
            self.state.message = ""
        super()._act(action)

    def _caption_of(self, frame: LocateFrame) -> str:
        s = frame.spec
        title, unit, _ = DILUTIONS[s.dilution]
        what = "" if s.dilution == "none" else f", {title} at {s.field_alt_m:g} m{f' ({unit})' if unit else ''}"
        tie = "height free" if s.settings.alt_sigma_m is None else f"height tied to {s.settings.alt_sigma_m:g} m"
        off = f", {len(s.settings.off)} sensors off" if s.settings.off else ""
        return (
            f"Arrival times, σ {s.settings.sigma_ns:g} ns, {tie}{off}{what} · "
            f"{utc_text(math.floor(frame.moment_s))} · seq {frame.seq} · {self.station.health.get('label', '')}"
        )
