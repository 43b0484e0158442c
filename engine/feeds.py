"""The feed that a station starts with: a recorded sample, an invented air picture, or a file of one's own.

A sample is looked for beside the project, in the cache, and at its origin; where it cannot be had, a
seeded synthetic picture takes its place and says so.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from engine.config import Settings
from engine.events.log import EventLog
from engine.ingest.protocol import CaptureEngine
from engine.ingest.rejects import Rejects
from engine.ingest.tracks_read import read_tracks
from engine.ingest.tracks_replay import TrackReplay

logger = logging.getLogger(__name__)

SAMPLE = "tracks/switzerland.json.gz"
"""The main sample: one day of air traffic over Switzerland."""

SAMPLE_WINDOW = ("2018-08-01T09:00:00Z", "2018-08-01T13:00:00Z")
"""Its busiest four hours; they are played in a loop."""


SILENCE_S = 600.0
"""A recording that says nothing for longer than this is taken apart there, s."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a station plays: the source, how the page names it, and whether it is invented."""

    source: CaptureEngine | None
    label: str
    synthetic: bool


def open_feed(settings: Settings, log: EventLog) -> Feed:
    """The feed named by `settings.feed`.

    Raises
    ------
    FileNotFoundError
        When it is a path and no file is there.
    ValueError
        When the file holds no position.
    """
    if settings.feed == "none":
        return Feed(None, "no feed: waiting for events", False)
    if settings.feed == "sample":
        return _sample(settings, log)
    if settings.feed == "synthetic":
        return _synthetic(settings, log)
    path = Path(settings.feed)
    if not path.is_file():
        raise FileNotFoundError(
            f"FEED is {settings.feed!r}: no such file; use sample, synthetic, none or a tracks file"
        )
    events, rejects = read_tracks(path)
    if not events.num_rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejects.counts.items()) or "it is empty"
        raise ValueError(f"FEED is {settings.feed!r}: no usable position in it ({reasons}); see docs/engine-ingest.md")
    window = busiest_stretch(events)
    source = _looped(path.stem, events, window, settings, log, rejects)
    return Feed(source, f"{path.name}, {window[0]} to {window[1]}, replayed as if now", False)


def busiest_stretch(events: pa.Table, silence_s: float = SILENCE_S) -> tuple[str, str]:
    """Start and end (ISO, end excluded) of the stretch of a recording with most fixes between two long silences.

    A recording of several days with hours of nothing between would, played by the clock, show nothing for hours.

    Examples
    --------
    >>> from engine.events import FIX, event_table
    >>> hours = [0, 1, 2, 7200, 7201, 7202, 7203]
    >>> events = event_table([s * 1_000_000 for s in hours], FIX, ["a"] * 7, "doc", lat=[1.0] * 7, lon=[1.0] * 7)
    >>> busiest_stretch(events)
    ('1970-01-01T02:00:00+00:00', '1970-01-01T02:00:04+00:00')
    """
    time_us = np.sort(events["time"].cast(pa.int64()).to_numpy())
    starts = np.concatenate([[0], np.flatnonzero(np.diff(time_us) > silence_s * 1e6) + 1])
    ends = np.concatenate([starts[1:], [len(time_us)]])
    longest = int(np.argmax(ends - starts))
    first, last = time_us[starts[longest]], time_us[ends[longest] - 1]
    return _iso(first), _iso(last + 1_000_000)


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us * 1e-6, UTC).isoformat(timespec="seconds")


def _sample(settings: Settings, log: EventLog) -> Feed:
    from data.loader import DataUnavailable, locate

    try:
        path = locate(SAMPLE)
    except (DataUnavailable, OSError) as missing:
        logger.warning("the recorded sample is not to be had (%s); a synthetic air picture is played instead", missing)
        return _synthetic(settings, log)
    events, rejects = read_tracks(path)
    source = _looped("switzerland-2018", events, SAMPLE_WINDOW, settings, log, rejects)
    return Feed(source, "Recorded 2018-08-01 over Switzerland (OpenSky Network), replayed as if now", False)


def _synthetic(settings: Settings, log: EventLog) -> Feed:
    from data.synthetic import air_picture, write_json

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.json.gz"
        write_json(air_picture(seed=1, n=60, duration_s=3600.0, step_s=5.0), path)
        events, rejects = read_tracks(path)
    source = _looped("synthetic", events, None, settings, log, rejects)
    return Feed(source, "SYNTHETIC air picture: invented aircraft, nothing here is real", True)


def _looped(
    name: str, events: pa.Table, window: tuple[str, str] | None, settings: Settings, log: EventLog, rejects: Rejects
) -> TrackReplay:
    """The recording as if it happened now, over and over; it goes on from where the log ends."""
    return TrackReplay.rebased(
        name, events, window=window, backfill_s=settings.backfill_s, since=log.last_time(name), rejects=rejects
    )
