"""Error against bytes of learned and plain compressions: ``python -m tests.benchmarks.field_codes_table``.

Fields of 64 × 64 cells of real aircraft over Switzerland, every 10 s: half an hour teaches the learned codes, the ten
minutes after it are told in them. What aircraft will be where is not in the window, so a code that only knows the past
has a hard time; that is the question.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import xarray as xr

from data.loader import locate
from engine.ingest import read_tracks
from engine.rf import Grid, power_field
from engine.rf.field_codes import learned_table
from engine.rf.tracks import TrackFold

HISTORY, SCORED, STEP_S = 180, 60, 10.0
GRID = Grid.from_bounds(6.0, 45.8, 10.5, 47.8, shape=(64, 64))


def fields() -> list[xr.DataArray]:
    """The field of every step, dBm, (64, 64), of all aircraft heard in the minute before."""
    events = read_tracks(locate("tracks/switzerland.json.gz"))[0]
    time_s = events["time"].cast("int64").to_numpy() * 1e-6
    order = np.argsort(time_s, kind="stable")
    events, time_s = events.take(order), time_s[order]
    fold, done, out = TrackFold(), 0, []
    # From where there are aircraft at all.
    start = float(np.quantile(time_s, 0.2))
    for moment in start + STEP_S * np.arange(HISTORY + SCORED):
        until = int(np.searchsorted(time_s, moment, side="right"))
        if until > done:
            fold.apply(events.slice(done, until - done))
            done = until
        out.append(power_field(fold.snapshot(float(moment)).emitters(), GRID)["power_dbm"])
    return out


def main() -> None:
    """Print the table."""
    found = fields()
    table = learned_table(found[:HISTORY], found[HISTORY:])
    pd.set_option("display.width", 120)
    sys.stdout.write(f"{table.to_string(index=False, float_format=lambda v: f'{v:.3g}')}\n")


if __name__ == "__main__":
    main()
