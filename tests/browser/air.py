"""A tracks file with everything that is awkward on a page: hostile names, long names, and long silences.

Invented, deterministic, and far from any style of the engine: plain CSV as a receiver might write it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

IMAGE = "<img src=x onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"
LONG = "W" * 60

STEP_S = 45.0
"""Every aircraft is heard this often only, so the newest data is soon older than 2 s."""

ROUND_S = 1260.0
"""One circle; the recording is as long, so that its end meets its beginning."""


HOSTILE_VIEW = "view=11.8,46.2,13.2,47.4"
"""Where the three with hostile names are, outside the page's usual view; the quiet ones are inside it."""


def write_odd_tracks(path: Path) -> Path:
    """Twelve quiet aircraft on circles over Switzerland, and three with hostile names east of it."""
    odd = [("<b>bold</b>", IMAGE, 46.8, 12.2), ("odd002", SCRIPT, 46.8, 12.5), ("odd003", LONG, 46.8, 12.8)]
    quiet = [(f"4b{k:04x}", f"QUIET{k:02d}", 46.0 + 0.5 * (k % 4), 6.6 + 1.4 * (k // 4)) for k in range(12)]
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "icao24", "callsign", "latitude", "longitude", "altitude", "groundspeed", "track"])
        for n, (identity, callsign, lat, lon) in enumerate(odd + quiet):
            for moment, place, track in _circle(lat, lon, phase=n):
                rows.writerow([moment, identity, callsign, *place, 9000, 195, track])
    return path


def _circle(lat: float, lon: float, phase: float) -> Iterator[tuple[str, list[str], str]]:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    for i in range(int(ROUND_S / STEP_S)):
        angle = 2 * math.pi * i * STEP_S / ROUND_S + phase
        north, east = 0.18 * math.sin(angle), 0.18 * math.cos(angle) / math.cos(math.radians(lat))
        moment = (start + timedelta(seconds=i * STEP_S)).isoformat()
        yield moment, [f"{lat + north:.6f}", f"{lon + east:.6f}"], f"{-math.degrees(angle) % 360:.1f}"
