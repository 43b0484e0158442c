"""Evidence: what an alert or a series says, since when, how sure, and why; and what one can do about it.

Data is text and only text: every value goes through `html.escape` on its way to the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

import pandas as pd
import panel as pn
import param
import pyarrow as pa

from dashboard.components.drift_state import DriftState
from dashboard.components.drift_words import RATES, metric_word, value_text
from dashboard.components.inspector import CSS, utc_text
from dashboard.components.widget_style import heading, styled
from engine.frames.drift_frame import DriftFrame, Series
from engine.hypergraph.clusters import DEFINITIONS

MUTE_S = {"15 minutes": 900.0, "1 hour": 3_600.0, "1 day": 86_400.0}
"""How long an alert can be muted for, by label, s."""

_BARS = """
.bars { display: grid; grid-template-columns: minmax(70px, auto) 1fr auto; gap: 2px 8px; align-items: center; margin: 4px 0; }
.bars span { overflow-wrap: anywhere; } .bars b { display: block; height: 8px; background: var(--accent); border-radius: 2px; min-width: 1px; }
.bars u { text-decoration: none; color: var(--muted); text-align: right; } a { color: var(--accent); } .raised { color: var(--alarm); font-weight: 700; } .quiet { color: var(--ok); }
td:nth-child(2) { text-align: left; overflow-wrap: anywhere; }
"""  # noqa: E501


class DriftInspector(pn.viewable.Viewer):
    """The selected alert or series with its evidence, and the answers to it.

    Examples
    --------
    >>> DriftInspector(DriftState()).text.object.startswith("<p>")
    True
    """

    state: DriftState = param.ClassSelector(class_=DriftState, doc="Holds the selection.")  # type: ignore[assignment]

    def __init__(self, state: DriftState, **params: Any) -> None:
        super().__init__(state=state, **params)
        w = pn.widgets
        self.on_answer: Callable[[str], None] | None = None
        self.text = pn.pane.HTML(
            "<p>Click a card, a row or a mark.</p>", stylesheets=[CSS, _BARS], sizing_mode="stretch_width", margin=0
        )
        self.behind = pn.pane.HTML("", stylesheets=[CSS, _BARS], sizing_mode="stretch_width", margin=0)
        self.by = styled(w.TextInput(label="Your name", value="", placeholder="for the others to know", max_length=60))
        self.note = styled(w.TextInput(label="Note", value="", placeholder="what you found", max_length=300))
        self.mute_for = styled(w.Select(label="Mute for", options=MUTE_S, value=3_600.0))
        self.buttons = {
            "moment": styled(w.Button(label="Show that moment")),
            "ack": styled(w.Button(label="Acknowledge")),
            "mute": styled(w.Button(label="Mute")),
            "unmute": styled(w.Button(label="End the muting")),
        }
        for name, button in self.buttons.items():
            button.on_click(partial(self._answered, name))
        self.answers = pn.Column(
            heading("Answer"), self.buttons["moment"], self.by, self.note, self.buttons["ack"], self.mute_for,
            self.buttons["mute"], self.buttons["unmute"], margin=0, sizing_mode="stretch_width", visible=False,
        )  # fmt: skip
        self._layout = pn.Column(
            heading("Evidence"), self.text, self.answers, self.behind, margin=0, sizing_mode="stretch_width"
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def _answered(self, name: str, _: Any) -> None:
        if self.on_answer is not None:
            self.on_answer(name)

    def describe(self, frame: DriftFrame, alert: Mapping[str, Any] | None, events: pa.Table | None) -> None:
        """Show the selected alert with the events behind it, or the selected series, or the whole."""
        state = self.state
        monitor, _, entity = state.series.partition("/")
        series = frame.find(monitor, entity) if state.series else None
        if state.alert:
            html = alert_html(alert, state.theme) if alert is not None else _gone(state.alert)
        elif state.series:
            known = frame.clusters[frame.clusters["cluster"] == entity]
            html = series_html(series, state.theme) if series is not None else ""
            html += numbers_html(known.iloc[0].to_dict()) if len(known) else ""
            html = html or _gone(state.series)
        else:
            html = overview_html(frame)
        if self.text.object != html:
            self.text.object = html
        behind = events_html(events) if alert is not None and events is not None and events.num_rows else ""
        if self.behind.object != behind:
            self.behind.object = behind
        self.answers.visible = alert is not None
        if alert is not None:
            self.buttons["ack"].visible = not alert["acknowledged"]
            self.buttons["unmute"].visible = bool(alert["muted"])


def overview_html(frame: DriftFrame) -> str:
    """What stands, when nothing is selected."""
    stands = frame.alerts[frame.alerts["state"] == "raised"]
    unseen = int((~stands["acknowledged"].astype(bool) & ~stands["muted"].astype(bool)).sum())
    failed = [m.monitor for m in frame.monitors if m.state == "failed"]
    rows = [
        _row("alerts that stand", str(len(stands)), "Raised and not cleared at the moment shown."),
        _row("nobody has seen", str(unseen), "Of these, not acknowledged and not muted."),
        _row("kept", str(len(frame.alerts)), "Alerts of the last two weeks, at most 2 000."),
        _row("clusters told of", str(len(frame.clusters)), "Clusters with a result inside the window, at most 200."),
        _row("monitors", str(len(frame.monitors)), "Monitors that have said anything."),
        _row("failed", escape(", ".join(failed)) or "none", "Monitors that are out; they restart by themselves."),
    ]
    calm = (
        "<p>Nothing stands. Quiet is what it should be.</p>"
        if stands.empty
        else "<p>Click a card, a row or a mark.</p>"
    )
    return calm + "<dl>" + "".join(rows) + "</dl>"


def alert_html(alert: Mapping[str, Any], theme: str) -> str:
    """An alert with its evidence; every value from data is escaped."""
    word = metric_word(str(alert["monitor"]), str(alert["metric"] or ""))
    unit = str(alert["unit"] or "")
    stands = alert["state"] == "raised"
    raised = alert["raised"].timestamp()
    state = '<span class="raised">raised</span>' if stands else f"cleared ({escape(str(alert['reason'] or 'quiet'))})"
    window = _or_nan(alert["window_s"])
    parts = [
        f"<h3>{escape(word.title)}</h3><p>{escape(str(alert['entity']))}</p>",
        f"<p>{escape(word.means)}</p><dl>",
        _row("state", state, "Raised, or cleared and why."),
        _row("since", utc_text(raised), "When the alarm was raised."),
    ]
    if not stands and not pd.isna(alert["cleared"]):
        parts.append(_row("cleared", utc_text(alert["cleared"].timestamp()), "When it was cleared."))
    if alert["label"]:
        parts.append(_row("label", escape(str(alert["label"])), "What the monitor calls it."))
    parts += [
        _row("value", value_text(_or_nan(alert["value"]), unit), "The number when the alarm was raised."),
        _row("alarm at", value_text(_or_nan(alert["threshold"]), unit), "Where the alarm is raised."),
        _row("rests on", f"{int(alert['n'])} events in {_time(window)}", "Events in the window, and its length."),
        _row("seq", f"{int(alert['first_seq'])} to {int(alert['last_seq'])}", "The window's place in the event log."),
    ]
    if alert["drill"]:
        parts.append(_row("drill", escape(str(alert["drill"])), "An exercise: nothing of it is real."))
    if alert["acknowledged"]:
        parts.append(_row("seen by", escape(str(alert["by"] or "someone")), "Who acknowledged it."))
        if alert["note"]:
            parts.append(_row("note", escape(str(alert["note"])), "What they wrote."))
    parts.append("</dl>")
    parts.append(rate_html(str(alert["monitor"]), str(alert["metric"] or "")))
    parts.append(_bars("Made of", str(alert["parts"] or "")))
    parts.append(_bars("Responsible", str(alert["responsible"] or ""), raised, theme))
    return "".join(parts)


def series_html(series: Series, theme: str) -> str:
    """One number of a monitor; every value from data is escaped."""
    word = metric_word(series.monitor, series.metric)
    told = series.state != "insufficient"
    rows = [
        _row("state", f'<span class="{series.state}">{series.state}</span>', "Of the alarm at the newest result."),
        _row("value", value_text(series.value, series.unit) if told else "too few events", "The newest result."),
        _row("alarm at", value_text(series.threshold, series.unit), "Where the alarm is raised."),
        _row("rests on", f"{series.n} events in {_time(series.window_s)}", "Events in the window, and its length."),
        _row("trend", f"{value_text(series.trend_per_h, series.unit)} per h", "Theil-Sen slope of the last results."),
    ]
    if series.label:
        rows.append(_row("label", escape(series.label), "What the monitor calls it."))
    if series.since_s is not None:
        rows.append(_row("raised since", utc_text(series.since_s), "When its alarm was raised."))
    if len(series.time_s):
        rows.append(_row("told at", utc_text(float(series.time_s[-1])), "Event time of the newest result."))
    moment = float(series.time_s[-1]) if len(series.time_s) else math.nan
    return (
        f"<h3>{escape(word.title)}</h3><p>{escape(series.entity)}</p><p>{escape(word.means)}</p>"
        f"<dl>{''.join(rows)}</dl>{rate_html(series.monitor, series.metric)}"
        + _bars("Responsible", series.responsible, moment, theme)
    )


def rate_html(monitor: str, metric: str) -> str:
    """What is known of how often this alarm errs and how late it comes; nothing where it was not measured."""
    rate = RATES.get(metric) or RATES.get(monitor)
    if rate is None:
        return ""
    return (
        "<h4>How far to trust it</h4><dl>"
        + _row("false alarms per h", escape(rate.false_alarms_per_h),
               "On stationary simulated input; 0 (< x): none seen, x bounds the rate with 95 % confidence. Of monitors "
               "of clusters per cluster. docs/engine-drift.md says of what and how.")
        + _row("delay", escape(rate.delay), "From a known change to the alarm: median (greatest) of simulated changes.")
        + "</dl>"
    )  # fmt: skip


def _bars(title: str, shares: str, moment_s: float = math.nan, theme: str = "light") -> str:
    """Shares ``name share; …`` as bars; with a moment the names lead to the map and the graph of that moment."""
    rows = []
    for part in filter(None, (p.strip() for p in shares.split(";"))):
        name, _, share = part.rpartition(" ")
        try:
            size = float(share)
        except ValueError:
            name, size = part, math.nan
        width = 100.0 * min(abs(size), 1.0) if math.isfinite(size) else 0.0
        label = escape(name)
        if math.isfinite(moment_s):
            where = urlencode({"select": name, "t": _iso(moment_s), "theme": theme}, quote_via=quote)
            label += (
                f' <a href="field?{escape(where)}" title="On the map at that moment">map</a>'
                f' <a href="hypergraph?{escape(where)}" title="In the graph at that moment">graph</a>'
            )
        rows.append(f'<span>{label}</span><b style="width:{width:.0f}%"></b><u>{value_text(size)}</u>')
    return f'<h4>{title}</h4><div class="bars">{"".join(rows)}</div>' if rows else ""


def events_html(events: pa.Table) -> str:
    """The last events behind an alert, newest first; every value from data is escaped."""
    rows = events.select(["seq", "time", "kind", "entity"]).to_pylist()[::-1]
    body = "".join(
        f"<tr><td>{row['seq']}</td><td>{escape(str(row['kind']))} {escape(str(row['entity'])[:80])}</td>"
        f"<td>{row['time']:%H:%M:%S}</td></tr>"
        for row in rows
    )
    return f"<h4>Last events behind it</h4><table>{body}</table>"


def numbers_html(cluster: Mapping[str, Any]) -> str:
    """What a cluster is besides alarms: its numbers with their definitions."""
    rows = [
        _row(name.replace("_", " "), escape(value_text(_or_nan(cluster.get(name)), unit if unit != "1" else "")), means)
        for name, (unit, means) in DEFINITIONS.items()
        if math.isfinite(_or_nan(cluster.get(name)))
    ]
    return f"<h3>{escape(str(cluster['cluster']))}</h3><dl>{''.join(rows)}</dl>" if rows else ""


def _gone(key: str) -> str:
    return f"<h3>{escape(key[:120])}</h3><p>Not told of at the moment shown; it may be outside the window.</p>"


def _row(name: str, value: str, definition: str) -> str:
    return f'<dt title="{escape(definition)}" tabindex="0">{name} <i>i</i></dt><dd>{value}</dd>'


def _or_nan(value: Any) -> float:
    return math.nan if value is None else float(value)


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "–"
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _iso(moment_s: float) -> str:
    return pd.Timestamp(moment_s, unit="s").isoformat(timespec="milliseconds") + "Z"
