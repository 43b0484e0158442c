"""The Field view: map, controls and inspector around one state, with the time control of every page.

It looks at what the frame board has for this view and draws it.
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
from dashboard.components.field_spectrum import SpectrumPanel
from dashboard.components.inspector import Inspector, find_emitter, utc_text
from dashboard.components.page_view import PageView
from dashboard.components.wanted import field_spec
from dashboard.state import ViewState
from engine.forecast_desk import ForecastDesk
from engine.frames.field_frame import FieldFrame
from engine.frames.spec import FieldSpec
from engine.rf.track_record import HorizonRecord, track_record
from engine.rf.tracks import fixes_of
from engine.station import Station

RECORD_WINDOW_S = 600.0
"""The inspector scores the forecast over this long, s."""

PLACE = ("west", "south", "east", "north")
"""What changes of the state when a hand moves the map."""


class FieldView(PageView):
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
        super().__init__(station, state or ViewState(), **params)
        self.map = FieldMap(self.state)
        self.controls = FieldControls(self.state)
        self.inspector = Inspector(self.state)
        self.spectrum = SpectrumPanel(self.state)
        self._shown: FieldFrame | None = None
        self._record: tuple[tuple[str, int], list[HorizonRecord]] | None = None
        self.watch = station.board.watch(self.spec(), self._rung)
        self._seen = self.watch.look()
        self.inspector.find.param.watch(self._find, "value")

    def spec(self) -> FieldSpec:
        """What this view needs computed."""
        return field_spec(self.state, self.map.view, self.moment_s)

    def draw(self) -> None:
        """Draw the newest frame, ask for another when the view changed."""
        spec = self.spec()
        if spec != self.watch.spec:
            self.watch.request(spec)
        self._seen = self.watch.look()
        frame = self._seen.frame
        if frame is not None and frame is not self._shown:
            self._shown = frame
            self.map.draw(frame)
            self._describe(frame)
        if frame is not None:
            self.spectrum.draw(frame)
        if not self._waits():
            self.map.base.answer()

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """The map alone."""
        return [pn.Column(self.map, height=520, sizing_mode="stretch_width")]

    def close_watches(self) -> None:
        """Let the board forget this view."""
        self.watch.close()
        self.spectrum.close()

    @property
    def frame(self) -> FieldFrame | None:
        """The frame on the screen."""
        return self._shown

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        return {**self._picture(self._seen.frame), "waiting": self._waits()}

    def changed(self) -> None:
        """Draw anew, and describe what is selected even if the picture stays."""
        super().changed()
        if self._shown is not None:
            self._describe(self._shown)

    # -- inside ---------------------------------------------------------------------------------

    def _describe(self, frame: FieldFrame) -> None:
        seen = len(in_view(frame, self.map.view)) if len(frame.tracks) else 0
        self.inspector.describe(frame, seen, self._score(frame), self.station.desk(ForecastDesk).score)

    def _waits(self) -> bool:
        """Whether the viewer waits for a picture; in a replay, where one always is due, only for another place."""
        shown = self._shown
        moved = shown is None or shown.spec.place != self.watch.spec.place
        return self._seen.waiting and (moved or self.state.mode != "replaying")

    def _state_changed(self, *events: Any) -> None:
        spec = self.spec()
        moved = bool(events) and all(event.name in PLACE for event in events)
        if moved and not self._loading and self._notebook is None and spec != self.watch.spec:
            # The picture of the new place is under way and brings the rest: told twice, it would come later.
            self.watch.request(spec)
        else:
            super()._state_changed(*events)

    def _rung(self) -> None:
        self.wake()

    def _picture(self, frame: FieldFrame | None) -> dict[str, str]:
        if self._seen.error:
            return {"kind": "failed", "title": "The picture could not be computed",
                    "text": f"{self._seen.error}. It is tried again every second; the log says more."}  # fmt: skip
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

    def _find(self, event: Any) -> None:
        if self._shown is None or not event.new:
            return
        found = find_emitter(self._shown, str(event.new)[:64])
        if found is None:
            self.strip.notice = f"No emitter named {str(event.new)[:64]!r} is in the picture"
        else:
            self.state.selected = found
