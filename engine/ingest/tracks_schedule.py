"""When each fix of a recording is due: once at its own time, or again and again, rebased to now.

Pure arithmetic on tables: which events fall between two moments. It knows neither clocks nor threads
nor queues.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.ingest.gate import FixGate
from engine.ingest.tracks_events import joined_members

_POSITION_TIME = r'"position_time_s"\s*:\s*(?P<value>[-+0-9.eE]+)'
_NEVER = 1 << 62


@dataclass(frozen=True, eq=False)
class Schedule:
    """A recording laid out on a time line; round k plays fix i at ``origin + k · length + offset[i]``.

    Attributes
    ----------
    table : pyarrow.Table
        n fixes, schema `engine.events.SCHEMA`, in the order of `offset_us`; times are ignored.
    offset_us : ndarray of int64, (n,)
        Ascending, in [0, `length_us`).
    length_us : int
        Length of a round, µs.
    origin_us : int
        Epoch microseconds of the start of round 0.
    endless : bool
        Rounds from minus to plus infinity; otherwise round 0 alone.
    lag_us : ndarray of float64, (n,) or None
        Age of each position at its time, µs, NaN where unknown: ``position_time_s`` moves along.
    """

    table: pa.Table
    offset_us: np.ndarray
    length_us: int
    origin_us: int
    endless: bool
    lag_us: np.ndarray | None

    @property
    def end_us(self) -> int | None:
        """Time of the last event, epoch microseconds; None without an end."""
        return None if self.endless else self.origin_us + int(self.offset_us[-1])

    def count(self, after_us: int, until_us: int) -> int:
        """How many events fall in (after, until]."""
        return sum(high - low for _, low, high in self._parts(after_us, until_us))

    def between(self, after_us: int, until_us: int) -> pa.Table:
        """Events that fall in (after, until], in order of time.

        Parameters
        ----------
        after_us, until_us : int
            Epoch microseconds.

        Returns
        -------
        pyarrow.Table
            Schema `engine.events.SCHEMA`.
        """
        parts = [self._events(*part) for part in self._parts(after_us, until_us)]
        return pa.concat_tables(parts) if parts else self.table.slice(0, 0)

    def _parts(self, after_us: int, until_us: int) -> list[tuple[int, int, int]]:
        """Round, first row and last row + 1 of each stretch within an interval."""
        rounds = [0]
        if self.endless:
            first, last = ((moment - self.origin_us) // self.length_us for moment in (after_us, until_us))
            rounds = list(range(first, last + 1))
        parts = []
        for number in rounds:
            start = self.origin_us + number * self.length_us
            low, high = np.searchsorted(self.offset_us, [after_us - start, until_us - start], side="right").tolist()
            if low < high:
                parts.append((number, low, high))
        return parts

    def _events(self, number: int, low: int, high: int) -> pa.Table:
        table = self.table.slice(low, high - low)
        time_us = self.origin_us + number * self.length_us + self.offset_us[low:high]
        at = table.schema.get_field_index("time")
        table = table.set_column(at, table.schema.field(at), pa.array(time_us).cast(table.schema.field(at).type))
        if self.lag_us is None:
            return table
        measured = pa.array((time_us - self.lag_us[low:high]) / 1e6, from_pandas=True).cast(pa.string())
        return _with_member(table, pc.binary_join_element_wise('"position_time_s":', measured, ""))


def once(fixes: pa.Table, again: bool = False) -> Schedule:
    """A recording at its own times; `again` appends further rounds, each later by its whole length.

    Parameters
    ----------
    fixes : pyarrow.Table
        n > 0 fixes in order of time.
    again : bool
        Play without end.

    Returns
    -------
    Schedule
    """
    time_us = times_us(fixes)
    length_us = int(time_us[-1] - time_us[0]) + max(common_step_us(fixes), 1)
    table, lag_us = _without_position_time(fixes) if again else (fixes, None)
    return Schedule(table, time_us - time_us[0], length_us, int(time_us[0]), again, lag_us)


def rebased(fixes: pa.Table, start_us: int, end_us: int) -> Schedule:
    """A recording as a periodic function of wall time, the same after every restart.

    With L the length of the window, a fix recorded at r is due at all r' with
    ``(r' - epoch) mod L == (r - start + phase) mod L``. The phase of an emitter is a hash of its
    identity in [0, step), where step is the common time step of the recording: fixes on a common grid
    of 10 s arrive evenly instead of in bursts, and the timing between two emitters changes by less
    than one step. The payload tells the original time as ``recorded_at``.

    Where an emitter ends a round far from where it starts the next, its first fixes are left out until
    it could have come there (see `without_seam`).

    Parameters
    ----------
    fixes : pyarrow.Table
        Fixes in order of time.
    start_us, end_us : int
        Window [start, end), epoch microseconds.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        If the window is empty or there is no fix in it.
    """
    if end_us <= start_us:
        raise ValueError(f"the window ends at {end_us} µs, not after its start at {start_us} µs")
    low, high = np.searchsorted(times_us(fixes), [start_us, end_us], side="left").tolist()
    window = fixes.slice(low, high - low)
    if not window.num_rows:
        raise ValueError(f"no fix of the recording lies in the window from {start_us} to {end_us} µs")
    length_us = end_us - start_us
    window = without_seam(window, length_us)
    window, lag_us = _without_position_time(_with_recorded_at(window))
    offset_us = (times_us(window) - start_us + _phase_us(window, common_step_us(fixes))) % length_us
    order = np.argsort(offset_us, kind="stable")
    lag_us = None if lag_us is None else lag_us[order]
    return Schedule(window.take(order).combine_chunks(), offset_us[order], length_us, 0, True, lag_us)


def rebased_events(events: pa.Table, start_us: int, end_us: int) -> Schedule:
    """As `rebased`, for events that are not positions: each round exactly as recorded.

    Parameters
    ----------
    events : pyarrow.Table
        Events in order of time; those in [start_us, end_us) are played.

    Returns
    -------
    Schedule
    """
    low, high = np.searchsorted(times_us(events), [start_us, end_us], side="left").tolist()
    window = events.slice(low, high - low)
    offset_us = times_us(window) - start_us
    return Schedule(_with_recorded_at(window).combine_chunks(), offset_us, end_us - start_us, 0, True, None)


def without_seam(fixes: pa.Table, length_us: int) -> pa.Table:
    """The fixes without those, at the start, that no emitter could reach from where its last round ended.

    Parameters
    ----------
    fixes : pyarrow.Table
        One round, in order of time.
    length_us : int
        After which it is played again.

    Returns
    -------
    pyarrow.Table
    """
    gate = FixGate()
    gate.judge(fixes)
    gate.heal_after = gate.heal_time_after = _NEVER
    at = fixes.schema.get_field_index("time")
    later = pa.array(times_us(fixes) + length_us).cast(fixes.schema.field(at).type)
    codes = gate.judge(fixes.set_column(at, fixes.schema.field(at), later))
    if not codes.any():
        return fixes
    entity = fixes["entity"].combine_chunks().dictionary_encode()
    emitter = entity.indices.to_numpy()
    first_accepted = np.full(len(entity.dictionary), _NEVER)
    np.minimum.at(first_accepted, emitter[codes == 0], np.flatnonzero(codes == 0))
    arrives = first_accepted[emitter]
    # An emitter that could never arrive keeps all its fixes: whoever reads them sees it reappear.
    return fixes.filter(pa.array((arrives == _NEVER) | (np.arange(len(codes)) >= arrives)))


def times_us(events: pa.Table) -> np.ndarray:
    """Event times as int64 epoch microseconds."""
    return events["time"].combine_chunks().cast(pa.int64()).to_numpy()


def common_step_us(fixes: pa.Table) -> int:
    """Median time between two consecutive fixes of the same emitter, µs; 0 where none has two."""
    emitter = fixes["entity"].combine_chunks().dictionary_encode().indices.to_numpy()
    time_us = times_us(fixes)
    order = np.lexsort((time_us, emitter))
    step_us, same = np.diff(time_us[order]), np.diff(emitter[order]) == 0
    step_us = step_us[same & (step_us > 0)]
    return int(np.median(step_us)) if len(step_us) else 0


def _phase_us(fixes: pa.Table, step_us: int) -> np.ndarray:
    entity = fixes["entity"].combine_chunks().dictionary_encode()
    # CRC-32 and not hash(): the same in every process.
    crc = np.array([zlib.crc32(name.encode()) for name in entity.dictionary.to_pylist()], dtype=np.int64)
    return (crc * step_us >> 32)[entity.indices.to_numpy()] if step_us < 1 << 31 else np.zeros(fixes.num_rows, np.int64)


def _without_position_time(fixes: pa.Table) -> tuple[pa.Table, np.ndarray | None]:
    """The fixes with ``position_time_s`` taken out of the payload, and the age of each position."""
    payload = fixes["payload"].combine_chunks()
    found = pc.struct_field(pc.extract_regex(payload, _POSITION_TIME), "value")  # null where nothing matched
    if found.null_count == len(found):
        return fixes, None
    lag_us = times_us(fixes) - found.cast(pa.float64()).to_numpy(zero_copy_only=False) * 1e6
    rest = pc.replace_substring_regex(payload, r"(,\s*)?" + _POSITION_TIME.replace("?P<value>", ""), "")
    rest = pc.replace_substring_regex(rest, r"^\{\s*,", "{")
    return _with_payload(fixes, rest), lag_us


def _with_recorded_at(table: pa.Table) -> pa.Table:
    recorded = pa.array(np.datetime_as_string(times_us(table).astype("datetime64[us]"), unit="ms"))
    return _with_member(table, pc.binary_join_element_wise('"recorded_at":"', recorded, 'Z"', ""))


def _with_member(table: pa.Table, member: pa.Array) -> pa.Table:
    """The table with a JSON member appended to each payload, where the member is not null."""
    payload = pc.fill_null(table["payload"].combine_chunks(), "{}")
    inside = pc.replace_substring_regex(payload, r"^\s*\{\s*|\s*\}\s*$", "")
    inside = pc.if_else(pc.equal(inside, ""), pa.scalar(None, pa.string()), inside)
    joined = joined_members(len(member), inside, member)
    return _with_payload(table, pc.binary_join_element_wise("{", joined, "}", ""))


def _with_payload(table: pa.Table, payload: pa.Array) -> pa.Table:
    at = table.schema.get_field_index("payload")
    return table.set_column(at, table.schema.field(at), payload)
