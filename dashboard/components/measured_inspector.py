"""Beside the maps of measured fields: the measurement that was clicked, the law with its intervals, and the scores.

Data is text and only text: every value goes through `html.escape` on its way to the page.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

import pandas as pd
import panel as pn
import param

from dashboard.components.inspector import CSS, utc_text
from dashboard.components.measured_state import LAWS, MeasuredState, point_of
from dashboard.components.widget_style import heading
from engine.frames.measured_frame import FOLDS, MeasuredFrame

_TABLE = """
th, td { padding-left: 8px; white-space: nowrap; } th:first-child, td:first-child { padding-left: 0; }
tr.shown td { font-weight: 700; } dd small { color: var(--muted); } td small { color: var(--muted); font-weight: 400; }
"""


class MeasuredInspector(pn.viewable.Viewer):
    """The clicked measurement, the fit, and how good each model is where it has not seen anything.

    Examples
    --------
    >>> MeasuredInspector(MeasuredState()).text.object.startswith("<p>")
    True
    """

    state: MeasuredState = param.ClassSelector(class_=MeasuredState, doc="Holds the selection.")  # type: ignore[assignment]

    def __init__(self, state: MeasuredState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.text = pn.pane.HTML(
            "<p>Waiting for measurements.</p>", stylesheets=[CSS, _TABLE], sizing_mode="stretch_width", margin=0
        )
        self._layout = pn.Column(heading("Measured field"), self.text, margin=0, sizing_mode="stretch_width")

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def describe(self, frame: MeasuredFrame | None) -> None:
        """Show what is known of a frame and of the selected measurement in it."""
        html = "<p>Waiting for measurements.</p>"
        if frame is not None:
            s = self.state
            table = frame.table(s.law, s.carried_m, s.fixed_m)
            number = point_of(s.selected)
            point = table.iloc[number] if number is not None and number < len(table) else None
            html = point_html(point, s.law) + law_html(frame) + scores_html(frame, s)
        if self.text.object != html:
            self.text.object = html


def point_html(point: pd.Series | None, law: str) -> str:
    """One measurement beside what is said of it; `law` is the model."""
    if point is None:
        return "<p>Click a point to see its numbers.</p>"
    label = next(name for name, value in LAWS.items() if value == law)
    place = f"{point['lat']:.5f}, {point['lon']:.5f}"
    rows = [
        _row("measured", _db(point["rssi_db"]), "What the receiver reported, dB on its own scale."),
        _row("modelled", _db(point["modelled_db"]),
             f"{label}, fitted without the square that this measurement lies in."),
        _row("residual", _db(point["residual_db"], signed=True), "Measured minus modelled."),
        _row("sigma", _db(point["sigma_db"]), "Standard deviation that the model claims for this report."),
        _row("distance", f"{point['distance_m']:,.0f} m".replace(",", " "), "Between the two ends, horizontal."),
        _row("receiver", escape(str(point["receiver"])), "The receiver that reported."),
        _row("transmitter", escape(str(point["transmitter"])), "What was received."),
        _row("session", escape(str(point["session"])) or "none", "Within one, gain and noise floor are constant."),
        _row("time", utc_text(point["time"].timestamp()), "When it was measured."),
        _row("position", place.replace("-", "−"), "Latitude and longitude of the carried end."),
    ]  # fmt: skip
    return "<h4>Selected measurement</h4><dl>" + "".join(rows) + "</dl>"


def law_html(frame: MeasuredFrame) -> str:
    """The log-distance law with its intervals, and what the kriging rests on."""
    law, spec = frame.law, frame.spec
    means = (f"90 % interval by a bootstrap over whole squares of {spec.block_m:g} m: neighbours share their "
             "shadowing, so records are not independent.")  # fmt: skip
    rows = [
        _row("exponent", f"{law.exponent:.2f}{_between(frame, 'exponent', '.2f')}",
             f"n of power = offset − 10 n log10(distance), least squares; {means}"),
        _row("shadowing σ", f"{law.sigma_db:.1f}{_between(frame, 'sigma_db', '.1f')} dB",
             f"Standard deviation around the law; {means}"),
        _row("offset at 1 m", _db(law.offset_db[spec.receiver]),
             "Power at 1 m by the law; transmitter, antennas and the receiver's own scale together."),
        _row("measurements", f"{len(frame.points):,}".replace(",", " "), "Of this transmitter by this receiver."),
    ]  # fmt: skip
    if frame.field is not None:
        a = frame.field.attrs
        rows += [
            _row("covariance", f"{escape(str(a['covariance']))}, {a['range_m']:.0f} m",
                 f"Of the residual: sill {a['sill_db2']:.1f} dB², nugget {a['nugget_db2']:.1f} dB²."),
            _row("noise floor", _db(a["floor_db"]),
                 f"Of the receiver in the session {escape(str(a['session']))}, of which the fields are."),
        ]  # fmt: skip
    return "<h4>Log-distance law</h4><dl>" + "".join(rows) + "</dl>"


def scores_html(frame: MeasuredFrame, state: MeasuredState) -> str:
    """Root mean square error and coverage of every model in squares that it has not seen."""
    head = f"<h4>Held out, squares of {frame.spec.block_m:g} m</h4>"
    if frame.left_out:
        return f"{head}<p>Not possible: {escape(frame.left_out)}.</p>"
    scores = frame.scores(state.carried_m, state.fixed_m)
    if scores is None:
        return f"{head}<p>Being computed.</p>"
    labels = {value: name.split(" (")[0].removesuffix(" over ground") for name, value in LAWS.items()}
    rows = []
    for row in scores[scores["records"] == "all"].itertuples():
        shown = ' class="shown"' if row.method == state.law else ""
        figures = (f"{row.rmse_db:.2f}", _signed(row.bias_db, ".1f"), f"{100 * row.inside_90:.1f} %")
        cells = "".join(f"<td>{text}</td>" for text in figures)
        rows.append(f"<tr{shown}><td>{escape(labels[row.method])}</td>{cells}</tr>")
    n, unscored = int(scores["n"].max()), int(scores.attrs["n_unscored"])
    means = (
        "RMSE and bias in dB; in band: share of reports within the claimed 90 % band. Whole squares are dealt into "
        f"{FOLDS} parts; each part is predicted by models fitted to the others alone (floors, clutter and covariance "
        f"too). n = {n}" + (f", {unscored} could not be scored." if unscored else ".")
    )
    return (
        f'{head}<table><tr><th>model</th><th title="Root mean square error, dB">RMSE</th>'
        '<th title="Mean of modelled minus measured, dB">bias</th>'
        '<th title="Share of reports within the claimed 90 % band">in band</th></tr>'
        + "".join(rows) + f"</table><p>{escape(means)}</p>"
    )  # fmt: skip


def _between(frame: MeasuredFrame, name: str, form: str) -> str:
    ends = frame.intervals.get(name)
    return f" <small>({ends[0]:{form}} to {ends[1]:{form}})</small>" if ends else ""


def _row(name: str, value: str, means: str) -> str:
    return f'<dt title="{escape(means, quote=True)}">{escape(name)} <i>i</i></dt><dd>{value}</dd>'


def _db(value: float, signed: bool = False) -> str:
    if not math.isfinite(value):
        return "not known"
    return f"{_signed(value, '.1f') if signed else f'{value:.1f}'.replace('-', '−')} dB"


def _signed(value: float, form: str = ".2f") -> str:
    text = f"{value:+{form}}"
    return text.replace("-", "−") if float(text) else text[1:]  # nothing has no sign
