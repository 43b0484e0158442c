"""Which file it is: equal as long as nobody wrote to it."""

from __future__ import annotations

import os

from engine.hdf5.errors import NotThere


def identity(file: str) -> tuple[int, int, int, int]:
    """Device, inode, size and time of last change (ns) of a file.

    Raises
    ------
    NotThere
        There is no such file.
    """
    try:
        status = os.stat(file)
    except OSError as error:
        raise NotThere(f"{file}: {error.strerror}") from None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
