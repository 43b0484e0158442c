"""Reader processes for the tests of a file, and h5py beside them as the other opinion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.hdf5 import Readers, Tree, open_hdf5


@pytest.fixture(scope="module")
def readers() -> Iterator[Readers]:
    """Two readers of our own, so that a crash here is nobody else's."""
    own = Readers(2, timeout_s=60.0)
    yield own
    own.close()


@pytest.fixture
def opened(readers: Readers) -> Any:
    """`opened(path, allowed=None)` is a tree read by our own readers."""

    def open_it(path: Path, allowed: list[Path] | None = None) -> Tree:
        return open_hdf5(path, allowed, readers)

    return open_it
