"""A link: says everything, brings it all back, and refuses nonsense part by part."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.share import from_query, to_query
from dashboard.state import MODES, RESOLUTIONS, SPEEDS, ViewState


def values(state):
    return {name: value for name, value in state.param.values().items() if name != "name"}


states = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["free_space", "inverse_square"]),
        "show_field": st.booleans(),
        "show_forecast": st.booleans(),
        "show_trails": st.booleans(),
        "show_emitters": st.booleans(),
        "horizon": st.booleans(),
        "height_m": st.integers(0, 20_000).map(float),
        "forecast_s": st.integers(5, 300).map(float),
        "trail_s": st.integers(60, 7200).map(float),
        "limits_dbm": st.tuples(st.integers(-160, -60), st.integers(-59, 20)).map(lambda p: (float(p[0]), float(p[1]))),
        "cells": st.sampled_from(list(RESOLUTIONS.values())),
        "selected": st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=30),
        "mode": st.sampled_from(MODES),
        "moment_s": st.integers(1, 4_000_000_000).map(float),
        "speed": st.sampled_from(SPEEDS),
        "theme": st.sampled_from(["light", "dark"]),
        "west": st.integers(-180, 0).map(float),
        "east": st.integers(1, 180).map(float),
        "south": st.integers(-85, 0).map(float),
        "north": st.integers(1, 85).map(float),
    }
)


@given(states)
def test_a_link_brings_back_the_whole_state(wanted):
    state = ViewState(**wanted)
    copy = ViewState()
    assert from_query(dict(parse_qsl(to_query(state), keep_blank_values=True)), copy) == []
    expected = values(state)
    if state.mode == "live":
        expected["moment_s"] = copy.moment_s  # live has no moment of its own
    assert values(copy) == expected


@pytest.mark.parametrize(
    ("name", "bad"),
    [("height", "tall"), ("height", "1e9"), ("height", "nan"), ("limits", "-50,-90"), ("view", "1,2,3"),
     ("view", "9,1,2,3"),
     ("model", "magic"), ("layers", "field,<script>"), ("speed", "3"), ("t", "yesterday"), ("cells", "1e12"),
     ("theme", "pink"),
     ("select", "a\x00b"), ("horizon", "yes")],
)  # fmt: skip
def test_a_bad_part_is_named_and_the_rest_is_kept(name, bad):
    state, usual = ViewState(), values(ViewState())
    refused = from_query({name: bad, "ahead": "30"}, state)
    assert len(refused) == 1 and refused[0].startswith(f"{name} is ")
    assert values(state) == {**usual, "forecast_s": 30.0}


@given(
    st.dictionaries(st.sampled_from(["view", "t", "limits", "select", "layers", "cells", "junk"]), st.text(max_size=80))
)
def test_no_link_whatever_breaks_the_page(query):
    state = ViewState()
    from_query(query, state)
    assert from_query(dict(parse_qsl(to_query(state), keep_blank_values=True)), ViewState()) == []
