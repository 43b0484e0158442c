"""How the station is: told once a second, in one plain mapping, to pages, to the bus and to whoever asks.

It looks at the parts and changes none of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

import pandas as pd

DENSITY_BINS = 240
"""Bins of the event density behind the time slider."""

DENSITY_EVERY_S = 5.0
"""How often that density is counted anew, s."""

LONGEST_SPAN_S = 86_400.0
"""The slider reaches back this far at most, s."""


class HealthTeller:
    """Tells how a station is.

    Parameters
    ----------
    station : Station
        Started: with log, bus and follower.

    Attributes
    ----------
    health : dict
        What was told last; see `docs/architecture.md`.
    span : (float, float) or None
        First and last moment of the time slider, epoch s.
    density : list of int
        Events in each of `DENSITY_BINS` equal parts of the span.
    """

    def __init__(self, station: Any) -> None:
        self._station = station
        self.health: dict[str, Any] = {"phase": station.phase}
        self.span: tuple[float, float] | None = None
        self.density: list[int] = []
        self._rates: deque[tuple[float, int]] = deque(maxlen=11)
        self._density_due = 0.0
        self._telling = threading.Lock()

    def tell(self, moment_s: float) -> None:
        """Look at everything and tell it; from any thread."""
        with self._telling:
            self.health = self._look(moment_s)
            self._count_events(moment_s)
            plain = {key: self.health[key] for key in ("server_s", "newest_s", "seq", "events_per_s", "queue_fill")}
            station = self._station
            station.bus.publish_status({"instance": station.instance, "phase": station.phase, **plain})

    def _count_events(self, moment_s: float) -> None:
        if moment_s >= self._density_due:
            self._density_due = moment_s + DENSITY_EVERY_S
            bounds = self._station.log.bounds()
            if bounds is not None:
                start = min(max(bounds[0].timestamp(), moment_s - LONGEST_SPAN_S), moment_s - 1.0)
                self.span = (start, moment_s)
                first, last = (pd.Timestamp(moment, unit="s", tz="UTC") for moment in self.span)
                self.density = self._station.log.histogram(first, last, DENSITY_BINS).tolist()
        elif self.span is not None:
            self.span = (self.span[0], moment_s)

    def _look(self, moment_s: float) -> dict[str, Any]:
        station = self._station
        follower, queue = station.follower.stats(), station.queue.stats()
        self._rates.append((moment_s, follower.folded))
        (t0, n0), (t1, n1) = self._rates[0], self._rates[-1]
        return {
            "phase": station.phase,
            "server_s": moment_s,
            "newest_s": station.newest_s,
            "seq": int(station.follower.cursor),
            "events_per_s": (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0,
            "queue_fill": queue.fill,
            "queue_above": bool(queue.above_watermark),
            "drops": dict(queue.drops),
            "mode": follower.mode,
            "write_errors": station.write_errors,
            "label": station.feed.label if station.feed else "",
            "synthetic": bool(station.feed and station.feed.synthetic),
            "graph": _graph_health(station),
            **_source_health(station.sources),
            **_bus_health(station.bus),
        }


def _graph_health(station: Any) -> Mapping[str, Any]:
    """Size of the live graph, whether it has caught up with the log, and what its bounds cost."""
    fold = station.graph_live.fold
    return {
        "nodes": fold.graph.n_nodes,
        "edges": fold.graph.n_edges,
        "seq": fold.seq,
        "caught_up": station.graph_live.caught_up,
        "evicted": int(fold.counts["evicted_edges"]),
        "failed": int(fold.counts["failed_batches"]),
    }


def _source_health(sources: list[Any]) -> dict[str, Any]:
    """What sources refused, by reason, and what the last one that ended says."""
    rejected: dict[str, int] = {}
    state = ""
    for source in sources:
        stats = source.stats()
        for reason, count in stats.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
        if stats.state in ("finished", "failed"):
            state = f"source {source.name} {stats.state}" + (f": {stats.last_error}" if stats.last_error else "")
    return {"rejected": rejected, "source_state": state}


def _bus_health(bus: Any) -> dict[str, Any]:
    """Whether both sides of the bus are connected; if not, since when and what is being done."""
    state = bus.state
    links = [link for link in (state.publishing, state.subscribing) if link is not None]
    lost = [link for link in links if not link.connected]
    if not lost:
        return {"bus_ok": True, "bus_lost_s": None, "bus_doing": ""}
    first = min(lost, key=lambda link: link.since_s)
    wait = first.next_retry_in_s
    retry = "trying now" if wait is None else f"next try in {wait:.0f} s"
    return {
        "bus_ok": False,
        "bus_lost_s": first.since_s,
        "bus_doing": f"reading the log directly · try {first.attempt + 1}, {retry}",
    }
