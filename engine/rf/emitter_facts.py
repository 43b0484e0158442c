"""What is known of each emitter besides where it is: its name, kind, power and frequency, column by column.

Part of the fold of tracks (`engine.rf.tracks`). Columns, not a record per emitter: a snapshot of ten thousand is taken
every second, and made of records it would hold everybody up for 30 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from engine.rf.emitters import kind_defaults

TEXTS = ("id", "callsign", "emitter_kind", "cluster", "source", "recorded_at")
NUMBERS = ("eirp_dbm", "freq_hz", "confidence", "anomaly_score")
FLAGS = ("assumed_radio", "synthetic")
COLUMNS = (*TEXTS[:5], *NUMBERS, *FLAGS, TEXTS[5])
"""Columns of the table, in order."""

DEFAULT_KIND = "aircraft"
"""Kind of an emitter that does not tell."""

_NOTHING: dict[str, Any] = {
    **dict.fromkeys(TEXTS, np.nan),
    **dict.fromkeys(NUMBERS, np.nan),
    **dict.fromkeys(FLAGS, False),
}
_FIRST = 64


class EmitterFacts:
    """Facts of emitters by their number, which is the order in which they were first heard of.

    Examples
    --------
    >>> facts = EmitterFacts()
    >>> facts.add(["b", "a"])
    >>> facts.tell("callsign", np.array([1]), ["SWR1"])
    >>> facts.tell_radio(np.array([0, 1]), np.array([50.0, np.nan]), np.array([1.09e9, np.nan]))
    >>> facts.table(facts.by_id())[["id", "callsign", "assumed_radio"]].to_dict("list")
    {'id': ['a', 'b'], 'callsign': ['SWR1', nan], 'assumed_radio': [True, False]}
    """

    def __init__(self) -> None:
        self._n = 0
        self._columns = {name: np.full(_FIRST, nothing, dtype=_dtype(name)) for name, nothing in _NOTHING.items()}
        self._order = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return self._n

    def add(self, ids: Sequence[str]) -> None:
        """Take emitters in that were not heard of before."""
        start, self._n = self._n, self._n + len(ids)
        room = len(self._columns["id"])
        if self._n > room:
            more = max(self._n, 2 * room) - room
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.full(more, _NOTHING[name], dtype=column.dtype)])
        self._columns["id"][start : self._n] = ids

    def tell(self, name: str, emitter: np.ndarray, values: Any) -> None:
        """Set one fact of some emitters, each named once.

        Parameters
        ----------
        name : str
            One of `COLUMNS`.
        emitter : ndarray of int64, (n,)
        values : array-like, (n,)
        """
        column = self._columns[name]
        column[emitter] = np.asarray(values, dtype=column.dtype)

    def tell_radio(self, emitter: np.ndarray, eirp_dbm: np.ndarray, freq_hz: np.ndarray) -> None:
        """Set power and frequency, (n,) each; what is not a number is taken from the kind, and said to be assumed."""
        kinds = self._columns["emitter_kind"]
        unknown = emitter[pd.isna(kinds[emitter])]
        kinds[unknown] = DEFAULT_KIND
        has_eirp, has_freq = np.isfinite(eirp_dbm), np.isfinite(freq_hz) & (freq_hz > 0.0)
        eirp_dbm, freq_hz, lacking = np.array(eirp_dbm), np.array(freq_hz), ~(has_eirp & has_freq)
        for kind in set(kinds[emitter[lacking]]):
            defaults = kind_defaults(kind)
            mine = lacking & (kinds[emitter] == kind)
            eirp_dbm[mine & ~has_eirp] = defaults.eirp_dbm
            freq_hz[mine & ~has_freq] = defaults.freq_hz
        for name, values in (("eirp_dbm", eirp_dbm), ("freq_hz", freq_hz), ("assumed_radio", lacking)):
            self.tell(name, emitter, values)

    def keep(self, emitter: np.ndarray) -> None:
        """Drop all but these emitters, which are numbered anew in this order."""
        self._n = len(emitter)
        for name, column in self._columns.items():
            column[: self._n] = column[emitter]
            column[self._n :] = _NOTHING[name]
        self._order = np.empty(0, dtype=np.int64)

    def ids(self) -> list[str]:
        """Ids of all, by number."""
        return list(self._columns["id"][: self._n])

    def by_id(self) -> np.ndarray:
        """Numbers of all emitters in the order of their ids, (n,) int64."""
        if len(self._order) < self._n:
            # Those that were in order stay so: a sort that knows runs passes over them once.
            numbers = [*self._order.tolist(), *range(len(self._order), self._n)]
            self._order = np.array(sorted(numbers, key=self._columns["id"].__getitem__), dtype=np.int64)
        return self._order

    def table(self, emitter: np.ndarray) -> pd.DataFrame:
        """Facts of some emitters, one row each, columns as in `COLUMNS`."""
        return pd.DataFrame({name: pd.Series(self._columns[name][emitter], dtype=_dtype(name)) for name in COLUMNS})


def _dtype(name: str) -> Any:
    return object if name in TEXTS else np.bool_ if name in FLAGS else np.float64
