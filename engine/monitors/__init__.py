"""Monitors at work: all of `engine.drift` on one schedule, results and alarms as events, and the folds of these.

The runner composes, the boards fold, the page looks. It opens nothing: batches come from a follower or a log, and go
into a sink.
"""

from __future__ import annotations

from engine.monitors.alerts import AlertBoard
from engine.monitors.announce import announce_alerts, decode_alert, encode_alert
from engine.monitors.board import MonitorBoard, MonitorStatus
from engine.monitors.cluster_numbers import ClusterBoard
from engine.monitors.grouping import Grouping, MappedGrouping, subnet_of
from engine.monitors.past import as_of, clusters_as_of
from engine.monitors.runner import MonitorRunner
from engine.monitors.standard import standard_monitors
from engine.monitors.vocabulary import (
    ACKNOWLEDGED,
    ALERT_KINDS,
    ALERTS_CHANNEL,
    DRILL_ENDED,
    DRILL_STARTED,
    FAILED,
    MEASURED,
    MUTED,
    OWN_KINDS,
    RECOVERED,
    RESULT,
    TICK,
)

__all__ = [
    "ACKNOWLEDGED",
    "ALERTS_CHANNEL",
    "ALERT_KINDS",
    "DRILL_ENDED",
    "DRILL_STARTED",
    "FAILED",
    "MEASURED",
    "MUTED",
    "OWN_KINDS",
    "RECOVERED",
    "RESULT",
    "TICK",
    "AlertBoard",
    "ClusterBoard",
    "Grouping",
    "MappedGrouping",
    "MonitorBoard",
    "MonitorRunner",
    "MonitorStatus",
    "announce_alerts",
    "as_of",
    "clusters_as_of",
    "decode_alert",
    "encode_alert",
    "standard_monitors",
    "subnet_of",
]
