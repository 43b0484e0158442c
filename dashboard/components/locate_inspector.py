"""The inspector of the Locate page: a fix with its residuals and what it is worth, a sensor, or how all of it goes.

Data is text and only text: every value goes through `html.escape` on its way to the page.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import panel as pn
import param

from dashboard.components.inspector import CSS, utc_text
from dashboard.components.locate_map import SENSOR
from dashboard.components.locate_state import TdoaState
from dashboard.components.locate_words import REASONS, metres, nanoseconds, reliability
from dashboard.components.widget_style import heading, styled
from engine.frames.locate_frame import SQUARE_90, LocateFrame
from engine.geo import slant_range_m

_CSS = ".no { color: var(--alarm); font-weight: 700; } .yes { color: var(--ok); } .unused td { opacity: .5; }"


class LocateInspector(pn.viewable.Viewer):
    """What is selected, and what it is worth.

    Examples
    --------
    >>> LocateInspector(TdoaState()).text.object.startswith("<p>")
    True
    """

    state: TdoaState = param.ClassSelector(class_=TdoaState, doc="Holds the selection.")  # type: ignore[assignment]

    def __init__(self, state: TdoaState, **params: Any) -> None:
        super().__init__(state=state, **params)
        self.on_switch: Callable[[str], None] | None = None
        self.text = pn.pane.HTML(
            "<p>Click a fix or a sensor.</p>", stylesheets=[CSS, _CSS], sizing_mode="stretch_width", margin=0
        )
        self.switch = styled(pn.widgets.Button(label="Switch this sensor off"))
        self.clear = styled(pn.widgets.Button(label="Clear selection (Esc)"))
        self.switch.visible = self.clear.visible = False
        self.clear.on_click(lambda _: self._cleared())
        self.switch.on_click(lambda _: self._switched())
        self._layout = pn.Column(
            heading("Position"), self.text, self.switch, self.clear, margin=0, sizing_mode="stretch_width"
        )

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def describe(self, frame: LocateFrame) -> None:
        """Show what a frame knows of the selection."""
        selected = self.state.selected
        sensor = selected.removeprefix(SENSOR) if selected.startswith(SENSOR) else ""
        if sensor:
            html = sensor_html(frame, sensor)
        elif selected or self.state.message:
            html = fix_html(frame, selected)
        else:
            html = overview_html(frame)
        if self.text.object != html:
            self.text.object = html
        label = "Switch this sensor on" if sensor in self.state.off else "Switch this sensor off"
        if self.switch.label != label:
            self.switch.label = label
        self.switch.visible, self.clear.visible = bool(sensor), bool(selected)

    def _cleared(self) -> None:
        self.state.param.update(selected="", message="")

    def _switched(self) -> None:
        name = self.state.selected.removeprefix(SENSOR)
        self.state.off = tuple(sorted(set(self.state.off) ^ {name}))


def overview_html(frame: LocateFrame) -> str:
    """How it goes, when nothing is selected."""
    table, score = frame.fixes.table, frame.score
    by_reason = table["reason"].value_counts()
    rows = [
        _row("messages", f"{len(table)}", "Messages heard within the time listed."),
        _row("emitters", f"{table['entity'].nunique()}", "Who sent them."),
        _row("sensors", f"{int((frame.sensors['heard'] > 0).sum())} of {len(frame.sensors)}", "Those that heard any."),
        _row("from report", metres(score["error_m"]), "Median horizontal distance of fixes to reported positions."),
        _row("in 90 %", _share(score["inside"]), "Reports inside the 90 % ellipse of fix and report; 90 % is right."),
        _row("computed in", f"{frame.compute_ms:.0f} ms", "This frame, once for all viewers."),
    ]
    reasons = [_row(str(reason), str(n), REASONS.get(str(reason), "")) for reason, n in by_reason.items()]
    unused = [_row(name, str(n), "Arrivals that could not be used.") for name, n in frame.fixes.arrivals.counts.items()]
    return (
        "<p>Click a fix or a sensor.</p><dl>" + "".join(rows) + "</dl><h4>Positions, by outcome</h4><dl>"
        + "".join(reasons) + "</dl>" + (f"<h4>Not used</h4><dl>{''.join(unused)}</dl>" if unused else "")
    )  # fmt: skip


def fix_html(frame: LocateFrame, selected: str) -> str:
    """The selected message: position, ellipse, residuals; or why there is none."""
    if frame.row < 0:
        return (
            f"<h3>{escape(selected[:120])}</h3><p>Not heard within the time listed before the moment shown. "
            "It stays selected and is shown again as soon as it is heard.</p>"
        )
    one = frame.fixes.table.iloc[frame.row]
    ok, reason = bool(one["ok"]), str(one["reason"])
    age_s = max(frame.moment_s - float(one["time_s"]), 0.0)
    parts = [
        f"<h3>{escape(str(one['entity']))}</h3><p>message {escape(str(one['message'])[:80])} · "
        f"{utc_text(float(one['time_s']))}</p><dl>",
        _row("position", f'<span class="{"yes" if ok else "no"}">{escape(reason)}</span>', REASONS.get(reason, "")),
        _row("heard", f"{age_s:.0f} s ago", "Age of the message at the moment shown."),
        _row("sensors", f"{int(one['n_sensors'])}", "Sensors whose arrival was used."),
    ]
    if ok:
        parts += [
            _row("latitude", f"{one['lat']:.5f}°", "Of the fix, WGS-84."),
            _row("longitude", f"{one['lon']:.5f}°", "Of the fix, WGS-84."),
            _row("height", f"{one['alt_m']:,.0f} m", "Above the ellipsoid; mostly the reported one, weakly tied."),
            _row("90 % ellipse", f"± {metres(one['ellipse_major_m'])} × {metres(one['ellipse_minor_m'])}",
                 "Semi-axes claimed for the horizontal position."),
            _row("long axis", f"{one['ellipse_azimuth_deg']:.0f}°", "Direction of the long axis from north."),
        ]  # fmt: skip
    parts += [_row("GDOP", _number(one["gdop"], ".3g"), "Standard deviation in space for ranges of 1, height free."),
              _reliability(one["external_reliability"])]  # fmt: skip
    if np.isfinite(one["chi2"]):
        parts.append(
            _row("residuals²", f"{one['chi2']:.3g} for {int(one['dof'])}", "Weighted squares, and how many were free.")
        )
    parts.append("</dl>")
    return "".join([*parts, _report_html(one), _residuals_html(frame)] if not ok else
                   [*parts, _report_html(one), _residuals_html(frame), _covariance_html(frame)])  # fmt: skip


def sensor_html(frame: LocateFrame, sensor: str) -> str:
    """A sensor: where it stands and what it hears."""
    found = frame.sensors[frame.sensors["sensor"] == sensor]
    if found.empty:
        return f"<h3>{escape(sensor[:120])}</h3><p>No such sensor at the moment shown.</p>"
    one = found.iloc[0]
    state = "on" if one["on"] else '<span class="no">switched off</span>'
    return (
        f"<h3>Sensor {escape(sensor)}</h3><p>{escape(str(one['sensor_type']))}</p><dl>"
        + _row("in use", state, "Whether its arrivals take part; switched off for this view and its link alone.")
        + _row("latitude", f"{one['lat']:.5f}°", "WGS-84.")
        + _row("longitude", f"{one['lon']:.5f}°", "WGS-84.")
        + _row("height", f"{one['alt_m']:.0f} m", "Above the ellipsoid.")
        + _row("heard", f"{int(one['heard'])} messages", "Within the time listed.")
        + _row("farthest", metres(float(one["farthest_m"])), "To the farthest that it heard.")
        + _row("residual", _number(one["residual_ns"], ".0f", " ns"), "Median size of its residuals.")
        + "</dl>"
    )


def _report_html(one: Any) -> str:
    if not np.isfinite(one["error_m"]):
        told = "The message reports no position." if not np.isfinite(one["reported_lat"]) else "Nothing to compare."
        return f"<h4>Against the report</h4><p>{told}</p>"
    inside = one["square"] <= SQUARE_90
    mark = '<span class="yes">inside</span>' if inside else '<span class="no">outside</span>'
    return (
        "<h4>Against the report</h4><dl>"
        + _row("distance", metres(float(one["error_m"])), "Horizontal, from the fix to the position in the message.")
        + _row("of 90 %", mark, "Of the ellipse of fix and report together: reports are some 0.1 s old when sent.")
        + _row("height", f"{one['alt_m'] - one['reported_alt_m']:+.0f} m".replace("-", "−"), "Fix less report.")
        + "</dl>"
    )


def _residuals_html(frame: LocateFrame) -> str:
    fixes, row = frame.fixes, frame.row
    index = fixes.arrivals.sensor_index[row]
    one = fixes.table.iloc[row]
    place = [float(one[name] if one["ok"] else one[f"reported_{name}"]) for name in ("lat", "lon", "alt_m")]
    body = []
    for k in np.flatnonzero(index >= 0):
        sensor = fixes.arrivals.sensors.iloc[index[k]]
        away = float(slant_range_m(sensor["lat"], sensor["lon"], sensor["alt_m"], *place))
        used = bool(fixes.used[row, k])
        value = nanoseconds(float(fixes.residual_s[row, k])) if used else "off"
        body.append(
            f"<tr{'' if used else ' class=unused'}><td>{escape(str(sensor['sensor']))}</td><td>{metres(away)}</td>"
            f"<td>{1e6 * fixes.arrivals.toa_s[row, k]:.2f} µs</td><td>{value}</td></tr>"
        )
    return (
        '<h4>Sensors</h4><table><tr><th title="Its name">sensor</th><th title="Slant range to the fix">range</th>'
        '<th title="Arrival after the first one">after first</th>'
        '<th title="Arrival measured less computed">residual</th></tr>' + "".join(body) + "</table>"
    )


def _covariance_html(frame: LocateFrame) -> str:
    """Standard deviations and correlations along the axes of the covariance, ECEF."""
    covariance = frame.fixes.covariance_m2[frame.row]
    sigma = np.sqrt(np.diag(covariance))
    cells = "".join(
        f"<tr><td>{name}</td><td>{metres(float(sigma[i]))}</td>"
        + "".join(f"<td>{covariance[i, j] / (sigma[i] * sigma[j]):.2f}</td>" for j in range(3)) + "</tr>"
        for i, name in enumerate("xyz")
    )  # fmt: skip
    return (
        '<h4>Covariance (ECEF)</h4><table><tr><th></th><th title="Standard deviation">σ</th>'
        f'<th title="Correlation">x</th><th>y</th><th>z</th></tr>{cells}</table>'
    )


def _reliability(value: float) -> str:
    return _row("reliability", reliability(float(value)), "How far one wrong arrival can shift it unnoticed.")


def _row(name: str, value: str, definition: str) -> str:
    return f'<dt title="{escape(definition)}" tabindex="0">{escape(name)} <i>i</i></dt><dd>{value}</dd>'


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else "–"


def _number(value: Any, form: str, unit: str = "") -> str:
    return f"{float(value):{form}}{unit}" if np.isfinite(value) else "–"
