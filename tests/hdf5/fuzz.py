"""Damaged files by the thousand: every one must be shown or explained, and the readers must go on.

``python -m tests.hdf5.fuzz FOLDER COUNT [SEED]`` damages the files of a folder COUNT times and says what became of it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from engine.hdf5 import Dataset, Hdf5Error, Readers, open_hdf5

MAX_OBJECTS = 12
"""Objects of one file that are looked at."""


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Content with a few bytes changed, a stretch overwritten or moved, or its end missing."""
    data = np.frombuffer(content, np.uint8).copy()
    kind, size = rng.integers(6), len(data)
    # Most of what steers the library stands near the beginning.
    low = min(size, 4096) if rng.random() < 0.6 else size
    if kind <= 1:
        at = rng.integers(0, low, rng.integers(1, 9))
        data[at] = rng.integers(0, 256, len(at))
    elif kind == 2:
        at = rng.integers(0, low, rng.integers(1, 5))
        data[at] ^= np.uint8(1) << rng.integers(0, 8, len(at)).astype(np.uint8)
    elif kind == 3:
        start, length = int(rng.integers(0, low)), int(rng.integers(1, 65))
        data[start : start + length] = rng.choice([0, 255, 127])
    elif kind == 4:
        start, other, length = int(rng.integers(0, low)), int(rng.integers(0, size)), int(rng.integers(1, 257))
        piece = data[other : other + length].copy()
        data[start : start + len(piece)] = piece[: len(data[start : start + len(piece)])]
    else:
        data = data[: int(rng.integers(1, size))]
    return data.tobytes()


def look_at(path: Path, readers: Readers) -> Counter[str]:
    """Look at everything in a file; what came of each look. Anything but an `Hdf5Error` is a fault and is raised."""
    seen: Counter[str] = Counter()
    try:
        tree = open_hdf5(path, readers=readers)
        members = list(tree.walk(limit=MAX_OBJECTS))
    except Hdf5Error as error:
        return Counter([f"file: {type(error).__name__}"])
    for place, member in members:
        try:
            node = tree[place]
            assert all(isinstance(a.name, str) for a in node.attributes)
            if isinstance(node, Dataset) and not node.problem:
                if node.pictured:
                    picture = node.view(shape=(64, 64), budget_s=0.05)
                    assert picture.size <= 3 * 64 * 64
                else:
                    node.table(0, 20)
            seen["shown"] += 1
        except Hdf5Error as error:
            seen[type(error).__name__] += 1
        assert member.name
    return seen


def fuzz(sources: list[Path], count: int, seed: int, readers: Readers, folder: Path) -> Counter[str]:
    """Damage files `count` times and look at each."""
    rng = np.random.default_rng(seed)
    total: Counter[str] = Counter()
    contents = [path.read_bytes() for path in sources]
    for number in range(count):
        which = int(rng.integers(len(sources)))
        path = folder / f"{number}.h5"
        path.write_bytes(damaged(contents[which], rng))
        try:
            total += look_at(path, readers)
        except Exception as error:
            raise AssertionError(f"{sources[which].name}, seed {seed}, number {number}: {error!r}") from error
        path.unlink()
    return total


def main() -> None:
    """Run from the command line."""
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    sources = [path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size < 1 << 20]
    readers = Readers(1, timeout_s=2.0)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        total = fuzz(sources, count, seed, readers, Path(place))
    readers.close()
    print(f"{count} files in {time.monotonic() - started:.0f} s, {readers.crashes} readers lost")
    for what, many in total.most_common():
        print(f"{many:8d} {what}")


if __name__ == "__main__":
    main()
