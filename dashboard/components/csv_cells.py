"""Cells of CSV files that no spreadsheet takes for a formula: every CSV export goes through here.

Names in the data come from outside. A text that begins like a formula gets an apostrophe before it, which spreadsheets
read as *this is text*; numbers and times are left as they are.
"""

from __future__ import annotations

import io
import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

FORMULA = r"^[=+\-@\t\r\n]"
"""How a text begins that a spreadsheet may run; OWASP, CSV Injection."""


def harmless(table: pa.Table) -> pa.Table:
    """The table with an apostrophe before every text that begins like a formula.

    Examples
    --------
    >>> harmless(pa.table({"name": ["=1+1", "host"], "n": [-1, 2]})).to_pylist()[0]
    {'name': "'=1+1", 'n': -1}
    """
    for i, field in enumerate(table.schema):
        column = table.column(i)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            risky = pc.match_substring_regex(column, FORMULA)
            marked = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
            table = table.set_column(i, field.name, pc.if_else(risky, marked, column))
    return table


def csv_of_table(table: pa.Table) -> bytes:
    """An Arrow table as CSV with a head, UTF-8, text in quotes."""
    out = io.BytesIO()
    pyarrow.csv.write_csv(harmless(table), out)
    return out.getvalue()


def csv_of_frame(frame: pd.DataFrame, date_format: str | None = None) -> bytes:
    """A data frame as CSV with a head, UTF-8, without its index.

    Examples
    --------
    >>> csv_of_frame(pd.DataFrame({"by": ["@SUM(A1)"], "value": [-0.5]}))
    b"by,value\\n'@SUM(A1),-0.5\\n"
    """
    safe = frame.copy()
    for name in safe.columns:
        if isinstance(safe[name].dtype, pd.CategoricalDtype):
            safe[name] = safe[name].astype(object)
        if not (pd.api.types.is_numeric_dtype(safe[name]) or pd.api.types.is_datetime64_any_dtype(safe[name])):
            safe[name] = safe[name].map(_harmless, na_action="ignore")
    return safe.to_csv(index=False, date_format=date_format).encode()


def _harmless(value: object) -> object:
    if not isinstance(value, str):
        return value
    # A lone carriage return would end the row: pandas puts it into no quotes.
    return ("'" + value if re.match(FORMULA, value) else value).replace("\r", "\n")
