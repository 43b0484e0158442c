"""The same parameters give the same arrays: alone or in a batch, on one thread or four, stopped or not."""

import hashlib
import multiprocessing

import numpy as np
import pytest
import xarray as xr

from engine.runs import Cancelled, Diverged, RunParams, run_id, simulate, simulate_batch

SMALL = {"N_grid": 20, "T_steps": 30, "domain_size": 20.0}
# Strong enough that steps of 0.2 are divided, and at other times for each seed.
STRONG = {"N_grid": 24, "T_steps": 12, "dt": 0.2, "start_rms": 2.0, "domain_size": 12.0, "start_length": 0.5}


def digest(run: xr.Dataset) -> str:
    content = hashlib.sha256()
    for name in sorted(run.data_vars):
        content.update(run[name].values.tobytes())
    return content.hexdigest()


def digest_of(params: dict) -> tuple[str, str]:
    return run_id(params), digest(simulate(params))


@pytest.mark.parametrize("n", [20, 27, 31, 64])  # even, odd, prime, and several SIMD lanes
@pytest.mark.parametrize("precision", ["single", "double"])
def test_the_number_of_threads_changes_no_bit(n, precision):
    params = {"N_grid": n, "T_steps": 10, "precision": precision, "kappa": 0.4}
    assert len({digest(simulate(params, workers=workers)) for workers in (1, 2, 3, 4)}) == 1


def test_any_number_of_processes_gives_the_same_ids_and_arrays():
    params = [{**SMALL, "seed": seed, "kappa": 0.1 * seed} for seed in range(4)]
    here = [digest_of(each) for each in params]
    # GNU OpenMP does not survive a fork: other processes start anew.
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(digest_of, params) == here


@pytest.mark.parametrize("n", [20, 27])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_batch_gives_each_run_as_it_is_alone(n, precision):
    common = {**SMALL, "N_grid": n, "precision": precision, "history_every": 10}
    differing = [{}, {"seed": 1}, {"kappa": 0.0}, {"sigma_k": 0.0, "kappa": 0.3}, {"c3": -2.0, "alpha": 2.0}]
    differing += [{"dt": 0.02}, {"T_steps": 7}, {"tolerance": 1e-4}, {"domain_size": 30.0, "rho_memory": 0.5}]
    params = [{**common, **each} for each in differing]
    for each, run in zip(params, simulate_batch(params), strict=True):
        assert isinstance(run, xr.Dataset)
        assert run.identical(simulate(each)), each


def test_runs_that_need_divided_steps_leave_their_batch_and_stay_what_they_are():
    params = [{**STRONG, "seed": seed, "start_rms": rms} for seed, rms in enumerate((0.1, 2.0, 0.1, 3.0, 2.5))]
    params.append({**STRONG, "kappa": 5.0, "sigma_k": 0.5})
    runs = simulate_batch(params)
    assert isinstance(runs.pop(), Diverged)
    assert [run.attrs["smallest_dt"] < 0.2 for run in runs] == [False, True, False, True, True]
    for each, run in zip(params, runs, strict=False):
        assert run.identical(simulate(each))


def test_equal_parameters_give_equal_arrays_and_another_seed_others():
    assert simulate(SMALL).identical(simulate(RunParams(**SMALL)))
    assert digest(simulate({**SMALL, "seed": 1})) != digest(simulate(SMALL))
    assert simulate(SMALL).attrs["run_id"] == run_id(SMALL)


def test_the_start_has_the_asked_strength_and_correlation():
    start = simulate(
        {"N_grid": 256, "T_steps": 0, "start_rms": 0.7, "start_length": 3.0, "domain_size": 256.0}
    ).psi.values
    assert np.sqrt(np.mean(np.abs(start) ** 2)) == pytest.approx(0.7)
    # White noise through exp(-l^2 k^2 / 2) has the correlation exp(-r^2 / (4 l^2)).
    for lag in (2, 4, 6):
        correlation = np.mean(start.conj() * np.roll(start, lag, axis=1)).real / 0.7**2
        assert correlation == pytest.approx(np.exp(-(lag**2) / 36), abs=0.05)


# -- stopping and going on ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra", [{}, {"tolerance": 1e-7, "T_steps": 6}, {"history_every": 4}, {"precision": "single"}]
)
@pytest.mark.parametrize("stop", [1, 5, 12])
def test_a_stopped_run_goes_on_to_the_same_end(extra, stop):
    params = {**STRONG, **extra}
    stop = min(stop, RunParams.of(params).T_steps)
    with pytest.raises(Cancelled) as stopped:
        simulate(params, lambda here: here.step < stop)
    assert stopped.value.checkpoint.step == stop
    assert simulate(params, resume=stopped.value.checkpoint).identical(simulate(params))


def test_a_checkpoint_is_not_used_up_and_does_not_disturb_the_run():
    kept = []
    end = simulate(STRONG, lambda here: kept.append(here.checkpoint()))
    for saved in kept[::5]:
        assert simulate(STRONG, resume=saved).identical(end)
        assert simulate(STRONG, resume=saved, workers=2).identical(end)


def test_progress_tells_step_time_and_peak():
    seen = []
    end = simulate(SMALL, seen.append)
    assert [here.step for here in seen] == list(range(1, 31)) and {here.n_steps for here in seen} == {30}
    assert seen[-1].t == pytest.approx(0.3)
    assert seen[-1].peak == end.final_rho.values.max()


def test_a_checkpoint_of_another_run_is_refused():
    with pytest.raises(Cancelled) as stopped:
        simulate(SMALL, lambda here: False)
    with pytest.raises(ValueError, match=r"another run: kappa 0.1 -> 0.2"):
        simulate({**SMALL, "kappa": 0.2}, resume=stopped.value.checkpoint)


@pytest.mark.parametrize("start", [np.ones((3, 3)), np.full((20, 20), np.nan), np.full((20, 20), "x")])
def test_a_start_that_does_not_fit_is_refused(start):
    with pytest.raises(ValueError, match="must be finite and 20 x 20"):
        simulate(SMALL, psi0=start)


# -- steps that cannot be believed -------------------------------------------------------------------------------------


def test_strong_starts_that_would_blow_up_are_saved_by_smaller_steps():
    undivided, guarded = {**STRONG, "dt": 0.2}, simulate(STRONG)
    assert guarded.attrs["smallest_dt"] < 0.2
    fine = simulate({**undivided, "dt": 0.2 / 256, "T_steps": 12 * 256})
    assert fine.attrs["smallest_dt"] == 0.2 / 256
    # The guard keeps it from blowing up; it is no error control, and the first steps of so strong a start are rough.
    assert abs(guarded.final_rho.values.mean() / fine.final_rho.values.mean() - 1) < 0.2


@pytest.mark.parametrize("precision", ["single", "double"])
def test_without_the_guard_the_same_start_does_blow_up(precision, monkeypatch):
    """Were it not so, the guard would have nothing to do."""
    monkeypatch.setattr("engine.runs._stepper.GROWTH_LIMIT", np.inf)
    with pytest.raises(Diverged):
        simulate({**STRONG, "T_steps": 3, "precision": precision})


ROUGH = {**STRONG, "start_rms": 1.0, "T_steps": 4}


@pytest.fixture(scope="module")
def rough_end():
    return simulate({**ROUGH, "dt": 0.2 / 512, "T_steps": 4 * 512}).psi.values


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
def test_a_tolerance_holds_the_error_and_spares_steps(tolerance, rough_end):
    end = simulate({**ROUGH, "tolerance": tolerance})
    # Four steps, each good to the tolerance at the time it was taken; errors may grow a little on the way.
    assert np.abs(end.psi.values - rough_end).max() < 20 * tolerance * np.abs(rough_end).max()
    assert end.attrs["smallest_dt"] > 0.2 / 512


@pytest.mark.parametrize("precision", ["single", "double"])
def test_a_field_that_blows_up_in_earnest_is_given_up_with_a_reason_and_no_warning(precision):
    """With kappa > 1 and a kernel wider than the box, a uniform field obeys y' = 2 eps y + 2 (kappa - 1) y^2."""
    params = {**SMALL, "N_grid": 8, "kappa": 3.0, "start_rms": 1.0, "T_steps": 1000, "precision": precision}
    with pytest.raises(Diverged, match=r"kappa=3.0.*grows without bound") as given_up:
        simulate(params, psi0=np.ones((8, 8)))
    blow_up = np.log(1 + 0.1 / 2.0) / (2 * 0.1)
    assert given_up.value.t == pytest.approx(blow_up, abs=0.02)


def test_a_metric_that_is_not_finite_is_given_up_with_a_reason():
    with pytest.raises(Diverged, match="g_tt is not finite"):
        simulate({"N_grid": 8, "epsilon": -5.0, "T_steps": 200, "dt": 1.0, "start_rms": 1e-3, "alpha": 20.0})


def test_nothing_stays_nothing():
    end = simulate({**SMALL, "start_rms": 0.0})
    assert not end.final_rho.values.any() and end.attrs["smallest_dt"] == 0.01
