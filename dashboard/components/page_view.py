"""What the view of every page has: a state, the time control, the strip, and being rung.

It pulls: `pull()` asks the page to draw what is there (`draw`) and tells the strip how things are. A served
page is rung by whoever computes for it (`dashboard.live`); in a notebook a periodic callback pulls, once a
browser listens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import panel as pn
import param

from dashboard.components.notebook_output import NotebookOutput, token_style
from dashboard.components.time_strip import TimeStrip
from dashboard.share import to_query
from dashboard.state import PageState
from engine.events.clock import ReplayClock
from engine.station import Station

MOST_MARKS = 200
"""Marks in the time control, the newest."""

REPLAY_STEP_MS = 250
"""A replay draws this often, ms."""


class PageView(pn.viewable.Viewer):
    """One viewer's look at a page; a page fills in `draw`, `picture`, `notebook_parts` and `close_watches`.

    Parameters
    ----------
    station : Station
        A running engine.
    state : PageState
        What is looked at; `dashboard.share` puts it into a link.
    """

    state: PageState = param.ClassSelector(class_=PageState, doc="What is looked at.")  # type: ignore[assignment]

    def __init__(self, station: Station, state: PageState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.station = station
        self.clock = ReplayClock()
        if state.mode != "live":
            self.clock.seek(state.moment_s)
            if state.mode == "replaying":
                self.clock.play(state.speed)
        self.strip = TimeStrip(theme=state.theme, speed=state.speed, mode=state.mode, moment_s=state.moment_s)
        self.strip.on_action = self._act
        self.wake: Callable[[], None] = lambda: None
        state.param.watch(
            self._state_changed, [n for n in state.param if n not in ("name", "mode", "moment_s", "speed")]
        )
        self._notebook: NotebookOutput | None = None
        self._caption: pn.pane.Str | None = None
        self._ticker: Any = None
        self._step_due = False
        self._loading = self._changed_meanwhile = False

    # -- what a page fills in --------------------------------------------------------------------

    def draw(self) -> None:
        """Draw what is there and ask for what is missing; cheap when nothing changed."""
        raise NotImplementedError

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell.

        Returns
        -------
        dict
            ``kind``: loading, ok, empty or failed; ``title`` and ``text`` where it is empty or failed; ``caption``
            (what, model, limits, moment, seq); ``at``: the moment on the screen, epoch s as text; ``waiting``:
            whether a newer picture was asked for.
        """
        raise NotImplementedError

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """What a notebook shows above the caption and the strip."""
        raise NotImplementedError

    def close_watches(self) -> None:
        """Stop whatever computes for this view; in a notebook the last picture stays."""
        raise NotImplementedError

    def changed(self) -> None:
        """The state changed (anything but the moment)."""
        self.strip.theme = self.state.theme
        self.pull()

    # -- what every page does --------------------------------------------------------------------

    @property
    def moment_s(self) -> float | None:
        """The moment looked at, epoch s; None is live."""
        moment = self.clock.state()
        return None if moment.mode == "live" else moment.moment_s

    def __panel__(self) -> pn.viewable.Viewable:
        """Parts, caption and strip together, for a notebook; a served page places the parts itself."""
        if self._notebook is None:
            wrap = ["pre { white-space: pre-wrap; margin: 0; }"]
            self._caption = pn.pane.Str("", margin=(2, 14), sizing_mode="stretch_width", stylesheets=wrap)
            self._notebook = NotebookOutput(
                *self.notebook_parts(), self._caption, self.strip,
                sizing_mode="stretch_width", stylesheets=pn.bind(token_style, self.state.param.theme),
            )  # fmt: skip
            self.pull()
            self._ticker = pn.state.add_periodic_callback(self._pull_in_notebook, period=REPLAY_STEP_MS)
        return self._notebook

    def pull(self) -> None:
        """Draw what is there, ask for what is missing; cheap when nothing changed."""
        if self._loading:
            return
        self._follow_clock()
        self.draw()
        self._tell()
        if self._notebook is not None and self._heard():
            # Bokeh's own changes wait in the document until someone sends them; Panel's go by themselves.
            pn.io.push_notebook(self._notebook)

    def begin(self) -> None:
        """Draw what goes out with the page, then nothing until it has loaded; for a served page, once it is built.

        A picture that is there at once is no help to a page under way: what is changed between handing the document
        over and the browser's word that it is loaded, Panel drops (docs/decisions/into-a-session.md).
        """
        self.pull()
        self._loading = True
        pn.state.onload(self._loaded)

    def close(self) -> None:
        """Stop watching; in a notebook the last picture stays."""
        self.close_watches()
        if self._notebook is not None:
            self._notebook.run(self._close_notebook)

    def seek(self, moment_s: float) -> None:
        """Look at a past moment, epoch s (a click on a mark, an alert, a row of a table)."""
        self.clock.seek(moment_s)
        self.clock.pause()
        self.pull()

    # -- inside ---------------------------------------------------------------------------------

    def _state_changed(self, *_: Any) -> None:
        if self._loading:
            self._changed_meanwhile = True
        elif self._notebook is None:
            self.changed()
        else:
            self._notebook.run(self.changed)

    def _loaded(self) -> None:
        self._loading = False
        if self._changed_meanwhile:
            self.changed()

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

    def _tell(self) -> None:
        station, strip, state = self.station, self.strip, self.state
        changes: dict[str, Any] = {
            "status": station.health,
            "query": to_query(state),
            "picture": self.picture(),
            "mode": state.mode,
            "speed": state.speed,
        }
        if state.mode != "live":
            changes["moment_s"] = state.moment_s
        if station.span is not None:
            changes["span"], changes["density"] = [float(v) for v in station.span], station.density
        changes["marks"] = [asdict(mark) for mark in station.monitoring.marks.marks()[-MOST_MARKS:]]
        strip.param.update(**{k: v for k, v in changes.items() if getattr(strip, k) != v})
        if self._caption is not None:
            # What the shell of a page says over and under the picture.
            said = changes["picture"]
            lines = [said.get(part, "") for part in ("title", "text", "caption")]
            self._caption.object = "\n".join(filter(None, lines)) or "waiting for the first picture"

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
