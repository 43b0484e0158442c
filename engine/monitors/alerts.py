"""The alert feed, shared by all who look: raised, cleared, acknowledged, muted, each by an event.

It folds events of the kinds `ALERT_KINDS`; what people do is written as further events by the methods that return a
batch, which goes through the queue like any other. It decides no alarm.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED
from engine.events.payload import payload_columns
from engine.events.schema import event_table
from engine.monitors.vocabulary import ACKNOWLEDGED, ALERT_FIELDS, ALERT_KINDS, MUTED

KEPT_ALERTS = 2_000
"""Alerts kept; the oldest cleared ones go first."""

KEPT_MUTES = 500

LONGEST_NOTE = 500
"""Characters kept of a note or a name that a person gave."""

ANY = "*"
"""Stands for every monitor or every cluster when muting."""

COLUMNS = (
    "alert", "monitor", "entity", "label", "raised", "cleared", "state", "acknowledged", "by", "note", "muted",
    "metric", "value", "unit", "threshold", "n", "window_s", "lat", "lon", "parts", "responsible", "seqs", "first_seq",
    "last_seq", "drill", "reason",
)  # fmt: skip


class AlertBoard:
    """All alerts, newest first, as all viewers see them.

    Parameters
    ----------
    kept : int

    Attributes
    ----------
    version : int
        Grows with every change.

    Examples
    --------
    >>> board = AlertBoard()
    >>> board.table().empty, board.acknowledge("gate/g/1", "ana").num_rows
    (True, 1)
    """

    def __init__(self, kept: int = KEPT_ALERTS) -> None:
        self._kept = kept
        self._alerts: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._muted: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()
        self.version = 0

    def apply(self, events: pa.Table) -> None:
        """Fold one event batch; events of other kinds change nothing. The same event twice changes nothing."""
        mine = events.filter(pc.is_in(events["kind"], pa.array(ALERT_KINDS)))
        if not mine.num_rows:
            return
        fields = payload_columns(mine, {**ALERT_FIELDS, "by": str, "note": str, "until_s": float})
        times = mine["time"].cast(pa.int64()).to_numpy() * 1e-6
        rows = mine.select(["kind", "entity", "lat", "lon"]).to_pylist()
        with self._lock:
            for row, event in enumerate(rows):
                found = {name: values[row] for name, values in fields.items()}
                self._take(event, float(times[row]), found)
            while len(self._alerts) > self._kept:
                gone = next((key for key, alert in self._alerts.items() if alert["cleared_s"] is not None), None)
                self._alerts.pop(next(iter(self._alerts)) if gone is None else gone)
            self.version += 1

    def table(
        self, now_s: float | None = None, *, state: str | None = None, monitor: str | None = None,
        entity: str | None = None, acknowledged: bool | None = None, muted: bool | None = None,
        drill: bool | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """The alerts, newest first, those that pass the filters.

        Parameters
        ----------
        now_s : float, optional
            Epoch seconds at which muting is judged; now where not given.
        state : {"raised", "cleared"}, optional
        monitor, entity : str, optional
        acknowledged, muted, drill : bool, optional

        Returns
        -------
        DataFrame
            Columns `COLUMNS`; raised and cleared are UTC times, cleared NaT while the alert stands.
        """
        at = time.time() if now_s is None else now_s
        with self._lock:
            rows = [self._row(alert, at) for alert in reversed(self._alerts.values())]
        out = pd.DataFrame(rows, columns=list(COLUMNS))
        for name in ("raised", "cleared"):
            out[name] = pd.to_datetime(out[name], unit="s", utc=True)
        wanted = {"state": state, "monitor": monitor, "entity": entity, "acknowledged": acknowledged, "muted": muted}
        for name, value in wanted.items():
            if value is not None:
                out = out[out[name] == value]
        if drill is not None:
            out = out[(out["drill"] != "") == drill]
        return out.reset_index(drop=True)

    def standing(self) -> list[tuple[str, str, float]]:
        """Monitor, entity and time (epoch s) of every alert that is raised: what `MonitorRunner.reconcile` takes."""
        with self._lock:
            alerts = [alert for alert in self._alerts.values() if alert["cleared_s"] is None]
        return [(str(alert["monitor"]), str(alert["entity"]), float(alert["raised_s"])) for alert in alerts]

    def counts(self, now_s: float | None = None) -> dict[str, int]:
        """How many alerts stand, and how many of these nobody has acknowledged or muted."""
        table = self.table(now_s, state="raised")
        return {"raised": len(table), "open": int((~table["acknowledged"] & ~table["muted"]).sum())}

    def acknowledge(self, alert: str, by: str, note: str = "", now_s: float | None = None) -> pa.Table:
        """The event that says someone has seen an alert; put it into the station's queue."""
        with self._lock:
            known = self._alerts.get(alert)
        entity = known["entity"] if known else alert.partition("/")[2].rpartition("/")[0] or alert
        return _answer(ACKNOWLEDGED, entity, {"alert": alert}, by, note, now_s)

    def mute(
        self, monitor: str = ANY, entity: str = ANY, seconds: float = 3600.0, by: str = "", note: str = "",
        now_s: float | None = None,
    ) -> pa.Table:  # fmt: skip
        """The event that mutes alerts for a time; 0 seconds ends the muting. Put it into the station's queue.

        Raises
        ------
        ValueError
            If the time is negative, not finite or longer than a year.
        """
        if not (math.isfinite(seconds) and 0.0 <= seconds <= 366 * 86_400.0):
            raise ValueError(f"muted for {seconds} s; 0 s to a year is needed")
        at = time.time() if now_s is None else now_s
        return _answer(MUTED, entity, {"monitor": monitor, "until_s": at + seconds}, by, note, at)

    def mutes(self, now_s: float | None = None) -> pd.DataFrame:
        """What is muted now: monitor, entity, until (UTC)."""
        at = time.time() if now_s is None else now_s
        with self._lock:
            rows = [(*key, until) for key, until in self._muted.items() if until > at]
        out = pd.DataFrame(rows, columns=["monitor", "entity", "until"])
        out["until"] = pd.to_datetime(out["until"], unit="s", utc=True)
        return out

    def _take(self, event: dict[str, Any], time_s: float, found: dict[str, Any]) -> None:
        kind, entity = event["kind"], event["entity"]
        if kind == MUTED:
            if found["monitor"] and math.isfinite(found["until_s"]):
                self._muted[(found["monitor"], entity)] = float(found["until_s"])
                self._muted.move_to_end((found["monitor"], entity))
                if len(self._muted) > KEPT_MUTES:
                    self._muted.popitem(last=False)
            return
        key = found["alert"]
        if not key:
            return
        known = self._alerts.get(key)
        if kind == ALERT_RAISED and known is None:
            self._alerts[key] = {
                **found, "entity": entity, "lat": event["lat"], "lon": event["lon"], "raised_s": time_s,
                "cleared_s": None, "acknowledged": False, "by": "", "note": "", "reason": "",
            }  # fmt: skip
        elif kind == ALERT_CLEARED and known is not None and known["cleared_s"] is None:
            known["cleared_s"], known["reason"] = time_s, found["reason"] or ""
        elif kind == ACKNOWLEDGED and known is not None and not known["acknowledged"]:
            known.update(acknowledged=True, by=found["by"] or "", note=found["note"] or "")

    def _row(self, alert: dict[str, Any], at: float) -> dict[str, Any]:
        monitor, entity = str(alert["monitor"]), str(alert["entity"])
        muted = any(
            self._muted.get(key, -math.inf) > at
            for key in ((monitor, entity), (monitor, ANY), (ANY, entity), (ANY, ANY))
        )
        texts = {name: alert[name] or "" for name in ("label", "parts", "responsible", "seqs", "drill", "reason")}
        numbers = {name: int(np.nan_to_num(alert[name])) for name in ("n", "first_seq", "last_seq")}
        return {
            **alert, **texts, **numbers, "raised": alert["raised_s"], "cleared": alert["cleared_s"], "muted": muted,
            "state": "raised" if alert["cleared_s"] is None else "cleared",
        }  # fmt: skip


def _answer(kind: str, entity: str, what: dict[str, Any], by: str, note: str, now_s: float | None) -> pa.Table:
    at = time.time() if now_s is None else now_s
    payload = orjson.dumps({**what, "by": by[:LONGEST_NOTE], "note": note[:LONGEST_NOTE]}).decode()
    return event_table(np.array([round(at * 1e6)], np.int64), kind, [entity], "analyst", payload=[payload])
