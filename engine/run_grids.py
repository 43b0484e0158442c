"""Grids of finished runs for those who look at them: one read, shared by all, and forgotten when others are wanted.

A file is opened, copied and closed: an open reader would block its writer. What is kept is bounded in bytes, so that
memory does not grow with the number of artifacts looked at. It must not know of pictures.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.runs.artifact import artifact_name

KEPT_BYTES = 128 * 2**20
"""Grids kept in memory at most."""

MAX_GRID_BYTES = 2**29
"""The largest grid that is read whole."""


class GridUnavailable(Exception):
    """There is no such grid; the message says why."""


@dataclass(frozen=True, slots=True)
class GridInfo:
    """A dataset of an artifact that can be shown: its name, its shape, and how many frames it has.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Rows and columns of one frame.
    frames : int
        1 where there is no time axis.
    what : str
        What the file says it is.
    """

    name: str
    shape: tuple[int, int]
    frames: int
    what: str


class RunGrids:
    """Grids of the artifacts in one folder.

    Parameters
    ----------
    folder : path
    kept_bytes : int
        Bound of what is kept.

    Examples
    --------
    >>> RunGrids("nowhere").grid("ab" * 20)
    Traceback (most recent call last):
    ...
    engine.run_grids.GridUnavailable: there is no file rho_history_abababababababababababababababababababab.h5
    """

    def __init__(self, folder: str | Path, kept_bytes: int = KEPT_BYTES) -> None:
        self.folder = Path(folder)
        self._kept: OrderedDict[tuple[str, str, int, int], NDArray[np.floating]] = OrderedDict()
        self._bytes, self._bound = 0, kept_bytes
        self._lock = threading.Lock()

    def path(self, run_id: str) -> Path:
        """Where the artifact of a run is, or would be."""
        return self.folder / artifact_name(run_id)

    def datasets(self, run_id: str) -> list[GridInfo]:
        """What can be shown of a run: its real datasets of two dimensions, or of three with time in front.

        Raises
        ------
        GridUnavailable
            The file is not there or cannot be read; says why.
        """
        found: list[GridInfo] = []
        with self._open(run_id) as file:
            for name, item in file.items():
                if not isinstance(item, h5py.Dataset) or item.ndim not in (2, 3) or item.dtype.kind not in "fiu":
                    continue
                what = item.attrs.get("long_name", b"")
                text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
                rows, columns = item.shape[-2:]
                found.append(GridInfo(name, (rows, columns), item.shape[0] if item.ndim == 3 else 1, text))
        return found

    def grid(self, run_id: str, dataset: str = "final_rho", frame: int = 0) -> NDArray[np.floating]:
        """One grid of a run, in the type it is stored in; read-only.

        Parameters
        ----------
        run_id : str
        dataset : str
        frame : int
            Of a dataset with a time axis; beyond the last one the last is given.

        Returns
        -------
        ndarray, shape (rows, columns)

        Raises
        ------
        GridUnavailable
            No file, no such dataset, no grid, or damaged; says which.
        """
        try:
            stamp = self.path(run_id).stat().st_mtime_ns
        except OSError:
            raise GridUnavailable(f"there is no file {artifact_name(run_id)}") from None
        key = (run_id, dataset, frame, stamp)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
        grid = self._read(run_id, dataset, frame)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = grid
                self._bytes += grid.nbytes
            while self._bytes > self._bound and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return grid

    @property
    def kept_bytes(self) -> int:
        """Bytes of all grids kept."""
        return self._bytes

    def _read(self, run_id: str, dataset: str, frame: int) -> NDArray[np.floating]:
        with self._open(run_id) as file:
            item = file.get(dataset)
            if not isinstance(item, h5py.Dataset) or item.ndim not in (2, 3) or item.dtype.kind not in "fiu":
                raise GridUnavailable(f"{artifact_name(run_id)} has no grid {dataset!r}; it has {', '.join(file)}")
            if item.dtype.itemsize * item.shape[-1] * item.shape[-2] > MAX_GRID_BYTES:
                raise GridUnavailable(f"{dataset} is {item.shape}; too large to be read whole, explore it as a file")
            try:
                grid = item[min(frame, item.shape[0] - 1)] if item.ndim == 3 else item[()]
            except (OSError, RuntimeError, ValueError) as error:
                raise GridUnavailable(f"{dataset} in {artifact_name(run_id)} is damaged: {error}") from error
        grid.setflags(write=False)
        return np.asarray(grid)

    def _open(self, run_id: str) -> h5py.File:
        path = self.path(run_id)
        if not path.is_file():
            raise GridUnavailable(f"there is no file {path.name}")
        try:
            return h5py.File(path, "r", locking="best-effort")
        except OSError as error:
            raise GridUnavailable(f"{path.name} cannot be read: {error}") from error
