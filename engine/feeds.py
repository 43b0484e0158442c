"""What a station plays: recorded samples, invented pictures, or files of one's own, several at once.

A sample is looked for beside the project, in the cache, and at its origin; where it cannot be had, a
seeded synthetic one takes its place and says so.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from engine.config import Settings
from engine.events.log import EventLog
from engine.ingest.arrivals_replay import ArrivalReplay
from engine.ingest.eve_tail import EvePosition, EveTail
from engine.ingest.file_kind import file_kind
from engine.ingest.network_replay import SILENCE_S, NetworkReplay, busiest_us
from engine.ingest.pcap_replay import PcapReplay
from engine.ingest.protocol import CaptureEngine
from engine.ingest.rejects import Rejects
from engine.ingest.rssi_events import MeasurementFile
from engine.ingest.tracks_read import read_tracks
from engine.ingest.tracks_replay import TrackReplay

logger = logging.getLogger(__name__)

SAMPLE = "tracks/switzerland.json.gz"
"""The main sample: one day of air traffic over Switzerland."""

SAMPLE_WINDOW = ("2018-08-01T09:00:00Z", "2018-08-01T13:00:00Z")
"""Its busiest four hours; they are played in a loop."""

NETWORK_SAMPLE = "net/eve-2.json"
"""The network sample: what Suricata said of an infected machine and what it talked to."""

TDOA_SAMPLE = ("tdoa/sensors.csv", *(f"tdoa/set_{k}.csv" for k in range(1, 6)))
"""The sample of arrival times: receivers, and five recordings of an hour that are laid over one another."""

WORDS = ("air", "network", "tdoa", "sample", "synthetic", "none")


@dataclasses.dataclass(frozen=True, slots=True)
class Feed:
    """What a station plays: the sources, how the page names them, and whether any of it is invented."""

    sources: tuple[CaptureEngine, ...]
    label: str
    synthetic: bool

    @property
    def source(self) -> CaptureEngine | None:
        """The first source, if there is one."""
        return self.sources[0] if self.sources else None


def open_feed(settings: Settings, log: EventLog) -> Feed:
    """The feed named by `settings.feed`: words and files, separated by commas.

    ``sample`` is ``air,network,tdoa``; ``synthetic`` an invented one of the first two. A file is played as if it
    happened now, over and over; ``once:FILE`` takes it in at its own times, as fast as it goes; ``tail:FILE`` follows
    an EVE file.

    Raises
    ------
    FileNotFoundError
        When a file is not there.
    ValueError
        When a word is unknown or a file holds nothing that can be played.
    """
    whole = settings.feed.strip()
    # A file may have a comma in its name.
    wishes = [whole] if Path(whole).is_file() else [wish.strip() for wish in whole.split(",") if wish.strip()]
    feeds: list[Feed] = []
    for wish in wishes:
        feeds += _opened(wish, settings, log)
    if not feeds:
        return Feed((), "no feed: waiting for events", False)
    sources = tuple(source for feed in feeds for source in feed.sources)
    names = [source.name for source in sources]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"FEED is {settings.feed!r}: it names {', '.join(twice)} twice; each source needs its own name"
        )
    return Feed(sources, " · ".join(feed.label for feed in feeds), any(feed.synthetic for feed in feeds))


def _opened(wish: str, settings: Settings, log: EventLog) -> list[Feed]:
    if wish == "none":
        return []
    if wish == "sample":
        return [_air(settings, log), _network(settings, log), *_tdoa(settings, log)]
    if wish == "tdoa":
        feeds = _tdoa(settings, log)
        if not feeds:
            raise FileNotFoundError("FEED is 'tdoa': its recordings are not to be had; the log says why")
        return feeds
    if wish == "air":
        return [_air(settings, log)]
    if wish == "network":
        return [_network(settings, log)]
    if wish == "synthetic":
        return [_synthetic_air(settings, log), _synthetic_network(settings, log)]
    how, _, name = wish.partition(":") if wish.startswith(("once:", "tail:")) else ("", "", wish)
    path = Path(name)
    if how == "tail":
        return [
            Feed(
                (EveTail(path.stem, path, position=_tail_position(settings, path.stem)),),
                f"{path.name}, followed",
                False,
            )
        ]
    if not path.is_file():
        raise FileNotFoundError(
            f"FEED is {wish!r}: no such file; use {', '.join(WORDS)}, a file of tracks, EVE or packets, "
            "once:FILE or tail:FILE"
        )
    return [_once(path, log) if how == "once" else _file(path, wish, settings, log)]


def remember(feed: Feed, settings: Settings) -> None:
    """Note how far followed files have been taken in, so that a later start goes on from there."""
    for source in feed.sources:
        if isinstance(source, EveTail) and source.position is not None and str(settings.data_dir) != ":memory:":
            path = _position_path(settings, source.name)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(dataclasses.asdict(source.position)), encoding="utf-8")
            part.replace(path)


def _tail_position(settings: Settings, name: str) -> EvePosition | None:
    try:
        return EvePosition(**json.loads(_position_path(settings, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _position_path(settings: Settings, name: str) -> Path:
    return settings.data_dir / f"tail-{name}.json"


def _file(path: Path, wish: str, settings: Settings, log: EventLog) -> Feed:
    if file_kind(path) == "rssi":
        return _once(path, log)  # a campaign is of its own time
    if file_kind(path) != "tracks":
        return Feed((_network_loop(path.stem, path, settings, log),), f"{path.name}, replayed as if now", False)
    events, rejects = read_tracks(path)
    if not events.num_rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in rejects.counts.items()) or "it is empty"
        raise ValueError(f"FEED is {wish!r}: no usable position in it ({reasons}); see docs/engine-ingest.md")
    window = busiest_stretch(events)
    source = _looped(path.stem, events, window, settings, log, rejects)
    return Feed((source,), f"{path.name}, {window[0]} to {window[1]}, replayed as if now", False)


def _once(path: Path, log: EventLog) -> Feed:
    """A file taken in at its own times; not again after a restart."""
    if log.last_time(path.stem) is not None:
        return Feed((), f"{path.name}: in the log already", False)
    kind = file_kind(path)
    source: CaptureEngine
    if kind == "eve":
        source = EveTail(path.stem, path, follow=False)
    elif kind == "pcap":
        source = PcapReplay(path.stem, path)
    elif kind == "rssi":
        source = MeasurementFile(path.stem, path)
    else:
        source = TrackReplay(path.stem, path, speed=float("inf"))
    return Feed((source,), f"{path.name}, at its own times", False)


def busiest_stretch(events: pa.Table, silence_s: float = SILENCE_S) -> tuple[str, str]:
    """Start and end (ISO, end excluded) of the stretch of a recording with most fixes between two long silences.

    Examples
    --------
    >>> from engine.events import FIX, event_table
    >>> hours = [0, 1, 2, 7200, 7201, 7202, 7203]
    >>> events = event_table([s * 1_000_000 for s in hours], FIX, ["a"] * 7, "doc", lat=[1.0] * 7, lon=[1.0] * 7)
    >>> busiest_stretch(events)
    ('1970-01-01T02:00:00+00:00', '1970-01-01T02:00:04+00:00')
    """
    first, end = busiest_us(events["time"].cast(pa.int64()).to_numpy(), silence_s)
    return _iso(first), _iso(end)


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us * 1e-6, UTC).isoformat(timespec="seconds")


def registered(name: str) -> Path:
    """Path of a registered data set, fetched where it is not at hand.

    Raises
    ------
    OSError
        Where it is not to be had; the message says what to do.
    """
    from data.loader import DataUnavailable, locate

    try:
        return locate(name)
    except DataUnavailable as missing:
        raise FileNotFoundError(str(missing)) from missing


def _located(name: str, instead: str) -> Path | None:
    """A registered data set, or None where it is not to be had: the reason is told, and what is played instead."""
    from data.loader import DataUnavailable, locate

    try:
        return locate(name)
    except (DataUnavailable, OSError) as missing:
        logger.warning("%s. %s", missing, instead)
        return None


def _air(settings: Settings, log: EventLog) -> Feed:
    path = _located(SAMPLE, "An invented air picture is played instead.")
    if path is None:
        return _synthetic_air(settings, log)
    events, rejects = read_tracks(path)
    source = _looped("switzerland-2018", events, SAMPLE_WINDOW, settings, log, rejects)
    return Feed((source,), "Recorded 2018-08-01 over Switzerland (OpenSky Network), replayed as if now", False)


def _network(settings: Settings, log: EventLog) -> Feed:
    path = _located(NETWORK_SAMPLE, "An invented network is played instead.")
    if path is None:
        return _synthetic_network(settings, log)
    source = _network_loop("suricata-2022", path, settings, log)
    return Feed((source,), "Recorded 2022-02-08 by Suricata (SuricataLog), replayed as if now", False)


def _tdoa(settings: Settings, log: EventLog) -> list[Feed]:
    """Arrival times at synchronised receivers; nothing where they are not to be had."""
    found = []
    for name in TDOA_SAMPLE:
        path = _located(name, "No arrival times are played, the Locate page stays empty.")
        if path is None:
            return []
        found.append(path)
    source = ArrivalReplay(
        "locards", found[0], found[1:], backfill_s=settings.backfill_s, since=log.last_time("locards")
    )
    label = "Arrival times recorded by OpenSky receivers (LocaRDS), five recordings at once, replayed as if now"
    return [Feed((source,), label, False)]


def _synthetic_air(settings: Settings, log: EventLog) -> Feed:
    from data.synthetic import air_picture, write_json

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.json.gz"
        write_json(air_picture(seed=1, n=60, duration_s=3600.0, step_s=5.0), path)
        events, rejects = read_tracks(path)
    source = _looped("synthetic", events, None, settings, log, rejects)
    return Feed((source,), "SYNTHETIC air picture: invented aircraft, nothing here is real", True)


def _synthetic_network(settings: Settings, log: EventLog) -> Feed:
    from data.synthetic_network import network_activity

    lines = "".join(json.dumps(record) + "\n" for record in network_activity(seed=1))
    source = _network_loop("synthetic-network", lines.encode(), settings, log)
    return Feed((source,), "SYNTHETIC network: invented hosts, nothing here is real", True)


def _network_loop(name: str, recording: Path | bytes, settings: Settings, log: EventLog) -> NetworkReplay:
    return NetworkReplay(name, recording, backfill_s=settings.backfill_s, since=log.last_time(name))


def _looped(
    name: str, events: pa.Table, window: tuple[str, str] | None, settings: Settings, log: EventLog, rejects: Rejects
) -> TrackReplay:
    """The recording as if it happened now, over and over; it goes on from where the log ends."""
    return TrackReplay.rebased(
        name, events, window=window, backfill_s=settings.backfill_s, since=log.last_time(name), rejects=rejects
    )
