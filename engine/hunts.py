"""The hunt of this process: one desk that all viewers share, so that they see the same hunt and the same runs.

It owns ledger, hunt and folder watch, is opened when a page first asks for it (`Station.hunts`), keeps an immutable
table of all runs, and rings its watchers when that changes; they pull. What lasts (ending a hunt, measuring a run
again) happens in a thread of its own. It must not know of sessions or pictures.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from engine.events.schema import event_table
from engine.run_grids import RunGrids
from engine.run_index import FoundArtifacts, joined, ledger_rows
from engine.runs.events import Sink, Teller, event_kind
from engine.runs.hunt import Hunt
from engine.runs.hunt_settings import HuntStatus
from engine.runs.hunt_status import hunt_status
from engine.runs.ledger import Ledger, open_ledger
from engine.runs.validator import validate
from engine.runs.watch import RunWatch
from engine.runs.watch_index import ArtifactChange

logger = logging.getLogger(__name__)

PERIOD_S = 0.2
"""The table is made anew this often at most, s."""

IDLE_S = 1.0
"""It is looked at, and watchers are rung, at least this often, s: another process may hunt in the folder, and who hears
nothing takes the server for gone."""

MOST_TOLD = 200
"""Files told of at once as events, the last: a first look at a folder of thousands is no news."""

REPORTS_KEPT = 64
"""Reports of runs measured again that are kept."""

TABLES_KEPT = 8
"""Tables of single hunts that are kept up to date."""


class HuntDesk:
    """Hunts and runs of one folder.

    Parameters
    ----------
    folder : path or None
        Made where missing; None for a temporary one, that goes with the desk.
    sink : callable, optional
        Gets every event of hunts and files (`engine.runs.events`), from threads of theirs.

    Raises
    ------
    engine.runs.ledger.LedgerDamagedError
        The folder's ledger cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     desk = HuntDesk(folder)
    ...     desk.table().num_rows
    ...     desk.stop()
    0
    """

    def __init__(self, folder: str | Path | None, sink: Sink | None = None) -> None:
        self._tell = Teller(sink)
        self._passing = tempfile.TemporaryDirectory(prefix="runs-") if folder is None else None
        self.folder = Path(folder if self._passing is None else self._passing.name).absolute()  # type: ignore[arg-type]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ledger = open_ledger(self.folder)
        self.grids = RunGrids(self.folder)
        self.version = 0
        self.error = ""
        self.hunts: list[dict[str, Any]] = []
        self._found = FoundArtifacts(self.folder)
        self._hunt: Hunt | None = None
        self._tables: OrderedDict[str, pa.Table] = OrderedDict()
        self._statuses: dict[str, HuntStatus] = {}
        self._rings: set[Callable[[], None]] = set()
        self._reports: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._checking: dict[str, float] = {}
        self._lock = threading.Lock()
        self._changed, self._stopping = threading.Event(), threading.Event()
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hunts")
        self._read()
        index = self.folder / "artifacts.duckdb" if self.writable else None
        self._watch = RunWatch(self.folder, self._noticed, index=index)
        self._thread = threading.Thread(target=self._follow, name="run-table", daemon=True)
        self._thread.start()

    # -- what is there --------------------------------------------------------------------------------

    def table(self, hunt_id: str = "") -> pa.Table:
        """All runs, or those of one hunt: an immutable table with the columns of `engine.run_index.ledger_rows`."""
        with self._lock:
            kept = self._tables.get(hunt_id)
            if kept is not None:
                self._tables.move_to_end(hunt_id)
                return kept
        made = self._table(hunt_id)
        with self._lock:
            self._tables[hunt_id] = made
            while len(self._tables) > TABLES_KEPT:
                self._tables.popitem(last=False)
        return made

    def status(self, hunt_id: str = "") -> HuntStatus | None:
        """How a hunt stands, by default the one of this process or else the newest; None where there is none."""
        wanted = hunt_id or self.current
        return self._statuses.get(wanted)

    @property
    def current(self) -> str:
        """Id of the hunt of this process, or else of the newest in the folder; empty where there is none."""
        if self._hunt is not None:
            return self._hunt.hunt_id
        return str(self.hunts[-1]["hunt_id"]) if self.hunts else ""

    @property
    def writable(self) -> bool:
        """Whether hunts can be started here; not if another process has the folder's ledger open."""
        return bool(self.ledger.writable)

    def watch(self, ring: Callable[[], None]) -> Callable[[], None]:
        """Call `ring` (from any thread; it must return at once) when something changed; gives what ends that."""
        with self._lock:
            self._rings.add(ring)

        def leave() -> None:
            with self._lock:
                self._rings.discard(ring)

        return leave

    # -- hunts ----------------------------------------------------------------------------------------

    def start(self, **settings: Any) -> str:
        """Start a hunt, or go on with the one that has the same settings; gives its id.

        Parameters
        ----------
        **settings
            Of `engine.runs.Hunt`, without the folder.

        Raises
        ------
        ValueError
            A setting that is refused.
        RuntimeError
            A hunt is at work here, or another process has the ledger.
        """
        if not self.writable:
            raise RuntimeError(f"another process hunts in {self.folder}; stop that one, or look on")
        if self._hunt is not None and self.busy:
            raise RuntimeError("a hunt is at work; pause or cancel it first")
        hunt = Hunt(self.folder, **settings, sink=self._heard)
        if self._hunt is not None:
            self._hunt.close()
        self._hunt = hunt
        hunt.start()
        self._changed.set()
        return hunt.hunt_id

    @property
    def busy(self) -> bool:
        """Whether a hunt of this process is running or paused."""
        return self._hunt is not None and self._hunt.status().state in ("running", "pausing", "paused")

    def pause(self) -> None:
        """Start no more runs; those under way end."""
        if self._hunt is not None:
            self._hunt.pause()
        self._changed.set()

    def resume(self, hunt_id: str = "", **others: Any) -> None:
        """Go on with the hunt of this process, or with one that the ledger knows (`budget`, `workers` may change).

        Raises
        ------
        RuntimeError
            Another hunt is at work, or another process has the ledger.
        """
        wanted = hunt_id or self.current
        if self._hunt is None or self._hunt.hunt_id != wanted:
            if not self.writable:
                raise RuntimeError(f"another process hunts in {self.folder}; stop that one, or look on")
            if self.busy:
                raise RuntimeError("another hunt is at work; pause or cancel it first")
            hunt = Hunt.open(self.folder, wanted, sink=self._heard, **others)
            if self._hunt is not None:
                self._hunt.close()
            self._hunt = hunt
        self._workers.submit(self._quietly, self._hunt.resume)
        self._changed.set()

    def cancel(self) -> None:
        """End the hunt now; its runs under way go back into the queue, from which `resume` takes them."""
        if self._hunt is not None:
            self._workers.submit(self._quietly, self._hunt.cancel)

    # -- measuring again --------------------------------------------------------------------------------

    def revalidate(self, run_id: str) -> None:
        """Measure a run again from its arrays, in a thread; `report` has what came of it."""
        with self._lock:
            if run_id in self._checking:
                return
            self._checking[run_id] = time.monotonic()
            self._reports.pop(run_id, None)
        self._workers.submit(self._validate, run_id)
        self._ring()

    def report(self, run_id: str) -> Mapping[str, Any] | None:
        """What measuring a run again gave, None if it was not."""
        return self._reports.get(run_id)

    def checking_s(self, run_id: str) -> float | None:
        """For how long a run is being measured, s; None if it is not."""
        since = self._checking.get(run_id)
        return None if since is None else time.monotonic() - since

    def stop(self) -> None:
        """Cancel the hunt, stop watching and let go of the ledger."""
        self._stopping.set()
        self._changed.set()
        self._watch.close()
        self._thread.join(timeout=10.0)
        self._workers.shutdown(wait=True, cancel_futures=True)
        if self._hunt is not None:
            self._hunt.close()
        self.ledger.close()
        if self._passing is not None:
            self._passing.cleanup()

    # -- inside -------------------------------------------------------------------------------------------

    def _heard(self, event: dict[str, Any]) -> None:
        self._changed.set()
        self._tell(event["kind"], event["entity"], event["payload"])

    def _noticed(self, changes: list[ArtifactChange]) -> None:
        """Files came, changed or went: those of no hunt are listed, those of a hunt are noted in the ledger."""
        known = dict(zip(*(self.table()[name].to_pylist() for name in ("run_id", "state")), strict=True))
        for change in changes[-MOST_TOLD:]:
            told = {"added": "seen"}.get(change.change, change.change)
            self._tell(f"{change.kind}_{told}", change.run_id or change.path.name, {"status": change.status})
        for change in changes:
            state = known.get(change.run_id)
            ours = state is not None and change.run_id not in self._found
            if not ours:
                self._found.notice(change.path)
            elif change.kind == "artifact" and self.writable and _tells(change, str(state)):
                self._workers.submit(self._quietly, partial(self._note, str(change.run_id)))
        self._changed.set()

    def _note(self, run_id: str) -> None:
        """Measure what has become of the file of a hunt's run, and note it."""
        report = validate(self.grids.path(run_id))
        if isinstance(self.ledger, Ledger):
            self.ledger.note_artifact(run_id, report["status"], report["reason"], report["metrics"])

    def _quietly(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:
            logger.exception("a hunt could not be steered")
            self.error = f"{type(error).__name__}: {error}"
        self._changed.set()

    def _validate(self, run_id: str) -> None:
        try:
            report = validate(self.grids.path(run_id))
        finally:
            with self._lock:
                self._checking.pop(run_id, None)
        with self._lock:
            self._reports[run_id] = report
            while len(self._reports) > REPORTS_KEPT:
                self._reports.popitem(last=False)
        self._ring()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait(IDLE_S)
            if self._stopping.is_set():
                return
            self._changed.clear()
            started = time.monotonic()
            try:
                changed = self._read()
                self.error = ""
            except Exception as error:
                logger.exception("the table of runs could not be read")
                self.error, changed = f"{type(error).__name__}: {error}", True
            if changed:
                self.version += 1
            self._ring()
            # A large ledger takes longer to read; it must not fill a core.
            self._stopping.wait(max(PERIOD_S, 5.0 * (time.monotonic() - started)))

    def _read(self) -> bool:
        self.hunts = self.ledger.hunts().to_pylist()
        statuses = {str(h["hunt_id"]): hunt_status(self.ledger, str(h["hunt_id"])) for h in self.hunts[-TABLES_KEPT:]}
        if self._hunt is not None:
            statuses[self._hunt.hunt_id] = self._hunt.status()
        changed = statuses != self._statuses
        self._statuses = statuses
        with self._lock:
            wanted = list(self._tables) or [""]
        for hunt_id in wanted:
            table = self._table(hunt_id)
            with self._lock:
                old = self._tables.get(hunt_id)
                if old is None or not old.equals(table):
                    self._tables[hunt_id], changed = table, True
        return changed

    def _table(self, hunt_id: str) -> pa.Table:
        table = ledger_rows(self.ledger, hunt_id)
        if hunt_id:
            return table
        return joined(table, self._found.rows(set(table["run_id"].to_pylist())))

    def _ring(self) -> None:
        with self._lock:
            rings = list(self._rings)
        for ring in rings:
            ring()


def _tells(change: ArtifactChange, state: str) -> bool:
    """Whether a change of a file says something else of a run than the ledger does."""
    if change.change == "removed":
        return state in ("done", "unreadable")
    return state in ("missing", "unreadable") or (state == "done" and change.status != "ok")


def hunts_of(station: Any) -> HuntDesk:
    """The desk of a station: its folder below the station's data, its events into the station's log."""
    kept = str(station.settings.data_dir) != ":memory:"
    publish = station.publish

    def tell(event: dict[str, Any]) -> None:
        kind, entity = event_kind(event["kind"]), str(event["entity"])
        payload = orjson.dumps(event["payload"]).decode()
        publish(event_table([event["time"]], kind, [entity], "runs", payload=[payload]))

    return HuntDesk(station.settings.data_dir / "runs" if kept else None, tell)
