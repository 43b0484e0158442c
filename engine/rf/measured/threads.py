"""How many threads a kernel that is called very often gets: one where sharing the work out costs more than the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numba

SHARED_FROM = 1_500
"""Values from which a call is shared among threads: below, some hundred µs of work would wait for a busy core."""


@contextmanager
def threads_for(values: int) -> Iterator[None]:
    """Let kernels called inside use one thread for few values, and all of them else; of the calling thread only."""
    usual = numba.get_num_threads()
    numba.set_num_threads(usual if values >= SHARED_FROM else 1)
    try:
        yield
    finally:
        numba.set_num_threads(usual)
