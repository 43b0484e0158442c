"""Coarse levels of large datasets, computed in the background, band by band, and kept in a folder.

A level holds means of blocks of cells with how many of them are no numbers (of lines also the extremes); each level is
half as fine as the one before. They are keyed by file, its time of change and size, and the cut through the dataset:
a file that is written to anew gets new ones. What is kept is bounded; what was used longest ago goes first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.config import Settings
from engine.hdf5.errors import Hdf5Error
from engine.hdf5.readers import Readers
from engine.hdf5.reduce import COUNTS, block_sizes, combine

if TYPE_CHECKING:
    from engine.hdf5.tree import Dataset
    from engine.hdf5.views import View

VERSION = 1
FINEST = 8
"""Cells along one side of a block of the finest level, at least; finer views are read from the file."""

MAX_CELLS = 1 << 27
"""Blocks of the finest level, at most."""

COARSEST = 512
"""The coarsest level has at most so many blocks along each side."""

SHORT = 2_048
"""A side of at most so many cells is not put together."""

REGION_BYTES = 128 << 20
"""What is read for one request, bytes of values."""

MAX_WAITING = 8
"""Builds that wait; a further one is refused until there is room."""


@dataclass
class Overview:
    """Levels of one cut through a dataset.

    Attributes
    ----------
    folder : Path
        Where they are.
    steps : list of (int, int)
        Cells in a block of each level, finest first.
    state : {"building", "ready", "failed", "cancelled"}
    progress : float
        0 to 1.
    problem : str
        Why it failed, or how many regions could not be read.
    """

    folder: Path
    size: tuple[int, int]
    steps: list[tuple[int, int]]
    extremes: bool
    about: dict[str, Any] = field(default_factory=dict)
    state: str = "building"
    progress: float = 0.0
    problem: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)

    def picture(self, y: tuple[int, int], x: tuple[int, int], wanted: tuple[int, int]) -> dict[str, Any] | None:
        """A rectangle from the level that is as fine as wanted or next finer; None if none is.

        Parameters
        ----------
        y, x : (int, int)
            First and one past the last cell.
        wanted : (int, int)
            Cells in a pixel, powers of two.
        """
        fitting = [n for n, s in enumerate(self.steps) if s[0] <= wanted[0] and s[1] <= wanted[1]]
        if self.state != "ready" or not fitting:
            return None
        level = fitting[-1]
        steps = self.steps[level]
        sides = []
        for (low, high), want, size in zip((y, x), wanted, self.size, strict=True):
            sides.append((low - low % want, min(-(-high // want) * want, size)))
        place = tuple(slice(low // s, -(-high // s)) for (low, high), s in zip(sides, steps, strict=True))
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.folder / "about.json")
            names = ["mean", *(["min", "max"] if self.extremes else []), *COUNTS]
            found = {name: np.array(self._open(level, name)[place]) for name in names}
            more = (wanted[0] // steps[0], wanted[1] // steps[1])
            if more != (1, 1):
                cells = np.multiply.outer(
                    *(block_sizes(high - low, s) for (low, high), s in zip(sides, steps, strict=True))
                )
                found = combine(found, cells, more)
            out = {"values": found["mean"], "steps": list(wanted), "box": [list(side) for side in sides]}
            out |= {name: found[name] for name in ("min", "max") if name in found}
            counts = {name: int(found[name].sum()) if name in found else 0 for name in COUNTS}
            return out | counts | {"how": "averaged", "share": 1.0, "damaged": 0, "damage": self.problem, "notes": []}
        return None

    def _open(self, level: int, name: str) -> np.ndarray:
        return np.load(self.folder / f"{level}_{name}.npy", mmap_mode="r", allow_pickle=False)


class Overviews:
    """Builds and keeps overviews.

    Parameters
    ----------
    folder : path
        Kept from run to run.
    max_bytes : int
        Of all overviews together.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int = 4 << 30) -> None:
        self.folder, self.max_bytes = Path(folder), max_bytes
        self.readers = Readers(1, nice=10)
        self._known: dict[str, Overview] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[tuple[Overview, Dataset, View, dict[str, Any]]] = queue.Queue(MAX_WAITING)
        self._thread: threading.Thread | None = None

    def find(self, dataset: Dataset, view: View, part: str = "value", member: str = "", build: bool = False,
             ) -> Overview | None:  # fmt: skip
        """The overview of a cut, ready or in the making; None if there is none.

        Parameters
        ----------
        dataset : Dataset
        view : View
            What is asked of its box are the places along the dimensions that are no axes.
        part, member : str
            See `Dataset.view`; of phases and names there are no means and no overviews.
        build : bool
            Begin to make it if it is not there.
        """
        shape = dataset.shape or ()
        if part == "phase" or dataset.type_class in ("enum", "bitfield"):
            return None
        size = (1, *(shape[axis] for axis in view.axes))[-2:]
        steps = levels_for((size[0], size[1]))
        if not steps:
            return None
        fixed = [low for axis, (low, _) in enumerate(view.box) if axis not in view.axes]
        file = str(dataset.tree.path)
        about = {
            "version": VERSION, "file": file, "identity": list(dataset.tree.identity), "path": dataset.path,
            "axes": list(view.axes), "fixed": fixed, "part": part, "member": member,
        }  # fmt: skip
        key = hashlib.sha1(json.dumps(about).encode(), usedforsecurity=False).hexdigest()
        with self._lock:
            known = self._known.get(key)
            if known is not None and (known.state == "building" or (known.state == "ready" and known.folder.is_dir())):
                return known
            overview = Overview(self.folder / key, (size[0], size[1]), steps, len(view.axes) == 1, about)
            if (overview.folder / "about.json").is_file():
                overview.state, overview.progress = "ready", 1.0
            elif not build or self._waiting.full():
                return None
            else:
                for other in self._known.values():
                    # The same file as it was before: nobody waits for that any more.
                    same = other.about["file"] == file and other.about["identity"] != about["identity"]
                    if same and other.state == "building":
                        other.cancelled.set()
                self._waiting.put((overview, dataset, view, {"part": part, "member": member}))
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._work, name="hdf5-overviews", daemon=True)
                    self._thread.start()
            self._known = {k: v for k, v in self._known.items() if v.state in ("building", "ready")} | {key: overview}
            return overview

    def close(self) -> None:
        """Stop building; what is ready stays."""
        for overview in self._known.values():
            overview.cancelled.set()
        self.readers.close()

    # -- inside ---------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            try:
                overview, dataset, view, what = self._waiting.get(timeout=5.0)
            except queue.Empty:
                with self._lock:
                    if self._waiting.empty():
                        self._thread = None
                        return
                continue
            part_folder = overview.folder.with_suffix(".part")
            try:
                shutil.rmtree(part_folder, ignore_errors=True)
                part_folder.mkdir(parents=True)
                self._build(overview, part_folder, dataset, view, what)
                if overview.cancelled.is_set():
                    overview.state = "cancelled"
                    continue
                (part_folder / "about.json").write_text(json.dumps(overview.about))
                shutil.rmtree(overview.folder, ignore_errors=True)
                part_folder.rename(overview.folder)
                self._make_room(overview.folder)
                overview.progress, overview.state = 1.0, "ready"
            except (Hdf5Error, OSError, ValueError, MemoryError) as error:
                overview.problem, overview.state = str(error), "failed"
            finally:
                shutil.rmtree(part_folder, ignore_errors=True)

    def _build(self, overview: Overview, folder: Path, dataset: Dataset, view: View, what: dict[str, Any]) -> None:
        names = ["mean", *(["min", "max"] if overview.extremes else []), *COUNTS]
        size, steps = overview.size, overview.steps[0]
        arrays = {name: _create(folder / f"0_{name}.npy", size, steps, name) for name in names}
        regions = _regions(dataset, view, size, steps)
        failed = 0
        for done, (y, x) in enumerate(regions):
            if overview.cancelled.is_set():
                return
            try:
                found = self._ask(dataset, view, y, x, steps, what)
            except Hdf5Error as error:
                failed += 1
                overview.problem = f"{failed} regions could not be read: {error}"
                found = {}
            place = tuple(slice(low // s, -(-high // s)) for (low, high), s in zip((y, x), steps, strict=True))
            for name, array in arrays.items():
                if name in found:
                    array[place] = found[name]
                elif name not in COUNTS:
                    array[place] = np.nan
            overview.progress = 0.95 * (done + 1) / len(regions)
        if failed == len(regions):
            raise OSError(overview.problem)
        for level in range(1, len(overview.steps)):
            self._coarser(overview, folder, level, names)

    def _ask(self, dataset: Dataset, view: View, y: tuple[int, int], x: tuple[int, int], steps: tuple[int, int],
             what: dict[str, Any]) -> dict[str, Any]:  # fmt: skip
        said, box = dataset.conventions, [list(side) for side in view.box]
        for axis, side in zip(view.axes, (y, x)[-len(view.axes) :], strict=True):
            box[axis] = list(side)
        tree = dataset.tree
        return self.readers.call(  # type: ignore[no-any-return]
            "blocks", timeout_s=120.0, file=str(tree.path), allowed=[str(folder) for folder in tree.allowed],
            path=dataset.path, box=box, axes=list(view.axes), steps=list(steps), part=what["part"],
            member=what["member"], fill=said.get("fill", []) if not what["member"] else [],
            scale=said.get("scale", 1.0), offset=said.get("offset", 0.0),
        )  # fmt: skip

    def _coarser(self, overview: Overview, folder: Path, level: int, names: list[str]) -> None:
        before, steps = overview.steps[level - 1], overview.steps[level]
        finer = {name: np.load(folder / f"{level - 1}_{name}.npy", mmap_mode="r") for name in names}
        arrays = {name: _create(folder / f"{level}_{name}.npy", overview.size, steps, name) for name in names}
        more = (steps[0] // before[0], steps[1] // before[1])
        wide = block_sizes(overview.size[1], before[1])
        tall = block_sizes(overview.size[0], before[0])
        rows = max(2, (1 << 22) // len(wide) // 2 * 2)
        for top in range(0, len(tall), rows):
            part = {name: np.asarray(array[top : top + rows]) for name, array in finer.items()}
            found = combine(part, np.multiply.outer(tall[top : top + rows], wide), more)
            for name, values in found.items():
                arrays[name][top // more[0] : top // more[0] + len(values)] = values

    def _make_room(self, newest: Path) -> None:
        kept = []
        for folder in self.folder.iterdir():
            with contextlib.suppress(OSError):
                size = sum(entry.stat().st_blocks * 512 for entry in folder.iterdir())
                kept.append(((folder / "about.json").stat().st_mtime, size, folder))
        total = sum(size for _, size, _ in kept)
        for _, size, folder in sorted(kept):
            if total <= self.max_bytes:
                return
            if folder != newest:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def levels_for(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Cells in a block of each level, finest first; none for a dataset that is small.

    Examples
    --------
    >>> levels_for((70_000, 1_000))
    [(8, 1), (16, 2), (32, 2), (64, 2), (128, 2), (256, 2)]
    >>> levels_for((500, 500))
    []
    """
    steps = [FINEST if n > SHORT else 1 for n in size]
    if steps == [1, 1]:
        return []
    while np.prod([-(-n // s) for n, s in zip(size, steps, strict=True)]) > MAX_CELLS:
        steps = [s if n <= SHORT else 2 * s for n, s in zip(size, steps, strict=True)]
    levels = [(steps[0], steps[1])]
    while any(-(-n // s) > COARSEST for n, s in zip(size, steps, strict=True)):
        steps = [2 * s if -(-n // s) > COARSEST else s for n, s in zip(size, steps, strict=True)]
        levels.append((steps[0], steps[1]))
    return levels


def _create(path: Path, size: tuple[int, int], steps: tuple[int, int], name: str) -> np.ndarray:
    shape = (-(-size[0] // steps[0]), -(-size[1] // steps[1]))
    # Counts are mostly zero and are not written then: the file stays sparse.
    return np.lib.format.open_memmap(path, "w+", np.dtype("i4" if name in COUNTS else "f4"), shape)


def _regions(dataset: Dataset, view: View, size: tuple[int, int], steps: tuple[int, int]) -> list[Any]:
    """Rectangles that are read one by one, cut at chunks and at blocks."""
    chunks = dataset.chunks or (dataset.shape or ())
    chunk = (1, *(chunks[axis] for axis in view.axes))[-2:]
    itemsize = max(int(dataset.info["itemsize"]), 1)
    cells = max(REGION_BYTES // itemsize, 1)
    wide = min(
        _up(size[1], steps[1]), max(cells // _up(min(chunk[0], 4096), steps[0]) // steps[1] * steps[1], steps[1])
    )
    tall = max(cells // wide // steps[0] * steps[0], steps[0])
    if dataset.chunks and tall > chunk[0]:
        tall = _up(tall // chunk[0] * chunk[0], steps[0])
    return [((top, min(top + tall, size[0])), (left, min(left + wide, size[1])))
            for top in range(0, size[0], tall) for left in range(0, size[1], wide)]  # fmt: skip


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


_shared: Overviews | None = None
_shared_lock = threading.Lock()


def shared_overviews() -> Overviews:
    """The overviews of this process, kept under ``DATA_DIR/cache/hdf5``."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Overviews(Settings.from_environment().data_dir / "cache" / "hdf5")
        return _shared
