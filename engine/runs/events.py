"""Events of runs: what a hunt and a watch tell, to whom it may concern.

An event is a plain mapping that fits the columns of `engine.events`; who listens, and whether it goes to a log or a
bus, is not this room's business.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

Sink = Callable[[dict[str, Any]], None]
"""Takes an event: `kind`, `time` (µs since 1970, UTC), `entity`, `payload` (a flat mapping of JSON values)."""

KINDS = (
    "hunt_started", "hunt_paused", "hunt_resumed", "hunt_finished", "hunt_cancelled", "hunt_failed",
    "generation_finished", "run_started", "run_finished", "run_failed", "artifact_seen", "artifact_changed",
    "artifact_removed", "provenance_seen", "provenance_changed", "provenance_removed",
)  # fmt: skip
"""All kinds of events; docs/engine-runs-hunt.md has their payloads."""


def event_kind(kind: str) -> str:
    """The kind of an event as the log and the bus spell it, dotted.

    Examples
    --------
    >>> event_kind("run_finished")
    'run.finished'
    """
    return kind.replace("_", ".", 1)


class Teller:
    """Makes events and gives them to a sink, whose failures do not stop whoever tells.

    Parameters
    ----------
    sink : callable or None

    Attributes
    ----------
    errors : int
        How often the sink raised.
    last_error : str or None

    Examples
    --------
    >>> heard = []
    >>> Teller(heard.append)("run_started", "ab12", {"attempt": 1})
    >>> heard[0]["kind"], heard[0]["payload"]
    ('run_started', {'attempt': 1})
    """

    def __init__(self, sink: Sink | None) -> None:
        self._sink, self._lock = sink, threading.Lock()
        self.errors = 0
        self.last_error: str | None = None

    def __call__(self, kind: str, entity: str, payload: Mapping[str, Any]) -> None:
        """Tell of something; what is None is left out of the payload."""
        if self._sink is None:
            return
        known = {name: value for name, value in payload.items() if value is not None}
        try:
            self._sink({"kind": kind, "time": time.time_ns() // 1000, "entity": entity, "payload": known})
        except Exception as error:
            with self._lock:
                self.errors += 1
                self.last_error = f"{type(error).__name__}: {error}"
