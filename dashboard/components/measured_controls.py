"""The controls of measured fields: which measurements, against which model, and a place to hand in more."""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from dashboard.components.file_upload import FileUpload
from dashboard.components.measured_state import MeasuredState
from dashboard.components.widget_style import heading, styled
from engine.frames.measured_fold import Campaign
from engine.frames.measured_frame import MeasuredSpec

_NOTE = "pre { white-space: pre-wrap; margin: 0; font: inherit; color: var(--muted); font-size: 12px; }"


class MeasuredControls(pn.viewable.Viewer):
    """Widgets of a `MeasuredState`.

    Parameters
    ----------
    state : MeasuredState
    upload : FileUpload or None
        Where files of measurements are handed in.

    Examples
    --------
    >>> MeasuredControls(MeasuredState()).law.value
    'kriged'
    """

    state: MeasuredState = param.ClassSelector(class_=MeasuredState, doc="What the widgets change.")  # type: ignore[assignment]

    def __init__(self, state: MeasuredState, upload: FileUpload | None = None, **params: Any) -> None:
        super().__init__(state=state, **params)
        p, w = state.param, pn.widgets
        self.campaign = styled(w.Select(label="Campaign", options={"…": ""}, value=""))
        self.transmitter = styled(w.Select(label="Transmitter", options={"…": ""}, value=""))
        self.receiver = styled(w.Select(label="Receiver (measurements)", options={"…": ""}, value=""))
        self.layer = styled(w.Select.from_param(p.layer))
        self.law = styled(w.Select.from_param(p.law))
        self.carried = styled(w.FloatInput.from_param(p.carried_m, step=0.5))
        self.fixed = styled(w.FloatInput.from_param(p.fixed_m, step=1.0))
        self.block = styled(w.Select.from_param(p.block_m))
        self.cells = styled(w.Select.from_param(p.grid_cells))
        self.heights = pn.Column(self.carried, self.fixed, margin=0, sizing_mode="stretch_width")
        self.note = pn.pane.Str("", margin=(2, 0), sizing_mode="stretch_width", stylesheets=[_NOTE])
        self._telling = False
        for widget, name in self._choices().items():
            widget.param.watch(lambda event, name=name: self._chosen(name, event.new), "value")
        state.param.watch(lambda *_: self._fit(), "law")
        self._fit()
        handing = [heading("Hand in measurements"), upload] if upload is not None else []
        self._layout = pn.Column(
            heading("Measurements"), self.campaign, self.transmitter, self.receiver, self.note,
            heading("Picture"), self.layer, self.law, self.heights, self.block, self.cells, *handing,
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def offer(self, campaigns: list[Campaign], shown: MeasuredSpec | MeasuredState, note: str) -> None:
        """Offer these campaigns, with the ends of the one that is shown.

        Parameters
        ----------
        campaigns : list of Campaign
        shown : MeasuredSpec, or the state where there is nothing of what it wishes
        note : str
            What is to be said of the campaign.
        """
        campaign = next((c for c in campaigns if shown.campaign in ("", c.name)), None)
        options: list[dict[str, str]] = [{c.name: c.name for c in campaigns}, {}, {}]
        values = [shown.campaign or (campaign.name if campaign else ""), shown.transmitter, shown.receiver]
        if campaign is not None:
            options[1] = {tx: tx for tx in campaign.transmitters}
            values[1] = values[1] or campaign.transmitters[0]
            options[2] = {f"{rx} ({n})": rx for rx, n in campaign.receivers(values[1]).items()}
        self._telling = True
        try:
            for widget, offered, value in zip(self._choices(), options, values, strict=True):
                if value not in offered.values():
                    offered, value = {("choose …" if offered else "none"): "", **offered}, ""
                if widget.options != offered or widget.value != value:
                    widget.param.update(options=offered, value=value)
        finally:
            self._telling = False
        if self.note.object != note:
            self.note.object = note

    # -- inside ---------------------------------------------------------------------------------

    def _choices(self) -> dict[pn.widgets.Select, str]:
        return {self.campaign: "campaign", self.transmitter: "transmitter", self.receiver: "receiver"}

    def _chosen(self, name: str, value: str) -> None:
        if self._telling or not value or value == getattr(self.state, name):
            return
        changes: dict[str, Any] = {name: value, "selected": ""}
        # Another campaign has other ends, and lies elsewhere.
        if name == "campaign":
            changes |= {"transmitter": "", "receiver": "", "area": ()}
        elif name == "transmitter":
            changes |= {"receiver": ""}
        self.state.param.update(**changes)

    def _fit(self) -> None:
        self.heights.visible = self.state.law in ("free_space", "two_ray")
