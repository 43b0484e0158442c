"""Exponential time differencing of fourth order (ETDRK4): its coefficients, and the passes over arrays between FFTs.

Plain arrays in, plain arrays out. This module must not know what run it works for, nor when a step is good enough.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TERMS = 24
"""Terms of the Taylor series where |z| < 1: the first one left out is below 1/26!, 2e-27."""


def phi_functions(z: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], ...]:
    """The functions φ₁, φ₂, φ₃ of exponential integrators: ``phi_k(z) = sum of z^n / (n + k)!``.

    Their closed forms, ``phi_1 = (e^z - 1)/z`` and so on, cancel catastrophically near 0. They are used where
    \\|z\\| ≥ 1, and the Taylor series elsewhere; both are good to some 1e-15.

    Parameters
    ----------
    z : complex128, any shape

    Returns
    -------
    tuple of three ndarray of complex128, the shape of `z`

    Examples
    --------
    >>> [float(phi.real) for phi in phi_functions(np.array(0j))]
    [1.0, 0.5, 0.16666666666666666]

    References
    ----------
    Cox and Matthews, J. Comput. Phys. 176 (2002) 430; Kassam and Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214.
    """
    z = np.asarray(z, np.complex128)
    near = np.abs(z) < 1.0
    small, large = np.where(near, z, 0.0), np.where(near, 1.0, z)
    closed = np.exp(large)
    out = []
    for k in (1, 2, 3):
        closed = (closed - 1.0 / math.factorial(k - 1)) / large
        series = np.full(z.shape, 1.0 / math.factorial(_TERMS + k), np.complex128)
        for n in reversed(range(_TERMS)):
            series = series * small + 1.0 / math.factorial(n + k)
        out.append(np.where(near, series, closed))
    return tuple(out)


def step_tables(linear: NDArray[np.complex128], dt: float, dtype: str) -> tuple[NDArray, ...]:
    """Coefficients of a step `dt` for the linear operator `linear`, in the notation of Kassam and Trefethen.

    Parameters
    ----------
    linear : complex128, any shape
        Eigenvalues of the linear operator, 1/time.
    dt : float
        Step of time.
    dtype : str
        Type of the field.

    Returns
    -------
    tuple of six ndarray
        ``exp(L dt/2)``, ``exp(L dt)``, Q, f₁, 2 f₂, f₃.

    Examples
    --------
    >>> [round(table.item().real, 12) for table in step_tables(np.zeros(1, complex), 0.6, "complex128")]
    [1.0, 1.0, 0.3, 0.1, 0.2, 0.1]
    """
    z = linear * dt
    half = z / 2.0
    first, second, third = phi_functions(z)
    tables = (
        np.exp(half),
        np.exp(z),
        phi_functions(half)[0] / 2.0 * dt,
        (first - 3.0 * second + 4.0 * third) * dt,
        (2.0 * second - 4.0 * third) * dt,
        (4.0 * third - second) * dt,
    )
    return tuple(np.ascontiguousarray(table, dtype=dtype) for table in tables)


# The tables depend on |k_x| and |k_y| alone, so that half of their rows is kept: row m serves rows m and n - m. Columns
# are kept whole, because a loop that runs through them backwards is not vectorised and takes twice the time.


@njit(cache=True, nogil=True, error_model="numpy")
def intensity(psi, rho):
    """``rho = |psi|^2``."""
    for b in range(psi.shape[0]):
        for i in range(psi.shape[1]):
            for j in range(psi.shape[2]):
                value = psi[b, i, j]
                rho[b, i, j] = value.real * value.real + value.imag * value.imag


@njit(cache=True, nogil=True, error_model="numpy")
def relax(rho_s, rho, keep):
    """``rho_s = keep rho_s + (1 - keep) rho``, in place."""
    for b in range(rho.shape[0]):
        kept, taken = keep[b], rho.dtype.type(1.0) - keep[b]
        for i in range(rho.shape[1]):
            for j in range(rho.shape[2]):
                rho_s[b, i, j] = kept * rho_s[b, i, j] + taken * rho[b, i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def smooth(half_spectrum, kernel):
    """Multiply the half spectrum of a real field by a kernel that depends on |k| alone, in place."""
    n = half_spectrum.shape[1]
    for b in range(half_spectrum.shape[0]):
        for i in range(n):
            m = min(i, n - i)
            for j in range(half_spectrum.shape[2]):
                half_spectrum[b, i, j] *= kernel[b, m, j]


@njit(cache=True, nogil=True, error_model="numpy")
def react(psi, rho, coupling, c3):
    """``psi = (coupling - (1 + i c3) rho) psi``, in place."""
    for b in range(psi.shape[0]):
        shift = c3[b]
        for i in range(psi.shape[1]):
            for j in range(psi.shape[2]):
                value = psi[b, i, j]
                real = coupling[b, i, j] - rho[b, i, j]
                imag = -shift * rho[b, i, j]
                psi[b, i, j] = complex(real * value.real - imag * value.imag, real * value.imag + imag * value.real)


@njit(cache=True, nogil=True, error_model="numpy")
def react_locally(psi, rho, local, c3):
    """As `react` where the coupling is `local` times rho: a kernel without width, or none."""
    for b in range(psi.shape[0]):
        gain, shift = local[b] - local.dtype.type(1.0), c3[b]
        for i in range(psi.shape[1]):
            for j in range(psi.shape[2]):
                value = psi[b, i, j]
                real = gain * rho[b, i, j]
                imag = -shift * rho[b, i, j]
                psi[b, i, j] = complex(real * value.real - imag * value.imag, real * value.imag + imag * value.real)


@njit(cache=True, nogil=True, error_model="numpy")
def half_step(out, half, q, v, rate):
    """``out = exp(L dt/2) v + Q rate``: the first and the second stage."""
    n = v.shape[1]
    for b in range(v.shape[0]):
        for i in range(n):
            m = min(i, n - i)
            for j in range(n):
                out[b, i, j] = half[b, m, j] * v[b, i, j] + q[b, m, j] * rate[b, i, j]


@njit(cache=True, nogil=True, error_model="numpy")
def third_stage(a, half, q, rate, first_rate):
    """``a = exp(L dt/2) a + Q (2 rate - first_rate)``, in place."""
    n = a.shape[1]
    for b in range(a.shape[0]):
        for i in range(n):
            m = min(i, n - i)
            for j in range(n):
                change = rate[b, i, j] + rate[b, i, j] - first_rate[b, i, j]
                a[b, i, j] = half[b, m, j] * a[b, i, j] + q[b, m, j] * change


@njit(cache=True, nogil=True, error_model="numpy")
def combine(out, whole, f1, f2, f3, v, of_v, of_a, of_b, of_c):
    """``out = exp(L dt) v + f1 N(v) + 2 f2 (N(a) + N(b)) + f3 N(c)``."""
    n = v.shape[1]
    for b in range(v.shape[0]):
        for i in range(n):
            m = min(i, n - i)
            # Two short loops over a row: one with all nine arrays is more than the compiler vectorises.
            for j in range(n):
                out[b, i, j] = whole[b, m, j] * v[b, i, j] + f1[b, m, j] * of_v[b, i, j]
            for j in range(n):
                middle = of_a[b, i, j] + of_b[b, i, j]
                out[b, i, j] += f2[b, m, j] * middle + f3[b, m, j] * of_c[b, i, j]
