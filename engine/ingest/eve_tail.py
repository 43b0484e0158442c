"""The source that follows Suricata's eve.json as it grows, through rotation and truncation.

Reads in pieces from its own thread and tells where it stands, so that a later process can go on from
there. It knows files and lines, not what is in them, and not the log behind the sink.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.ingest.eve_read import EveLines, iter_eve
from engine.ingest.protocol import Sink
from engine.ingest.source import ThreadedSource
from engine.ingest.tracks_bytes import MAX_LINE_BYTES

READ_BYTES = 1 << 18
"""Bytes read at once: what may come twice after a crash."""

POLL_S = 0.25
"""How often a file that does not grow is looked at, s."""

GRACE_POLLS = 2
"""Looks at a file that was moved away, before it is left: its writer may still finish a line."""

_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True)
class EvePosition:
    """Where a tail stands: all that a later one needs to go on.

    Attributes
    ----------
    device, inode : int
        The file, whatever it is called meanwhile.
    offset : int
        Bytes of it that are done; the beginning of a line.
    head : str
        Digest of its first bytes, by which a file that was emptied and written anew is known.
    head_bytes : int
        How many those are.
    """

    device: int
    inode: int
    offset: int
    head: str
    head_bytes: int


class EveTail(ThreadedSource):
    """Follows an EVE file: a `CaptureEngine`.

    A file that is renamed is read to its end before the new one of the name is begun. A file that
    became shorter, or begins otherwise than it did, is read from its beginning. A path that does not
    exist (yet) is waited for. A compressed file is read once, to its end.

    Parameters
    ----------
    name : str
        Name of the source.
    path : str or Path
    position : EvePosition, optional
        Where an earlier tail stood. The file is also found under another name in the same folder.
    at_end : bool
        Without a position: begin with what comes next, and not with what is there.
    follow : bool
        False ends at the end of the file.
    poll_s : float
        How often a file that does not grow is looked at, s.
    max_line_bytes : int
        Longer lines are skipped.

    Examples
    --------
    >>> import tempfile
    >>> from engine.events.queue import BoundedQueue
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b'{"event_type": "dns", "timestamp": "2024-05-01T12:00:00Z"}' + bytes([10]))
    ...     file.flush()
    ...     tail = EveTail("sensor", file.name, follow=False)
    ...     tail.start(BoundedQueue())
    ...     tail.join(20.0), tail.stats().events, tail.position.offset
    (True, 1, 59)
    """

    def __init__(
        self,
        name: str,
        path: str | Path,
        *,
        position: EvePosition | None = None,
        at_end: bool = False,
        follow: bool = True,
        poll_s: float = POLL_S,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        super().__init__(name)
        if not poll_s > 0.0:
            raise ValueError(f"poll_s is {poll_s!r}; it must be positive seconds")
        self._path, self._follow, self._poll_s = Path(path), follow, poll_s
        self._at_end = at_end and position is None
        self._position = position
        self._lines = EveLines(name, self._rejects, max_line_bytes)
        self._read = 0  # bytes of the current file that were read, also of the incomplete line
        self._reading: EvePosition | None = None  # of `_pending`: becomes the position once that is handed over

    @property
    def position(self) -> EvePosition | None:
        """Where it stands: everything before it was accepted by the sink. None before the first file."""
        return self._position

    def _work(self, out: Sink) -> bool:
        if not self._hand_over(out):
            return False
        while not self._stopping.is_set():
            file = self._opened()
            if file is None:
                if not self._follow:
                    raise FileNotFoundError(f"{self._path}: no such file")
                self._last_error = f"{self._path}: waiting for it to appear"
                self._stopping.wait(self._poll_s)
                continue
            self._last_error = None
            with file:
                if file.read(3)[:2] in (b"\x1f\x8b", b"BZ"):
                    return self._read_compressed(out, file)
                file.seek(self._read)
                done = self._follow_file(out, file)
            if done is not None:
                return done
        return False

    # -- one file ---------------------------------------------------------------------------------

    def _opened(self) -> BinaryIO | None:
        """The file to read next, which is the one that the position speaks of if it is still there."""
        before, newest = self._position, _open(self._path)
        if before is not None and (newest is None or not _goes_on(newest, before)):
            for path in self._others():
                with contextlib.suppress(OSError):
                    file = _open(path)
                    if file is not None and _goes_on(file, before):
                        if newest is not None:
                            newest.close()
                        self._begin(file, before.offset)
                        return file
                    if file is not None:
                        file.close()
            before = None  # gone, or written anew: the file of the name from its beginning
        if newest is not None:
            self._begin(newest, before.offset if before is not None else 0)
        return newest

    def _begin(self, file: BinaryIO, offset: int) -> None:
        size = os.fstat(file.fileno()).st_size
        self._lines.forget()
        self._read = size if self._at_end else offset
        self._at_end = False
        self._position = _position(file, self._read)

    def _others(self) -> list[Path]:
        """Files that the log may have been renamed to, the newest first."""
        with contextlib.suppress(OSError):
            found = [path for path in self._path.parent.glob(f"{_literal(self._path.stem)}*") if path != self._path]
            return sorted(found, key=lambda path: -path.stat().st_mtime)[:100]
        return []

    def _follow_file(self, out: Sink, file: BinaryIO) -> bool | None:
        """Read a file to its end and wait for more; None when the next one is due, else as `_work`."""
        moved = 0
        while True:
            if _rewritten(file, self._position, self._read):
                if self._lines.pending:
                    self._rejects.records += 1
                    self._rejects.add("truncated", "line that was being written when the file was emptied", b"")
                self._position = None
                return None
            data = file.read(READ_BYTES)
            if data:
                moved = 0
                if not self._take(out, file, data):
                    return False
                continue
            if not self._follow:
                return self._finish_line(out, file)
            if not _same(file, self._path):
                moved += 1
                if moved > GRACE_POLLS:
                    finished = self._finish_line(out, file)
                    self._position = None if self._path.exists() else self._position
                    return None if finished else False
            if self._stopping.wait(self._poll_s):
                return False

    def _take(self, out: Sink, file: BinaryIO, data: bytes) -> bool:
        table = self._lines.feed(data)
        self._read += len(data)
        self._reading = _position(file, self._read - self._lines.pending)
        return self._hand_over(out, table)

    def _finish_line(self, out: Sink, file: BinaryIO) -> bool:
        """The last line of a file that will not grow counts without its end."""
        table = self._lines.finish()
        self._reading = _position(file, self._read)
        return self._hand_over(out, table)

    def _hand_over(self, out: Sink, table: object = None) -> bool:
        if not self._offer(out, table):  # type: ignore[arg-type]
            return False
        if self._reading is not None:
            self._position, self._reading = self._reading, None
        return True

    def _read_compressed(self, out: Sink, file: BinaryIO) -> bool:
        file.seek(0)
        return all(self._offer(out, table) for table in iter_eve(file, source=self.name, rejects=self._rejects))


def _open(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _position(file: BinaryIO, offset: int) -> EvePosition:
    stat = os.fstat(file.fileno())
    head = os.pread(file.fileno(), _HEAD_BYTES, 0)
    return EvePosition(stat.st_dev, stat.st_ino, offset, hashlib.sha256(head).hexdigest()[:16], len(head))


def _goes_on(file: BinaryIO, before: EvePosition) -> bool:
    stat = os.fstat(file.fileno())
    same = (stat.st_dev, stat.st_ino) == (before.device, before.inode) and stat.st_size >= before.offset
    return same and _head_is(file, before)


def _head_is(file: BinaryIO, before: EvePosition) -> bool:
    head = os.pread(file.fileno(), before.head_bytes, 0)
    return hashlib.sha256(head).hexdigest()[:16] == before.head


def _rewritten(file: BinaryIO, before: EvePosition | None, read: int) -> bool:
    """Whether a file was emptied since: it is shorter than what was read, or begins otherwise."""
    return os.fstat(file.fileno()).st_size < read or (before is not None and not _head_is(file, before))


def _same(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _literal(name: str) -> str:
    """A name for `glob` that stands for itself."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
