"""Small multiples of the monitors: value, threshold, state and change marks over time, one card per number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import param
from panel.custom import JSComponent

from dashboard.components.drift_words import metric_word, monitor_word, value_text
from dashboard.theme import ASSETS
from engine.frames.drift_frame import ABOUT_THE_WHOLE, SUMMARY, DriftFrame, Series
from engine.monitors.board import MonitorStatus

GRAPH_GROUP, CLUSTER_GROUP = "The graph and its operators", "Clusters: of each monitor the one that stands out most"
SILENT_GROUP = "Too few events to say anything"

_GROUPS = {
    CLUSTER_GROUP: "Of each monitor the cluster that is raised or nearest to its threshold; all are in the table.",
    GRAPH_GROUP: "Drift gate and stability: numbers about all changes of the graph and all decisions.",
    SILENT_GROUP: "Monitors that run and have not heard enough inside their windows. They raise nothing.",
}
_ORDER = list(_GROUPS)


class Multiples(JSComponent):
    """Cards that say what stands, drawn in the browser.

    Examples
    --------
    >>> Multiples().cards
    []
    """

    cards = param.List(default=[], doc="One dict per card: texts and columns of plain numbers.")
    span = param.List(default=[], item_type=float, doc="Time from and to, epoch seconds, the same for all cards.")
    selected = param.String("", doc="Key of the card that is selected.")
    empty = param.String("No monitor has said anything yet.", doc="What stands where there is no card.")

    _esm = ASSETS / "multiples.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "multiples.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_series: Callable[[str], None] | None = None
        super().__init__(sizing_mode="stretch_both", margin=0, **params)

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, dict) or msg.get("do") != "series" or self.on_series is None:
            return
        key = msg.get("key")
        if isinstance(key, str) and any(card["key"] == key for card in self.cards):
            self.on_series(key)

    def draw(self, frame: DriftFrame, monitor: str = "") -> None:
        """Draw a frame, of one monitor or (empty) of all."""
        wanted = [s for s in frame.series if monitor in ("", s.monitor)]
        out = {status.monitor: status for status in frame.monitors if status.state == "failed"}
        cards = [card(s, out.get(s.monitor)) for s in wanted]
        mute = {c["monitor"] for c in cards}
        cards += [failed_card(status) for name, status in out.items() if name not in mute and monitor in ("", name)]
        cards.sort(key=lambda c: (_ORDER.index(c["group"]), c["state"] != "failed", c["state"] != "raised"))
        self.param.update(cards=cards, span=[float(frame.moment_s - frame.spec.window_s), float(frame.moment_s)])


def key_of(monitor: str, entity: str) -> str:
    """How a series is named in a link: the monitor, then what it is of."""
    return f"{monitor}/{entity}"


def card(series: Series, failed: MonitorStatus | None = None) -> dict[str, Any]:
    """One card as plain texts and numbers."""
    whole = series.monitor in ABOUT_THE_WHOLE
    word = metric_word(series.monitor, series.metric) if whole else monitor_word(series.monitor)
    told = series.state != "insufficient"
    state = "failed" if failed else series.state
    group = GRAPH_GROUP if whole else CLUSTER_GROUP
    if not told and failed is None:
        group = SILENT_GROUP
    return {
        "key": key_of(series.monitor, series.entity), "monitor": series.monitor, "state": state,
        "group": group, "group_means": _GROUPS[group],
        "title": word.title, "means": word.means, "badge": _badge(series, failed),
        "value": value_text(series.value, series.unit) if told else "too few events",
        "limit": f"alarm at {value_text(series.threshold)}" if math.isfinite(series.threshold) else "",
        "note": failed.error[:120] if failed else _note(series, whole),
        "t": _plain(series.time_s), "v": _plain(series.values), "threshold": _or_none(series.threshold),
        "spans": spans(series), "changes": _plain(series.time_s[series.change]),
    }  # fmt: skip


def failed_card(status: MonitorStatus) -> dict[str, Any]:
    """The card of a monitor that is out and has no series."""
    word = monitor_word(status.monitor)
    return {
        "key": key_of(status.monitor, ""), "monitor": status.monitor, "state": "failed", "group": CLUSTER_GROUP,
        "group_means": _GROUPS[CLUSTER_GROUP], "title": word.title, "means": word.means, "badge": "failed",
        "value": "out", "limit": f"restart {status.retries}", "note": status.error[:120], "t": [], "v": [],
        "threshold": None, "spans": [], "changes": [],
    }  # fmt: skip


def spans(series: Series) -> list[list[float]]:
    """Stretches over which the alarm stood, epoch seconds from and to."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], series.raised, [False]]).astype(int)))
    time_s = series.time_s
    return [[float(time_s[a]), float(time_s[min(b, len(time_s) - 1)])] for a, b in edges.reshape(-1, 2)]


def _note(series: Series, whole: bool) -> str:
    if whole:
        return f"trend {value_text(series.trend_per_h)}/h" if series.trend_per_h else f"n = {series.n}"
    if series.entity == SUMMARY:
        return "no cluster has a number"
    others = f"{series.others_raised} of {series.others} others raised" if series.others else "the only cluster"
    return f"{series.entity} · {others}"


def _badge(series: Series, failed: MonitorStatus | None) -> str:
    if failed:
        return "failed"
    return series.label.lower() if series.label and series.state != "insufficient" else series.state


def _plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [round(float(v), 6) if math.isfinite(v) else None for v in values]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
