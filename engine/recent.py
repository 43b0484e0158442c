"""The recent past out of the log, as much of it as a start can fold: bounded in time and in number."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.events import EventLog

logger = logging.getLogger(__name__)

MOST_EVENTS = 1_000_000
"""Events that a start folds, some 300 MB and half a minute of work. Of more the newest are taken; the log says so."""

_PARTS = 720


def recent_events(log: EventLog, window_s: float, most: int = MOST_EVENTS) -> pa.Table | None:
    """Events of the last `window_s` seconds before the newest one of a log, in log order.

    Parameters
    ----------
    log : EventLog
    window_s : float
        Seconds.
    most : int
        Where the window holds more, it begins later, at the first of its 720 parts from which on there are no more; the
        newest part is always whole.

    Returns
    -------
    pyarrow.Table or None
        Schema `engine.events.SCHEMA`; None if the log is empty.
    """
    last = log.last_time()
    if last is None:
        return None
    end = pd.Timestamp(last)
    start = end - pd.Timedelta(seconds=window_s)
    counts = log.histogram(start, end, _PARTS)
    if counts.sum() > most:
        parts = max(int(np.searchsorted(np.cumsum(counts[::-1]), most, side="right")), 1)
        start = end - pd.Timedelta(seconds=window_s) * (parts / _PARTS)
        logger.warning(
            "the last %g s hold %d events; the start folds the newest %d of them, from %s on",
            window_s, counts.sum(), counts[-parts:].sum(), start.isoformat(timespec="seconds"),
        )  # fmt: skip
    return log.between(start, end)
