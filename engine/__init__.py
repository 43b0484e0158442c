"""The engine of the dashboard: events, folds over events, and the frames that views draw.

Pure Python with NumPy, Numba, Arrow and DuckDB. It knows nothing of Panel, HoloViews or Bokeh, so
everything here works the same in a script, a test, a notebook and a served page.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine._kernel_cache import keep_kernels_apart

# Before anything imports Numba: its third thread pool, workqueue, kills a process that computes in two threads.
os.environ.setdefault("NUMBA_THREADING_LAYER", "threadsafe")
keep_kernels_apart(Path(__file__).parent)

if TYPE_CHECKING:
    from engine.station import Station

__all__ = ["Station"]


def __getattr__(name: str) -> Any:
    # `engine.Station` without making `import engine.geo` load DuckDB, Redis and every kernel.
    if name == "Station":
        from engine.station import Station

        return Station
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
