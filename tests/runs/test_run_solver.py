"""The solver solves the equation it states: against exact solutions, linear theory, and a solver without any FFT."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from engine.runs import RunParams, simulate
from engine.runs._etdrk4 import phi_functions, step_tables

# -- coefficients ------------------------------------------------------------------------------------------------------


def phi_to_sixty_digits(z: complex, k: int) -> complex:
    """The series sum of z^n / (n + k)! in decimal arithmetic, where nothing cancels that matters."""
    with localcontext() as context:
        context.prec = 60
        re, im = Decimal(z.real), Decimal(z.imag)
        term = (Decimal(1) / math.factorial(k), Decimal(0))
        total = term
        for n in range(1, 260):
            term = ((term[0] * re - term[1] * im) / (n + k), (term[0] * im + term[1] * re) / (n + k))
            total = (total[0] + term[0], total[1] + term[1])
        return complex(float(total[0]), float(total[1]))


@settings(max_examples=60)
@given(st.floats(-12.0, 1.7), st.floats(np.pi / 2, 3 * np.pi / 2))
@example(0.0, np.pi)
@example(1e-9, 2.0)
@example(-1e-9, 2.0)
def test_phi_functions_are_good_to_a_few_roundings_where_they_cancel_and_elsewhere(digits, angle):
    z = complex(10**digits * np.exp(1j * angle))
    for k, found in enumerate(phi_functions(np.array(z)), start=1):
        expected = phi_to_sixty_digits(z, k)
        assert abs(found - expected) <= 3e-15 * (abs(expected) + 1 / (1 + abs(z)))


def test_without_a_linear_part_a_step_is_that_of_the_classical_runge_kutta_method():
    half, whole, q, f1, f2, f3 = (table.item() for table in step_tables(np.zeros(1, complex), 0.3, "complex128"))
    assert (half, whole) == (1, 1)
    assert np.allclose([q, f1, f2, f3], [0.15, 0.05, 0.1, 0.05], rtol=1e-15)


# -- exact solutions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kappa", [0.0, 0.3, -0.5])
@pytest.mark.parametrize("waves", [(0, 0), (1, 0), (-2, 1)])
def test_a_plane_wave_keeps_its_amplitude_and_turns_at_its_frequency(kappa, waves):
    run = RunParams(N_grid=24, domain_size=20.0, kappa=kappa, sigma_k=0.9, epsilon=1.0, T_steps=250, dt=0.02)
    kx, ky = 2 * np.pi / run.domain_size * np.array(waves)
    k2 = kx**2 + ky**2
    amplitude = np.sqrt((run.epsilon - run.D * k2) / (1 - kappa))
    omega = run.c1 * k2 + run.c3 * amplitude**2
    x = np.arange(24) * run.domain_size / 24
    wave = amplitude * np.exp(1j * (kx * x[None, :] + ky * x[:, None]))
    end = simulate(run, psi0=wave)
    assert np.abs(end.psi.values - wave * np.exp(-1j * omega * 5.0)).max() < 1e-6 * amplitude
    assert np.abs(end.final_rho.values - amplitude**2).max() < 1e-6 * amplitude**2


def test_a_uniform_field_saturates_along_the_logistic_curve():
    """|psi|^2 obeys y' = 2 eps y - 2 (1 - kappa) y^2, whose solution is known; the end is eps / (1 - kappa)."""
    run = RunParams(N_grid=4, epsilon=0.5, kappa=0.2, T_steps=400, dt=0.05, history_every=10)
    end = simulate(run, psi0=np.full((4, 4), 0.05 + 0.02j))
    limit, start = run.epsilon / (1 - run.kappa), 0.05**2 + 0.02**2
    exact = limit / (1 + (limit / start - 1) * np.exp(-2 * run.epsilon * end.t.values))
    np.testing.assert_allclose(end.rho_history.values, np.broadcast_to(exact[:, None, None], (41, 4, 4)), rtol=1e-6)
    assert abs(end.final_rho.values / limit - 1).max() < 1e-5


def test_small_fields_follow_the_linear_equation_exactly_whatever_the_step():
    rng = np.random.default_rng(1)
    start = 1e-9 * (rng.standard_normal((16, 16)) + 1j * rng.standard_normal((16, 16)))
    run = RunParams(N_grid=16, domain_size=3.0, T_steps=2, dt=0.5, kappa=0.5)
    k = 2 * np.pi * np.fft.fftfreq(16, 3.0 / 16)
    linear = run.epsilon - (run.D + 1j * run.c1) * (k[:, None] ** 2 + k[None, :] ** 2)
    assert run.D * (k**2).max() * 2 * run.dt > 100  # far beyond what an explicit step could do
    exact = np.fft.ifft2(np.exp(linear * 1.0) * np.fft.fft2(start))
    np.testing.assert_allclose(simulate(run, psi0=start).psi.values, exact, rtol=0, atol=1e-14 * 1e-9 * 10)


# -- stability of the uniform wave -------------------------------------------------------------------------------------


def sideband_growth(run: RunParams) -> float:
    """Growth rate of a small ripple of the longest wave on the saturated uniform field, measured."""
    n = run.N_grid
    x = np.arange(n) * run.domain_size / n
    base = np.sqrt(run.epsilon / (1 - run.kappa))
    start = base * (1 + 1e-6 * np.cos(2 * np.pi * x / run.domain_size))[None, :] * np.ones((n, 1))
    ripple = []
    for steps in (200, 400):
        end = simulate({**run.as_dict(), "T_steps": steps}, psi0=start)
        ripple.append(abs(np.fft.fft2(end.final_rho.values)[0, 1]))
    return math.log(ripple[1] / ripple[0]) / (200 * run.dt)


@pytest.mark.parametrize("kappa", [0.0, 0.3])
@pytest.mark.parametrize("beyond", [-0.2, -0.02, 0.02, 0.2])
def test_long_waves_grow_beyond_the_benjamin_feir_boundary_and_decay_before_it(kappa, beyond):
    run = RunParams(N_grid=8, domain_size=200.0, sigma_k=2.0, kappa=kappa, epsilon=1.0, dt=0.1)
    # The boundary of this equation: D (1 - kappa) + c1 c3 = 0. `beyond` is how far c1 c3 lies below it.
    boundary = -run.D * (1 - kappa) / run.c1
    run = RunParams(**{**run.as_dict(), "c3": boundary - beyond / run.c1})
    q2 = (2 * np.pi / run.domain_size) ** 2
    a2 = run.epsilon / (1 - kappa)
    smoothed = math.exp(-(run.sigma_k**2) * q2 / 2)
    linearised = np.array(
        [[-run.D * q2 - 2 * a2 * (1 - kappa * smoothed), run.c1 * q2], [-run.c1 * q2 - 2 * run.c3 * a2, -run.D * q2]]
    )
    expected = np.linalg.eigvals(linearised).real.max()
    assert (expected > 0) == (beyond > 0)
    measured = sideband_growth(run)
    assert (measured > 0) == (beyond > 0)
    assert measured == pytest.approx(expected, rel=1e-3, abs=1e-8)


# -- another solver ----------------------------------------------------------------------------------------------------


def second_derivative(n: int, length: float) -> np.ndarray:
    """Periodic spectral differentiation as a matrix of cotangents (Trefethen, Spectral Methods in MATLAB, (3.12))."""
    h = 2 * np.pi / n
    offset = np.arange(n)[:, None] - np.arange(n)[None, :]
    with np.errstate(divide="ignore"):
        entries = -((-1.0) ** offset) / (2 * np.sin(offset * h / 2) ** 2)
    np.fill_diagonal(entries, -(np.pi**2) / (3 * h**2) - 1 / 6)
    return entries * (2 * np.pi / length) ** 2


def smoothing(n: int, length: float, width: float) -> np.ndarray:
    """Convolution with a Gaussian of unit integral, wrapped around, as a sum over cells."""
    x = np.arange(n) * length / n
    distance = x[:, None] - x[None, :] + length * np.arange(-6, 7)[:, None, None]
    return np.exp(-(distance**2) / (2 * width**2)).sum(axis=0) / (width * math.sqrt(2 * math.pi)) * (length / n)


def by_method_of_lines(run: RunParams, start: np.ndarray) -> np.ndarray:
    """The equation by Dormand-Prince 8(5,3) in time and dense matrices in space: no FFT, no exponentials."""
    n = run.N_grid
    second, smooth = second_derivative(n, run.domain_size), smoothing(n, run.domain_size, run.sigma_k)

    def rate(_t, flat):
        psi = flat.reshape(n, n)
        rho = np.abs(psi) ** 2
        laplacian = second @ psi + psi @ second.T
        change = run.epsilon * psi + (run.D + 1j * run.c1) * laplacian - (1 + 1j * run.c3) * rho * psi
        return (change + run.kappa * (smooth @ rho @ smooth.T) * psi).ravel()

    span = (0.0, run.T_steps * run.dt)
    solved = solve_ivp(rate, span, start.astype(complex).ravel(), "DOP853", rtol=1e-12, atol=1e-13)
    assert solved.success
    return solved.y[:, -1].reshape(n, n)


def rough_start(n: int, seed: int = 0) -> np.ndarray:
    """Random waves of the six longest lengths in each direction, of order 1."""
    rng = np.random.default_rng(seed)
    spectrum = np.zeros((n, n), complex)
    few = np.r_[0:4, -3:0]
    spectrum[np.ix_(few, few)] = rng.standard_normal((7, 7)) + 1j * rng.standard_normal((7, 7))
    return np.fft.ifft2(spectrum) * n * n / 7


@pytest.fixture(scope="module")
def exact_run():
    run = RunParams(N_grid=20, domain_size=20.0, kappa=0.6, sigma_k=3.0, epsilon=0.4, T_steps=1, dt=1.0)
    start = rough_start(20)
    return run, start, by_method_of_lines(run, start)


def test_it_agrees_with_an_independent_solver(exact_run):
    run, start, exact = exact_run
    end = simulate({**run.as_dict(), "T_steps": 400, "dt": 1 / 400}, psi0=start)
    assert np.abs(end.psi.values - exact).max() < 1e-8


def test_the_error_falls_with_the_fourth_power_of_the_step(exact_run):
    run, start, exact = exact_run
    errors = []
    for steps in (40, 80, 160):
        end = simulate({**run.as_dict(), "T_steps": steps, "dt": 1 / steps}, psi0=start)
        errors.append(np.abs(end.psi.values - exact).max())
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all((orders > 3.7) & (orders < 4.4)), orders


def test_single_precision_is_the_same_solution_to_its_rounding(exact_run):
    run, start, exact = exact_run
    end = simulate({**run.as_dict(), "T_steps": 160, "dt": 1 / 160, "precision": "single"}, psi0=start)
    assert end.psi.dtype == np.complex64 and end.final_rho.dtype == np.float32
    assert np.abs(end.psi.values - exact).max() < 1e-4


# -- symmetries, density and metric ------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.integers(0, 11), st.integers(0, 11), st.floats(0, 2 * np.pi), st.booleans())
def test_a_shifted_turned_or_mirrored_start_gives_the_same_end_shifted_turned_or_mirrored(dy, dx, phase, mirror):
    def moved(field):
        field = np.roll(field, (dy, dx), (0, 1)) * np.exp(1j * phase)
        return field.T if mirror else field

    run = {"N_grid": 12, "domain_size": 12.0, "T_steps": 20, "dt": 0.05, "kappa": 0.4}
    start = rough_start(12, seed=3)
    one = simulate(run, psi0=moved(start)).psi.values
    np.testing.assert_allclose(one, moved(simulate(run, psi0=start).psi.values), atol=1e-11)


def test_the_density_forgets_by_the_rule_and_the_metric_follows_from_it():
    run = RunParams(N_grid=16, T_steps=30, history_every=1, alpha=1.7, rho_vac=0.8, start_rms=0.7)
    end = simulate(run)
    density = np.full((16, 16), 0.8)
    for rho in end.rho_history.values[1:]:
        density = 0.99 * density + 0.01 * rho
    np.testing.assert_allclose(end.rho_s.values, density, rtol=1e-12)
    np.testing.assert_allclose(end.final_g_tt.values, -((0.8 / density) ** 1.7), rtol=1e-12)
    np.testing.assert_array_equal(end.rho_history.values[-1], end.final_rho.values)


def test_the_memory_of_the_density_is_a_time_and_not_a_number_of_steps():
    still = np.sqrt(0.1) * np.ones((8, 8))
    ends = [
        simulate({"N_grid": 8, "kappa": 0.0, "dt": dt, "T_steps": round(1 / dt)}, psi0=still).rho_s.values
        for dt in (0.02, 0.005)
    ]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)
    np.testing.assert_allclose(ends[0], 0.1 + (1.0 - 0.1) * 0.99**100, rtol=1e-6)
