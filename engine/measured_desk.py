"""Measured fields for all who look at them: what was measured, folded from the log, and the work on it.

Opened when the first view asks for it, so that a station whose measurements nobody looks at folds and fits nothing;
stopped with its station.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

from engine.events.follower import Follower
from engine.events.log import EventLog
from engine.events.schema import MEASUREMENT
from engine.feeds import registered
from engine.frames.measured_fold import Campaign, MeasurementFold
from engine.frames.measured_frame import MeasuredFrame, MeasuredSpec, compute_measured
from engine.ingest.rejects import Rejects
from engine.ingest.rssi_events import powder_events
from engine.measured_jobs import JobBoard

logger = logging.getLogger(__name__)

SAMPLE = "POWDER FRS 2022"
"""Name of the sample campaign."""

SAMPLE_FILES = ("rssi/single_tx.csv", "rssi/location_coordinates.json")
"""The sample: 5 006 places of a 462.7 MHz transmitter, heard by 29 fixed receivers."""

ALL_TIME = ("1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z")


class MeasuredSource(Protocol):
    """What a desk needs of its station."""

    log: EventLog
    follower: Follower


class MeasuredDesk:
    """Measurements of a station, and the sample campaign; one board for the fields made of them.

    Parameters
    ----------
    station : MeasuredSource
        Held weakly: it is the station that holds the desk.

    Attributes
    ----------
    fold : MeasurementFold
        What the log holds and what comes in.
    board : JobBoard
        Give it a `MeasuredSpec`.
    """

    def __init__(self, station: MeasuredSource) -> None:
        self._station = weakref.proxy(station)
        self.fold, self.sample = MeasurementFold(), MeasurementFold()
        self.board: JobBoard[MeasuredSpec, MeasuredFrame] = JobBoard(self._compute)
        self._ready = threading.Event()
        self._missing = ""
        self._bells: weakref.WeakSet[_Bell] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._fill, name="measurements", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the board and follow no more."""
        self.board.stop()
        self._thread.join(30.0)
        self._station.follower.remove(self)

    def wait(self, timeout_s: float) -> bool:
        """Wait until log and sample are read; False if not in time."""
        return self._ready.wait(timeout_s)

    @property
    def loading(self) -> bool:
        """Whether log and sample are still being read."""
        return not self._ready.is_set()

    @property
    def missing(self) -> str:
        """Why there is no sample, or nothing."""
        return self._missing

    def campaigns(self) -> list[Campaign]:
        """What was measured: the campaign heard last first, the sample last."""
        taken = self.fold.campaigns()
        names = {campaign.name for campaign in taken}
        return [*taken, *(c for c in self.sample.campaigns() if c.name not in names)]

    def apply(self, events: object) -> None:
        """Take a batch of the log and tell those who look when it holds measurements."""
        before = {c.name: c.version for c in self.fold.campaigns()}
        self.fold.apply(events)  # type: ignore[arg-type]
        if {c.name: c.version for c in self.fold.campaigns()} != before:
            self._ring()

    def bell(self, wake: Callable[[], object]) -> object:
        """Call `wake`, from some thread, when there are other measurements, for as long as the result is kept."""
        bell = _Bell(wake)
        self._bells.add(bell)
        return bell

    def _ring(self) -> None:
        for bell in list(self._bells):
            bell.wake()

    def _fill(self) -> None:
        try:
            log, follower = self._station.log, self._station.follower
            seq = log.last_seq
            self.fold.apply(log.between(*ALL_TIME, kinds=[MEASUREMENT]))
            follower.add(self, from_seq=seq, name="MeasuredDesk")
            self._take_sample()
        except ReferenceError:  # the station went while its log was read
            return
        except Exception:
            logger.exception("measurements could not be read from the log")
            self._missing = self._missing or "the log could not be read; its server's output says why"
        self._ready.set()
        self._ring()

    def _take_sample(self) -> None:
        try:
            paths = [registered(name) for name in SAMPLE_FILES]
            rejects = Rejects()
            self.sample.apply(powder_events(paths[0], paths[1], source=SAMPLE, rejects=rejects))
        except (OSError, ValueError) as missing:
            self._missing = f"the sample campaign is not to be had: {missing}"
            logger.warning(self._missing)

    def _compute(
        self, spec: MeasuredSpec, told: Callable[[float, str], None], show: Callable[[MeasuredFrame], None]
    ) -> MeasuredFrame:
        fold = self.fold if self.fold.campaign(spec.campaign) is not None else self.sample
        return compute_measured(spec, fold.rows(spec.campaign, spec.transmitter, spec.receiver), told, show)


class _Bell:
    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
