"""The parameters of a run: their names, defaults and limits, each written once.

Two runs with equal parameters are the same run. This module must not know how the equation is solved, nor where
artifacts are kept.
"""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

MAX_GRID = 8192
"""Largest number of cells along one side; ETDRK4 then needs some 10 GiB."""

MAX_SEED = 2**53 - 1
"""Largest seed: beyond it JSON does not tell neighbouring whole numbers apart (RFC 7493, section 2.2)."""

MAX_GROWTH = 20.0
"""Largest exponent by which the linear growth of one step may act: e^20 squared is still well within float32."""

MAX_HISTORY_BYTES = 2**31
"""Largest history a run may keep; it stays in memory until it is written."""

PRECISIONS = {"double": ("complex128", "float64"), "single": ("complex64", "float32")}
"""Types of the field and of the density by the name of a precision."""

MIN_TOLERANCE = {"double": 1e-11, "single": 1e-5}
"""Smallest relative error that steps can be divided for: some hundred roundings of the precision."""

_WHOLE = {"seed": (0, MAX_SEED), "N_grid": (4, MAX_GRID), "T_steps": (0, 10**9), "history_every": (0, 10**9)}

# Lower and upper end, and whether they belong to it. The ends keep what is computed from them finite in float64.
_REAL = {
    "kappa": (-1e3, 1e3, "[]"), "sigma_k": (0.0, 1e6, "[]"), "alpha": (-20.0, 20.0, "[]"), "dt": (0.0, 1e3, "(]"),
    "epsilon": (-1e3, 1e3, "[]"), "D": (0.0, 1e3, "[]"), "c1": (-1e3, 1e3, "[]"), "c3": (-1e3, 1e3, "[]"),
    "domain_size": (0.0, 1e6, "(]"), "rho_vac": (0.0, 1e6, "(]"), "rho_memory": (0.0, 1.0, "[)"),
    "start_rms": (0.0, 1e3, "[]"), "start_length": (0.0, 1e6, "[]"), "tolerance": (0.0, 1.0, "[)"),
}  # fmt: skip


@dataclass(frozen=True)
class RunParams:
    """All that decides what a run computes; `engine.runs.solver` has the equation they stand in.

    Lengths and times are in the units of the equation. Names of the hunt (`kappa`, `sigma_k`, `alpha`, `N_grid`,
    `T_steps`, `dt`) are kept as they are known there. Whole numbers given as floats and floats given as whole
    numbers are the same parameter; what is not a number of the right kind, not finite or out of range is refused.

    Parameters
    ----------
    kappa : float
        Strength κ of the non-local term; from 1 upwards long waves grow without bound.
    sigma_k : float
        Standard deviation σ of the Gaussian kernel in real space, a length; 0 makes the term local.
    alpha : float
        Exponent α of the metric ``g_tt = -(rho_vac / rho_s)**alpha``.
    seed : int
        Seed of the random start.
    N_grid : int
        Cells along each side; sizes with factors 2, 3, 5, 7, 11 are fast.
    T_steps : int
        Steps; the run ends at the time ``T_steps * dt``.
    dt : float
        Step of time.
    epsilon, D, c1, c3 : float
        Growth rate ε, diffusion D, dispersion c₁ and nonlinear frequency shift c₃.
    domain_size : float
        Length of a side of the periodic square; at the default a cell has the side 1. Diffusion leaves nothing
        shorter than some sqrt(D t), so that a small square has hardly a spectrum to look at.
    rho_vac : float
        Vacuum density, at which space is flat and from which ρ_s starts.
    rho_memory : float
        What remains of ρ_s after 0.01 of time. At ``dt = 0.01`` a step is ``0.99 rho_s + 0.01 |psi|^2``.
    start_rms, start_length : float
        Root mean square of \\|ψ\\| at the start and the correlation length of that Gaussian noise; 0 is white noise.
    precision : {"double", "single"}
        complex128 or complex64 throughout.
    tolerance : float
        0 for steps of `dt`. Otherwise each `dt` is divided until its estimated relative error is below this.
    history_every : int
        Keep \\|ψ\\|² at the start and after every so many steps; 0 keeps none.

    Raises
    ------
    ValueError
        A parameter that is no finite number of its kind, or out of its range; named, with the range.

    Examples
    --------
    >>> RunParams(kappa=0.2).N_grid
    64
    >>> RunParams(kappa=1) == RunParams(kappa=1.0)
    True
    """

    kappa: float = 0.1
    sigma_k: float = 1.0
    alpha: float = 1.0
    seed: int = 0
    N_grid: int = 64
    T_steps: int = 200
    dt: float = 0.01
    epsilon: float = 0.1
    D: float = 0.5
    c1: float = 0.8
    c3: float = 1.2
    domain_size: float = 64.0
    rho_vac: float = 1.0
    rho_memory: float = 0.99
    start_rms: float = 1.0
    start_length: float = 1.5
    precision: str = "double"
    tolerance: float = 0.0
    history_every: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _WHOLE:
                object.__setattr__(self, field.name, _whole(field.name, value))
            elif field.name in _REAL:
                object.__setattr__(self, field.name, _real(field.name, value))
        if not isinstance(self.precision, str) or self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}; it must be 'double' or 'single'")
        if 0 < self.tolerance < MIN_TOLERANCE[self.precision]:
            raise ValueError(
                f"tolerance is {self.tolerance:g}; in {self.precision} precision it must be 0 or at least "
                f"{MIN_TOLERANCE[self.precision]:g}"
            )
        if self.epsilon * self.dt > MAX_GROWTH:
            raise ValueError(
                f"epsilon * dt is {self.epsilon * self.dt:g}; it must be at most {MAX_GROWTH:g}, take a smaller dt"
            )
        frames = 1 + self.T_steps // self.history_every if self.history_every else 0
        size = frames * self.N_grid**2 * (8 if self.precision == "double" else 4)
        if size > MAX_HISTORY_BYTES:
            raise ValueError(
                f"history_every is {self.history_every}: {frames} frames of {self.N_grid} x {self.N_grid} are {size} "
                f"bytes; at most {MAX_HISTORY_BYTES} are kept"
            )

    @classmethod
    def of(cls, params: Mapping[str, Any] | RunParams) -> RunParams:
        """Parameters from a mapping; what it does not name has its default.

        Parameters
        ----------
        params : mapping of str to value, or RunParams

        Returns
        -------
        RunParams

        Raises
        ------
        ValueError
            A name that is no parameter, or a value that is refused.

        Examples
        --------
        >>> RunParams.of({"kappa": 0.3, "seed": 7}).seed
        7
        """
        if isinstance(params, cls):
            return params
        if not isinstance(params, Mapping):
            raise ValueError(f"parameters are a {type(params).__name__}; they must be a mapping of names to values")
        names = [field.name for field in fields(cls)]
        for name in params:
            if name not in names:
                close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
                raise ValueError(f"{name!r} is no parameter of a run; {hint}")
        return cls(**params)

    def as_dict(self) -> dict[str, Any]:
        """All parameters by name, as plain numbers and strings.

        Returns
        -------
        dict

        Examples
        --------
        >>> RunParams().as_dict()["N_grid"]
        64
        """
        return asdict(self)


def _real(name: str, value: Any) -> float:
    low, high, ends = _REAL[name]
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name} is {value!r}; it must be a number")
    number = float(value)
    inside = (low < number or (ends[0] == "[" and low == number)) and (
        number < high or (ends[1] == "]" and number == high)
    )
    if not (math.isfinite(number) and inside):
        raise ValueError(f"{name} is {value!r}; it must be within {ends[0]}{low:g}, {high:g}{ends[1]}")
    return number + 0.0  # no -0.0: it is equal to 0.0 and must not be told apart


def _whole(name: str, value: Any) -> int:
    low, high = _WHOLE[name]
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; it must be a whole number")
    whole = int(float(value))
    if whole != value or not low <= whole <= high:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
    return whole
