"""The monitors that run unless told otherwise, and the payload keys that they read.

A list to change in one place; what each monitor computes is its own business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine.drift.behaviour import BehaviourMonitor
from engine.drift.cadence import SilenceMonitor, TimingMonitor
from engine.drift.gate import DriftGate
from engine.drift.kill_chain import KillChainMonitor
from engine.drift.monitor import Monitor
from engine.drift.stability import Stability

FEATURES = ("dest_port", "proto", "dest_ip", "ja3")
"""Payload keys whose distribution is a cluster's behaviour."""

FAST_BUCKET_S = 4.0
"""Buckets of the kill chain that runs within a minute, s; the slow one has minutes."""

PAYLOAD: dict[str, Any] = {
    "cluster": str, "src_ip": str, "dest_ip": str, "proto": str, "ja3": str, "tool": str, "side": str, "lane": str,
    "dest_port": float, "delta": float, "weight": float, "lambda_per_s": float, "stage": float, "energy": float,
    "dest_lat": float, "dest_lon": float, "bytes_to_server": float, "bytes_to_client": float,
}  # fmt: skip
"""Payload keys that the standard monitors read, and their types."""


def standard_monitors() -> dict[str, Callable[..., Monitor]]:
    """What makes each monitor, by name, in the order they run.

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
        "kill_chain_fast": partial(KillChainMonitor, bucket_s=FAST_BUCKET_S),
        "timing": TimingMonitor,
        "silence": SilenceMonitor,
    }
