"""Samplers: deterministic, within the cube, and the elitist scheme draws as it says it does."""

from __future__ import annotations

import cma
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.runs.samplers import SAMPLERS, ElitistSampler
from engine.runs.samplers_cma import SCOUTS, SIGMA


def sphere(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.sum((points - 0.3) ** 2, axis=1)


def search(name: str, dimension: int, asks: list[int], seed: int = 3) -> NDArray[np.float64]:
    sampler = SAMPLERS[name](dimension, seed, 6)
    tried = []
    for n in asks:
        points = sampler.ask(n)
        sampler.tell(points, sphere(points))
        tried.append(points)
    return np.concatenate(tried)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("dimension", [1, 3])
def test_a_sampler_repeats_itself_and_stays_within_the_cube(name: str, dimension: int) -> None:
    asks = [6, 6, 4, 9, 1, 6]
    np.random.seed(1)
    first = search(name, dimension, asks)
    np.random.seed(2)  # the global generator is nobody's
    state = np.random.get_state()[1].tolist()
    assert np.array_equal(search(name, dimension, asks), first)
    assert np.random.get_state()[1].tolist() == state
    assert first.shape == (32, dimension)
    assert first.min() >= 0.0 and first.max() <= 1.0
    assert not np.array_equal(search(name, dimension, asks, seed=4), first)


@pytest.mark.parametrize("name", ["cmaes", "elitist", "optuna-tpe"])
def test_a_sampler_that_learns_is_better_than_chance(name: str) -> None:
    learnt, chance = (np.median([sphere(search(which, 3, [6] * 20, seed)).max() for seed in range(5)])
                      for which in (name, "random"))  # fmt: skip
    assert learnt > chance


def test_cma_es_is_that_of_the_library_begun_at_the_best_of_uniform_points() -> None:
    rng = np.random.default_rng(11)
    sampler = SAMPLERS["cmaes"](3, 11, 6)
    scouts = sampler.ask(SCOUTS)
    assert np.array_equal(scouts, rng.random((SCOUTS, 3)))
    sampler.tell(scouts, sphere(scouts))
    options = {"bounds": [0, 1], "popsize": 6, "verbose": -9, "verb_log": 0, "seed": np.nan,
               "randn": lambda *shape: rng.standard_normal(shape)}  # fmt: skip
    direct = cma.CMAEvolutionStrategy(scouts[sphere(scouts).argmax()], SIGMA, options)
    for _ in range(12):
        theirs, ours = direct.ask(), sampler.ask(6)
        assert np.array_equal(np.array(theirs), ours)
        direct.tell(theirs, -sphere(np.array(theirs)))
        sampler.tell(ours, sphere(ours))


def test_cma_es_begins_anew_when_it_has_converged() -> None:
    points = search("cmaes", 2, [6] * 150)
    spread = np.array([points[i : i + 30].std() for i in range(0, len(points), 30)])
    narrow = int(np.argmax(spread < 1e-3))
    assert spread[narrow] < 1e-3 and spread[narrow:].max() > 0.05


def elitist_with(points: NDArray[np.float64], fitness: NDArray[np.float64]) -> ElitistSampler:
    sampler = ElitistSampler(points.shape[1], seed=5, population=len(points))
    sampler.ask(len(points))
    sampler.tell(points, fitness)
    return sampler


def test_parents_win_tournaments_of_three() -> None:
    """P(the winner has rank r of n, from 0 the best) = ((n−r)³ − (n−r−1)³)/n³, drawing with replacement."""
    n, draws = 6, 20_000
    sampler = elitist_with(np.random.default_rng(0).random((n, 3)), -np.arange(n, dtype=float))
    sampler.ask(draws)
    winners = np.array([sampler.parents(number) for number in range(n, n + draws)]).ravel()
    share = np.bincount(winners, minlength=n) / winners.size
    rank = np.arange(n)
    expected = ((n - rank) ** 3 - (n - rank - 1) ** 3) / n**3
    assert np.abs(share - expected).max() < 5 * np.sqrt(0.25 / winners.size)


def test_coordinates_cross_over_and_mutate_at_the_stated_rate_and_strength() -> None:
    draws = 20_000
    points = np.full((4, 2), 0.5)
    points[:2] = 0.25  # parents of two kinds
    children = elitist_with(points, np.zeros(4)).ask(draws).ravel()
    moved = (children != 0.5) & (children != 0.25)
    assert abs(moved.mean() - 0.3) < 5 * np.sqrt(0.21 / children.size)
    equal = elitist_with(np.full((4, 2), 0.5), np.zeros(4)).ask(draws).ravel()
    steps = equal[equal != 0.5] - 0.5
    assert abs(steps.std() - 0.05) < 5 * 0.05 / np.sqrt(2 * steps.size)
    assert abs(steps.mean()) < 5 * 0.05 / np.sqrt(steps.size)
    # Uniform crossover: of two parents of different kinds, half of the children have a coordinate of each.
    sampler = elitist_with(points, np.zeros(4))
    pairs = sampler.ask(draws)
    unlike = np.array([len({parent // 2 for parent in sampler.parents(4 + n)}) == 2 for n in range(draws)])
    pure = unlike & np.isin(pairs, (0.25, 0.5)).all(axis=1)
    mixed = pairs[pure, 0] != pairs[pure, 1]
    assert abs(mixed.mean() - 0.5) < 5 * np.sqrt(0.25 / pure.sum())


def test_the_elite_survives_until_it_is_revised() -> None:
    sampler = elitist_with(np.array([[0.1], [0.2], [0.3], [0.9]]), np.array([0.0, 0.0, 0.0, 5.0]))
    for _ in range(2):
        sampler.tell(sampler.ask(4), np.zeros(4))
    sampler.ask(200)
    assert 3 in {parent for number in range(12, 212) for parent in sampler.parents(number)}
    sampler.revise([3], [-1.0])
    sampler.ask(500)
    share = np.mean([3 in sampler.parents(number) for number in range(212, 712)])
    assert share < 0.1  # the worst of five wins 1 tournament in 125


@pytest.mark.parametrize("name", ["cmaes", "elitist", "optuna-tpe", "random"])
def test_what_does_not_fit_is_refused(name: str) -> None:
    sampler = SAMPLERS[name](2, 0, 4)
    points = sampler.ask(2)
    with pytest.raises(ValueError, match=r"they must be \(n, 2\)"):
        sampler.tell(points[:, :1], [0.0, 0.0])
    with pytest.raises(ValueError, match="not finite"):
        sampler.tell(points, [0.0, np.inf])
