"""The motion models against their differential equations, and the interaction against the textbook's equations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import multivariate_normal

from engine.rf._imm_models import (
    CONSTANT_ACCELERATION,
    CONSTANT_VELOCITY,
    COORDINATED_TURN,
    MEAN_REVERTING,
    Motion,
    Sensor,
)
from engine.rf._imm_motion import propagate
from engine.rf._imm_step import measure_position, mix, weigh

MODELS = (CONSTANT_VELOCITY, CONSTANT_ACCELERATION, COORDINATED_TURN, MEAN_REVERTING)


def moved(
    state: np.ndarray, dt: float, model: Motion, before: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    x, cov = state.copy(), np.zeros((6, 6)) if before is None else before.copy()
    propagate(x, cov, dt, np.array(model), np.zeros((6, 6)))
    return x, cov


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dt", [0.5, 5.0, 30.0])
def test_the_motion_is_that_of_its_differential_equation(model: Motion, dt: float) -> None:
    state = np.array([100.0, -50.0, 150.0, 80.0, np.radians(1.2), 0.6])
    dying = 1.0 / model.tau_velocity_s if model.tau_velocity_s else 0.0
    turn = state[4] if model.tau_turn_s else 0.0
    accel = state[5] if model.tau_accel_s else 0.0

    def derivative(t: float, y: np.ndarray) -> list[float]:
        w = turn * np.exp(-t / model.tau_turn_s) if turn else 0.0
        a = accel * np.exp(-t / model.tau_accel_s) if accel else 0.0
        along = y[2:4] / np.hypot(*y[2:4])
        return [y[2], y[3], w * y[3] + a * along[0] - dying * y[2], -w * y[2] + a * along[1] - dying * y[3]]

    exact = solve_ivp(derivative, (0.0, dt), state[:4], rtol=1e-10, atol=1e-10).y[:, -1]
    # a velocity that dies within a step is integrated by three nodes only: right to a few metres where it stood
    allowed = 1e-3 * dt + (0.03 * 170.0 * model.tau_velocity_s if dying else 0.0)
    assert moved(state, dt, model)[0][:4] == pytest.approx(exact, rel=2e-4, abs=allowed)


@pytest.mark.parametrize("model", MODELS)
def test_the_covariance_follows_the_derivative_of_the_motion(model: Motion) -> None:
    state, dt = np.array([0.0, 0.0, 150.0, 80.0, np.radians(0.8), 0.0]), 8.0
    step = np.array([1.0, 1.0, 1e-3, 1e-3, 1e-6, 1e-5])
    jacobian = np.stack(
        [(moved(state + d, dt, model)[0] - moved(state - d, dt, model)[0]) / (2 * d.sum()) for d in np.diag(step)], 1
    )
    rng = np.random.default_rng(3)
    root = rng.normal(size=(6, 6)) * np.array([20.0, 20.0, 2.0, 2.0, 0.005, 0.1])[:, None]
    carried = moved(state, dt, model, root @ root.T)[1] - moved(state, dt, model)[1]
    exact = jacobian @ root @ root.T @ jacobian.T
    # who does not brake or push: how the direction of an acceleration turns with the velocity is left out
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact))) + 1e-12
    assert np.abs((carried - exact) / scale).max() < 0.01


def test_process_noise_in_straight_flight_is_the_exact_discretisation() -> None:
    k = COORDINATED_TURN._replace(wander_m_s15=0.0, agility=0.0, tau_accel_s=0.0)
    speed, dt = 200.0, 10.0
    _, cov = moved(np.array([0.0, 0.0, 0.0, speed, 0.0, 0.0]), dt, k)
    # Van Loan: east position, east velocity, turn rate of an emitter flying north
    drift = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, speed], [0.0, 0.0, -1.0 / k.tau_turn_s]])
    noise = np.zeros((3, 3))
    noise[2, 2] = 2.0 * k.sigma_turn_rad_s**2 / k.tau_turn_s
    block = expm(np.block([[-drift, noise], [np.zeros((3, 3)), drift.T]]) * dt)
    exact = block[3:, 3:].T @ block[:3, 3:]
    assert cov[np.ix_([0, 2, 4], [0, 2, 4])] == pytest.approx(exact, rel=1e-3, abs=1e-12)


def textbook_step(
    x: np.ndarray, cov: np.ndarray, mu: np.ndarray, transition: np.ndarray, models: list[Motion], dt: float,
    z: np.ndarray, noise: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """One cycle as Bar-Shalom, Li, Kirubarajan (2001) write it in section 11.6.6, with every pair of models."""
    n = mu.size
    c = transition.T @ mu
    share = transition * mu[:, None] / c[None, :]
    mixed_x = np.einsum("ij,ik->jk", share, x)
    mixed_cov = np.zeros_like(cov)
    for j in range(n):
        for i in range(n):
            d = x[i] - mixed_x[j]
            mixed_cov[j] += share[i, j] * (cov[i] + np.outer(d, d))
    h = np.zeros((2, 6))
    h[0, 0] = h[1, 1] = 1.0
    likelihood = np.zeros(n)
    for j in range(n):
        ahead, p = moved(mixed_x[j], dt, models[j], mixed_cov[j])
        s = h @ p @ h.T + noise
        gain = p @ h.T @ np.linalg.inv(s)
        likelihood[j] = multivariate_normal(h @ ahead, s).pdf(z)
        mixed_x[j], mixed_cov[j] = ahead + gain @ (z - h @ ahead), p - gain @ s @ gain.T
    posterior = likelihood * c
    return mixed_x, mixed_cov, posterior / posterior.sum()


def test_one_cycle_is_that_of_blom_and_bar_shalom() -> None:
    rng = np.random.default_rng(8)
    models, dt = list(MODELS), 4.0
    sensor = Sensor()._replace(sigma_timing_s=0.0, limit=1e9)
    table = np.array(models)
    x = np.array([0.0, 0.0, 120.0, 60.0, 0.01, 0.3]) + rng.normal(size=(4, 6)) * [15, 15, 4, 4, 0.004, 0.2]
    root = rng.normal(size=(4, 6, 6)) * np.array([20.0, 20.0, 4.0, 4.0, 0.004, 0.2])[:, None]
    cov = root @ root.transpose(0, 2, 1)
    mu = np.array([0.5, 0.2, 0.2, 0.1])
    stay = np.exp(-dt / table[:, 7])
    transition = np.diag(stay) + (1.0 - stay)[:, None] * table[:, 8][None, :]
    assert transition.sum(axis=1) == pytest.approx(np.ones(4))
    z, noise = np.array([500.0, 230.0]), np.eye(2) * sensor.sigma_position_m**2
    expected = textbook_step(x, cov, mu, transition, models, dt, z, noise)

    work = np.zeros((4, 32))
    mix(x, cov, mu, dt, table, np.zeros(6), np.zeros((6, 6)))
    for m in range(4):
        propagate(x[m], cov[m], dt, table[m], np.zeros((6, 6)))
    measure_position(x, cov, mu, *z, 0.0, 1.0, sensor, work)
    weigh(mu, work)
    assert x == pytest.approx(expected[0], rel=1e-9, abs=1e-9)
    assert cov == pytest.approx(expected[1], rel=1e-7, abs=1e-7)
    assert mu == pytest.approx(expected[2], rel=1e-6, abs=2e-6)
