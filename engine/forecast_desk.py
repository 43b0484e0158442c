"""The running score of the forecast for all who look at it: one thread that watches the tracks of a station.

Opened when the first view asks for it (`Station.desk`), stopped with its station.
"""

from __future__ import annotations

import logging
import threading
import weakref
from typing import NamedTuple, Protocol

from engine.rf.live_score import FieldRow, LiveScore, ScoreRow
from engine.rf.tracks import Tracks

logger = logging.getLogger(__name__)

STEP_S = 5.0
"""Period of the rounds, s."""


class TrackSource(Protocol):
    """What a desk needs of its station."""

    def tracks(self, moment_s: float | None = None) -> Tracks:
        """The emitters now, or at a past moment."""
        ...


class ForecastScore(NamedTuple):
    """What has been found so far: errors by horizon and sort of emitter, fields by horizon; why it went no further."""

    rows: list[ScoreRow]
    fields: list[FieldRow]
    error: str = ""


class ForecastDesk:
    """Scores the forecast of a station's tracks, off the loop.

    Parameters
    ----------
    station : TrackSource
        Held weakly: it is the station that holds the desk.

    Attributes
    ----------
    score : ForecastScore
        Replaced as a whole after every round.
    """

    def __init__(self, station: TrackSource) -> None:
        self._station = weakref.proxy(station)
        self._live = LiveScore()
        self.score = ForecastScore([], [])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forecast-score", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping.set()
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._live.observe(self._station.tracks())
                self.score = ForecastScore(self._live.rows(), self._live.fields())
            except ReferenceError:  # the station went without a word
                return
            except Exception as error:
                logger.exception("the forecast could not be scored")
                self.score = self.score._replace(error=f"{type(error).__name__}: {error}"[:300])
            self._stopping.wait(STEP_S)
