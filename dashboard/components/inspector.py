"""The inspector: everything known of the selected emitter, and how well its forecast has done.

Data is text and only text: every value goes through `html.escape` on its way to the page.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
import panel as pn
import param

from dashboard.components.widget_style import heading, styled
from dashboard.state import ViewState
from dashboard.theme import ASSETS
from engine.forecast_desk import ForecastScore
from engine.frames.field_frame import FieldFrame
from engine.rf.emitters import kind_defaults
from engine.rf.forecast_score import error_ellipse
from engine.rf.track_record import HorizonRecord
from engine.rf.tracks import ALT, CLIMB

CSS = (ASSETS / "inspector.css").read_text()

SCORE_ROWS = 24
"""Rows of the table of all emitters at most: kinds are few, but come from data."""


class Inspector(pn.viewable.Viewer):
    """What is selected: identity, values with unit and age, prediction with uncertainty, score so far.

    Examples
    --------
    >>> Inspector(ViewState()).text.object.startswith("<p>")
    True
    """

    state: ViewState = param.ClassSelector(class_=ViewState, doc="Holds the selection.")  # type: ignore[assignment]

    def __init__(self, state: ViewState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.find = styled(pn.widgets.TextInput(label="", placeholder="Find an emitter: id or call sign", value=""))
        self.clear = styled(pn.widgets.Button(label="Clear selection (Esc)"))
        self.clear.visible = bool(state.selected)
        self.text = pn.pane.HTML(
            "<p>Click an emitter on the map.</p>", stylesheets=[CSS], sizing_mode="stretch_width", margin=0
        )
        self.clear.on_click(self._clear)
        self._layout = pn.Column(
            heading("Emitter"), self.find, self.text, self.clear, margin=0, sizing_mode="stretch_width"
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _clear(self, _: Any) -> None:
        self.state.selected = ""

    def describe(
        self,
        frame: FieldFrame,
        in_view: int,
        record: list[HorizonRecord] | None,
        score: ForecastScore | None = None,
    ) -> None:
        """Show the state of the selection in a frame; `record` scores its forecast so far, `score` everyone's."""
        selected = self.state.selected
        html = emitter_html(frame, selected, record) if selected else overview_html(frame, in_view)
        html += score_html(score)
        if self.text.object != html:
            self.text.object = html
        if self.clear.visible != bool(selected):
            self.clear.visible = bool(selected)


def find_emitter(frame: FieldFrame, wanted: str) -> str | None:
    """Identity of the first emitter whose id or call sign contains a text, whole matches first."""
    wanted = wanted.strip().lower()
    if not wanted:
        return None
    table = frame.tracks.table
    calls = (c if isinstance(c, str) else "" for c in table["callsign"])
    pairs = [(str(i), c) for i, c in zip(table["id"], calls, strict=True)]
    whole = [i for i, c in pairs if wanted in (i.lower(), c.lower())]
    part = [i for i, c in pairs if wanted in i.lower() or wanted in c.lower()]
    return next(iter(whole + part), None)


def overview_html(frame: FieldFrame, in_view: int) -> str:
    """What the picture holds, when nothing is selected."""
    n = len(frame.tracks)
    assumed = int(frame.tracks.table["assumed_radio"].astype(bool).sum()) if n else 0
    lines = [
        "<p>Click an emitter on the map, or find one by name.</p><dl>",
        _row("emitters in view", f"{in_view} of {n}", "Emitters heard within the last 60 s before the moment shown."),
        _row("assumed power", f"{assumed} of {n}", "Emitters whose EIRP or frequency is the default of their kind."),
        _row("forecast spread", _length(frame.spread_m), "Median one-sigma radius of the predicted positions."),
        _row(
            "picture step", f"±{frame.quantisation_db:.2f} dB", "Largest rounding error of the 8-bit picture on screen."
        ),
        _row("computed in", f"{frame.compute_ms:.0f} ms", "Time to compute this frame, once for all viewers."),
        "</dl>",
    ]
    return "".join(lines)


def emitter_html(frame: FieldFrame, selected: str, record: list[HorizonRecord] | None) -> str:
    """The selected emitter as HTML; every value from data is escaped."""
    rows = np.flatnonzero(frame.tracks.table["id"].to_numpy(dtype=object) == selected)
    if not len(rows):
        return (
            f"<h3>{escape(selected)}</h3><p>Not heard in the 60 s before the moment shown. "
            "It stays selected and is shown again as soon as it is heard.</p>"
        )
    i = int(rows[0])
    info = frame.tracks.table.iloc[i]
    kind = kind_defaults(str(info["emitter_kind"]))
    assumed = " <em>assumed</em>" if bool(info["assumed_radio"]) else ""
    name = info["callsign"] if isinstance(info["callsign"], str) and info["callsign"] else selected
    mark = " <em>synthetic</em>" if bool(info["synthetic"]) else ""
    climb = frame.tracks.ring[i, -1, CLIMB]
    parts = [
        f"<h3>{escape(str(name))}{mark}</h3><p>{escape(str(info['emitter_kind']))} · {escape(selected)}</p><dl>",
        _row("position", _place(frame.now.lat[i], frame.now.lon[i]), "Tracked position at the moment shown, WGS-84."),
        _row(
            "altitude",
            _number(frame.now.alt_m[i], ",.0f", " m"),
            "Height as reported, carried to the moment shown by its climb rate.",
        ),
        _row("speed", _number(frame.now.speed_m_s[i], ".0f", " m/s"), "Ground speed from the tracking filter."),
        _row("track", _number(frame.now.track_deg[i] % 360, ".0f", "°"), "Direction of motion, clockwise from north."),
        _row("climb", _number(climb, "+.1f", " m/s"), "Vertical rate as last reported."),
        _row(
            "EIRP",
            f"{float(info['eirp_dbm']):.1f} dBm{assumed}",
            f"Radiated power; default of the kind: {kind.source}.",
        ),
        _row("frequency", f"{float(info['freq_hz']) / 1e6:,.1f} MHz", "Carrier frequency."),
        _row("confidence", f"{float(info['confidence']):.2f}", "As reported by the source, 0 to 1."),
        _row("last fix", f"{frame.tracks.age_s[i]:.1f} s ago", "Age of the newest position at the moment shown."),
        _row("fixes held", str(int(frame.tracks.count[i])), "Newest positions that the forecast is made from."),
        _row("last altitude", f"{frame.tracks.ring[i, -1, ALT]:,.0f} m", "Height in the newest fix."),
        _row("source", escape(str(info["source"])), "Who reported it."),
        "</dl>",
    ]
    if isinstance(info["recorded_at"], str):
        parts.append(f"<p>Recorded {escape(info['recorded_at'])}, replayed as if now.</p>")
    return "".join([*parts, _prediction_html(frame, i), _record_html(record)])


def _prediction_html(frame: FieldFrame, i: int) -> str:
    a, b, bearing = error_ellipse(
        frame.ahead.var_east_m2[i], frame.ahead.var_north_m2[i], frame.ahead.cov_east_north_m2[i], probability=0.9
    )
    return (
        f"<h4>Prediction, {frame.spec.forecast_s:g} s ahead</h4><dl>"
        + _row("position", _place(frame.ahead.lat[i], frame.ahead.lon[i]), "Where the tracking filter expects it.")
        + _row("90 % ellipse", f"± {_length(float(a))} × {_length(float(b))}", "Semi-axes of the claimed 90 % ellipse.")
        + _row("long axis", _number(float(bearing) % 180, ".0f", "°"), "Direction of the long axis from north.")
        + "</dl>"
    )


def _record_html(record: list[HorizonRecord] | None) -> str:
    title = "<h4>Prediction error so far, last 10 min</h4>"
    if not record or not any(r.n for r in record):
        return title + "<p>No prediction has come due yet.</p>"
    head = (
        '<tr><th title="How far ahead the prediction looked">ahead</th>'
        '<th title="Root mean square horizontal error against the real fixes">RMSE <i>i</i></th>'
        '<th title="Real fixes inside the claimed 90 % ellipse; 90 % is right">in 90 % <i>i</i></th>'
        '<th title="Predictions scored">n</th></tr>'
    )
    body = "".join(
        f"<tr><td>{r.horizon_s:g} s</td><td>{_length(r.rmse_m) if r.n else '–'}</td>"
        f"<td>{f'{100 * r.inside_90:.0f} %' if r.n else '–'}</td><td>{r.n}</td></tr>"
        for r in record
    )
    return f"{title}<table>{head}{body}</table>"


def score_html(score: ForecastScore | None) -> str:
    """How the forecast has done on all emitters, by horizon, for turning ones and by kind; and its fields."""
    title = "<h4>Forecast score, all emitters, live</h4>"
    if score is not None and score.error:
        title += f"<p><em>Not scored any further: {escape(score.error)}. It is tried again every few seconds.</em></p>"
    if score is None or not score.rows:
        return title + "<p>No prediction has come due yet.</p>"
    head = (
        '<tr><th title="How far ahead the prediction looked">ahead</th>'
        '<th title="All emitters, those whose reported track turns over 0.5° per second, or one kind">who</th>'
        '<th title="Root mean square horizontal error against the real fixes">RMSE <i>i</i></th>'
        '<th title="Real fixes inside the claimed 90 % ellipse; 90 % is right">in 90 % <i>i</i></th>'
        '<th title="Predictions scored">n</th></tr>'
    )
    body = "".join(
        f"<tr><td>{r.horizon_s:g} s</td><td>{escape(r.who)}</td><td>{_length(r.rmse_m)}</td>"
        f"<td>{100 * r.inside_90:.0f} %</td><td>{r.n}</td></tr>"
        for r in score.rows[:SCORE_ROWS]
    )
    parts = [f"{title}<table>{head}{body}</table>"]
    if score.fields:
        head = (
            '<tr><th title="How far ahead the field was foretold">ahead</th>'
            '<th title="Foretold field, as the expectation over the covariance, against the field at the positions '
            'that came true: root mean square over a coarse grid">field error <i>i</i></th>'
            '<th title="Cells whose strongest emitter is the one foretold">dominance kept <i>i</i></th></tr>'
        )
        body = "".join(
            f"<tr><td>{f.horizon_s:g} s</td><td>{f.rms_db:.1f} dB</td><td>{100 * f.agreement:.0f} %</td></tr>"
            for f in score.fields
        )
        parts.append(f"<table>{head}{body}</table>")
    return "".join(parts)


def _row(name: str, value: str, definition: str) -> str:
    return f'<dt title="{escape(definition)}" tabindex="0">{name} <i>i</i></dt><dd>{value}</dd>'


def _place(lat: float, lon: float) -> str:
    if not np.isfinite(lat + lon):
        return "unknown"
    return f"{abs(lat):.4f}° {'S' if lat < 0 else 'N'}, {abs(lon):.4f}° {'W' if lon < 0 else 'E'}"


def _number(value: float, form: str, unit: str) -> str:
    return f"{value:{form}}{unit}" if np.isfinite(value) else "unknown"


def _length(metres: float) -> str:
    if not np.isfinite(metres):
        return "unknown"
    return f"{metres:.0f} m" if metres < 995 else f"{metres / 1000:.1f} km"


def utc_text(moment_s: float) -> str:
    """A moment as people write it, UTC."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
