"""The Volume view: a rotating volume over a slice and a section, with the time control of every page."""

from __future__ import annotations

import math
from typing import Any

import panel as pn
import param

from dashboard.components.base_map import view_of_degrees
from dashboard.components.inspector import utc_text
from dashboard.components.page_view import PageView
from dashboard.components.volume_canvas import VolumeCanvas, shares, shown_ids
from dashboard.components.volume_controls import VolumeControls
from dashboard.components.volume_inspector import VolumeInspector, emitter_html, legend_html, point_html, volume_html
from dashboard.components.volume_planes import VolumePlanes
from dashboard.components.volume_state import SHOWN, VolumeState
from dashboard.components.widget_style import styled
from dashboard.theme import ASSETS
from engine.frames.spec import hundredths
from engine.frames.volume_frame import VolumeFrame
from engine.frames.volume_planes import PlanesFrame
from engine.frames.volume_spec import PlanesSpec, VolumeSpec, snap_region
from engine.station import Station
from engine.volume_desk import VolumeDesk

UNITS = {"inverse_square": "dB re 1 m⁻²"}
"""Unit of the field by model; dBm for the others."""

LEGEND_CSS = (ASSETS / "volume_legend.css").read_text()


def volume_spec(state: VolumeState, moment_s: float | None) -> VolumeSpec:
    """The volume that a state describes; the moment in epoch seconds, None is live."""
    low, high = state.limits_dbm
    view = view_of_degrees(state.west, state.south, state.east, state.north)
    return VolumeSpec(
        *snap_region(*view), detail=state.detail_now, model=state.model, horizon=state.horizon_word,
        forecast_s=float(state.forecast_s), low_dbm=float(low), high_dbm=float(max(high, low + 1.0)),
        moment_s=hundredths(moment_s),
    )  # fmt: skip


def planes_spec(state: VolumeState, moment_s: float | None) -> PlanesSpec:
    """The slice and the section that a state describes."""
    volume = volume_spec(state, moment_s)
    usual = {name: getattr(volume, name) for name in volume.__dataclass_fields__ if name != "detail"}
    return PlanesSpec(VolumeSpec(**usual), float(state.alt_m), tuple(round(v, 5) for v in state.section_line))  # type: ignore


class VolumeView(PageView):
    """One viewer's look at the volume.

    Examples
    --------
    In a notebook::

        VolumeView(Station(feed="sample").start())
    """

    state: VolumeState = param.ClassSelector(
        class_=VolumeState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: VolumeState | None = None, **params: Any) -> None:
        super().__init__(station, state or VolumeState(), **params)
        s = self.state
        self.canvas = VolumeCanvas(camera=list(s.camera), marks=[])
        self.canvas.style(s)
        self.planes = VolumePlanes(s, self._clicked)
        self.controls, self.inspector = VolumeControls(s), VolumeInspector()
        self.choice = styled(pn.widgets.RadioButtonGroup(options=SHOWN, value=s.shown))
        self.choice.param.update(sizing_mode="fixed", width=240, height=28)
        self.legend = pn.pane.HTML("", stylesheets=[LEGEND_CSS], margin=0, height=30)
        self._top = pn.Row(self.choice, self.legend, margin=(28, 8, 2, 8), height=32, sizing_mode="stretch_width")
        self._below = pn.Row(self.planes.map_pane, self.planes.section_pane, margin=0, sizing_mode="stretch_both")
        self.body = pn.Column(self._top, self.canvas, self._below, sizing_mode="stretch_both", margin=0)
        self._to_draw = 0
        self._first: tuple[float, float] = (0.0, 0.0)
        self._drawn: tuple[Any, ...] = ()
        self._shown: VolumeFrame | None = None
        desk = station.desk(VolumeDesk)
        self.volume_watch = desk.volumes.watch(volume_spec(s, self.moment_s), lambda: self.wake())
        self.planes_watch = desk.planes.watch(planes_spec(s, self.moment_s), lambda: self.wake())
        self._seen = self.volume_watch.look(), self.planes_watch.look()
        self.canvas.on_action = self._canvas_acts
        self.controls.on_line, self.controls.refuse = self._begin_line, self._refuse
        self.choice.param.watch(lambda event: s.param.update(shown=event.new), "value")
        self.inspector.find.param.watch(self._find, "value")
        self._place()

    def draw(self) -> None:
        """Draw the newest frames, ask for others when the view or the moment changed."""
        s = self.state
        volume_wish, planes_wish = volume_spec(s, self.moment_s), planes_spec(s, self.moment_s)
        if volume_wish != self.volume_watch.spec:
            self.volume_watch.request(volume_wish)
        if planes_wish != self.planes_watch.spec:
            self.planes_watch.request(planes_wish)
        self._seen = self.volume_watch.look(), self.planes_watch.look()
        volume, planes = self._seen[0].frame, self._seen[1].frame
        versions = (volume.version if volume else 0, id(planes))
        key = (*versions, s.selected, s.probe, s.section_line, s.alt_m, s.theme)
        if volume is None or key == self._drawn:
            return
        self._drawn = key
        self._shown = volume
        self.canvas.draw(volume, s.selected)
        self._mark(volume)
        if planes is not None:
            self.planes.draw(planes, self.unit)
        self.planes.mark(s.probe)
        self._describe(volume, planes)

    @property
    def unit(self) -> str:
        """Unit of both fields."""
        return UNITS.get(self.state.model, "dBm")

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        volume, planes = self._seen
        waiting = {"waiting": volume.waiting or planes.waiting}
        error = volume.error or planes.error
        if error:
            return {"kind": "failed", "title": "The volume could not be computed", **waiting,
                    "text": f"{error}. It is tried again every second; the log says more."}  # fmt: skip
        frame = volume.frame
        if frame is None:
            return {"kind": "loading", **waiting}
        v = frame.spec
        _, nz, ny, nx = frame.levels.shape
        caption = (
            f"{v.model}, {nx} × {ny} × {nz} cells to 20 km, heights × {self.state.exaggeration:g}, slice at "
            f"{self.state.alt_m:g} m, {v.low_dbm:g} to {v.high_dbm:g}, forecast {v.forecast_s:g} s ahead · "
            f"{utc_text(math.floor(frame.moment_s))} · seq {frame.seq} · {self.station.health.get('label', '')}"
        )
        if not len(frame.tracks):
            advice = "Go back to live, or scrub."
            if self.state.mode == "live":
                advice = "Start a source: FEED=sample make serve, or FEED=path/to/tracks.csv make serve."
            text = f"None was heard in the 60 s before this moment. {advice}"
            return {"kind": "empty", "title": "No emitter in the volume", "caption": caption, "text": text, **waiting}
        return {"kind": "ok", "caption": caption, "at": f"{frame.moment_s:.2f}", **waiting}

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """All three pictures."""
        return [pn.Column(self.body, height=720, sizing_mode="stretch_width")]

    def close_watches(self) -> None:
        """Let the boards forget this view."""
        self.volume_watch.close()
        self.planes_watch.close()

    def changed(self) -> None:
        """The state changed: style, place, then draw."""
        self.canvas.style(self.state)
        self.planes.style()
        self._place()
        super().changed()

    # -- inside ---------------------------------------------------------------------------------

    def _place(self) -> None:
        shown = self.state.shown
        for part, name in (
            (self.canvas, "volume"),
            (self.planes.map_pane, "slice"),
            (self.planes.section_pane, "section"),
        ):
            wanted = shown in ("all", name)
            if part.visible != wanted:
                part.visible = wanted
        below = shown != "volume"
        if self._below.visible != below:
            self._below.visible = below
        if self.choice.value != shown:
            self.choice.value = shown
        low, high = self.state.limits_dbm
        legend = legend_html(low, high, self.unit, self.state.theme, self.state.exaggeration)
        if self.legend.object != legend:
            self.legend.object = legend

    def _mark(self, volume: VolumeFrame) -> None:
        lat0, lon0, lat1, lon1 = self.state.section_line
        x, y = shares(volume, [lat0, lat1], [lon0, lon1])
        marks = [self.state.alt_m / 20_000.0, float(x[0]), float(y[0]), float(x[1]), float(y[1])]
        if self.canvas.marks != marks:
            self.canvas.marks = marks

    def _describe(self, volume: VolumeFrame, planes: PlanesFrame | None) -> None:
        sent = len(self.canvas.volume.get("data", b""))
        self.inspector.describe(
            point_html(planes, self.state.probe, self.unit) + emitter_html(volume, self.state.selected)
            + volume_html(volume, sent, planes)
        )  # fmt: skip

    def _canvas_acts(self, action: dict[str, Any]) -> None:
        if action["do"] == "camera":
            self.state.camera = action["camera"]
        elif self._shown is not None:
            ids = shown_ids(self._shown)
            if 0 <= action["index"] < len(ids):
                self.state.selected = ids[action["index"]]

    def _begin_line(self) -> None:
        self._to_draw = 0 if self._to_draw else 2
        self.controls.awaits(self._to_draw)
        if self._to_draw and self.state.shown in ("volume", "section"):
            self.state.shown = "all"

    def _clicked(self, lat: float, lon: float, alt_m: float | None) -> None:
        if alt_m is None and self._to_draw:
            self._to_draw -= 1
            if self._to_draw == 1:
                self._first = (lat, lon)
            elif abs(lat - self._first[0]) + abs(lon - self._first[1]) < 1e-3:
                self._to_draw = 1
                self._refuse("B is where A is; click somewhere else")
            else:
                self.state.line = tuple(round(v, 5) for v in (*self._first, lat, lon))
            self.controls.awaits(self._to_draw)
            return
        height = float(self.state.alt_m) if alt_m is None else alt_m
        self.state.probe = (round(lat, 5), round(lon, 5), round(height, 1))

    def _refuse(self, sentence: str) -> None:
        self.strip.notice = sentence

    def _find(self, event: Any) -> None:
        if self._shown is None or not event.new:
            return
        wanted = str(event.new).strip().lower()[:64]
        table = self._shown.tracks.table
        for identity, call in zip(table["id"].astype(str), table["callsign"], strict=True):
            if wanted in identity.lower() or (isinstance(call, str) and wanted in call.lower()):
                self.state.selected = identity
                return
        self._refuse(f"No emitter named {wanted!r} is in the picture")
