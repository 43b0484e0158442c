"""The Field view: map, controls, inspector and time strip around one state, fed by a station.

It pulls: `pull()` looks at what the frame board has for this view and draws it. A served page is
rung by the board (`dashboard.live`); in a notebook a periodic callback pulls, once a browser listens.
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
from dashboard.components.notebook_output import NotebookOutput, token_style
from dashboard.components.time_strip import TimeStrip
from dashboard.components.wanted import field_spec
from dashboard.share import to_query
from dashboard.state import ViewState
from engine.events.clock import ReplayClock
from engine.frames.field_frame import FieldFrame
from engine.frames.spec import FieldSpec
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
    In a notebook, the last line in a cell of its own (docs/notebook.md)::

        station = Station(feed="sample").start()
        view = FieldView(station)
        view
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
        self.wake = lambda: None
        self._shown: FieldFrame | None = None
        self._record: tuple[tuple[str, int], list[HorizonRecord]] | None = None
        self.watch = station.board.watch(self.spec(), self._rung)
        self.strip.on_action = self._act
        self.inspector.find.param.watch(self._find, "value")
        s.param.watch(
            lambda *_: self._changed() if self._notebook is None else self._notebook.run(self._changed),
            [n for n in s.param if n not in ("name", "mode", "moment_s", "speed")],
        )
        self._notebook: NotebookOutput | None = None
        self._caption: pn.pane.Str | None = None
        self._ticker: Any = None
        self._step_due = False

    def __panel__(self) -> pn.viewable.Viewable:
        """Map, caption and strip together, for a notebook; a served page places the parts itself."""
        if self._notebook is None:
            wrap = ["pre { white-space: pre-wrap; margin: 0; }"]
            self._caption = pn.pane.Str("", margin=(2, 14), sizing_mode="stretch_width", stylesheets=wrap)
            self._notebook = NotebookOutput(
                pn.Column(self.map, height=520, sizing_mode="stretch_width"), self._caption, self.strip,
                sizing_mode="stretch_width", stylesheets=pn.bind(token_style, self.state.param.theme),
            )  # fmt: skip
            self.pull()
            self._ticker = pn.state.add_periodic_callback(self._pull_in_notebook, period=REPLAY_STEP_MS)
        return self._notebook

    def spec(self) -> FieldSpec:
        """What this view needs computed."""
        moment = self.clock.state()
        return field_spec(self.state, self.map.view, None if moment.mode == "live" else moment.moment_s)

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
        if self._notebook is not None and self._heard():
            # Bokeh's own changes wait in the document until someone sends them; Panel's go by themselves.
            pn.io.push_notebook(self._notebook)

    def close(self) -> None:
        """Stop watching; in a notebook the last picture stays."""
        self.watch.close()
        if self._notebook is not None:
            self._notebook.run(self._close_notebook)

    @property
    def frame(self) -> FieldFrame | None:
        """The frame on the screen."""
        return self._shown

    # -- inside ---------------------------------------------------------------------------------

    def _rung(self) -> None:
        self.wake()

    def _close_notebook(self) -> None:
        if self._ticker is None or self._notebook is None or self._caption is None:
            return
        self._ticker.stop()
        self._ticker = None
        # A strip that hears nothing more would take it for a lost server.
        self._notebook.remove(self.strip)
        self._caption.object = f"closed · {self._caption.object}"

    def _pull_in_notebook(self) -> None:
        if self._heard():
            self.pull()

    def _heard(self) -> bool:
        """Whether a page shows this: messages to an output that is not open yet would pile up."""
        shown = self._notebook._models if self._notebook is not None else ()
        comms = [pn.state._views[ref][3] for ref in shown if ref in pn.state._views]
        return any(comm is None or comm._comm is not None for comm in comms)

    def _follow_clock(self) -> None:
        moment = self.clock.state()
        self.state.param.update(mode=moment.mode, moment_s=moment.moment_s)
        document = pn.state.curdoc
        if moment.mode == "replaying" and not self._step_due and document is not None and document.session_context:
            # One step at a time: every pull comes by here, whoever rang.
            self._step_due = True
            document.add_timeout_callback(self._step, REPLAY_STEP_MS)

    def _step(self) -> None:
        self._step_due = False
        self.wake()

    def _tell(self, frame: FieldFrame | None) -> None:
        station, strip, state = self.station, self.strip, self.state
        picture = {**self._picture(frame), "waiting": self.watch.waiting}
        changes: dict[str, Any] = {"status": station.health, "query": to_query(state), "picture": picture}
        changes["mode"], changes["speed"] = state.mode, state.speed
        if state.mode != "live":
            changes["moment_s"] = state.moment_s
        if station.span is not None:
            changes["span"], changes["density"] = [float(v) for v in station.span], station.density
        strip.param.update(**{k: v for k, v in changes.items() if getattr(strip, k) != v})
        if self._caption is not None:
            # What the shell of a page says over and under the picture.
            said = changes["picture"]
            lines = [said.get(part, "") for part in ("title", "text", "caption")]
            self._caption.object = "\n".join(filter(None, lines)) or "waiting for the first picture"

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
            advice = "Go back to live, or scrub."
            if live:
                past = " Or scrub back to when there was one." if self.station.span is not None else ""
                advice = f"Start a source: FEED=sample make serve, or FEED=path/to/tracks.csv make serve.{past}"
            text = f"None was heard in the 60 s before this moment. {advice}"
            return {"kind": "empty", "title": "No emitter in the picture", "caption": caption, "text": text}
        return {"kind": "ok", "caption": caption, "at": f"{frame.moment_s:.2f}"}

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
        elif do == "theme":
            self.state.theme = "dark" if self.state.theme == "light" else "light"
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
