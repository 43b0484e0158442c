"""Rows of alerts or clusters that sort in the browser and say what was picked: the lists of the Drift page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import param
from panel.custom import JSComponent

from dashboard.components.drift_words import monitor_word, value_text
from dashboard.theme import ASSETS
from engine.hypergraph.clusters import DEFINITIONS
from engine.monitors.cluster_numbers import NUMBERS

MOST_ROWS = 200
"""Rows drawn at most; the filters reach the others."""

ALERT_COLUMNS = [
    {"name": "raised_s", "title": "raised", "kind": "time", "means": "When the alarm was raised, UTC"},
    {"name": "state", "title": "state", "kind": "state", "means": "Raised, or cleared and why"},
    {"name": "monitor", "title": "monitor", "kind": "text", "means": "Which monitor speaks"},
    {"name": "entity", "title": "about", "kind": "text", "means": "Cluster, or metric of the whole graph"},
    {"name": "value", "title": "value", "kind": "number", "means": "The number when the alarm was raised"},
    {"name": "threshold", "title": "alarm at", "kind": "number", "means": "Where the alarm is raised"},
    {"name": "mark", "title": "", "kind": "text", "means": "Drill, muted"},
]
CLUSTER_COLUMNS = [
    {"name": "cluster", "title": "cluster", "kind": "text", "means": "Name of the cluster"},
    {"name": "state", "title": "state", "kind": "state", "means": "Whether any monitor has raised an alarm about it"},
    {"name": "monitor", "title": "stands out in", "kind": "text", "means": "The monitor it is raised by or nearest to"},
    {"name": "label", "title": "label", "kind": "text", "means": "What that monitor calls it"},
    {"name": "value", "title": "value", "kind": "number", "means": "The newest number of that monitor"},
    {"name": "n", "title": "events", "kind": "number", "means": "Events that the number rests on"},
    {
        "name": "spark",
        "title": "over the window",
        "kind": "spark",
        "means": "Share of the threshold (dashed) over time",
    },
    {"name": "node_count", "title": "nodes", "kind": "number", "means": "Entities in it, last 15 min"},
    {"name": "activity", "title": "activity, events", "kind": "number", "means": "Events of its nodes, last 15 min"},
    {"name": "activity_spark", "title": "activity over time", "kind": "spark", "means": "Events, greatest at the top"},
    *(
        {"name": name, "title": title, "kind": "number",
         "means": f"{DEFINITIONS[name][1]} (unit {DEFINITIONS[name][0]})"}
        for name, title in (
            ("activity_score", "activity score"), ("coherence", "coherence"), ("entropy", "entropy, bit"),
            ("silence_pressure", "silence pressure"), ("asn_diversity", "ASN diversity"), ("radius_km", "radius, km"),
        )
    ),
    {"name": "centroid", "title": "centroid, °N °E", "kind": "text", "means": "Mean direction of its positions"},
]  # fmt: skip
PLACE_COLUMNS = [
    {"name": "place", "title": "place", "kind": "text", "means": "Known exchange point, unknown one, or lane"},
    {"name": "state", "title": "state", "kind": "state", "means": "Whether an alarm stands"},
    {"name": "monitor", "title": "monitor", "kind": "text", "means": "Which monitor speaks"},
    {"name": "label", "title": "label", "kind": "text", "means": "What that monitor calls it"},
    {"name": "value", "title": "value", "kind": "number", "means": "The newest number of that monitor"},
    {"name": "threshold", "title": "alarm at", "kind": "number", "means": "Where the alarm is raised"},
    {"name": "n", "title": "events", "kind": "number", "means": "Events or paths that the number rests on"},
    {
        "name": "spark",
        "title": "over the window",
        "kind": "spark",
        "means": "Share of the threshold (dashed) over time",
    },
    {"name": "where", "title": "position, °N °E", "kind": "text", "means": "Latitude and longitude, degrees"},
]


class Feed(JSComponent):
    """A table of plain texts whose rows can be picked and, where they are alerts, acknowledged.

    Examples
    --------
    >>> Feed(columns=CLUSTER_COLUMNS).rows
    []
    """

    columns = param.List(default=[], doc="name, title, kind (time, state, text, number, spark) and meaning of each.")
    rows = param.List(default=[], doc="One dict per row: key, css, and a value by the name of each column.")
    selected = param.String("", doc="Key of the picked row.")
    acts = param.Boolean(False, doc="Whether rows can be acknowledged.")
    empty = param.String("", doc="What stands where there is no row.")
    now_s = param.Number(0.0, doc="The moment shown, for ages, epoch seconds.")

    _esm = ASSETS / "feed.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "feed.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_act: Callable[[str, str], None] | None = None
        super().__init__(sizing_mode="stretch_both", margin=0, **params)

    def _handle_msg(self, msg: Any) -> None:
        if not isinstance(msg, dict) or msg.get("do") not in ("row", "ack") or self.on_act is None:
            return
        key = msg.get("key")
        if isinstance(key, str) and any(row["key"] == key for row in self.rows):
            self.on_act(msg["do"], key)


def alert_rows(alerts: pd.DataFrame) -> list[dict[str, Any]]:
    """Alerts as `engine.monitors.AlertBoard.table` gives them, as rows of a `Feed`."""
    rows = []
    for alert in alerts.head(MOST_ROWS).to_dict("records"):
        cleared = alert["state"] != "raised"
        marks = [alert["drill"] and "drill", alert["muted"] and "muted", alert["label"]]
        rows.append(
            {
                "key": str(alert["alert"]), "css": "muted" if alert["muted"] else str(alert["state"]),
                "raised_s": _seconds(alert["raised"]),
                "state": f"cleared: {alert['reason'] or 'quiet'}" if cleared else "raised",
                "monitor": monitor_word(str(alert["monitor"])).title, "entity": str(alert["entity"]),
                "value": _plain(alert["value"]), "value_text": _text(alert["value"], alert["unit"]),
                "threshold": _plain(alert["threshold"]), "threshold_text": _text(alert["threshold"], alert["unit"]),
                "mark": " · ".join(str(mark) for mark in marks if mark), "seen": bool(alert["acknowledged"]),
                "by": str(alert["by"] or ""),
            }
        )  # fmt: skip
    return rows


def cluster_rows(clusters: pd.DataFrame) -> list[dict[str, Any]]:
    """Clusters of a `DriftFrame` as rows of a `Feed`."""
    return [
        {
            "key": f"{row['top']}/{row['cluster']}", "css": str(row["state"]), "cluster": str(row["cluster"]),
            "state": str(row["state"]), "monitor": monitor_word(str(row["top"])).title if row["top"] else "–",
            "label": str(row["label"]), "value": _plain(row["value"]), "value_text": _text(row["value"], row["unit"]),
            "n": int(row["n"]), "spark": list(row["spark"]), "activity_spark": _scaled(row["activity_spark"]),
            "centroid": _degrees(row["lat"], row["lon"]), **_numbers(row),
        }
        for row in clusters.to_dict("records")
    ]  # fmt: skip


def place_rows(located: pd.DataFrame) -> list[dict[str, Any]]:
    """Places of a `DriftFrame` as rows of a `Feed`."""
    return [
        {
            "key": f"{row['monitor']}/{row['place']}", "css": str(row["state"]), "place": str(row["place"]),
            "state": str(row["state"]), "monitor": monitor_word(str(row["monitor"])).title, "label": str(row["label"]),
            "value": _plain(row["value"]), "value_text": _text(row["value"], row["unit"]), "n": int(row["n"]),
            "threshold": _plain(row["threshold"]), "threshold_text": _text(row["threshold"], row["unit"]),
            "spark": list(row["spark"]), "where": _degrees(row["lat"], row["lon"]),
        }
        for row in located.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Value and text of each number of a cluster; a dash where it is not known."""
    out: dict[str, Any] = {}
    for name in NUMBERS:
        out |= {name: _plain(row[name]), f"{name}_text": _text(row[name], "")}
    return out


def _scaled(values: list[float]) -> list[float]:
    """Values over the greatest of them, which the picture draws as 1."""
    top = max(values, default=0.0)
    return [round(value / top, 4) for value in values] if top > 0.0 else []


def _degrees(lat: Any, lon: Any) -> str:
    return f"{lat:.3f} {lon:.3f}" if _plain(lat) is not None and _plain(lon) is not None else "–"


def _seconds(moment: pd.Timestamp) -> float | None:
    return None if pd.isna(moment) else float(moment.timestamp())


def _plain(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _text(value: Any, unit: Any) -> str:
    return value_text(float("nan") if value is None else float(value), str(unit or ""))
