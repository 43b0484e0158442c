"""The watch: notices artifacts and provenance files within a fraction of a second, and keeps an index of them.

Changes come from the operating system, a scan at the start takes in what is there already, and a slow rescan what was
missed. Who is told, and what of it goes on a bus, is not its business.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import watchfiles

from engine.runs.events import Sink, Teller
from engine.runs.ledger_tables import Where
from engine.runs.watch_index import ArtifactChange, ArtifactIndex, kind_of

_STEP_MS = 5
_QUIET_MS = 50
_WAIT_MS = 500

# The library's own polling compares times in whole seconds and so misses what is written twice in one; a scan of ours
# compares nanoseconds, sizes and inodes. It takes at most a tenth of the time, however slow the disk is.
_POLL_S, _POLL_SHARE = 0.5, 9.0
_BATCH = 200

OnChange = Callable[[list[ArtifactChange]], None]
"""Takes what has changed; on the watch's thread, so that it should be quick."""


class RunWatch:
    """Watches folders, and all below them, for artifacts and provenance files.

    Each file is opened once, in a copy, read and closed, when it is new or has changed: no writer ever waits for it.
    What is written under a hidden name and renamed is seen whole; a file that is written in place may be seen as
    unreadable first and then again.

    Parameters
    ----------
    folders : path or sequence of path
        Existing folders.
    on_change : callable, optional
        Called with a list of `ArtifactChange`, also for what the first scan finds; what it raises is counted.
    index : path, optional
        DuckDB file that keeps the index from one watch to the next; a temporary one if not given.
    poll : bool
        Look twice a second, less often where that takes long, instead of being told: for network disks, which tell
        nothing.
    rescan_s : float
        How often all is compared anyway.
    sink : callable, optional
        Called with events, one for each change.

    Attributes
    ----------
    errors : int
        Failures of `on_change` and of the watch itself; `last_error` is the last.

    Raises
    ------
    ValueError
        A folder is not there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, RunWatch(folder) as watch:
    ...     watch.ready(10.0), watch.artifacts().num_rows
    (True, 0)
    """

    def __init__(
        self,
        folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        on_change: OnChange | None = None,
        *,
        index: str | os.PathLike[str] | None = None,
        poll: bool = False,
        rescan_s: float = 60.0,
        sink: Sink | None = None,
    ) -> None:
        several = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
        self.folders = [Path(folder).resolve() for folder in several]
        for folder in self.folders:
            if not folder.is_dir():
                raise ValueError(f"{folder} is no folder that can be watched: make it first")
        if not self.folders:
            raise ValueError("no folder is given to be watched")
        if not rescan_s > 0:
            raise ValueError(f"rescan_s is {rescan_s!r}; it must be above 0")
        self.errors = 0
        self.last_error: str | None = None
        self._on_change, self._tell = on_change, Teller(sink)
        self._poll, self._rescan_s = poll, rescan_s
        self._index = ArtifactIndex(index)
        self._stopping, self._scanned = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="run-watch", daemon=True)
        self._thread.start()

    def ready(self, timeout_s: float | None = None) -> bool:
        """Wait until the first scan is over; False if it takes longer.

        Parameters
        ----------
        timeout_s : float, optional
        """
        return self._scanned.wait(timeout_s)

    def artifacts(
        self,
        order_by: str | Sequence[str] = "path",
        where: Where | None = None,
        limit: int | None = None,
        offset: int = 0,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """The index, sorted and filtered; parameters as in `LedgerTables.runs`.

        Returns
        -------
        pyarrow.Table
            Columns as in `engine.runs.watch_index.ARTIFACT_COLUMNS`.
        """
        return self._index.artifacts(order_by, where, limit, offset, columns)

    def close(self) -> None:
        """Stop watching; the thread has ended when this returns, unless it is this very one."""
        self._stopping.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> RunWatch:
        """The watch itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self.close()

    # -- the thread ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    self._follow()
                except Exception as error:  # a folder that went away, or a disk: it is looked at again
                    self._failed(error)
                    self._scanned.set()
                    self._stopping.wait(1.0)
        finally:
            self._index.close()

    def _follow(self) -> None:
        """Be told of changes while the folders are there; each begin and each while is a rescan."""
        there = [folder for folder in self.folders if folder.is_dir()]
        due = 0.0
        if self._poll or not there:
            began = time.monotonic()
            self._rescan()
            self._stopping.wait(max(_POLL_S, _POLL_SHARE * (time.monotonic() - began)))
            return
        # The operating system is asked first and the folder scanned then, so that nothing falls between the two.
        for changes in watchfiles.watch(
            *there, debounce=_QUIET_MS, step=_STEP_MS, stop_event=self._stopping, rust_timeout=_WAIT_MS,
            yield_on_timeout=True, watch_filter=_matters, raise_interrupt=False,
        ):  # fmt: skip
            if time.monotonic() >= due:
                self._rescan()
                due = time.monotonic() + self._rescan_s
            for path in sorted({Path(path) for _, path in changes}):
                # A folder that is moved in or out is told of as one change, not file by file.
                self._say(self._index.look(path) if kind_of(path) else self._index.scan(path))
            if [folder for folder in self.folders if folder.is_dir()] != there:
                self._rescan()
                return

    def _rescan(self) -> None:
        for folder in self.folders:
            self._say(self._index.scan(folder))
        self._scanned.set()

    def _say(self, changes: Iterable[ArtifactChange]) -> None:
        batch: list[ArtifactChange] = []
        for change in changes:
            batch.append(change)
            if len(batch) == _BATCH:
                self._deliver(batch)
                batch = []
            if self._stopping.is_set():
                break
        if batch:
            self._deliver(batch)

    def _deliver(self, batch: list[ArtifactChange]) -> None:
        for change in batch:
            verb = {"added": "seen"}.get(change.change, change.change)
            payload = {"path": str(change.path), "status": change.status, "reason": change.reason}
            self._tell(f"{change.kind}_{verb}", change.run_id or change.path.name, payload)
        if self._on_change is not None:
            try:
                self._on_change(batch)
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        self.last_error = f"{type(error).__name__}: {error}"


def _matters(change: watchfiles.Change, path: str) -> bool:
    if kind_of(path) is not None:
        return True
    gone = change == watchfiles.Change.deleted and not os.path.splitext(path)[1]
    return gone or (change == watchfiles.Change.added and os.path.isdir(path))
