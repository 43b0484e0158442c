"""Names of the events that monitors write and that people answer them with, and what their payloads hold.

Results and alarms are events like all others: the live page, a replay and a notebook fold the same ones. The kinds
and payload keys are the whole contract; who computes the numbers is not known here.
"""

from __future__ import annotations

from engine.drift.metric import ALERT_CLEARED, ALERT_RAISED
from engine.events.schema import DRILL_ENDED

RESULT = "monitor.result"
"""What a monitor read at one look. Entity: the cluster, or the metric's name where it is about the whole. Payload
keys: `RESULT_FIELDS`."""
FAILED = "monitor.failed"
"""A monitor raised an error or took too long and is out. Entity: its name. Payload: ``error``, ``retries``,
``retry_in_s``."""
RECOVERED = "monitor.recovered"
"""A monitor that was out is back, with an empty window. Entity: its name. Payload: ``retries``."""
TICK = "monitor.tick"
"""Event time goes on although nothing happened. Written where no other event came for a while, so that a silence is
noticed live and in a replay at the same moment."""
MEASURED = "cluster.measured"
"""Numbers of a cluster at one moment, at its centroid. Entity: the cluster. Payload keys:
`engine.monitors.cluster_numbers.NUMBERS`, without those that are not known."""
ACKNOWLEDGED = "alert.acknowledged"
"""Someone has seen an alert. Entity: that of the alert. Payload: ``alert`` (its id), ``by``, ``note``."""
MUTED = "alert.muted"
"""Alerts of a monitor and a cluster are not shown for a time. Entity: the cluster, or ``*`` for all. Payload:
``monitor`` (or ``*``), ``until_s`` (epoch seconds; in the past: no longer muted), ``by``, ``note``."""
DRILL_STARTED = "drill.started"
"""A drill begins. Entity: its run. Payload: ``drill``, ``seed``, ``duration_s``, ``expected``. `DRILL_ENDED`, of the
event schema, ends it; its payload: ``drill``, ``seed``, ``reason`` (finished, cancelled or failed), ``emitted``."""

RESULT_FIELDS = {
    "monitor": str,
    "metric": str,
    "value": float,
    "unit": str,
    "threshold": float,
    "state": str,
    "label": str,
    "n": float,
    "window_s": float,
    "trend_per_h": float,
    "since_s": float,
    "change": bool,
    "responsible": str,
    "version": float,
}
"""Payload keys of `RESULT`: ``state`` is insufficient, quiet or raised; ``change`` marks a level that changed;
``responsible`` is text ``name share; …``; ``version`` that of the grouping into clusters; ``threshold`` is missing
where there is none."""

ALERT_FIELDS = {
    **RESULT_FIELDS,
    "alert": str,
    "raised_s": float,
    "parts": str,
    "seqs": str,
    "first_seq": float,
    "last_seq": float,
    "drill": str,
    "reason": str,
}
"""Payload keys of `ALERT_RAISED` and `ALERT_CLEARED` besides those of a result: ``alert`` is the id, equal for both;
``parts`` the contribution of each part to the value, text ``name share; …``; ``seqs`` places in the log of the last
events behind it; ``first_seq`` and ``last_seq`` enclose its window; ``drill`` the run where the alert is of a drill;
``reason`` why it was cleared: ``quiet``, ``drill ended`` or ``monitor failed``."""

ALERT_KINDS = (ALERT_RAISED, ALERT_CLEARED, ACKNOWLEDGED, MUTED)
DRILL_KINDS = (DRILL_STARTED, DRILL_ENDED)
OWN_KINDS = (RESULT, MEASURED, FAILED, RECOVERED, *ALERT_KINDS)
"""Kinds that monitors do not look at: their own voice."""

ALERTS_CHANNEL = "scythe:alerts:v1"
"""Bus channel of alarms: see `engine.monitors.announce`."""
