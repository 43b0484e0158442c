"""Who is strongest where, against every emitter computed in every cell and sorted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rf import Grid, power_field
from engine.rf.dominance import NOBODY, arbitration_score, dominance, strongest
from engine.rf.field import linear_mw

SWISS = Grid.from_bounds(5, 45, 11, 48, shape=(60, 75), alt_m=1_000.0)


def some_emitters(n, seed=0, top_m=12_000):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"lat": rng.uniform(44.5, 48.5, n), "lon": rng.uniform(4, 12, n),
                         "alt_m": rng.uniform(0, top_m, n), "eirp_dbm": rng.uniform(20, 50, n),
                         "freq_hz": rng.choice([118e6, 1090e6], n)})  # fmt: skip


def each_alone_mw(emitters, grid, **options):
    """Every emitter's own field, float64, (n, ...)."""
    alone = [power_field(emitters[i : i + 1], grid, dtype="float64", **options) for i in range(len(emitters))]
    return np.stack([linear_mw(field.power_dbm).to_numpy() for field in alone])


@pytest.mark.parametrize("options", [{}, {"horizon": False}, {"floor_m": 20_000.0, "horizon": False}])
def test_the_strongest_and_the_second_are_those_of_all_sorted(options):
    emitters = some_emitters(300)
    every = each_alone_mw(emitters, SWISS, **options)
    got = strongest(emitters, SWISS, **options)
    order = np.sort(every, axis=0)
    best = np.where(order[-1] > 0, every.argmax(axis=0), NOBODY)
    clear = order[-1] > order[-2] * (1 + 1e-12)
    np.testing.assert_array_equal(got.emitter.to_numpy()[clear], best[clear])
    for name, linear in (("strongest_dbm", order[-1]), ("second_dbm", order[-2])):
        shown = linear > 0
        np.testing.assert_allclose(got[name].to_numpy()[shown], 10 * np.log10(linear[shown]), atol=2e-5)
        assert got[name].isnull().to_numpy()[~shown].all()
    np.testing.assert_allclose(linear_mw(got.power_dbm), every.sum(axis=0), rtol=2e-3)


@settings(max_examples=15)
@given(st.integers(1, 60), st.integers(0, 2**32), st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_the_strongest_on_any_grid(n, seed, ny, nx, horizon):
    grid = Grid.from_bounds(7, 46, 7.5, 46.3, shape=(ny, nx), alt_m=(0.0, 2_000.0))
    emitters = some_emitters(n, seed, top_m=500).assign(
        lat=lambda t: 46 + (t.lat - 44.5) / 10, lon=lambda t: t.lon / 2 + 4
    )
    every = each_alone_mw(emitters, grid, horizon=horizon)
    got = strongest(emitters, grid, horizon=horizon, total=False).emitter.to_numpy()
    np.testing.assert_array_equal(got, np.where(every.max(axis=0) > 0, every.argmax(axis=0), NOBODY))


def test_of_equals_the_earlier_is_first_and_the_second_is_as_strong():
    twins = pd.concat([some_emitters(1)] * 3, ignore_index=True)
    got = strongest(twins, SWISS, horizon=False)
    assert (got.emitter == 0).all()
    np.testing.assert_array_equal(got.strongest_dbm, got.second_dbm)


def test_inverse_square_has_levels_instead_of_powers():
    got = strongest(some_emitters(5), SWISS, "inverse_square")
    assert {"strongest_level", "second_level", "intensity"} == set(got.data_vars) - {"emitter"}
    assert (got.strongest_level <= got.intensity).all()


def test_groups_are_compared_by_their_summed_fields():
    groups = {name: some_emitters(20 + seed, seed) for seed, name in enumerate("abcd")}
    level = np.stack(
        [power_field(table, SWISS, dtype="float64").power_dbm.fillna(-np.inf) for table in groups.values()]
    )
    got = dominance(groups, SWISS, powers=True)
    order = np.sort(level, axis=0)
    clear = order[-1] - order[-2] > 0.02
    np.testing.assert_array_equal(got.best.to_numpy()[clear], level.argmax(axis=0)[clear])
    np.testing.assert_allclose(got.margin_db, order[-1] - order[-2], atol=0.01)
    np.testing.assert_array_equal(got.contested, got.margin_db < 3.0)
    np.testing.assert_allclose(got.power_dbm.fillna(-np.inf), level, atol=0.005)
    assert got.group.values.tolist() == list("abcd") and got.attrs["n_emitters"] == 86


def test_two_groups_have_a_signed_dominance_that_turns_round_when_they_change_places():
    a, b = some_emitters(30, 1), some_emitters(30, 2)
    forth, back = dominance({"a": a, "b": b}, SWISS), dominance({"b": b, "a": a}, SWISS)
    np.testing.assert_array_equal(forth.dominance_db, -back.dominance_db)
    np.testing.assert_array_equal(forth.best == 0, forth.dominance_db >= 0)
    np.testing.assert_allclose(abs(forth.dominance_db), forth.margin_db, atol=1e-5)
    louder = dominance({"a": a.assign(eirp_dbm=a.eirp_dbm + 7), "b": b}, SWISS)
    np.testing.assert_allclose(louder.dominance_db - forth.dominance_db, 7.0, atol=1e-4)


def test_where_only_one_is_received_it_leads_without_end_and_where_none_is_there_is_nobody():
    grid = Grid.from_bounds(5, 46, 11, 47, shape=(40, 200))
    low = pd.DataFrame({"lat": [46.5], "lon": [6.0], "alt_m": [50.0], "eirp_dbm": [30.0], "freq_hz": [1e9]})
    got = dominance({"west": low, "east": low.assign(lon=9.0), "none": low[:0]}, grid)
    column = got.isel(lat=20)
    assert column.best.sel(lon=6.0, method="nearest") == 0 and column.best.sel(lon=9.0, method="nearest") == 1
    assert column.margin_db.sel(lon=6.0, method="nearest") == np.inf
    assert (
        column.best.sel(lon=7.5, method="nearest") == NOBODY
        and column.margin_db.sel(lon=7.5, method="nearest").isnull()
    )
    alone = dominance({"west": low}, grid)
    assert set(np.unique(alone.best)) == {NOBODY, 0}


def test_the_score_is_the_weighted_sum_of_signal_coherence_and_likeness():
    # One group alone at full signal: 0.6 + 0.3 + 0.1. Two equals at half signal: 0.6/2 + 0.3/2 + 0.
    assert arbitration_score([[-40.0]])[0] == pytest.approx(1.0)
    half = -80.0 - 10 * np.log10(2)
    assert arbitration_score([[half], [half]])[0] == pytest.approx(0.45)
    assert arbitration_score([[half], [half]], 1.0)[0] == pytest.approx(0.6)
    assert arbitration_score([[half], [half]], weights=(0, 0, 1))[0] == pytest.approx(0.0, abs=1e-12)
    assert arbitration_score([[np.nan], [np.nan]])[0] == 0.0
    score = arbitration_score(np.random.default_rng(0).uniform(-140, 0, (4, 1000)))
    assert (score >= 0).all() and (score <= 1).all()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: dominance({}, SWISS), "groups is empty"),
        (lambda: dominance({"a": some_emitters(1)}, SWISS, contested_db=-1), "contested_db is -1"),
        (lambda: dominance({"a": some_emitters(1).drop(columns="lat")}, SWISS), "group 'a': .*no column 'lat'"),
        (lambda: strongest(some_emitters(1), SWISS, "ray_tracing"), "model is 'ray_tracing'"),
        (lambda: arbitration_score([[0.0]], signal_limits_dbm=(0, -1)), "signal_limits_dbm are"),
        (lambda: arbitration_score([[0.0]], weights=(-1, 1, 1)), "weights are"),
        (lambda: arbitration_score([[0.0]], 1.5), "coherence runs from 1.5"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
