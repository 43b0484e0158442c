"""Sorting and filtering of tables agree with pandas, and a filter that is none says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.graph_rows import arranged, cells, columns_of, conditions, where_text

RNG = np.random.default_rng(4)
N = 500
TABLE = pa.table(
    {
        "id": [f"host:10.0.{k % 7}.{k}" for k in range(N)],
        "kind": pa.array(RNG.choice(["host", "name", None], N)).dictionary_encode(),
        "degree": RNG.integers(0, 20, N),
        "weight": np.where(RNG.random(N) < 0.1, np.nan, RNG.exponential(size=N)),
        "last_seen_s": 1_000.0 - RNG.uniform(0, 100, N),
        "lat": np.full(N, np.nan),
        "x": RNG.random(N),
    }
)


@pytest.mark.parametrize("order", ["degree", "-degree", "id", "-kind", "last_seen_s", "", "nothing"])
def test_order_is_stable_and_that_of_pandas(order):
    frame = TABLE.to_pandas().assign(kind=lambda t: t["kind"].astype(object).fillna(""))
    got = arranged(TABLE, order, "", 1_000.0)
    name = order.removeprefix("-")
    if name not in frame or not name:
        assert got.tolist() == list(range(N))
        return
    want = frame.sort_values(name, ascending=not order.startswith("-"), kind="stable").index
    assert got.tolist() == want.tolist()


@pytest.mark.parametrize(
    ("where", "query"),
    [("degree~>5", "degree > 5"), ("degree~2..8", "2 <= degree <= 8"), ("degree~7", "degree == 7"),
     ("weight~<=0.5", "weight <= 0.5"), ("id~0.3.", "id.str.contains('0.3.', regex=False)"),
     ("last_seen_s~<60;degree~>=10", "last_seen_s > 940 and degree >= 10")],
)  # fmt: skip
def test_filters_are_those_of_pandas(where, query):
    assert arranged(TABLE, "", where, 1_000.0).tolist() == TABLE.to_pandas().query(query).index.tolist()


@pytest.mark.parametrize("text", ["many", ">", "1..", "1e", "5 or 6"])
def test_a_filter_of_numbers_that_is_none_says_how_to_write_one(text):
    with pytest.raises(ValueError, match="write 5, >5"):
        arranged(TABLE, "", f"degree~{text}", 0.0)


@given(st.dictionaries(st.sampled_from(["id", "degree"]), st.text("ab 5><.;~=", min_size=1, max_size=8)))
def test_filters_come_back_from_a_link_but_for_its_own_signs(filters):
    clean = {k: v.replace(";", " ").replace("~", " ").strip() for k, v in filters.items()}
    assert conditions(where_text(filters)) == {k: v for k, v in clean.items() if v}


def test_cells_are_plain_and_columns_of_the_picture_stay_out():
    assert [c.name for c in columns_of(TABLE)] == ["id", "kind", "degree", "weight", "last_seen_s"]
    rows = cells(TABLE, np.arange(N))
    assert {type(v) for row in rows for v in row} <= {str, int, float, type(None)}
    assert sum(row[3] is None for row in rows) == int(pd.isna(TABLE.to_pandas()["weight"]).sum())
    assert rows[0][4].startswith("1970-01-01 00:1")
