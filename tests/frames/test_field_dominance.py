"""Dominance in a frame: groups are who they say, shares are areas on the sphere, cells are those of the engine's rf."""

import numpy as np
import pandas as pd
import pytest

from engine.frames.field_dominance import MAX_GROUPS, cell_areas_km2, dominance_of, groups_of
from engine.rf.grid import Grid

TABLE = pd.DataFrame(
    {
        "id": ["a1", "a2", "b1", "c1"], "callsign": ["SWR1", "SWR2", "", None],
        "emitter_kind": ["aircraft", "aircraft", "ship", "ship"], "cluster": ["k", None, "k", ""], "source": "s",
        "freq_hz": [1.09e9, 1.09e9, 1.62e8, 1.62e8],
    }
)  # fmt: skip


def lists(groups):
    return {name: rows.tolist() for name, rows in groups.items()}


def test_groups_are_by_what_is_asked_for():
    assert lists(groups_of(TABLE, "kind")) == {"aircraft": [0, 1], "ship": [2, 3]}
    assert lists(groups_of(TABLE, "cluster")) == {"k": [0, 2], "no cluster": [1, 3]}
    assert lists(groups_of(TABLE, "frequency")) == {"1090 MHz": [0, 1], "162 MHz": [2, 3]}
    assert lists(groups_of(TABLE, "ab", "swr*2 c1")) == {"A: swr*2 c1": [1, 3], "B: all others": [0, 2]}
    assert lists(groups_of(TABLE, "ab", "ship", "a1,c1")) == {"A: ship": [2, 3], "B: a1,c1": [0]}
    assert lists(groups_of(TABLE, "ab", "(", "[")) == {"A: (": [], "B: [": []}, "a search is no regular expression"
    with pytest.raises(ValueError, match="colour"):
        groups_of(TABLE, "colour")


def test_many_groups_keep_the_largest_and_count_the_others():
    many = pd.concat([TABLE.iloc[:1].assign(source=f"s{i}") for i in range(20)] + [TABLE.iloc[:1].assign(source="s7")])
    groups = groups_of(many.reset_index(drop=True), "source")
    assert len(groups) == MAX_GROUPS + 1 and next(iter(groups)) == "s7"
    assert sum(len(rows) for rows in groups.values()) == 21


def test_areas_are_those_of_the_sphere():
    whole = Grid.from_bounds(-180, -85, 180, 85, shape=(40, 60))
    expected = 2 * np.pi * 6371.0088**2 * 2 * np.sin(np.radians(85))
    assert cell_areas_km2(whole).sum() * 60 == pytest.approx(expected, rel=1e-9)
    map_ = Grid.web_mercator(5, 45, 11, 48, shape=(30, 40))
    part = np.radians(6) * 6371.0088**2 * (np.sin(np.radians(48)) - np.sin(np.radians(45)))
    assert cell_areas_km2(map_).sum() * 40 == pytest.approx(part, rel=1e-6)


def test_shares_contested_and_bytes_follow_from_the_powers():
    none = -np.inf
    power = np.array([[[-50.0, -70.0, -60.0, none]], [[-60.0, -50.0, -61.0, none]]])
    one = dominance_of(["a", "b"], [1, 1], power, np.array([2.0]), "ab", 3.0, (0.6, 0.3, 0.1))
    assert one.share.tolist() == [0.25, 0.25] and one.area_km2.tolist() == [2.0, 2.0]
    assert (one.contested_share, one.nobody_share, one.contested_km2) == (0.25, 0.25, 2.0)
    shown = (one.levels[0, :3].astype(float) - 1) / 254 * 60 - 30
    np.testing.assert_allclose(shown, [10.0, -20.0, 1.0], atol=60 / 254 / 2)
    assert one.levels[0, 3] == 0
    server = dominance_of(["a", "b"], [1, 1], power, np.array([2.0]), "server", 3.0, (0.6, 0.3, 0.1))
    assert server.levels.tolist() == [[1, 2, 255, 0]]
    margin = dominance_of(["a", "b"], [1, 1], power, np.array([2.0]), "margin", 3.0, (0.6, 0.3, 0.1))
    np.testing.assert_allclose((margin.levels[0, :3] - 1.0) / 254 * 30, [10.0, 20.0, 1.0], atol=30 / 254 / 2)
    assert margin.levels[0, 3] == 0
    lone = dominance_of(["a"], [1], np.full((1, 1, 1), -40.0), np.array([1.0]), "margin", 3.0, (0.6, 0.3, 0.1))
    assert lone.levels.tolist() == [[255]], "who has no rival leads by all there is"
    alone = dominance_of(["a"], [1], np.full((1, 1, 1), -40.0), np.array([1.0]), "score", 3.0, (0.6, 0.3, 0.1))
    assert alone.levels.tolist() == [[255]]
