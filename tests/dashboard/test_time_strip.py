"""The strip takes small checked messages from the browser and nothing else."""

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboard.components.time_strip import TimeStrip, checked_action
from dashboard.state import SPEEDS

KNOWN = {"live", "pause", "play", "seek", "speed", "clear", "theme"}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
actions = st.sampled_from(sorted(KNOWN)) | anything
messages = st.fixed_dictionaries({}, optional={"do": actions, "moment_s": anything, "speed": anything, "x": anything})


@given(messages | anything)
@example({"do": "seek", "moment_s": 10**400})
@example({"do": "speed", "speed": True, "moment_s": 1.0})
@example({"do": "speed", "speed": 10.0, "moment_s": 1.0})
@example({"do": "seek", "moment_s": True})
@example({"do": ["seek"], "moment_s": 1})
def test_whatever_comes_is_a_known_action_with_sound_numbers_or_nothing(message):
    action = checked_action(message)
    if action is None:
        return
    assert action["do"] in KNOWN and set(action) <= {"do", "moment_s", "speed"}
    if "moment_s" in action:
        assert type(action["moment_s"]) is float and 0.0 <= action["moment_s"] < 4.1e9
    if action["do"] in ("seek", "pause", "play", "speed"):
        assert "moment_s" in action
    if action["do"] == "speed":
        assert type(action["speed"]) is int and action["speed"] in SPEEDS
    assert json.loads(json.dumps(action)) == action


@pytest.mark.parametrize("do", sorted(KNOWN))
def test_what_the_strip_sends_is_taken(do):
    message = {"do": do, "moment_s": 1.79e9, "speed": 20}
    assert checked_action(message) == {k: v for k, v in message.items() if k != "speed" or do == "speed"}


@pytest.mark.parametrize("moment", [None, "1", math.nan, math.inf, -1.0, 4.1e9, [1], True])
def test_a_moment_that_is_none_is_refused_where_one_is_needed(moment):
    for do in ("seek", "pause", "play", "speed"):
        assert checked_action({"do": do, "moment_s": moment, "speed": 1}) is None
    assert checked_action({"do": "live", "moment_s": moment}) == {"do": "live"}


@pytest.mark.parametrize("speed", [0, 3, -1, 1e9, "10", None, True, [10]])
def test_a_speed_that_is_not_offered_is_refused(speed):
    assert checked_action({"do": "speed", "speed": speed, "moment_s": 1.0}) is None


def test_alone_it_can_be_made_and_hands_on_what_it_understood():
    strip, heard = TimeStrip(), []
    strip._handle_msg({"do": "live"})  # nobody listens yet
    strip.on_action = heard.append
    for message in ({"do": "seek", "moment_s": 5}, {"do": "explode"}, "live", None):
        strip._handle_msg(message)
    assert heard == [{"do": "seek", "moment_s": 5.0}]
    assert (strip.mode, strip.speed, strip.picture) == ("live", 10, {"kind": "loading"})


@pytest.mark.parametrize("wrong", [{"mode": "asleep"}, {"speed": 3}, {"theme": "pink"}, {"span": ["a"]}])
def test_it_shows_no_state_that_does_not_exist(wrong):
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        TimeStrip(**wrong)
