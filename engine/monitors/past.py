"""What monitors and alerts showed at a moment of the past: the same folds over what the log holds.

Results and alarms are events, so nothing has to be computed again. It needs a log to read and nothing else.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED
from engine.monitors.alerts import AlertBoard
from engine.monitors.board import MonitorBoard
from engine.monitors.cluster_numbers import ClusterBoard
from engine.monitors.vocabulary import ACKNOWLEDGED, DRILL_ENDED, FAILED, MEASURED, MUTED, RECOVERED, RESULT

RESULTS_WINDOW_S = 12 * 3600.0
"""How far back results are read, s: as much as a live board holds."""

ALERTS_WINDOW_S = 14 * 86_400.0
"""How far back alarms are read, s: one that has stood for longer is not seen."""


class _Log(Protocol):
    def between(self, start: Any, end: Any, kinds: Any = None) -> pa.Table: ...


def as_of(
    log: _Log, moment_s: float, results_window_s: float = RESULTS_WINDOW_S, alerts_window_s: float = ALERTS_WINDOW_S
) -> tuple[MonitorBoard, AlertBoard]:
    """The boards as they were at a moment.

    Parameters
    ----------
    log : EventLog
        Or anything with its method ``between``.
    moment_s : float
        Epoch seconds.
    results_window_s, alerts_window_s : float

    Returns
    -------
    MonitorBoard, AlertBoard
    """
    monitors, alerts = MonitorBoard(), AlertBoard()
    end = _moment(moment_s)
    monitors.apply(log.between(_moment(moment_s - results_window_s), end, kinds=[RESULT, FAILED, RECOVERED]))
    kinds = [ALERT_RAISED, ALERT_CLEARED, ACKNOWLEDGED, MUTED]
    alerts.apply(log.between(_moment(moment_s - alerts_window_s), end, kinds=kinds))
    return monitors, alerts


def clusters_as_of(log: _Log, moment_s: float, window_s: float = RESULTS_WINDOW_S) -> ClusterBoard:
    """Numbers of the clusters as they were told up to a moment, epoch seconds."""
    board = ClusterBoard()
    board.apply(log.between(_moment(moment_s - window_s), _moment(moment_s), kinds=[MEASURED, DRILL_ENDED]))
    return board


def _moment(moment_s: float) -> np.datetime64:
    return np.datetime64(round(moment_s * 1e6), "us")
