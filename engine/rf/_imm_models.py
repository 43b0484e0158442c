"""The constants of the forecast: motion models, noise of the feeds, rules of trust, calibration.

Fitted on half of the real aircraft (docs/engine-rf-forecast.md). It must not know how they are used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Motion(NamedTuple):
    """One motion model; a decay time of 0 switches that driver off.

    Parameters
    ----------
    sigma_turn_rad_s, tau_turn_s : float
        Stationary standard deviation and decay time of the turn rate (clockwise positive), an
        Ornstein-Uhlenbeck process.
    agility : float
        Share of the turn rate seen, by which its deviation grows: who turns may stop or turn harder.
    sigma_accel_m_s2, tau_accel_s : float
        The same of the longitudinal acceleration.
    wander_m_s15 : float
        White acceleration noise in every direction, m/s^1.5.
    tau_velocity_s : float
        Decay time of the velocity itself.
    sojourn_s : float
        Mean time for which an emitter stays with this model before it changes, s.
    share : float
        Probability of the model at the start, and of changing to it.
    """

    sigma_turn_rad_s: float = 0.0
    tau_turn_s: float = 0.0
    agility: float = 0.0
    sigma_accel_m_s2: float = 0.0
    tau_accel_s: float = 0.0
    wander_m_s15: float = 0.0
    tau_velocity_s: float = 0.0
    sojourn_s: float = 100.0
    share: float = 0.25


class Sensor(NamedTuple):
    """Noise of what the feeds report.

    Parameters
    ----------
    sigma_position_m : float
        Position noise, m, one axis.
    sigma_timing_s : float
        Jitter of the moment at which a position was really measured, s: noise along the track.
    sigma_speed_m_s, sigma_track_rad : float
        Noise of reported speed and of reported track.
    velocity_lag_s, velocity_jitter_s : float
        Age of a reported velocity and its jitter, s.
    drift_m_s2 : float
        Noise that a reported velocity gains for every second for which it is repeated unchanged.
    limit : float
        Residuals beyond this many deviations of every model are outliers.
    suspicion : float
        Power of the excess by which the noise of an outlier grows; over 1 it loses all say in the end.
    outlier : float
        Positions further than this many deviations from the consensus of a window lose weight.
    sigma_vertical_m_s2, tau_vertical_s, sigma_alt_m, sigma_vertical_rate_m_s : float
        The vertical: acceleration noise, decay time of the rate, noise of altitude and of rate.
    """

    sigma_position_m: float = 8.95
    sigma_timing_s: float = 0.102
    sigma_speed_m_s: float = 0.638
    sigma_track_rad: float = 0.00025
    velocity_lag_s: float = 0.979
    velocity_jitter_s: float = 1.64
    drift_m_s2: float = 0.0041
    limit: float = 1.84
    suspicion: float = 0.616
    outlier: float = 0.607
    sigma_vertical_m_s2: float = 0.3
    tau_vertical_s: float = 150.0
    sigma_alt_m: float = 8.0
    sigma_vertical_rate_m_s: float = 0.7


class Trust(NamedTuple):
    """When to believe what.

    Parameters
    ----------
    start_track_rad : float
        Doubt in the first reported track.
    strain_gain, strain : float
        Gain of the running squared residual of positions, and its value from which the window is asked.
    leg_gain : float
        Gain of the running deviation of the legs from the reported velocities.
    contradiction_m_s, scatter : float
        Reported velocities are not used where that deviation exceeds the one, plus 6 % of the speed,
        plus so many times its scatter.
    """

    start_track_rad: float = 0.0062
    strain_gain: float = 0.546
    strain: float = 8.45
    leg_gain: float = 0.885
    contradiction_m_s: float = 0.60
    scatter: float = 0.645


class Constants(NamedTuple):
    """All of them, as the kernels take them: `models` is (M, 9), `calibration` (knots, 7)."""

    models: NDArray[np.float64]
    sensor: Sensor
    trust: Trust
    calibration: NDArray[np.float64]


CONSTANT_VELOCITY = Motion(wander_m_s15=0.215, sojourn_s=47.0, share=0.279)
CONSTANT_ACCELERATION = Motion(
    sigma_accel_m_s2=0.545, tau_accel_s=7.8, wander_m_s15=0.173, sojourn_s=83.0, share=0.098
)  # fmt: skip
COORDINATED_TURN = Motion(
    sigma_turn_rad_s=0.0403, tau_turn_s=28.0, agility=0.153, sigma_accel_m_s2=0.784, tau_accel_s=25.0,
    wander_m_s15=0.097, sojourn_s=100.0, share=0.109,
)  # fmt: skip
MEAN_REVERTING = Motion(tau_velocity_s=1.76, wander_m_s15=0.466, sojourn_s=30.5, share=0.514)

UNCALIBRATED = np.array([[0.0] * 7, [60.0, *[0.0] * 6]])
"""Takes the covariance as the models claim it; see `engine.rf._imm_batch.calibration` for the columns."""

CALIBRATION = np.array(
    [
        [5.0, 0.172, 0.756, -0.837, 0.708, 0.768, 2.810],
        [10.0, 0.875, 0.795, -0.524, -0.355, 0.106, 2.222],
        [15.0, 0.466, 0.626, -0.439, 0.008, -0.684, 2.406],
        [20.0, 0.539, 0.615, -0.489, 0.253, -1.018, 2.135],
        [60.0, 1.442, -0.047, -0.519, 0.623, -1.463, 0.253],
    ]
)
"""Quantile regression, at 90 % (at 60 s, where aircraft differ most, at 92 %), of the normalised error squared on
the half of the aircraft used for fitting, each recording with the same weight: `tests.benchmarks.forecast_fit`."""


def constants(
    models: tuple[Motion, ...] = (CONSTANT_VELOCITY, CONSTANT_ACCELERATION, COORDINATED_TURN, MEAN_REVERTING),
    sensor: Sensor = Sensor(),  # noqa: B008 - immutable
    trust: Trust = Trust(),  # noqa: B008
    calibration: NDArray[np.float64] = CALIBRATION,
) -> Constants:
    """Put constants together; the first model is the one of steady motion."""
    return Constants(np.array(models, dtype=np.float64), sensor, trust, np.ascontiguousarray(calibration))


TUNED = constants()
"""What `engine.rf.forecast` uses unless told otherwise."""
