"""Legends: few categories, and a name keeps its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.hypergraph import MAX_CATEGORIES, OTHER, Categories

LOOKS = st.lists(st.lists(st.sampled_from("abcdefghijkl"), max_size=20), min_size=1, max_size=6)


@given(LOOKS, st.integers(2, MAX_CATEGORIES))
def test_a_name_keeps_its_category_and_there_are_never_more(looks, at_most):
    legend, given_to = Categories(at_most), {}
    for names in looks:
        found = legend.of(names).tolist()
        assert all(category < at_most for category in found)
        for name, category in zip(names, found, strict=True):
            if category < at_most - 1:
                assert given_to.setdefault(name, category) == category == legend.names.index(name)
            else:
                assert len(given_to) == at_most - 1 or name not in given_to
    assert len(set(given_to.values())) == len(given_to)
    assert legend.names[-1] == OTHER and len(legend.names) == at_most


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_names_in_a_look_does_not_matter(names, random):
    shuffled = names.copy()
    random.shuffle(shuffled)
    one, other = Categories(4), Categories(4)
    one.of(names)
    other.of(shuffled)
    assert one.names == other.names


def test_missing_names_are_other_and_frequent_ones_come_first():
    legend = Categories(3)
    assert legend.of(["x", None, "y", "y", float("nan"), OTHER, "z"]).tolist() == [1, 2, 0, 0, 2, 2, 2]
    assert legend.of([]).tolist() == []
    with pytest.raises(ValueError, match="at_most is 9"):
        Categories(9)
