"""Runs are listed, filtered and sorted as one would by hand, and the link says all of it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.components.run_files import name_of, place_of
from dashboard.components.run_listing import followed, listing
from dashboard.components.run_parallel import scaled
from dashboard.components.run_rows import chosen_rows, differing, numeric, values
from dashboard.components.run_table import (
    PAGE_ROWS,
    TRACE_POINTS,
    checked_action,
    convergence,
    table_columns,
    table_rows,
)
from dashboard.components.runs_state import RunsState
from dashboard.share import from_query, to_query

NUMBERS = st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6))


def runs(fitness, **columns) -> pa.Table:
    n = len(fitness)
    return pa.table(
        {
            "run_id": [f"{i:040x}" for i in range(n)],
            "state": ["done" if f is not None else "failed" for f in fitness],
            "reason": ["" if f is not None else "diverged at t = 1" for f in fitness],
            "fitness": pa.array(fitness, pa.float64()),
            "kappa": pa.array([0.01 * i for i in range(n)], pa.float64()),
            "alpha": pa.array([1.0] * n, pa.float64()),
            "finished_s": pa.array([1000.0 + i for i in range(n)], pa.float64()),
            **columns,
        }
    )


@given(st.lists(NUMBERS, max_size=40), st.booleans())
def test_sorting_is_that_of_python_with_what_has_no_value_last(fitness, down):
    rows = chosen_rows(runs(fitness), "", "-fitness" if down else "fitness")
    assert sorted(rows.tolist()) == list(range(len(fitness)))
    known = [fitness[i] for i in rows if fitness[i] is not None and not math.isnan(fitness[i])]
    assert known == sorted(known, reverse=down)
    assert all(fitness[i] is None or math.isnan(fitness[i]) for i in rows[len(known) :])


@given(st.lists(NUMBERS, max_size=40), st.floats(-1e6, 1e6), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]))
def test_a_condition_keeps_what_fulfils_it(fitness, bound, sign):
    holds = {
        "<": lambda v: v < bound, "<=": lambda v: v <= bound, ">": lambda v: v > bound, ">=": lambda v: v >= bound,
        "=": lambda v: v == bound, "!=": lambda v: v != bound,
    }[sign]  # fmt: skip
    rows = chosen_rows(runs(fitness), f"fitness {sign} {bound!r}", "")
    assert rows.tolist() == [i for i, v in enumerate(fitness) if v is not None and holds(v)]


def test_conditions_are_joined_and_words_look_at_id_state_and_reason():
    table = runs([1.0, None, 3.0, 4.0])
    assert chosen_rows(table, "fitness > 0.5, kappa < 0.03", "").tolist() == [0, 2]
    assert chosen_rows(table, "fitness > 0.5 and kappa < 0.03", "").tolist() == [0, 2]
    assert chosen_rows(table, "DIVERGED", "").tolist() == [1]
    assert chosen_rows(table, "state = failed", "").tolist() == [1]
    assert chosen_rows(table, f"{3:040x}", "").tolist() == [3]


@pytest.mark.parametrize(
    ("where", "named"),
    [("kapa < 1", "kapa"), ("kappa < much", "much"), ("state < 3", "state"), ("kappa <", "kappa <")],
)
def test_a_filter_that_makes_no_sense_is_refused_by_name_and_keeps_all(where, named):
    found = listing(runs([1.0, 2.0]), RunsState(where=where), None)
    assert named in found.refused and len(found.rows) == 2


def test_only_parameters_that_differ_are_told():
    table = runs([1.0, 2.0, 3.0])
    assert differing(table, np.arange(3)) == ["kappa"]
    assert differing(table, np.array([1])) == []
    names = [c["name"] for c in table_columns(table, np.arange(3), True)]
    assert "alpha" not in names and "alpha" in [c["name"] for c in table_columns(table, np.arange(3), False)]
    assert names[0] == "run_id" and numeric(table)[0] == "fitness"


@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_the_line_of_convergence_never_falls_and_ends_at_the_best(fitness):
    line, place = convergence(runs(fitness))
    known = [v for v in fitness if v is not None and not math.isnan(v)]
    assert bool(line) == bool(known) and len(line) <= TRACE_POINTS
    assert all(a <= b for a, b in itertools.pairwise(line)) and all(0 <= v <= 1 for v in line)
    if known and max(known) > min(known):
        best = int(np.nanargmax(values(runs(fitness), "fitness", np.arange(len(fitness)))))
        assert place[best, 1] == pytest.approx(1.0)
    assert np.isnan(place[[v is None or math.isnan(v) for v in fitness]]).all()


def test_a_page_of_rows_holds_plain_values_only():
    table = runs([1.0, math.nan, None])
    columns = table_columns(table, np.arange(3), False)
    rows = table_rows(table, np.array([2, 1, 0]), columns, convergence(table)[1])
    fitness = [c["name"] for c in columns].index("fitness")
    assert [row[fitness] for row in rows] == [None, None, 1.0]
    assert [row[0] for row in rows] == [f"{i:040x}" for i in (2, 1, 0)]


def test_stepping_goes_through_the_listed_order_and_stops_at_its_ends():
    found = listing(runs([3.0, 1.0, 2.0]), RunsState(order="-fitness"), None)
    order = [found.identity(int(row)) for row in found.rows]
    assert order == [f"{i:040x}" for i in (0, 2, 1)]
    assert found.neighbour("", 1) == order[0]
    assert found.neighbour(order[0], 1) == order[1] and found.neighbour(order[2], 1) == order[2]
    assert followed(found, "best") == order[0] and followed(found, "newest") == f"{2:040x}"
    many = listing(runs([float(i) for i in range(150)]), RunsState(order="fitness"), None)
    assert many.pages == math.ceil(150 / PAGE_ROWS) and many.page(2)[0] == 2 * PAGE_ROWS


def test_the_past_holds_the_runs_that_had_ended():
    assert listing(runs([1.0, 2.0, 3.0]), RunsState(), 1001.0).table.num_rows == 2
    assert listing(runs([1.0]), RunsState(), 10.0).table.num_rows == 0


def test_axes_of_parallel_coordinates_reach_from_the_least_to_the_largest():
    level, ends = scaled(runs([5.0, None, 1.0]), np.arange(3), ["fitness", "alpha"])
    assert level[:, 0].tolist()[::2] == [1.0, 0.0] and np.isnan(level[1, 0])
    assert level[:, 1].tolist() == [0.5] * 3 and ends.tolist() == [[1.0, 5.0], [1.0, 1.0]]


HASHES = st.text("0123456789abcdef", min_size=40, max_size=40)


@given(
    look=st.sampled_from(["scatter", "parallel", "wall", "run", "files"]),
    selected=HASHES,
    others=st.lists(HASHES, max_size=3, unique=True),
    hunt=st.one_of(st.just(""), HASHES),
    where=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=60).filter(str.isprintable),
    zoom=st.one_of(st.none(), st.just((1.5, 2.0, 10.25, 20.5))),
    cut=st.one_of(st.none(), st.tuples(st.integers(0, 8191), st.integers(0, 8191))),
    frame=st.integers(0, 1000),
    scale=st.sampled_from(["linear", "logarithmic", "equalised"]),
    fixed=st.just((-0.5, 2.5)),
)
def test_a_link_brings_the_same_view(**given_values):
    from urllib.parse import parse_qsl

    state = RunsState(**given_values)
    other = RunsState()
    assert from_query(dict(parse_qsl(to_query(state), keep_blank_values=True)), other) == []
    assert {n: getattr(other, n) for n in given_values} == given_values


@pytest.mark.parametrize(
    ("part", "value"),
    [("with", "zz"), ("hunt", "abc"), ("zoom", "1,2,3"), ("zoom", "5,5,1,1"), ("cut", "a,b"), ("fixed", "2,1"),
     ("look", "table"), ("frame", "-1"), ("with", ",".join(["a" * 40] * 4))],
)  # fmt: skip
def test_a_part_of_a_link_that_makes_no_sense_is_refused_alone(part, value):
    state = RunsState()
    refused = from_query({part: value, "theme": "dark"}, state)
    assert len(refused) == 1 and refused[0].startswith(f"{part} is ") and state.theme == "dark"


@pytest.mark.parametrize(
    "msg",
    [None, [], {"do": "select", "id": "../x"}, {"do": "page", "by": 7}, {"do": "order", "name": "a; drop"},
     {"do": "where", "text": "x" * 500}, {"do": "where", "text": "a\nb"}, {"do": "rm"}],
)  # fmt: skip
def test_messages_that_are_no_known_action_are_dropped(msg):
    assert checked_action(msg) is None


def test_files_are_found_only_below_the_allowed_folders(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    (inside / "a.h5").write_bytes(b"x"), (outside / "b.h5").write_bytes(b"x")
    (inside / "link.h5").symlink_to(outside / "b.h5")
    assert place_of("a.h5", [inside]) == str(inside / "a.h5")
    assert name_of(str(inside / "a.h5"), [inside]) == "a.h5"
    for name in ("../outside/b.h5", str(outside / "b.h5"), "link.h5", "", ".", "none.h5"):
        assert place_of(name, [inside]) == ""
    assert name_of(str(outside / "b.h5"), [inside]) == ""
