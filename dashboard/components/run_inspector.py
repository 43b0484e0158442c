"""Inspector of the open run: what it is, where it came from, its metrics as stored and as measured again.

Data is text and only text: every value goes through `html.escape` on its way to the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import numpy as np
import panel as pn

from dashboard.components.inspector import CSS, utc_text
from dashboard.components.run_charts import Histogram, Spectrum
from dashboard.components.run_rows import PARAMETERS
from dashboard.components.run_table import WHAT
from dashboard.components.widget_style import heading, styled
from dashboard.theme import ASSETS
from engine.runs.hunt_settings import fitness
from engine.runs.validator import METRICS

EXTRA_CSS = (ASSETS / "run_inspector.css").read_text()


class RunInspector:
    """What is known of the open run; re-validation is asked for by a button.

    Parameters
    ----------
    theme : str
    on_validate : callable () -> None
    """

    def __init__(self, theme: str, on_validate: Callable[[], None]) -> None:
        self._theme = theme
        self.text = pn.pane.HTML("", stylesheets=[CSS, EXTRA_CSS], sizing_mode="stretch_width", margin=0)
        self.origin = pn.pane.HTML("", stylesheets=[CSS, EXTRA_CSS], sizing_mode="stretch_width", margin=0)
        self.spectrum = Spectrum(theme)
        self.values = Histogram(theme, "value")
        self.scramble = Histogram(theme, "error with random phases", 84)
        self.shuffle = Histogram(theme, "error with gaps in random order", 84)
        self.validate = styled(pn.widgets.Button(label="Measure again from the arrays"))
        self.validate.on_click(lambda _: on_validate())
        self._grid_parts = pn.Column(
            heading("Radial spectrum"), self.spectrum.view, heading("Values in the grid"), self.values.view,
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip
        self._null_parts = pn.Column(
            heading("Null distributions"), self.scramble.view, self.shuffle.view, margin=0, sizing_mode="stretch_width"
        )
        self._null_parts.visible = False
        self.view = pn.Column(
            heading("Run"), self.text, self.validate, self._null_parts, self._grid_parts, self.origin,
            margin=0, sizing_mode="stretch_width",
        )  # fmt: skip

    def set_theme(self, theme: str) -> None:
        """Recolour in place."""
        if theme == self._theme:
            return
        self._theme = theme
        for part in (self.spectrum, self.values, self.scramble, self.shuffle):
            part.set_theme(theme)

    def describe(
        self,
        run: Mapping[str, Any] | None,
        differing: list[str],
        report: Mapping[str, Any] | None,
        checking_s: float | None,
    ) -> None:
        """Show a run.

        Parameters
        ----------
        run : mapping or None
            Its row in the ledger.
        differing : list of str
            Parameters that tell the listed runs apart; they come first.
        report : mapping or None
            What measuring it again gave.
        checking_s : float or None
            For how long it is being measured, s.
        """
        _set(self.text, "object", run_html(run, report, checking_s))
        _set(self.origin, "object", origin_html(run, differing) if run else "")
        _set(self.validate, "visible", run is not None and run.get("state") in ("done", "found"))
        _set(self.validate, "disabled", checking_s is not None)
        nulls = (report or {}).get("nulls") or {}
        _set(self._null_parts, "visible", bool(nulls))
        if nulls and report is not None:
            self.scramble.draw(np.array(nulls["phase_scramble"]), float(report["metrics"]["log_prime_sse"]))
            observed = float(np.mean(nulls["target_shuffle"])) - float(report["metrics"]["shuffle_delta"])
            self.shuffle.draw(np.array(nulls["target_shuffle"]), observed)

    def describe_grid(self, grid: np.ndarray | None, domain_size: float, label: str) -> None:
        """Show spectrum and values of the grid on the screen; None hides them."""
        _set(self._grid_parts, "visible", grid is not None)
        if grid is not None:
            self.spectrum.draw(grid, domain_size)
            self.values.figure.xaxis.axis_label = label
            self.values.draw(grid)


def run_html(run: Mapping[str, Any] | None, report: Mapping[str, Any] | None, checking_s: float | None) -> str:
    """State and metrics of a run as HTML; every value from data is escaped.

    Examples
    --------
    >>> "Pick a run" in run_html(None, None, None)
    True
    """
    if run is None:
        return "<p>Pick a run in the table, in the picture, or with the keys ↑ and ↓.</p>"
    parts = [f"<h3>{escape(str(run['run_id'])[:10])}</h3><p>{escape(str(run.get('state', '')))}"]
    if run.get("finished_s"):
        parts.append(f" · {utc_text(float(run['finished_s']))}")
    if run.get("seconds") is not None:
        parts.append(f" · {float(run['seconds']):.3g} s")
    parts.append("</p>")
    if run.get("reason"):
        parts.append(f'<p class="reason">{escape(str(run["reason"]))}</p>')
    measured = dict(report["metrics"]) if report and report["status"] == "ok" else None
    if measured:
        measured["fitness"] = fitness(measured)
    parts.append(_metrics_html(run, measured))
    if checking_s is not None:
        parts.append(f"<p>Being measured again, for {checking_s:.0f} s …</p>")
    elif report is not None:
        parts.append(_verdict_html(run, report))
    return "".join(parts)


def origin_html(run: Mapping[str, Any], differing: list[str]) -> str:
    """Provenance and parameters of a run as HTML."""
    first = [n for n in PARAMETERS if n in differing and n in run]
    rest = [n for n in PARAMETERS if n in run and n not in first]
    rows = [
        ("id", f"<code>{escape(str(run['run_id']))}</code>", "SHA-1 of the canonical JSON of all parameters."),
        ("hunt", f"<code>{escape(str(run.get('hunt_id') or 'none')[:10])}</code>", "SHA-1 of the hunt's settings."),
        ("generation", escape(str(run.get("generation", "–"))), "Generation of the search that asked for it."),
        ("candidate", escape(str(run.get("candidate", "–"))), "Its number within the hunt."),
        ("parents", escape(_parents(run.get("parents"))), "Candidates that it descends from."),
        (
            "code",
            f"<code>{escape(str(run.get('code_version') or 'unknown'))}</code>",
            "Version and hash of the solver.",
        ),
        (
            "measured by",
            f"<code>{escape(str(run.get('validated_by') or 'unknown'))}</code>",
            "Hash of the metrics' code.",
        ),
    ]
    parts = ["<h4>Provenance</h4><dl>", *(_row(*row) for row in rows), "</dl>"]
    for title, names in (("Parameters that differ", first), ("Other parameters", rest)):
        if names:
            body = "".join(f"<dt>{escape(n)}</dt><dd>{escape(_figure(run[n]))}</dd>" for n in names)
            parts.append(f"<h4>{title}</h4><dl>{body}</dl>")
    return "".join(parts)


def _metrics_html(run: Mapping[str, Any], measured: Mapping[str, float] | None) -> str:
    names = [n for n in ("fitness", *METRICS) if run.get(n) is not None or (measured and n in measured)]
    if not names:
        return ""
    head = "<tr><th>metric</th><th>stored</th>" + ("<th>again</th>" if measured else "") + "</tr>"
    body = []
    for name in names:
        stored = run.get(name)
        again = ""
        if measured:
            value = measured.get(name)
            same = value is not None and stored is not None and abs(value - stored) <= 1e-9 * max(abs(value), 1.0)
            shown = "–" if value is None else _figure(value)
            again = f'<td class="{"" if value is None else "same" if same else "other"}">{escape(shown)}</td>'
        body.append(
            f'<tr><td title="{escape(WHAT.get(name, name))}" tabindex="0">{escape(name)} <i>i</i></td>'
            f"<td>{escape(_figure(stored))}</td>{again}</tr>"
        )
    return f'<table class="metrics">{head}{"".join(body)}</table>'


def _verdict_html(run: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    if report["status"] != "ok":
        return f'<p class="reason">Measured again: {escape(report["status"])}. {escape(str(report["reason"]))}</p>'
    pairs = [(run.get(n), report["metrics"][n]) for n in METRICS if run.get(n) is not None]
    agree = bool(pairs) and all(abs(a - b) <= 1e-9 * max(abs(b), 1.0) for a, b in pairs)
    said = "The arrays give the stored numbers." if agree else "The arrays give other numbers than those stored."
    return f"<p>{said} {report['draws']} draws of each null test.</p>"


def _row(name: str, value: str, definition: str) -> str:
    return f'<dt title="{escape(definition)}" tabindex="0">{name} <i>i</i></dt><dd>{value}</dd>'


def _parents(given: Any) -> str:
    return ", ".join(str(p) for p in given) if given else "none"


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _set(thing: Any, name: str, value: Any) -> None:
    if getattr(thing, name) != value:
        setattr(thing, name, value)
