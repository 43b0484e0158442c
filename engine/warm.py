"""Compile every kernel that pages use, before the instance says *ready*."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

import numpy as np

from engine.events.schema import FIX, event_table
from engine.frames.field_frame import compute_field_frame
from engine.frames.spec import FieldSpec, snap_view
from engine.frames.trails import TrailFold
from engine.frames.volume_planes import warm_volumes
from engine.hypergraph.warm import warm_fold
from engine.rf.field import warm as warm_fields
from engine.rf.field_score import warm as warm_scores
from engine.rf.measured.field import warm as warm_measured
from engine.rf.propagation import MODELS
from engine.rf.tdoa import warm as warm_tdoa
from engine.rf.tdoa_field import warm as warm_dilution
from engine.rf.tracks import TrackFold

logger = logging.getLogger(__name__)


def warm_kernels() -> float:
    """Run the whole path once on a few emitters, with every model and option; returns the seconds it took.

    The same code as the live path, so nothing is compiled later in front of a viewer.
    """
    started = time.perf_counter()
    n = 40
    t = np.arange(n) * 1_000_000
    ids = [f"w{i % 5}" for i in range(n)]
    lat, lon = 46.0 + 0.01 * np.arange(n), 8.0 + 0.01 * np.arange(n)
    payload = ['{"speed_m_s": 200.0, "track_deg": 45.0, "vertical_rate_m_s": 0.0}'] * n
    events = event_table(t, FIX, ids, "warm", lat=lat, lon=lon, alt_m=np.full(n, 9000.0), payload=payload)
    tracks_fold, trails_fold = TrackFold(), TrailFold()
    tracks_fold.apply(events.slice(0, 10))
    tracks_fold.snapshot(10.0)  # tracks so young are filtered when they are asked
    tracks_fold.apply(events.slice(10))
    trails_fold.apply(events)
    tracks = tracks_fold.snapshot(float(n))
    segments = trails_fold.segments(-1.0, float(n))
    bounds = snap_view(800e3, 5_700e3, 1_000e3, 5_900e3, 16_384)
    for model in MODELS:
        # The loss beyond the horizon comes from tables that are filled per frequency: no kernel of its own.
        for horizon in (True, False):
            compute_field_frame(FieldSpec(*bounds, model=model, horizon=horizon), float(n), tracks, segments)
    warm_volumes(tracks)
    warm_fold()
    warm_scores()
    warm_measured()
    warm_tdoa()
    warm_dilution()
    took = time.perf_counter() - started
    logger.info("kernels warm after %.1f s", took)
    return took


def _compile_all() -> None:
    """What fields and graphs use in this process and, beside it, what files and runs use in another.

    No kernel in both: the index of Numba's cache is not made for two writers.
    """
    from engine.hypergraph.warm import warm as warm_graph
    from engine.rf.forecast import warm as warm_forecast

    beside = subprocess.Popen([sys.executable, "-m", "engine.warm", "beside"])
    warm_kernels()
    for warm in (warm_fields, warm_forecast, warm_graph):
        warm()
    if beside.wait():
        sys.exit("kernels that files and runs use could not be compiled")


def _compile_beside() -> None:
    from engine.ingest.warm import warm as warm_files
    from engine.runs.solver import warm as warm_solver

    for warm in (warm_files, warm_solver):
        warm()


if __name__ == "__main__":  # python -m engine.warm: compile once what many processes would else compile at once
    _compile_beside() if sys.argv[1:] == ["beside"] else _compile_all()
