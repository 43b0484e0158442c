"""Plain HTTP endpoints beside the pages: `/health`, `/ready`, `/metrics` and `/take/…`.

A Tornado plug-in of `panel serve` (``--plugins dashboard.endpoints``); no page is built for a probe.
"""

from __future__ import annotations

import json
from typing import Any

from tornado.web import RequestHandler

from dashboard import (
    exports_drift,
    exports_hypergraph,
    exports_locate,
    exports_measured,
    exports_runs,
    exports_volume,
    live,
)
from dashboard.exports import EXPORTS, TakeAlong

for page in (exports_drift, exports_hypergraph, exports_locate, exports_measured, exports_runs, exports_volume):
    EXPORTS.update(page.PAGE_EXPORTS)


class Health(RequestHandler):
    """200 while the process answers."""

    def get(self) -> None:
        """Answer at once."""
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps({"status": "ok"}))


class Ready(RequestHandler):
    """200 once the kernels are warm and the station runs, 503 before and while draining."""

    def get(self) -> None:
        """Say in which phase the instance is."""
        state = live.readiness()
        self.set_status(200 if state["status"] == "ready" else 503)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(state))


class Metrics(RequestHandler):
    """Counts of the spine in the Prometheus text format."""

    def get(self) -> None:
        """Write all numbers."""
        self.set_header("Content-Type", "text/plain; version=0.0.4")
        paths = getattr(self.application, "app_paths", ())
        documents = sum(len(self.application.get_sessions(path)) for path in paths)  # type: ignore
        self.write("\n".join([*metric_lines(), f"scythe_documents {documents}"]) + "\n")


def metric_lines() -> list[str]:
    """One line per number, named ``scythe_…``; empty before the station runs."""
    running = live._station
    if running is None:
        return ["scythe_ready 0"]
    health, board = running.health, running.board.stats()
    lines = [f"scythe_ready {int(running.phase == 'ready')}", f"scythe_sessions {len(live.sessions)}"]
    lines.append(f"scythe_sessions_in_memory {live.sessions_in_memory()}")
    for name in ("seq", "events_per_s", "queue_fill", "newest_s", "write_errors"):
        if health.get(name) is not None:
            lines.append(f"scythe_{name} {health[name]}")
    lines += [f"scythe_frames_{name} {value}" for name, value in board.items()]
    for name in ("drops", "rejected"):
        for reason, count in health.get(name, {}).items():
            lines.append(f'scythe_{name}{{reason="{reason}"}} {count}')
    return lines


ROUTES: list[tuple[str, Any]] = [
    ("/health", Health),
    ("/ready", Ready),
    ("/metrics", Metrics),
    (r"/take/([a-z0-9_]{1,40}\.[a-z0-9]{1,10})", TakeAlong),
]
"""Routes as `panel serve --plugins` takes them."""
