"""Opening a file without a lock, whoever has it open; runs in a reader process only.

Three ways, in this order: as it is; following a writer (SWMR); and through an overlay that shows the superblock as
of a closed file, for one whose writer was killed or whose end is missing. None of them writes to the file.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import h5py

from engine.hdf5.errors import NotThere, Unreadable
from engine.hdf5.superblock import Superblock, closed, read_superblock

MAX_PADDED = 1_000_000
"""A file that lacks more than this many times its length is not opened."""


class Overlay(io.RawIOBase):
    """A file with a few of its first bytes replaced, and zeros where its end is missing; read only.

    Attributes
    ----------
    size : int
        How long it seems, bytes.
    missed : int
        How many of the bytes that were asked for are not there.
    """

    def __init__(self, path: Path, at: int, patch: bytes, size: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with this object
        self._at, self._patch = at, patch
        self._place = 0
        self.size, self.missed = size, 0

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, bytes."""
        self._place = offset + (0, self._place, self.size)[whence]
        return self._place

    def tell(self) -> int:
        """The place, bytes."""
        return self._place

    def readinto(self, buffer: object) -> int:
        """Fill a buffer from here; what the patch covers comes from the patch."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        content = os.pread(self._file.fileno(), len(view), self._place)
        view[: len(content)] = content
        padded = min(len(view), max(self.size - self._place, 0)) - len(content)
        if padded > 0:
            view[len(content) : len(content) + padded] = bytes(padded)
            self.missed += padded
        start, stop = max(self._place, self._at), min(self._place + len(content), self._at + len(self._patch))
        if start < stop:
            view[start - self._place : stop - self._place] = self._patch[start - self._at : stop - self._at]
        self._place += len(content) + max(padded, 0)
        return len(content) + max(padded, 0)

    def close(self) -> None:
        """Close the file beneath."""
        self._file.close()
        super().close()


def superblock_of(path: Path) -> Superblock:
    """The superblock of a file; raises if there is none.

    Raises
    ------
    NotThere
        There is no file.
    Unreadable
        It is no HDF5 file.
    """
    try:
        with open(path, "rb") as file:
            block = read_superblock(file)
            if block is None:
                file.seek(0)
                head, size = file.read(8), file.seek(0, 2)
    except FileNotFoundError:
        raise NotThere(f"there is no file {path.name}") from None
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror}") from error
    if block is None:
        raise Unreadable(f"{path.name} is no HDF5 file: it has {size} bytes, begins with {head!r} and has no format "
                         "signature at 0, 512, 1024 …")  # fmt: skip
    return block


def open_file(path: Path) -> tuple[h5py.File, list[str], Overlay | None]:
    """A file opened for reading, what is to be said of it, and the overlay that it was opened through, if any.

    Raises
    ------
    NotThere, Unreadable
        With the reason.
    """
    if not path.is_file():
        raise NotThere(f"there is no file {path.name}")
    block = superblock_of(path)
    notes = [f"user block of {block.offset} bytes"] if block.offset else []
    try:
        if block.writing and block.swmr:
            file = h5py.File(path, "r", swmr=True, locking=False)
            said = "marked as being written (SWMR): the newest that its writer has flushed is shown"
            return file, [*notes, said], None
        if not block.writing and not block.truncated:
            return h5py.File(path, "r", locking=False), notes, None
    except Exception as error:
        if not block.writing:
            raise Unreadable(f"{path.name}: {_short(error)}") from error
    if block.writing:
        notes.append("marked as open for writing: its writer is still at work or was killed; it is shown as it lies "
                     "on the disk, and what was not flushed is missing")  # fmt: skip
    if block.truncated:
        notes.append(f"truncated: {block.size} of {block.end} bytes are there; what lay in the rest is missing")
    if block.end > MAX_PADDED * max(block.size, 1 << 20):
        raise Unreadable(f"{path.name}: {notes[-1]}")
    overlay = Overlay(path, block.offset, closed(block), max(block.end, block.size))
    try:
        return h5py.File(overlay, "r"), notes, overlay
    except Exception as error:
        overlay.close()
        raise Unreadable(f"{path.name}: {'; '.join(notes)}; and it cannot be opened: {_short(error)}") from error


def _short(error: BaseException) -> str:
    return f"{error}"[:300] or type(error).__name__
