"""The Field view: map, controls, inspector and time strip around one state, fed by a station.

It pulls: `pull()` looks at what the frame board has for this view and draws it. A served page is
rung by the board (`dashboard.live`); in a notebook a periodic callback pulls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import panel as pn
import param

from dashboard.components.emitter_columns import in_view
from dashboard.components.field_controls import FieldControls
from dashboard.components.field_map import FieldMap
from dashboard.components.inspector import Inspector, find_emitter, utc_text
from dashboard.components.take_along import TakeAlong
from dashboard.components.time_strip import TimeStrip
from dashboard.share import to_query
from dashboard.state import ViewState
from engine.events.clock import ReplayClock
from engine.frames.field_frame import FieldFrame
from engine.frames.spec import FieldSpec, snap_view
from engine.rf.track_record import HorizonRecord, track_record
from engine.rf.tracks import fixes_of
from engine.station import Station

RECORD_WINDOW_S = 600.0
"""The inspector scores the forecast over this long, s."""

REPLAY_STEP_MS = 250
"""A replay draws this often, ms."""


class FieldView(pn.viewable.Viewer):
    """One viewer's look at the field.

    Examples
    --------
    In a notebook::

        with Station(feed="sample") as station:
            FieldView(station)
    """

    state: ViewState = param.ClassSelector(
        class_=ViewState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: ViewState | None = None, **params: Any) -> None:
        super().__init__(state=state or ViewState(), **params)
        self.station = station
        s = self.state
        self.clock = ReplayClock()
        if s.mode != "live":
            self.clock.seek(s.moment_s)
            if s.mode == "replaying":
                self.clock.play(s.speed)
        self.map = FieldMap(s)
        self.controls = FieldControls(s)
        self.inspector = Inspector(s)
        self.strip = TimeStrip(theme=s.theme, speed=s.speed, mode=s.mode, moment_s=s.moment_s)
        self.take_along = TakeAlong(self)
        self.wake = lambda: None
        self._shown: FieldFrame | None = None
        self._record: tuple[tuple[str, int], list[HorizonRecord]] | None = None
        self.watch = station.board.watch(self.spec(), self._rung)
        self.strip.on_action = self._act
        self.inspector.find.param.watch(self._find, "value")
        s.param.watch(
            lambda *_: self._changed(), [n for n in s.param if n not in ("name", "mode", "moment_s", "speed")]
        )
        self._notebook: Any = None

    def __panel__(self) -> pn.viewable.Viewable:
        """Map and strip together, for a notebook; a served page places the parts itself."""
        if self._notebook is None:
            self._notebook = pn.Column(
                pn.Column(self.map, height=520, sizing_mode="stretch_width"), self.strip, sizing_mode="stretch_width"
            )
            self.pull()
            pn.state.add_periodic_callback(self._pull_in_notebook, period=1000)
        return self._notebook

    def spec(self) -> FieldSpec:
        """What this view needs computed."""
        s = self.state
        low, high = s.limits_dbm
        moment = self.clock.state()
        return FieldSpec(
            *snap_view(*self.map.view, max_cells=s.cells), model=s.model, height_m=float(s.height_m), horizon=s.horizon,
            forecast_s=float(s.forecast_s), low_dbm=float(low), high_dbm=float(max(high, low + 1.0)),
            trail_s=float(s.trail_s), layers=s.layers,
            moment_s=None if moment.mode == "live" else round(moment.moment_s, 2),
        )  # fmt: skip

    def pull(self) -> None:
        """Draw what is there, ask for what is missing; cheap when nothing changed."""
        self._follow_clock()
        spec = self.spec()
        if spec != self.watch.spec:
            self.watch.request(spec)
        frame = self.watch.frame
        if frame is not None and frame is not self._shown:
            self._shown = frame
            self.map.draw(frame)
            self.inspector.describe(
                frame, len(in_view(frame, self.map.view)) if len(frame.tracks) else 0, self._score(frame)
            )
        self._tell(frame)

    def close(self) -> None:
        """Stop watching."""
        self.watch.close()

    @property
    def frame(self) -> FieldFrame | None:
        """The frame on the screen."""
        return self._shown

    # -- inside ---------------------------------------------------------------------------------

    def _rung(self) -> None:
        self.wake()

    def _pull_in_notebook(self) -> None:
        self.pull()
        pn.io.push_notebook(self._notebook)

    def _follow_clock(self) -> None:
        moment = self.clock.state()
        self.state.param.update(mode=moment.mode, moment_s=moment.moment_s)
        if moment.mode == "replaying" and pn.state.curdoc is not None and pn.state.curdoc.session_context:
            pn.state.curdoc.add_timeout_callback(self.wake, REPLAY_STEP_MS)

    def _tell(self, frame: FieldFrame | None) -> None:
        station, strip, state = self.station, self.strip, self.state
        changes: dict[str, Any] = {"status": station.health, "query": to_query(state), "picture": self._picture(frame)}
        changes["mode"], changes["speed"] = state.mode, state.speed
        if state.mode != "live":
            changes["moment_s"] = state.moment_s
        if station.span is not None:
            changes["span"], changes["density"] = [float(v) for v in station.span], station.density
        strip.param.update(**{k: v for k, v in changes.items() if getattr(strip, k) != v})

    def _picture(self, frame: FieldFrame | None) -> dict[str, str]:
        if self.watch.error:
            return {"kind": "failed", "title": "The picture could not be computed",
                    "text": f"{self.watch.error}. It is tried again every second; the log says more."}  # fmt: skip
        if frame is None:
            return {"kind": "loading"}
        s = frame.spec
        caption = (
            f"{s.model}, at {s.height_m:g} m, {s.low_dbm:g} to {s.high_dbm:g}, forecast {s.forecast_s:g} s ahead · "
            f"{utc_text(math.floor(frame.moment_s))} · seq {frame.seq} · {self.station.health.get('label', '')}"
        )
        if not len(frame.tracks):
            live = self.state.mode == "live"
            advice = "Start a source, or scrub back to when there was one." if live else "Go back to live, or scrub."
            text = f"None was heard in the 60 s before this moment. {advice}"
            return {"kind": "empty", "title": "No emitter in the picture", "caption": caption, "text": text}
        return {"kind": "ok", "caption": caption}

    def _score(self, frame: FieldFrame) -> list[HorizonRecord] | None:
        selected = self.state.selected
        if not selected:
            return None
        rows = np.flatnonzero(frame.tracks.table["id"].to_numpy(dtype=object) == selected)
        if not len(rows):
            return None
        key = (selected, int(frame.tracks.ring[rows[0], -1, 0] * 1e3))
        if self._record is None or self._record[0] != key:
            start = frame.moment_s - RECORD_WINDOW_S
            events = self.station.history(selected, start - 120.0, frame.moment_s)
            self._record = (key, track_record(fixes_of(events), since_s=start))
        return self._record[1]

    def _changed(self) -> None:
        self.strip.theme = self.state.theme
        self.pull()
        if self._shown is not None:
            columns_view = self.map.view
            self.inspector.describe(self._shown, len(in_view(self._shown, columns_view)), self._score(self._shown))

    def _find(self, event: Any) -> None:
        if self._shown is None or not event.new:
            return
        found = find_emitter(self._shown, str(event.new)[:64])
        if found is None:
            self.strip.notice = f"No emitter named {str(event.new)[:64]!r} is in the picture"
        else:
            self.state.selected = found

    def _act(self, action: dict[str, Any]) -> None:
        do, clock = action["do"], self.clock
        if do == "live":
            clock.live()
        elif do == "clear":
            self.state.selected = ""
        elif do == "pause":
            clock.seek(action["moment_s"])
            clock.pause()
        elif do == "seek":
            clock.seek(action["moment_s"])
        elif do == "play":
            clock.seek(action["moment_s"])
            clock.play(self.state.speed)
        elif do == "speed":
            self.state.speed = action["speed"]
            if clock.mode == "live":
                clock.seek(max(action["moment_s"] - 60.0, 0.0))
            clock.play(self.state.speed)
        self.pull()
