"""Ids become slots and back: as a Python dict would, whatever text or integers, however many, in whatever batches."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hypergraph.ids import MANY, IdTable, encode_ids

TEXT = st.text(max_size=12)
NUMBER = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.lists(st.one_of(TEXT, NUMBER, st.integers(0, 5).map(str), st.integers(0, 5)), max_size=30)))
def test_slots_are_those_a_dict_would_give(batches):
    table, twin = IdTable(), {}
    for batch in batches:
        slots = table.intern(encode_ids(batch, "node"))
        assert slots.tolist() == [twin.setdefault((type(x), x), len(twin)) for x in batch]
    ids = [x for _, x in twin]
    assert table.n == len(ids)
    back = table.take(np.arange(len(ids))).tolist() if ids else []
    assert back == ids and [type(x) for x in back] == [type(x) for x in ids]


@given(st.lists(TEXT, unique=True, min_size=1), st.data())
def test_kept_ids_close_up_and_the_others_are_unknown(ids, data):
    table = IdTable()
    table.intern(encode_ids(ids, "node"))
    kept = np.array(sorted(data.draw(st.sets(st.sampled_from(range(len(ids)))))), dtype=np.int64)
    table.keep(kept)
    expected = {ids[k]: i for i, k in enumerate(kept)}
    assert table.find(encode_ids(ids, "node")).tolist() == [expected.get(x, -1) for x in ids]
    assert table.intern(encode_ids(["a new one " * 9], "node")).tolist() == [len(kept)]


def test_long_columns_of_any_kind_give_the_same_slots_as_short_ones():
    numbers = np.random.default_rng(3).integers(0, 3 * MANY, 4 * MANY)
    texts = pd.Series(numbers).map("host-{}.example".format)
    for column in (pd.Series(numbers), texts, pa.array(texts), texts.astype("category"), texts.astype(object)):
        whole, pieces = IdTable(), IdTable()
        slots = whole.intern(encode_ids(column, "node"))
        parts = [pieces.intern(encode_ids(column[i : i + 999], "node")) for i in range(0, len(column), 999)]
        np.testing.assert_array_equal(slots, np.concatenate(parts))
        np.testing.assert_array_equal(slots, pd.factorize(numbers)[0])


def test_one_and_the_text_one_are_two_ids():
    assert IdTable().intern(encode_ids([1, "1", "", b"\1".decode() + "\0" * 7], "node")).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("ids", "error", "says"),
    [
        (["a", None], ValueError, "row 1"),
        (pd.Series(["a", "b", np.nan]), ValueError, "row 2"),
        ([1.5], TypeError, "1.5"),
        ([True], TypeError, "True"),
        ([2**63], TypeError, str(2**63)),
        ([b"bytes"], TypeError, "bytes"),
        (pd.Series([1, None], dtype="Int64"), ValueError, "row 1"),
        (pd.Categorical(["a", None]), ValueError, "row 1"),
    ],
)
def test_what_is_no_id_is_refused_by_row(ids, error, says):
    with pytest.raises(error, match=says):
        encode_ids(ids, "node")


def test_a_slice_of_an_arrow_array_is_that_slice():
    array = pa.array(["a", "bb", "ccc", "dddd"])[1:3]
    table = IdTable()
    table.intern(encode_ids(array, "node"))
    assert table.take(np.arange(2)).tolist() == ["bb", "ccc"]


def test_categories_that_do_not_occur_are_no_ids():
    table = IdTable()
    slots = table.intern(encode_ids(pd.Categorical(["c", "b", "c"], categories=["a", "b", "c"]), "node"))
    assert slots.tolist() == [0, 1, 0] and table.n == 2
    assert table.take(np.arange(2)).tolist() == ["c", "b"]


def test_categories_of_text_and_integers_are_both():
    table = IdTable()
    assert table.intern(encode_ids(pd.Categorical(["a", 1, "a", "1"]), "node")).tolist() == [0, 1, 0, 2]
    assert table.take(np.arange(3)).tolist() == ["a", 1, "1"]
