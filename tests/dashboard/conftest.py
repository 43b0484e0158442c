"""Frames to draw: a few emitters with known motion over Switzerland, computed as the station computes them."""

import json

import numpy as np
import pytest

from engine.events.schema import FIX, event_table
from engine.frames.field_frame import compute_field_frame
from engine.frames.spec import FieldSpec, snap_view
from engine.frames.trails import TrailFold
from engine.rf.tracks import TrackFold

START_S = 1_790_000_000.0
"""Time of the first fix, epoch s."""

VIEW_M = (640e3, 5_660e3, 1_160e3, 6_120e3)
"""About 5.7 to 10.4° E, 45.3 to 48.1° N, Web Mercator metres."""

_RATE = 360.0 / 40_075_016.7


@pytest.fixture(scope="session")
def picture():
    """Build a frame: `picture(n=12, ids=None, payload=None, moment_s=None, **spec)`, five fixes per emitter."""

    def build(n=12, ids=None, payload=None, steps=5, moment_s=None, cells=16_384, **spec):
        rng = np.random.default_rng(n)
        ids = [f"e{i:04d}" for i in range(n)] if ids is None else list(ids)
        n = len(ids)
        speed, track = rng.uniform(60.0, 250.0, n), rng.uniform(0.0, 360.0, n)
        lat0, lon0 = rng.uniform(46.0, 47.6, n), rng.uniform(6.5, 9.6, n)
        alt = rng.uniform(1_000.0, 11_000.0, n)
        tracks, trails = TrackFold(), TrailFold()
        for k in range(steps if n else 0):
            said = [
                json.dumps({"speed_m_s": speed[i], "track_deg": track[i], "callsign": f"CALL{i}", **(payload or {})})
                for i in range(n)
            ]
            north, east = np.cos(np.radians(track)), np.sin(np.radians(track)) / np.cos(np.radians(lat0))
            time_us, flown_deg = np.full(n, int((START_S + 10.0 * k) * 1e6)), 10.0 * k * _RATE * speed
            lat, lon = lat0 + flown_deg * north, lon0 + flown_deg * east
            batch = event_table(time_us, FIX, ids, "test", lat=lat, lon=lon, alt_m=alt, payload=said)
            tracks.apply(batch)
            trails.apply(batch)
        moment_s = START_S + 10.0 * steps if moment_s is None else moment_s
        options = {"horizon": False, "low_dbm": -110.0, "high_dbm": -50.0, **spec}
        wanted = FieldSpec(*snap_view(*VIEW_M, cells), **options)
        return compute_field_frame(wanted, moment_s, tracks.snapshot(moment_s), trails.segments(0.0, moment_s))

    return build


@pytest.fixture(scope="session")
def frame(picture):
    """Twelve moving emitters."""
    return picture()


@pytest.fixture(scope="session")
def empty_frame(picture):
    """A frame in which nothing was heard."""
    return picture(0)
