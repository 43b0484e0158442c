"""Where nodes stood, on file: a link to the past shows the same places after a restart, and now goes on from then.

One Arrow file per layout beside the saved graphs, whole under its name or not there. What is damaged, of another
version or of another log is thrown away: without it the layout begins anew, and nothing else is lost.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.events.log import EventLog
from engine.frames.graph_places import Laid

logger = logging.getLogger(__name__)

PLACES_VERSION = 1
"""Goes up when files of before cannot be read any more, or when layouts became others."""

_FACTS = b"places"


class PlacesFile:
    """Layouts on file.

    Parameters
    ----------
    folder : Path
        Must be there.
    log : EventLog
        Whose graph was laid out; it is known again by the event up to which a graph went.

    Attributes
    ----------
    age_s : float
        Time since the last `save`, s; infinite before the first.
    """

    def __init__(self, folder: Path, log: EventLog) -> None:
        self._folder, self._log = folder, log
        self._saved_s = -np.inf

    @property
    def age_s(self) -> float:
        """Time since the last `save`, s; infinite before the first."""
        return time.monotonic() - self._saved_s

    def save(self, laid: list[Laid]) -> None:
        """Make the files be those of these layouts, oldest first; what cannot be written is told in the log only."""
        self._saved_s = time.monotonic()
        try:
            names = {self._path(one): one for one in laid}
            for path, one in names.items():
                if not path.exists():
                    self._write(path, one)
            for path in self._folder.glob("places-*"):
                if path not in names:
                    path.unlink(missing_ok=True)
        except (OSError, pa.ArrowException):
            logger.exception("where nodes stand could not be saved")

    def load(self) -> list[Laid]:
        """Layouts of before, oldest first."""
        found = []
        for path in sorted(self._folder.glob("places-*")):
            try:
                found.append(self._read(path))
            except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
                logger.warning("%s is of no use any more and is thrown away", path, exc_info=True)
                path.unlink(missing_ok=True)
        return found

    def _path(self, laid: Laid) -> Path:
        return self._folder / f"places-{laid.version:09d}-{round(1e6 * laid.since_s)}.arrow"

    def _mark(self, seq: int) -> list[int]:
        row = self._log.since(seq - 1, limit=1)
        return [row[name][0].cast(pa.int64()).as_py() for name in ("time", "received")] if row.num_rows else []

    def _write(self, path: Path, laid: Laid) -> None:
        facts = {
            "places_version": PLACES_VERSION, "since_s": laid.since_s, "seq": laid.seq, "version": laid.version,
            "epoch": laid.epoch, "structure": laid.structure.hex(), "event": self._mark(laid.seq),
        }  # fmt: skip
        table = pa.table({"id": laid.ids, "x": laid.x, "y": laid.y})
        table = table.replace_schema_metadata({_FACTS: json.dumps(facts).encode()})
        part = path.with_suffix(".part")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        part.replace(path)

    def _read(self, path: Path) -> Laid:
        with pa.OSFile(str(path)) as source:
            table = pa.ipc.open_file(source).read_all().combine_chunks()
        facts = json.loads(table.schema.metadata[_FACTS])
        if facts["places_version"] != PLACES_VERSION:
            raise ValueError(f"its version is {facts['places_version']}, not {PLACES_VERSION}")
        if not facts["event"] or facts["event"] != self._mark(int(facts["seq"])):
            raise ValueError("it is of another log")
        x, y = (table[name].combine_chunks().to_numpy() for name in ("x", "y"))
        if not np.isfinite(x + y).all():
            raise ValueError("it has nodes without a place")
        return Laid(
            float(facts["since_s"]), int(facts["seq"]), int(facts["version"]), int(facts["epoch"]), -1, False,
            table["id"].combine_chunks(), x, y, bytes.fromhex(facts["structure"]),
        )  # fmt: skip
