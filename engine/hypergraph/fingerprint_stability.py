"""Who keeps the same way of speaking TLS while the address changes: JA3 or JA4 constant across IP transitions (B8).

The fingerprint is the identity that is followed; it must not know graphs or pages.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns

MORE_THAN = 3
"""Transitions beyond which a fingerprint is listed (B8)."""

WINDOW_S = 600.0
"""Time within which they must lie, s (B8)."""

MAX_FINGERPRINTS = 20_000
"""Fingerprints remembered; the longest unheard go first."""

MAX_ADDRESSES = 32
"""Last addresses shown of each."""

KINDS = ("ja3", "ja4")


@dataclass(slots=True)
class _Heard:
    address: str
    first_s: float
    last_s: float
    times: deque[float]  # of the last transitions, as many as could be in a window
    seen: set[str]
    addresses: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_ADDRESSES))
    transitions: int = 0
    returns: int = 0
    most: int = 0
    qualified_s: float = float("nan")


class FingerprintStability:
    """Fold of TLS and QUIC events into fingerprints that stay while addresses change.

    A *transition* is that a fingerprint is heard from another client address than it was heard from last; it
    happens when it is heard from the new one. A fingerprint is stable when more than `more_than` of its transitions
    lie within `window_s` (ends included). An event that is older than the last of its fingerprint is left out and
    counted: which address came first is then not known.

    A program that many hosts run has transitions too, to and fro. `returns` counts transitions to an address that
    was there before: of a host that roams there are few, of a crowd nearly all are.

    Parameters
    ----------
    more_than : int
    window_s : float

    Raises
    ------
    ValueError
        If `more_than` is negative or `window_s` not positive.

    Examples
    --------
    >>> from engine.events import event_table
    >>> payload = [f'{{"src_ip": "10.0.0.{i}", "ja3": "abc"}}' for i in range(5)]
    >>> fold = FingerprintStability()
    >>> fold.apply(event_table([i * 60_000_000 for i in range(5)], "net.tls", ["e"] * 5, "doc", payload=payload))
    >>> fold.table().select(["fingerprint", "transitions", "returns"]).to_pylist()
    [{'fingerprint': 'abc', 'transitions': 4, 'returns': 0}]
    """

    def __init__(self, more_than: int = MORE_THAN, window_s: float = WINDOW_S) -> None:
        if more_than < 0 or not window_s > 0.0:
            raise ValueError(f"more_than is {more_than}, window_s {window_s}: 0 or more and a positive time are needed")
        self.more_than, self.window_s = more_than, window_s
        self.counts: Counter[str] = Counter()
        self._heard: OrderedDict[tuple[str, str], _Heard] = OrderedDict()
        self._lock = threading.Lock()

    def apply(self, events: pa.Table) -> None:
        """Take the next events, in seq order."""
        spoken = events.filter(pc.is_in(events["kind"], pa.array(["net.tls", "net.quic"])))
        if not spoken.num_rows:
            return
        told = payload_columns(spoken, {"src_ip": str, **dict.fromkeys(KINDS, str)})
        times = (spoken["time"].cast(pa.int64()).to_numpy() * 1e-6).tolist()
        with self._lock:
            for kind in KINDS:
                for moment_s, address, fingerprint in zip(times, told["src_ip"], told[kind], strict=True):
                    if address and fingerprint:
                        self._hear((kind, fingerprint), address, moment_s)

    def table(self, moment_s: float | None = None, *, all_of_them: bool = False) -> pa.Table:
        """Stable fingerprints, those with most transitions in a window first.

        Parameters
        ----------
        moment_s : float, optional
            Only those whose last transition is at most a window before this moment, epoch s.
        all_of_them : bool
            Also those that are not stable.

        Returns
        -------
        pyarrow.Table
            `kind`, `fingerprint`, `transitions` (in all), `most_in_window`, `returns`, `n_addresses`, `addresses`
            (the last `MAX_ADDRESSES`, oldest first, with blanks between), `first_s`, `last_s`, `stable_since_s`
            (NaN where it is not).
        """
        with self._lock:
            rows = [
                (kind, name, heard.transitions, heard.most, heard.returns, len(heard.seen), " ".join(heard.addresses),
                 heard.first_s, heard.last_s, heard.qualified_s)
                for (kind, name), heard in self._heard.items()
                if (all_of_them or heard.most > self.more_than) and self._recent(heard, moment_s)
            ]  # fmt: skip
        rows.sort(key=lambda row: (-row[3], row[0], row[1]))
        texts, numbers = pa.string(), pa.float64()
        schema = pa.schema([
            ("kind", texts), ("fingerprint", texts), ("transitions", pa.int64()), ("most_in_window", pa.int64()),
            ("returns", pa.int64()), ("n_addresses", pa.int64()), ("addresses", texts), ("first_s", numbers),
            ("last_s", numbers), ("stable_since_s", numbers),
        ])  # fmt: skip
        return pa.table([pa.array([row[i] for row in rows], f.type) for i, f in enumerate(schema)], schema=schema)

    def _recent(self, heard: _Heard, moment_s: float | None) -> bool:
        return moment_s is None or bool(heard.times and moment_s - heard.times[-1] <= self.window_s)

    def _hear(self, key: tuple[str, str], address: str, moment_s: float) -> None:
        heard = self._heard.get(key)
        if heard is None:
            # All transitions of a window are kept, up to a number at which it no longer matters how many there are.
            self._heard[key] = heard = _Heard(
                address, moment_s, moment_s, deque(maxlen=max(1_000, self.more_than + 1)), {address}
            )
            heard.addresses.append(address)
            if len(self._heard) > MAX_FINGERPRINTS:
                self._heard.popitem(last=False)
                self.counts["forgotten"] += 1
            return
        if moment_s < heard.last_s:
            self.counts["late"] += 1
            return
        self._heard.move_to_end(key)
        heard.last_s = moment_s
        if address == heard.address:
            return
        heard.address = address
        heard.addresses.append(address)
        heard.transitions += 1
        heard.returns += address in heard.seen
        if len(heard.seen) < MAX_FINGERPRINTS:
            heard.seen.add(address)
        heard.times.append(moment_s)
        while moment_s - heard.times[0] > self.window_s:
            heard.times.popleft()
        heard.most = max(heard.most, len(heard.times))
        if heard.most > self.more_than and heard.qualified_s != heard.qualified_s:
            heard.qualified_s = moment_s
