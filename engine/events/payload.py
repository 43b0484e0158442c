"""Columns out of payloads: the flat JSON objects of an event batch, as NumPy arrays.

Folds ask for the keys they know and get one array each; a payload that is broken costs its own row
and is counted. This module knows JSON and Arrow, not what any key means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

# Objects that begin and end on their own line cannot run into the next line: after "}" a "{" is never
# valid, and JSON strings hold no newline. With as many results as lines, each line then gave one.
_ONE_LINE_OBJECT = r"^\s*\{[^\n\r]*\}\s*$"

_ROWS_TOGETHER = 50_000  # one broken payload makes only so many take the slow way


def payload_columns(
    table: pa.Table, fields: Mapping[str, Any], counts: Counter[str] | None = None
) -> dict[str, np.ndarray]:
    """Some keys of the payload column as arrays, one value per event.

    Parameters
    ----------
    table : pyarrow.Table
        n events with a string column ``payload``.
    fields : mapping of key to pyarrow type or NumPy dtype
        Numbers, booleans and strings. Integers come as float64, which has a NaN for *missing* and is
        exact to 2**53; ask for a string where an identity may be longer.
    counts : Counter, optional
        Its ``"malformed"`` grows by the payloads that are no JSON object, its ``"wrong type"`` by the
        values of another type than asked for.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Floats with NaN, or objects (str, bool) with None, where a payload, a key or a fit value is
        missing.

    Examples
    --------
    >>> from engine.events import event_table
    >>> table = event_table([0, 1, 2], "note", ["a", "b", "c"], "me", payload=['{"speed_m_s": 3}', None, "{oops"])
    >>> counts = Counter()
    >>> payload_columns(table, {"speed_m_s": np.float64}, counts)["speed_m_s"].tolist()
    [3.0, nan, nan]
    >>> counts["malformed"]
    1
    """
    kinds = {name: _kind(name, given) for name, given in fields.items()}
    parts = list(_parts(table, kinds, Counter() if counts is None else counts))
    return {
        name: np.concatenate([part[name].to_numpy(zero_copy_only=False) for part in parts]).astype(dtype, copy=False)
        for name, dtype in kinds.items()
    }


def payload_arrays(
    table: pa.Table, fields: Mapping[str, Any], counts: Counter[str] | None = None
) -> dict[str, pa.ChunkedArray]:
    """As `payload_columns`, but as Arrow arrays with null where something is missing: no Python object per text.

    Examples
    --------
    >>> from engine.events import event_table
    >>> table = event_table([0, 1], "note", ["a", "b"], "me", payload=['{"name": "x"}', None])
    >>> payload_arrays(table, {"name": str})["name"].to_pylist()
    ['x', None]
    """
    kinds = {name: _kind(name, given) for name, given in fields.items()}
    parts = list(_parts(table, kinds, Counter() if counts is None else counts))
    return {name: pa.chunked_array([part[name] for part in parts]) for name in kinds}


def _parts(table: pa.Table, kinds: Mapping[str, np.dtype], counts: Counter[str]) -> Iterator[dict[str, pa.Array]]:
    for first in range(0, max(table.num_rows, 1), _ROWS_TOGETHER):
        payload = table["payload"].slice(first, _ROWS_TOGETHER).cast(pa.string()).combine_chunks()
        yield _parse_together(payload, kinds) or _parse_one_by_one(payload, kinds, counts)


_TYPES = {float: pa.float64(), str: pa.string(), bool: pa.bool_()}


def _kind(name: str, given: Any) -> np.dtype:
    """What a field is returned as: a float dtype, or object for text and truth values (told by metadata)."""
    if isinstance(given, pa.DataType):
        given = str if pa.types.is_string(given) or pa.types.is_large_string(given) else given.to_pandas_dtype()
    dtype = np.dtype(given)
    if dtype.kind == "f":
        return dtype
    if dtype.kind in "iu":
        return np.dtype(np.float64)
    if dtype.kind == "b":
        return np.dtype(object, metadata={"of": bool})
    if dtype.kind in "UOST":
        return np.dtype(object, metadata={"of": str})
    raise ValueError(f"payload field {name!r} is asked for as {dtype}: a number, bool or str type is needed")


def _of(dtype: np.dtype) -> type:
    return float if dtype.metadata is None else dtype.metadata["of"]


def _parse_together(payload: pa.Array, kinds: Mapping[str, np.dtype]) -> dict[str, pa.Array] | None:
    """All rows at once, about five times as fast as one by one; None where a row needs a closer look."""
    n = len(payload)
    lines = pc.fill_null(payload, "{}")
    if n == 0 or not kinds or not pc.all(pc.match_substring_regex(lines, _ONE_LINE_OBJECT)).as_py():
        return None
    schema = pa.schema([(name, _TYPES[_of(dtype)]) for name, dtype in kinds.items()])
    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    joined = pc.binary_join(pa.ListArray.from_arrays([0, n], lines), "\n")[0]
    try:
        read = pj.read_json(pa.BufferReader(joined.as_buffer()), parse_options=options)
    except pa.ArrowInvalid:
        return None
    if read.num_rows != n:
        return None
    return {name: read[name].combine_chunks() for name in kinds}


def _parse_one_by_one(payload: pa.Array, kinds: Mapping[str, np.dtype], counts: Counter[str]) -> dict[str, pa.Array]:
    columns: dict[str, list[Any]] = {name: [None] * len(payload) for name in kinds}
    for row, text in enumerate(payload.to_pylist()):
        if text is None:
            continue
        try:
            found = orjson.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            counts["malformed"] += 1
            continue
        for name, dtype in kinds.items():
            value = found.get(name)
            if value is not None:
                columns[name][row] = fit = _fitting(value, _of(dtype))
                counts["wrong type"] += fit is None
    return {name: pa.array(columns[name], _TYPES[_of(dtype)]) for name, dtype in kinds.items()}


def _fitting(value: Any, wanted: type) -> Any:
    if wanted is not float:
        return value if isinstance(value, wanted) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
