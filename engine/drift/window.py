"""Counts over a sliding window: columns of time buckets, one row per bucket, one column per key.

A window of many keys in bounded memory that gives the counts a batch over the same buckets would give, however
the stream was cut. It does not know what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_KEYS = 20_000
"""Keys counted at once; beyond it those with least in the window are forgotten, a sixteenth at a time."""


class WindowedCounts:
    """Amounts per key over the last whole buckets of time.

    Buckets begin at multiples of `bucket_s`. The window is the bucket of the newest time seen and the
    ``buckets − 1`` before it. Totals are sums over buckets, never running differences, so rounding does not
    add up over days.

    Parameters
    ----------
    bucket_s : float
        Length of a bucket, s.
    buckets : int
        Buckets in the window.
    max_keys : int

    Attributes
    ----------
    late : int
        Events older than the window, not counted.
    forgotten : int
        Keys dropped because there were too many.

    Examples
    --------
    >>> counts = WindowedCounts(bucket_s=60.0, buckets=2)
    >>> counts.add([0.0, 59.0, 61.0], [0, 1, 0], ["a", "b"])
    >>> counts.totals()[1].tolist()
    [2.0, 1.0]
    >>> counts.advance(130.0)
    >>> counts.totals()
    (['a'], array([1.]))
    """

    def __init__(self, bucket_s: float, buckets: int, max_keys: int = MAX_KEYS) -> None:
        if not bucket_s > 0.0 or buckets < 1 or max_keys < 32:
            raise ValueError(
                f"bucket_s is {bucket_s}, buckets {buckets}, max_keys {max_keys}; above 0, at least 1 and 32 needed"
            )
        self.bucket_s, self.buckets, self.max_keys = bucket_s, buckets, max_keys
        self.late = self.forgotten = 0
        self._newest: int | None = None  # index of the newest bucket, from 1970
        self._slots: dict[str, int] = {}
        self._sorted: list[str] | None = None
        self._free = list(range(15, -1, -1))
        self._amounts = np.zeros((buckets, 16))

    def add(
        self,
        time_s: Sequence[float] | np.ndarray,
        codes: Sequence[int] | np.ndarray,
        names: Sequence[str],
        amounts: Sequence[float] | np.ndarray | None = None,
    ) -> None:
        """Count events.

        Parameters
        ----------
        time_s : (n,) float64
            Epoch seconds.
        codes : (n,) int
            Key of each event, as a row of `names`.
        names : sequence of str
        amounts : (n,) float64, optional
            At least 0; 1 each where not given.
        """
        times, code = np.asarray(time_s, np.float64), np.asarray(codes, np.int64)
        if not len(times):
            return
        if len(names) > self.max_keys // 2:  # in pieces that surely find room
            half = self.max_keys // 2
            for at in range(0, len(times), half):
                used, local = np.unique(code[at : at + half], return_inverse=True)
                part = None if amounts is None else amounts[at : at + half]
                self._add(times[at : at + half], local, [names[i] for i in used.tolist()], part)
        else:
            self._add(times, code, names, amounts)

    def advance(self, now_s: float) -> None:
        """Let time pass: the window ends with the bucket of `now_s`, if that is later than all seen."""
        self._advance(int(np.floor(now_s / self.bucket_s)))

    def forget(self, prefix: str) -> None:
        """Drop all keys that begin so."""
        for name, slot in list(self._slots.items()):
            if name.startswith(prefix):
                self._drop(name, slot)

    def totals(self, last: int | None = None, skip: int = 0) -> tuple[list[str], np.ndarray]:
        """Keys with anything in the window and their amounts, sorted by name.

        Parameters
        ----------
        last : int, optional
            Count only so many buckets, the newest ones.
        skip : int
            Leave so many of the newest buckets out.
        """
        matrix, names = self._matrix()
        rows = matrix[max(self.buckets - skip - (last or self.buckets), 0) : self.buckets - skip]
        sums = rows.sum(axis=0)
        return [names[i] for i in np.flatnonzero(sums)], sums[sums > 0.0]

    def series(self) -> tuple[np.ndarray, np.ndarray]:
        """Start times of the buckets, epoch s, (buckets,), oldest first, and the amounts (buckets, keys)."""
        newest = 0 if self._newest is None else self._newest
        return (newest - np.arange(self.buckets - 1, -1, -1)) * self.bucket_s, self._matrix()[0]

    def _add(
        self, times: np.ndarray, code: np.ndarray, names: Sequence[str], amounts: Sequence[float] | np.ndarray | None
    ) -> None:
        bucket = np.floor(times / self.bucket_s).astype(np.int64)
        self._advance(int(bucket.max()))
        assert self._newest is not None
        held = bucket > self._newest - self.buckets
        self.late += int(len(held) - held.sum())
        slot = np.zeros(len(names), np.int64)
        used = np.unique(code[held])
        slot[used] = self._slots_for([names[i] for i in used.tolist()])
        weight = np.ones(len(times)) if amounts is None else np.asarray(amounts, np.float64)
        # In the order of events, so that sums of fractions do not depend on how the stream was cut.
        np.add.at(self._amounts, (bucket[held] % self.buckets, slot[code[held]]), weight[held])

    def _matrix(self) -> tuple[np.ndarray, list[str]]:
        if self._sorted is None:  # by name, so that neither sums nor ties depend on how the stream was cut
            self._sorted = sorted(self._slots)
        order = np.array([self._slots[name] for name in self._sorted], np.int64)
        newest = 0 if self._newest is None else self._newest
        rows = np.arange(newest + 1, newest + 1 + self.buckets) % self.buckets
        return self._amounts[np.ix_(rows, order)], self._sorted

    def _advance(self, bucket: int) -> None:
        if self._newest is None:
            self._newest = bucket
        elif bucket > self._newest:
            gone = np.arange(self._newest + 1, min(bucket, self._newest + self.buckets) + 1) % self.buckets
            self._amounts[gone] = 0.0
            self._newest = bucket

    def _slots_for(self, names: list[str]) -> list[int]:
        wanted = [name for name in names if name not in self._slots]
        if len(wanted) > len(self._free):
            self._make_room(len(wanted), set(names))
        for name in wanted:
            self._slots[name] = self._free.pop()
        self._sorted = None if wanted else self._sorted
        return [self._slots[name] for name in names]

    def _make_room(self, count: int, keep: set[str]) -> None:
        totals = self._amounts.sum(axis=0)
        for name, slot in list(self._slots.items()):  # keys with nothing left cost nothing to forget
            if totals[slot] == 0.0 and name not in keep:
                self._drop(name, slot)
        held = self._amounts.shape[1]
        if count > len(self._free) and held < self.max_keys:
            size = min(max(2 * held, held + count), self.max_keys)
            self._amounts = np.pad(self._amounts, ((0, 0), (0, size - held)))
            self._free += list(range(size - 1, held - 1, -1))
        if count > len(self._free):
            least = sorted((name for name in self._slots if name not in keep), key=lambda n: totals[self._slots[n]])
            for name in least[: max(count - len(self._free), self.max_keys // 16)]:
                self._drop(name, self._slots[name])
                self.forgotten += 1

    def _drop(self, name: str, slot: int) -> None:
        del self._slots[name]
        self._sorted = None
        self._amounts[:, slot] = 0.0
        self._free.append(slot)
