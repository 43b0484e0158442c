"""The monitors that run unless told otherwise, and the payload keys that they read.

A list to change in one place; what each monitor computes is its own business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine.drift.behaviour import BehaviourMonitor
from engine.drift.cadence import SilenceMonitor, TimingMonitor
from engine.drift.conflict import ConflictMonitor
from engine.drift.exchange import ExchangeMonitor, ExchangePoints
from engine.drift.gate import DriftGate
from engine.drift.intent import IntentMonitor
from engine.drift.kill_chain import KillChainMonitor
from engine.drift.monitor import Monitor
from engine.drift.phantom import PhantomMonitor
from engine.drift.stability import Stability

FEATURES = ("dest_port", "proto", "dest_ip", "ja3")
"""Payload keys whose distribution is a cluster's behaviour."""

FAST_BUCKET_S = 2.0
"""Buckets of the kill chain that runs within a minute, s; the slow one has minutes."""

FAST_ALPHA = 1e-6
"""Significance of a rise within a minute: thirty times as many looks as the slow one has."""

HEARD_S = 1_800.0
"""Only clusters that have been heard for as long are missed, s."""

PAYLOAD: dict[str, Any] = {
    "cluster": str, "src_ip": str, "dest_ip": str, "proto": str, "ja3": str, "tool": str, "side": str, "lane": str,
    "dest_port": float, "delta": float, "weight": float, "lambda_per_s": float, "stage": float, "energy": float,
    "dest_lat": float, "dest_lon": float, "bytes_to_server": float, "bytes_to_client": float, "asn": float,
}  # fmt: skip
"""Payload keys that the standard monitors read, and their types."""


def standard_monitors(points: ExchangePoints | None = None) -> dict[str, Callable[..., Monitor]]:
    """What makes each monitor, by name, in the order they run.

    Parameters
    ----------
    points : ExchangePoints, optional
        Known internet exchange points (`data.exchanges.known_exchanges`).

    Examples
    --------
    >>> list(standard_monitors())[:3]
    ['gate', 'stability', 'behaviour']
    """
    return {
        "gate": DriftGate,
        "stability": Stability,
        "behaviour": partial(BehaviourMonitor, FEATURES),
        "kill_chain": KillChainMonitor,
        "kill_chain_fast": partial(KillChainMonitor, bucket_s=FAST_BUCKET_S, alpha=FAST_ALPHA),
        "timing": TimingMonitor,
        "silence": partial(SilenceMonitor, heard_s=HEARD_S),
        "intent": IntentMonitor,
        "exchange": partial(ExchangeMonitor, points),
        "phantom": partial(PhantomMonitor, points),
        "conflict": ConflictMonitor,
    }
