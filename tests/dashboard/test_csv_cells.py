"""No cell of a CSV file is a formula; what is none stays as it is, and every export goes that way."""

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.csv_cells import csv_of_frame, csv_of_table

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"http://x\",\"y\")"]  # fmt: skip


def cells(data: bytes) -> list[str]:
    return [row[0] for row in csv.reader(io.StringIO(data.decode(), newline=""))][1:]


@pytest.mark.parametrize("write", [csv_of_frame, lambda frame: csv_of_table(pa.Table.from_pandas(frame))])
@given(
    texts=st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
)
def test_no_cell_begins_like_a_formula_and_nothing_else_is_changed(write, texts):
    frame = pd.DataFrame({"name": pd.Series(texts, dtype=object), "n": pd.Series([-1] * len(texts), dtype="int64")})
    if not texts:
        return
    found = cells(write(frame))
    for given_text, read in zip(texts, found, strict=True):
        assert not read or read[0] not in "=+-@\t\r\n"
        whole = "'" + given_text if given_text and given_text[0] in "=+-@\t\r\n" else given_text
        assert read.replace("\r", "\n") == whole.replace("\r", "\n")


def test_numbers_times_and_what_is_missing_stay_and_kinds_are_text():
    frame = pd.DataFrame({"value": [-0.5], "time": pd.to_datetime(["2024-01-01"], utc=True), "by": [None]})
    frame["kind"] = pd.Categorical(["=x"])
    assert csv_of_frame(frame, "%Y").decode() == "value,time,by,kind\n-0.5,2024,,'=x\n"
    table = pa.table({"kind": pa.array(["=x"]).dictionary_encode(), "n": [-3], "none": pa.array([None], pa.string())})
    assert csv_of_table(table).decode().splitlines()[1] == '"\'=x",-3,'


def test_every_csv_export_writes_its_cells_there():
    writers = [
        path for path in Path("dashboard").rglob("*.py") if re.search(r"\.to_csv\(|write_csv\(", path.read_text())
    ]
    assert [path.name for path in writers] == ["csv_cells.py"]
