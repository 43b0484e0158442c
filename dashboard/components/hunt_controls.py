"""The hunt: start it, steer it, and see how it goes. What it does is `engine.hunts.HuntDesk`'s business."""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import pyarrow as pa
import pyarrow.compute as pc

from dashboard.components.inspector import CSS
from dashboard.components.widget_style import heading, styled
from dashboard.theme import ASSETS
from engine.hunts import HuntDesk
from engine.runs.hunt_settings import SPACE, HuntStatus
from engine.runs.samplers import SAMPLERS

GRIDS = {"32² cells": 32, "64² cells": 64, "128² cells": 128, "256² cells": 256, "512² cells": 512}
"""Sizes of the grid offered."""

MAX_REASONS = 4
"""Reasons of failed runs that are listed; the others are counted together."""

STATUS_CSS = (ASSETS / "hunt_status.css").read_text()

_STEERING = {"running": "Pause hunt", "pausing": "Go on", "paused": "Go on"}


class HuntControls:
    """Widgets of the hunt; errors are handed to `say`.

    Parameters
    ----------
    desk : HuntDesk
    say : callable (sentence) -> None
        Shows one sentence to the viewer.
    on_started : callable (hunt id) -> None
    """

    def __init__(self, desk: HuntDesk, say: Callable[[str], None], on_started: Callable[[str], None]) -> None:
        self.desk, self._say, self._on_started = desk, say, on_started
        self._shown = ""
        self._drawn: tuple[Any, ...] = ()
        w = pn.widgets
        cores = os.cpu_count() or 1
        self.form = {
            "sampler": styled(w.Select(label="Sampler", options=list(SAMPLERS), value="cmaes")),
            "budget": styled(w.IntInput(label="Runs in all", value=200, start=1, end=100_000)),
            "workers": styled(w.IntInput(label="Worker processes", value=max(cores - 1, 1), start=1, end=4 * cores)),
            "seed": styled(w.IntInput(label="Seed", value=0, start=0, end=2**31)),
            "N_grid": styled(w.Select(label="Grid", options=GRIDS, value=64)),
            "T_steps": styled(w.IntInput(label="Steps of 0.01", value=200, start=1, end=100_000)),
            "history_every": styled(
                w.IntInput(label="Keep a frame every … steps (0: none)", value=0, start=0, end=10_000)
            ),
        }
        ends = {"kappa": (0.0, 0.99), "sigma_k": (0.0, 10.0), "alpha": (0.0, 4.0)}
        self.space = {
            name: styled(
                w.RangeSlider(
                    label=f"{name} from … to", start=ends[name][0], end=ends[name][1], step=0.01, value=SPACE[name]
                )
            )
            for name in SPACE
        }
        self.new = styled(w.Button(label="New hunt …"))
        self.start = styled(w.Button(label="Start the hunt"))
        self.steer = styled(w.Button(label="Pause hunt"))
        self.cancel = styled(w.Button(label="Cancel hunt"))
        self.status = pn.pane.HTML("", stylesheets=[CSS, STATUS_CSS], sizing_mode="stretch_width", margin=0)
        self._fold = pn.Column(
            *self.form.values(), *self.space.values(), self.start, margin=0, sizing_mode="stretch_width", visible=False
        )
        self.new.on_click(lambda _: self.unfold(not self._fold.visible))
        self.start.on_click(lambda _: self._begin())
        self.steer.on_click(lambda _: self._steer())
        self.cancel.on_click(lambda _: self.desk.cancel())
        self._buttons = pn.Row(self.steer, self.cancel, margin=0, sizing_mode="stretch_width", visible=False)
        self.view = pn.Column(
            heading("Hunt"), self.status, self._buttons, self.new, self._fold, margin=0, sizing_mode="stretch_width"
        )

    def unfold(self, on: bool) -> None:
        """Show or hide the settings of a new hunt."""
        self._fold.visible = on
        self.new.label = "Fold away" if on else "New hunt …"

    def draw(self, hunt_id: str, table: pa.Table) -> None:
        """Show how a hunt stands; empty is the one of this process."""
        self._shown = hunt_id or self.desk.current
        status = self.desk.status(hunt_id)
        key = (status, id(table), self.desk.error)
        if key == self._drawn:
            return
        self._drawn, self._table = key, table  # kept, so that no other table gets its identity
        html = status_html(status, table, self.desk.writable, self.desk.error)
        if self.status.object != html:
            self.status.object = html
        state = status.state if status is not None else "new"
        going = state in _STEERING
        ended = state in ("cancelled", "interrupted", "failed")
        steer = _STEERING.get(state, "Go on")
        shown = self.desk.writable and (going or ended)
        for thing, name, value in (
            (self._buttons, "visible", shown), (self.steer, "label", steer), (self.cancel, "visible", going),
            (self.start, "disabled", going or not self.desk.writable),
        ):  # fmt: skip
            if getattr(thing, name) != value:
                setattr(thing, name, value)

    def settings(self) -> dict[str, Any]:
        """What the form says, as `HuntDesk.start` takes it."""
        f = {name: widget.value for name, widget in self.form.items()}
        params = {name: f.pop(name) for name in ("N_grid", "T_steps", "history_every")}
        return {**f, "params": params, "space": {n: tuple(map(float, w.value)) for n, w in self.space.items()}}

    def _begin(self) -> None:
        try:
            hunt_id = self.desk.start(**self.settings())
        except (ValueError, RuntimeError, OSError) as error:
            self._say(f"The hunt was not started: {error}")
            return
        self.unfold(False)
        self._on_started(hunt_id)

    def _steer(self) -> None:
        try:
            status = self.desk.status(self._shown)
            if status is not None and status.state == "running":
                self.desk.pause()
            else:
                self.desk.resume(self._shown)
        except (ValueError, RuntimeError, OSError) as error:
            self._say(f"The hunt does not go on: {error}")


def status_html(status: HuntStatus | None, table: pa.Table, writable: bool, error: str = "") -> str:
    """How a hunt stands as HTML; every text from data is escaped.

    Examples
    --------
    >>> "No hunt" in status_html(None, pa.table({"state": ["found"]}), True)
    True
    """
    trouble = f'<p class="failed">{escape(error)}</p>' if error else ""
    if not writable:
        trouble += "<p>Another process hunts in this folder: this page looks on, by its copy of the ledger.</p>"
    if status is None:
        return f"<p>No hunt yet in this folder.</p>{trouble}"
    s, n = status, max(status.budget, 1)
    share = [f"width:{100 * v / n:.2f}%" for v in (s.done, s.failed, s.running)]
    left = f" · {_span(s.seconds_left)} left" if s.seconds_left is not None and s.state == "running" else ""
    parts = [
        f'<p><span class="state">{escape(s.state)}</span> · generation {s.generation}{left}</p>',
        f'<div class="bar" role="img" aria-label="{s.done} of {s.budget} runs done"><b style="{share[0]}"></b>'
        f'<u style="{share[1]}"></u><s style="{share[2]}"></s></div>',
        f"<p>{s.done} of {s.budget} done · {s.running} running · {s.queued} to come"
        + (f' · <span class="failed">{s.failed} failed</span>' if s.failed else "")
        + (f" · {s.reused} known before" if s.reused else "")
        + "</p>",
    ]
    if s.message:
        parts.append(f'<p class="failed">{escape(s.message)}</p>')
    if s.best_fitness is not None:
        parts.append(_convergence_svg(table))
        where = ", ".join(f"{escape(k)} {v:.3g}" for k, v in s.best_params.items())
        parts.append(f"<p>Best fitness {s.best_fitness:.4g}, mean of {s.best_runs}: {where}</p>")
    parts.append(_reasons_html(table))
    return "".join(parts) + trouble


def _convergence_svg(table: pa.Table) -> str:
    from dashboard.components.run_table import convergence

    line, _ = convergence(table)
    if len(line) < 2:
        return ""
    points = " ".join(f"{100 * i / (len(line) - 1):.1f},{42 - 38 * v:.1f}" for i, v in enumerate(line))
    return (
        '<svg viewBox="0 0 100 46" preserveAspectRatio="none" role="img" aria-label="Best fitness so far">'
        f'<title>Best fitness so far, run by run</title><polyline points="{points}"/></svg>'
    )


def _reasons_html(table: pa.Table) -> str:
    if "reason" not in table.column_names:
        return ""
    failed = table["reason"].filter(pc.equal(table["state"], "failed"))
    if not len(failed):
        return ""
    counted = {v["values"] or "no reason": v["counts"] for v in pc.value_counts(failed.combine_chunks()).to_pylist()}
    # Numbers in a reason tell runs apart, not reasons.
    kinds: dict[str, int] = {}
    for reason, n in counted.items():
        kind = " ".join(word for word in reason.split() if not any(c.isdigit() for c in word))[:70] or reason[:70]
        kinds[kind] = kinds.get(kind, 0) + n
    most = sorted(kinds.items(), key=lambda pair: -pair[1])
    rows = [f"<dt>{escape(kind)}</dt><dd>{n}</dd>" for kind, n in most[:MAX_REASONS]]
    rest = sum(n for _, n in most[MAX_REASONS:])
    if rest:
        rows.append(f"<dt>other reasons</dt><dd>{rest}</dd>")
    return f"<h4>Failed, by reason</h4><dl>{''.join(rows)}</dl>"


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
