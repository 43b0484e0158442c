"""The gate: what only the history of an emitter can tell about a fix.

Remembers the last accepted fix of each emitter and refuses fixes that repeat it, precede it, or lie
farther from it than anything of that kind can travel. It sees event batches and knows nothing of
where they come from; each record alone was judged before it came here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.geo import geodetic_to_ecef
from engine.ingest.rejects import Rejects

SPEED_LIMITS_M_S: dict[str, float] = {
    "aircraft": 450.0,  # airliner of 260 m/s true airspeed in a jet stream of 110 m/s, and a margin of a fifth
    "drone": 120.0,  # the EU "open" and "specific" classes fly below 50 m/s; racers reach about 100 m/s
    "balloon": 150.0,  # drifts with the wind: strongest jet streams reach 110 m/s
    "ship": 40.0,  # HSC Francisco, the fastest ferry: 58 kt = 30 m/s
    "vehicle": 100.0,  # high-speed trains: 320 km/h = 89 m/s
    "person": 15.0,  # sprint record, peak 12.4 m/s (Berlin 2009)
    "bird": 60.0,  # common swift, level flight 31 m/s (Henningsson et al. 2010), and as much wind
    "animal": 60.0,  # as birds
    "satellite": 8_000.0,  # circular orbit at the earth's surface: 7.9 km/s
}
"""Highest plausible speed over ground by kind of emitter, m/s."""

DEFAULT_SPEED_LIMIT_M_S = 450.0
"""For kinds not in the table and emitters of no stated kind: as aircraft."""

TIME_SLACK_S = 2.0
"""Added to the time between two fixes: feeds stamp in whole seconds, and a position may be a second old."""

POSITION_SLACK_M = 100.0
"""Added to the distance allowed: position error of a good receiver, with room."""

HEAL_AFTER = 3
"""The third refused fix in a row that agrees with the two before it is accepted: the emitter is there."""

HEAL_TIME_AFTER = 10
"""The same for fixes that are too old: late packets come in short bursts, a corrected clock stays."""

MAX_EMITTERS = 100_000
"""Emitters remembered; beyond it the longest silent are forgotten, and start anew when they return."""

_ACCEPTED, _DUPLICATE, _BACKWARDS, _JUMP = range(4)
_REASON_OF_CODE = {_DUPLICATE: "duplicate", _BACKWARDS: "time_backwards", _JUMP: "implausible_jump"}


@numba.njit(cache=True, nogil=True)
def _distance_m(xyz: np.ndarray, i: int, other_xyz: np.ndarray, s: int) -> float:
    """Straight-line distance, m, between row i of one array and row s of another."""
    dx, dy, dz = xyz[i, 0] - other_xyz[s, 0], xyz[i, 1] - other_xyz[s, 1], xyz[i, 2] - other_xyz[s, 2]
    return (dx * dx + dy * dy + dz * dz) ** 0.5


@numba.njit(cache=True, nogil=True)
def _reach_m(limit_m_s: float, passed_us: int) -> float:
    """How far, m, an emitter may be after so long."""
    return limit_m_s * (passed_us * 1e-6 + TIME_SLACK_S) + POSITION_SLACK_M


@numba.njit(cache=True, nogil=True)
def _witnesses(
    xyz: np.ndarray,
    i: int,
    s: int,
    now: int,
    limit_m_s: float,
    chain: np.ndarray,
    chain_us: np.ndarray,
    chain_xyz: np.ndarray,
) -> int:
    """Refused fixes in a row, this one included, that agree with each other; updates the chain of the emitter."""
    agrees = (
        chain[s] > 0
        and now >= chain_us[s]
        and _distance_m(xyz, i, chain_xyz, s) <= _reach_m(limit_m_s, now - chain_us[s])
    )
    if not agrees:
        chain[s] = 1
    elif now > chain_us[s]:  # a repeated record is no further witness
        chain[s] += 1
    chain_us[s] = now
    chain_xyz[s] = xyz[i]
    return chain[s]


@numba.njit(cache=True, nogil=True)
def _judge(
    slot: np.ndarray,
    time_us: np.ndarray,
    xyz: np.ndarray,
    limit_m_s: np.ndarray,
    last_us: np.ndarray,
    still_us: np.ndarray,
    last_xyz: np.ndarray,
    chain: np.ndarray,
    chain_us: np.ndarray,
    chain_xyz: np.ndarray,
    heal_after: int,
    heal_time_after: int,
    code: np.ndarray,
) -> None:
    """Verdict on each fix in order; the state arrays (by slot) are updated in place.

    `still_us` is when the emitter was first seen at its last position: a feed that repeats a stale
    position and then catches up has not jumped. `last_us` below zero is an emitter never seen.
    """
    for i in range(slot.shape[0]):
        s, now = slot[i], time_us[i]
        code[i] = _ACCEPTED
        moved_m = -1.0
        if last_us[s] >= 0:
            moved_m = _distance_m(xyz, i, last_xyz, s)
            if now == last_us[s] and moved_m == 0.0:
                code[i] = _DUPLICATE
                continue
            if now < last_us[s]:
                code[i] = _BACKWARDS
            elif moved_m > _reach_m(limit_m_s[i], now - still_us[s]):
                code[i] = _JUMP
            if code[i] != _ACCEPTED:
                needed = heal_time_after if code[i] == _BACKWARDS else heal_after
                if _witnesses(xyz, i, s, now, limit_m_s[i], chain, chain_us, chain_xyz) < needed:
                    continue
                code[i] = _ACCEPTED
        if moved_m != 0.0 or now < still_us[s]:
            still_us[s] = now
        chain[s] = 0
        last_us[s] = now
        last_xyz[s] = xyz[i]


class FixGate:
    """Judges fixes by the history of their emitters, across batches.

    A fix is refused as ``duplicate`` (same time and position as the last accepted one of the emitter),
    ``time_backwards`` (older than it) or ``implausible_jump`` (horizontal distance from it over what
    the speed limit of its kind allows). Altitude takes no part: missing ones are 0 m, and barometric
    and geometric ones differ by hundreds of metres. Positions that stay the same pass, however long.

    The gate heals itself. When `heal_after` fixes in a row were refused as jumps, but agree with each
    other, the last of them is accepted: either the first fix was the wrong one, or the emitter has
    really reappeared elsewhere. For fixes refused as too old it takes `heal_time_after`. Long silence
    alone is never a reason.

    One thread at a time may use a gate.

    Parameters
    ----------
    limits : mapping of str to float, optional
        Speed limits by kind, m/s, over those of `SPEED_LIMITS_M_S`.
    default_limit_m_s : float
        For all other kinds.
    max_emitters : int
        Emitters remembered.
    heal_after, heal_time_after : int
        Refused fixes in a row that agree, after which the last is accepted.

    Raises
    ------
    ValueError
        If a limit is not positive, or no emitter could be remembered.

    Examples
    --------
    >>> from engine.events import FIX, event_table
    >>> gate, rejects = FixGate(), Rejects()
    >>> fixes = event_table([0, 10_000_000], FIX, ["a", "a"], "demo", lat=[47.0, 48.0], lon=[8.0, 8.0])
    >>> gate.filter(fixes, rejects).num_rows, rejects.counts
    (1, {'implausible_jump': 1})
    """

    def __init__(
        self,
        limits: Mapping[str, float] | None = None,
        default_limit_m_s: float = DEFAULT_SPEED_LIMIT_M_S,
        max_emitters: int = MAX_EMITTERS,
        heal_after: int = HEAL_AFTER,
        heal_time_after: int = HEAL_TIME_AFTER,
    ) -> None:
        self.limits = SPEED_LIMITS_M_S | dict(limits or {})
        self.default_limit_m_s = default_limit_m_s
        for kind, limit in {**self.limits, "default": default_limit_m_s}.items():
            if not limit > 0.0:
                raise ValueError(f"speed limit of {kind!r} is {limit!r}; it must be a positive number of m/s")
        if max_emitters < 1:
            raise ValueError(f"max_emitters is {max_emitters!r}; it must be at least 1")
        self.max_emitters = max_emitters
        self.heal_after, self.heal_time_after = heal_after, heal_time_after
        self._slots: dict[str, int] = {}
        self._batch = 0
        self._allocate(min(1024, max_emitters))

    def __len__(self) -> int:
        """Emitters remembered now."""
        return len(self._slots)

    def filter(
        self, events: pa.Table, rejects: Rejects | None = None, where: Callable[[int], str] | None = None
    ) -> pa.Table:
        """Those fixes of a batch that pass.

        Parameters
        ----------
        events : pyarrow.Table
            n fixes in the order of arrival, schema `engine.events.SCHEMA`, all with a position.
        rejects : Rejects, optional
            Refused fixes are counted here (not as further records).
        where : callable of row number to str, optional
            Names the place of a row, for the example of a reason.

        Returns
        -------
        pyarrow.Table
        """
        codes = self.judge(events)
        if not codes.any():
            return events
        if rejects is not None:
            for code, reason in _REASON_OF_CODE.items():
                rows = np.flatnonzero(codes == code)
                if len(rows):
                    fix = events.select(["entity", "time", "lat", "lon"]).slice(int(rows[0]), 1).to_pylist()[0]
                    shown = [fix["entity"], fix["time"].isoformat(), fix["lat"], fix["lon"]]
                    rejects.add(reason, where(int(rows[0])) if where else "fix", shown, len(rows))
        return events.filter(pa.array(codes == _ACCEPTED))

    def judge(self, events: pa.Table) -> np.ndarray:
        """Verdicts on the fixes of a batch: 0 accepted, 1 duplicate, 2 time backwards, 3 implausible jump.

        Parameters
        ----------
        events : pyarrow.Table
            n fixes, as for `filter`.

        Returns
        -------
        ndarray of int8, (n,)
        """
        if events.num_rows > self.max_emitters:  # no more emitters in a piece than can be remembered
            pieces = range(0, events.num_rows, self.max_emitters)
            return np.concatenate([self.judge(events.slice(at, self.max_emitters)) for at in pieces])
        codes = np.zeros(events.num_rows, np.int8)
        if not events.num_rows:
            return codes
        entity = _combined(events["entity"]).dictionary_encode()
        slots = self._slots_of(entity.dictionary.to_pylist())[entity.indices.to_numpy()]
        lat, lon = _combined(events["lat"]).to_numpy(), _combined(events["lon"]).to_numpy()
        xyz = np.stack(geodetic_to_ecef(lat, lon), axis=1)
        time_us = _combined(events["time"]).cast(pa.int64()).to_numpy()
        _judge(
            slots, time_us, xyz, self._limits_of(_combined(events["payload"])), self._last_us, self._still_us,
            self._last_xyz, self._chain, self._chain_us, self._chain_xyz, self.heal_after, self.heal_time_after, codes,
        )  # fmt: skip
        return codes

    def _limits_of(self, payload: pa.Array) -> np.ndarray:
        found = pc.extract_regex(payload, r'"emitter_kind"\s*:\s*"(?P<kind>[^"\\]*)"')
        kind = pc.struct_field(found, "kind").dictionary_encode()
        limits = [self.limits.get(name, self.default_limit_m_s) for name in kind.dictionary.to_pylist()]
        codes = pc.fill_null(kind.indices, len(limits)).to_numpy(zero_copy_only=False)
        return np.array([*limits, self.default_limit_m_s])[codes]

    def _slots_of(self, names: list[str]) -> np.ndarray:
        """Slots of distinct emitters; one look-up per emitter in the batch, not per fix."""
        self._batch += 1
        found = np.array([self._slots.get(name, -1) for name in names], dtype=np.int64)
        self._used[found[found >= 0]] = self._batch
        new = np.flatnonzero(found < 0)
        if len(new):
            free = self._free_slots(len(new))
            found[new] = free
            self._used[free] = self._batch
            self._last_us[free] = -1
            self._chain[free] = 0
            for row, slot in zip(new.tolist(), free.tolist(), strict=True):
                self._slots[names[row]] = slot
                self._names[slot] = names[row]
        return found

    def _free_slots(self, count: int) -> np.ndarray:
        free = np.flatnonzero(self._used < 0)
        if len(free) < count and len(self._used) < self.max_emitters:
            self._allocate(min(self.max_emitters, max(2 * len(self._used), len(self._used) + count)))
            free = np.flatnonzero(self._used < 0)
        if len(free) < count:
            idle = np.flatnonzero((self._used >= 0) & (self._used < self._batch))
            oldest = idle[np.argsort(self._used[idle], kind="stable")]
            forgotten = oldest[: max(count - len(free), len(self._used) // 16)]  # some at once, not one by one
            for slot in forgotten.tolist():
                del self._slots[self._names[slot]]
            self._used[forgotten] = -1
            free = np.flatnonzero(self._used < 0)
        return free[:count]

    def _allocate(self, size: int) -> None:
        """State for `size` emitters; what is known stays."""
        held = len(getattr(self, "_used", ()))

        def grown(name: str, state: np.ndarray) -> np.ndarray:
            if held:
                state[:held] = getattr(self, name)
            return state

        self._used: np.ndarray = grown("_used", np.full(size, -1, np.int64))
        self._last_us = grown("_last_us", np.full(size, -1, np.int64))
        self._still_us = grown("_still_us", np.zeros(size, np.int64))
        self._last_xyz = grown("_last_xyz", np.zeros((size, 3)))
        self._chain = grown("_chain", np.zeros(size, np.int64))
        self._chain_us = grown("_chain_us", np.zeros(size, np.int64))
        self._chain_xyz = grown("_chain_xyz", np.zeros((size, 3)))
        self._names = [*getattr(self, "_names", [])[:held], *[""] * (size - held)]


def _combined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
