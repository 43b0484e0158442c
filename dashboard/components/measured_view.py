"""The view of measured fields: measured, modelled, residual and uncertainty, with fit and scores beside them.

Alone in a notebook, or mounted by a page that has the parts `controls`, `body` and `inspector`.
"""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from dashboard.components.file_upload import FileUpload
from dashboard.components.inspector import utc_text
from dashboard.components.measured_controls import MeasuredControls
from dashboard.components.measured_inspector import MeasuredInspector
from dashboard.components.measured_map import MeasuredMap
from dashboard.components.measured_state import LAWS, MeasuredState
from dashboard.components.page_view import PageView
from dashboard.components.widget_style import styled
from engine.frames.measured_fold import Campaign
from engine.frames.measured_frame import MeasuredFrame, MeasuredSpec
from engine.measured_desk import SAMPLE, MeasuredDesk
from engine.station import Station

LINE_HEIGHT = 28
"""Height of the line over the maps that says what is being computed, pixels."""

_LINE = "pre { margin: 0; font: inherit; font-size: 12px; color: var(--muted); }"


class MeasuredView(PageView):
    """One viewer's look at measurements of received power and the fields made of them.

    Examples
    --------
    In a notebook::

        MeasuredView(Station(feed="none").start())
    """

    state: MeasuredState = param.ClassSelector(
        class_=MeasuredState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: MeasuredState | None = None, **params: Any) -> None:
        super().__init__(station, state or MeasuredState(), **params)
        s = self.state
        self.desk = station.desk(MeasuredDesk)
        self.upload = FileUpload(station)
        self.upload.wake = self._rung
        self.controls, self.inspector = MeasuredControls(s, self.upload), MeasuredInspector(s)
        self.map = MeasuredMap(s)
        self.told = pn.pane.Str("", margin=(5, 10), stylesheets=[_LINE])
        self.bar = pn.indicators.Progress(value=0, max=100, width=160, height=6, margin=(11, 6), active=False)
        self.stop = styled(pn.widgets.Button(label="Cancel"))
        self.stop.param.update(sizing_mode="fixed", width=110, height=24, margin=(2, 6))
        self.stop.on_click(lambda _: self._stopped())
        # Always there, so that the maps stay put; on the left of it a page names what is played.
        self.under_way = pn.Row(
            pn.Spacer(sizing_mode="stretch_width"), self.bar, self.told, self.stop, margin=0, height=LINE_HEIGHT,
            sizing_mode="stretch_width",
        )  # fmt: skip
        self.body = pn.Column(self.under_way, self.map, sizing_mode="stretch_both", margin=0)
        self.ticket = self.desk.board.ticket(self._rung)
        self._bell = self.desk.bell(self._rung)
        self._shown: MeasuredFrame | None = None

    @property
    def frame(self) -> MeasuredFrame | None:
        """The frame on the screen; the old one while a new one is being computed."""
        return self._shown

    def spec(self) -> MeasuredSpec | None:
        """What this view needs computed; None where there are no measurements of it."""
        return wanted(self.state, self.desk.campaigns())

    def draw(self) -> None:
        """Draw the newest part, ask for another when the wish changed."""
        self.upload.pull()
        s, campaigns = self.state, self.desk.campaigns()
        spec = wanted(s, campaigns)
        self.controls.offer(campaigns, spec or s, self._note(campaigns, spec))
        if spec is not None:
            self.ticket.ask(spec)
        job = self.ticket.job
        frame = job.result if job is not None and spec is not None else None
        if frame is not None:
            self._shown = frame
        if self._shown is not None:
            self.map.draw(self._shown)
        self.map.present(self._shown is not None or self.desk.loading or spec is not None)
        self.inspector.describe(self._shown)
        self._tell_progress()

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        job, spec, frame = self.ticket.job, self.spec(), self._shown
        waiting = job is not None and job.state in ("waiting", "running")
        if spec is None:
            if self.desk.loading:
                return {"kind": "loading", "waiting": False}
            return {**self._why_empty(), "waiting": False}
        if job is not None and job.state == "failed":
            return {"kind": "failed", "title": "No field can be made of these measurements", "waiting": False,
                    "text": f"{job.error}. Choose another receiver, or hand in more measurements."}  # fmt: skip
        if frame is None:
            return {"kind": "loading", "waiting": waiting}
        return {"kind": "ok", "caption": self._caption_of(frame), "waiting": waiting}

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """Controls, maps and inspector side by side."""
        sides = [pn.Column(part, width=width, height=720, scroll="y-auto", margin=(0, 6))
                 for part, width in ((self.controls, 230), (self.inspector, 270))]  # fmt: skip
        return [pn.Row(sides[0], pn.Column(self.body, height=720, sizing_mode="stretch_width"), sides[1],
                       sizing_mode="stretch_width")]  # fmt: skip

    def close_watches(self) -> None:
        """Wait for nothing any more."""
        self.ticket.close()
        self.upload.close()
        self._bell = None

    # -- inside ---------------------------------------------------------------------------------

    def _rung(self) -> None:
        self.wake()

    def _stopped(self) -> None:
        job = self.ticket.job
        if job is not None and job.state in ("cancelled", "failed"):
            self.ticket.again()
        else:
            self.ticket.cancel()
        self.pull()

    def _tell_progress(self) -> None:
        job = self.ticket.job
        state = job.state if job is not None else ""
        text, label, share = "", "Cancel", 0.0
        if job is not None and state in ("waiting", "running"):
            share, text = job.share, f"{job.text}, {100 * job.share:.0f} %"
        elif state == "cancelled":
            text, label = "Cancelled; what was computed before stays", "Compute again"
        changes = {self.told: ("object", text), self.stop: ("label", label), self.bar: ("value", round(100 * share))}
        for part, (name, value) in changes.items():
            if getattr(part, name) != value:
                setattr(part, name, value)
        self.bar.visible = state in ("waiting", "running")
        self.told.visible = self.stop.visible = bool(text)

    def _note(self, campaigns: list[Campaign], spec: MeasuredSpec | None) -> str:
        campaign = next((c for c in campaigns if spec is not None and c.name == spec.campaign), None)
        if campaign is None:
            return self.desk.missing
        first, last = (utc_text(moment)[:10] for moment in (campaign.first_s, campaign.last_s))
        when = first if first == last else f"{first} to {last}"
        origin = "recorded sample, not in the log" if self.desk.fold.campaign(campaign.name) is None else "in the log"
        return f"{campaign.n:,} measurements, {when}; {origin}.".replace(",", " ", 1)

    def _why_empty(self) -> dict[str, str]:
        s, campaigns = self.state, self.desk.campaigns()
        if campaigns:
            wish = " · ".join(filter(None, [s.campaign, s.transmitter, s.receiver]))
            text = f"{wish} is not among the measurements. Choose from the lists on the left."
            return {"kind": "empty", "title": "Nothing is known of this", "text": text}
        text = ("Hand in a file of measurements on the left: CSV with lat, lon, rssi_dbm, time, receiver, "
                f"receiver_lat, receiver_lon. {self.desk.missing}")  # fmt: skip
        return {"kind": "empty", "title": "Nothing was measured yet", "text": text.strip()}

    def _caption_of(self, frame: MeasuredFrame) -> str:
        spec, law = frame.spec, next(name for name, value in LAWS.items() if value == self.state.law)
        first, last = (
            utc_text(t.timestamp())[:10] for t in (frame.points["time"].iloc[0], frame.points["time"].iloc[-1])
        )
        sample = " (sample)" if spec.campaign == SAMPLE else ""
        return (
            f"{len(frame.points)} measurements of {spec.transmitter} by {spec.receiver}, {spec.campaign}{sample}, "
            f"{first} to {last} · {law} · n = {frame.law.exponent:.2f}, σ = {frame.law.sigma_db:.1f} dB · "
            f"squares of {spec.block_m:g} m held out"
        )


def wanted(state: MeasuredState, campaigns: list[Campaign]) -> MeasuredSpec | None:
    """What a state needs computed, given what was measured; None where that is not there.

    Examples
    --------
    >>> one = Campaign("c", (("t", "far", 30), ("t", "near", 20)), 0.0, 1.0, 50)
    >>> wanted(MeasuredState(), [one]).receiver, wanted(MeasuredState(receiver="near"), [one]).receiver
    ('far', 'near')
    >>> wanted(MeasuredState(receiver="gone"), [one]) is None
    True
    """
    campaign = next((c for c in campaigns if state.campaign in ("", c.name)), None)
    if campaign is None:
        return None
    transmitter = state.transmitter or campaign.transmitters[0]
    receivers = campaign.receivers(transmitter)
    receiver = state.receiver or next(iter(receivers), "")
    if receiver not in receivers:
        return None
    return MeasuredSpec(
        campaign.name, transmitter, receiver, campaign.version, float(state.block_m), int(state.grid_cells)
    )
