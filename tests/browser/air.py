"""A tracks file with everything that is awkward on a page: hostile names, long names, and long silences.

Invented, deterministic, and far from any style of the engine: plain CSV as a receiver might write it.
"""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

IMAGE = "<img src=x onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"
LONG = "W" * 60

STEP_S = 25.0
"""Every aircraft is heard this often only, so the newest data is soon older than 2 s."""

ROUND_S = 1250.0
"""One circle; the recording is as long, so that its end meets its beginning."""


def write_odd_tracks(path: Path) -> Path:
    """Three aircraft on circles around 46.8° N 8.2° E."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["timestamp", "icao24", "callsign", "latitude", "longitude", "altitude", "groundspeed", "track"])
        start = datetime(2020, 1, 1, tzinfo=UTC)
        for k, (identity, callsign) in enumerate([("<b>bold</b>", IMAGE), ("odd002", SCRIPT), ("odd003", LONG)]):
            for i in range(int(ROUND_S / STEP_S)):
                t = i * STEP_S
                angle = 2 * math.pi * t / ROUND_S
                lat = 46.8 + 0.18 * math.sin(angle)
                lon = 8.2 + 0.4 * (k - 1) + 0.18 * math.cos(angle) / math.cos(math.radians(46.8))
                moment = (start + timedelta(seconds=t)).isoformat()
                place = [f"{lat:.6f}", f"{lon:.6f}"]
                rows.writerow([moment, identity, callsign, *place, 9000, 195, f"{-math.degrees(angle) % 360:.1f}"])
    return path
