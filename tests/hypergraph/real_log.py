"""The beginning of a real log, so that a test need not read all of it."""

from __future__ import annotations

import bz2
from itertools import islice
from pathlib import Path

import pyarrow as pa

from engine.ingest import read_eve


def first_events(packed: Path, lines: int, folder: Path) -> pa.Table:
    """Events of the first lines of a bz2-packed EVE file."""
    part = folder / f"{lines}.json"
    with bz2.open(packed) as log:
        part.write_bytes(b"".join(islice(log, lines)))
    events, _ = read_eve(part)
    return events
