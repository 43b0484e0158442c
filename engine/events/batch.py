"""Event batches at the log's door: checked against the schema, numbered, and brought back from storage.

What passes here is exactly `SCHEMA`; every refusal names the column. This module knows Arrow and the
schema, not where batches come from or where they are kept.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.schema import SCHEMA
from engine.events.times import FIRST_US, LAST_US

_ASSIGNED = ("seq", "received")
_NEEDED = ("time", "kind", "entity", "source")


def checked(table: pa.Table) -> pa.Table:
    """A batch with exactly the columns of `SCHEMA`, `seq` and `received` null.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of `SCHEMA` in any order; `seq` and `received` may be missing. Other string encodings
        (dictionary, large, view), narrower numbers and other timestamp units are converted.

    Returns
    -------
    pyarrow.Table
        The same rows with schema `SCHEMA`.

    Raises
    ------
    ValueError
        If a column is missing, unknown or doubled, of a wrong type, null in time, kind, entity or
        source, or a time lies outside the years 1 to 9999.

    Examples
    --------
    >>> checked(pa.table({"time": ["noon"]}))
    Traceback (most recent call last):
    ValueError: event column 'kind' is missing
    """
    if not isinstance(table, pa.Table):
        raise ValueError(f"an event batch is a pyarrow.Table, not {type(table).__name__}")
    names = table.column_names
    for name in names:
        if name not in SCHEMA.names or names.count(name) > 1:
            raise ValueError(f"event column {name!r} is unknown or there twice: the columns are {SCHEMA.names}")
    for name in SCHEMA.names:
        if name not in names and name not in _ASSIGNED:
            raise ValueError(f"event column {name!r} is missing")
    columns = [
        pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        if field.name in _ASSIGNED
        else _column(table[field.name], field)
        for field in SCHEMA
    ]
    checked_table = pa.Table.from_arrays(columns, schema=SCHEMA)
    _check_years(checked_table["time"])
    return checked_table


def numbered(table: pa.Table, first_seq: int, received_us: int) -> pa.Table:
    """A checked batch with seq from `first_seq` on, all received at one epoch microsecond."""
    n = table.num_rows
    received = pa.scalar(received_us, pa.int64()).cast(SCHEMA.field("received").type)
    table = table.set_column(0, SCHEMA.field("seq"), pa.array(np.arange(first_seq, first_seq + n)))
    return table.set_column(SCHEMA.get_field_index("received"), SCHEMA.field("received"), pa.repeat(received, n))


def without_zone(table: pa.Table) -> pa.Table:
    """The batch with times as plain timestamps in UTC, as the log's file keeps them."""
    for name in ("time", "received"):
        table = table.set_column(SCHEMA.get_field_index(name), name, table[name].cast(pa.timestamp("us")))
    return table


def with_zone(table: pa.Table) -> pa.Table:
    """The inverse of `without_zone`: the batch with schema `SCHEMA`."""
    return pa.Table.from_arrays([table[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)


def _column(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if not _convertible(column.type, field.type):
        raise ValueError(f"event column {field.name!r} is {column.type}: {field.type} is needed")
    if field.name in _NEEDED and column.null_count:
        raise ValueError(f"event column {field.name!r} is null in {column.null_count} of {len(column)} rows")
    try:
        # Timestamps may lose their nanoseconds; nothing else may lose anything.
        return column.cast(field.type, safe=not pa.types.is_timestamp(field.type))
    except pa.ArrowInvalid as error:
        raise ValueError(f"event column {field.name!r} cannot become {field.type}: {error}") from error


def _convertible(given: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_dictionary(given):
        given = given.value_type
    if pa.types.is_null(given):
        return True  # a column of nulls alone; where nulls are not allowed the next check speaks
    if pa.types.is_timestamp(wanted):
        return pa.types.is_timestamp(given) and given.tz is not None  # naive could be any zone's clock
    if pa.types.is_floating(wanted):
        return pa.types.is_floating(given) or pa.types.is_integer(given)
    return pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given)


def _check_years(time: pa.ChunkedArray) -> None:
    span = pc.min_max(time.cast(pa.int64())).as_py()
    for end_us in span.values():
        if end_us is not None and not FIRST_US <= end_us <= LAST_US:
            raise ValueError(f"event column 'time' has {end_us} us since 1970: the years 1 to 9999 are needed")
