"""Spectrum of a field: its strongest plane waves, its power by wavelength, and whether it is unlike a reference.

Takes fields on regular grids as xarray; it must not know where they came from. A field compressed by
plane waves or by singular vectors is compared on one scale, error against bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]

BYTES_PER_WAVE = 12
"""Bytes of one kept plane wave: its index as uint32, its complex amplitude as two float32."""

BYTES_PER_NUMBER = 4
"""Bytes of one number of a singular vector, float32."""


def field_spectrum(field: xr.DataArray, *, spacing: tuple[float, float] | None = None) -> xr.DataArray:
    """Two-dimensional discrete Fourier transform of a field, orthonormal.

    Parameters
    ----------
    field : xarray.DataArray
        Two dims, equally spaced, every value finite.
    spacing : (float, float), optional
        Step along each dim, such as metres; by default from the coordinates, in their units.

    Returns
    -------
    xarray.DataArray
        Complex128, dims ``(f_<dim>, f_<dim>)`` with frequencies in cycles per unit of spacing, zero
        frequency first. The sum of its squared magnitudes is that of the field (Parseval).

    Raises
    ------
    ValueError
        Not two dims, fewer than two cells along one, values not finite, coordinates unequally spaced.

    Examples
    --------
    >>> x = np.arange(8.0)
    >>> wave = xr.DataArray(np.cos(2 * np.pi * x / 4) * np.ones((8, 1)), {"y": x, "x": x}, ("y", "x"))
    >>> spectrum = field_spectrum(wave)
    >>> float(abs(spectrum.f_x[np.argmax(np.abs(spectrum.values[0]))]))
    0.25
    """
    values, steps = _checked(field, spacing)
    dims = tuple(f"f_{dim}" for dim in field.dims)
    coords = {
        name: (name, np.fft.fftfreq(n, step), {"units": f"cycles per unit of {dim}"})
        for name, dim, n, step in zip(dims, field.dims, values.shape, steps, strict=True)
    }
    attrs = {"units": field.attrs.get("units", "1"), "norm": "ortho", "long_name": "two-dimensional Fourier transform"}
    return xr.DataArray(fft.fft2(values, norm="ortho"), coords, dims, "spectrum", attrs)


def strongest_waves(field: xr.DataArray, k: int) -> tuple[xr.DataArray, xr.Dataset]:
    """Keep the k strongest plane waves of a field.

    The field is real, so waves come in conjugate pairs that are one real wave: pairs are kept or left
    whole, and counted as one.

    Parameters
    ----------
    field : xarray.DataArray
        As `field_spectrum` takes it.
    k : int
        Real waves to keep, the mean among them if it is strong enough; 1 … all.

    Returns
    -------
    reconstruction : xarray.DataArray
        Like `field`; `rmse`, `max_error` (units of the field), `energy_kept` (share of the sum of
        squares), `bytes` and `k` in its attributes.
    waves : xarray.Dataset
        By `wave`, strongest first: `row`, `column` of the transform, `amplitude` (of the cosine, units
        of the field), `phase_rad`.

    Raises
    ------
    ValueError
        As `field_spectrum`; k out of range.

    Notes
    -----
    The transform is orthonormal, so no other choice of k waves has a smaller squared error (Parseval).
    """
    values, _ = _checked(field, None, need_spacing=False)
    half = fft.rfft2(values, norm="ortho")
    energy, rows, columns = _real_waves(half, values.shape)
    if not 1 <= k <= energy.size:
        raise ValueError(f"k is {k}; the field has {energy.size} real waves: 1 to {energy.size} can be kept")
    order = np.argsort(-energy, kind="stable")[:k]
    kept = np.zeros_like(half)
    kept[rows[order], columns[order]] = half[rows[order], columns[order]]
    _complete(kept, values.shape)
    back = fft.irfft2(kept, s=values.shape, norm="ortho")
    error = values - back
    units = field.attrs.get("units", "1")
    attrs = field.attrs | {
        "k": k, "rmse": float(np.sqrt(np.mean(error**2))), "max_error": float(np.abs(error).max()),
        "energy_kept": float(energy[order].sum() / max(energy.sum(), np.finfo(float).tiny)),
        "bytes": k * BYTES_PER_WAVE,
    }  # fmt: skip
    # a pair carries its energy in two coefficients: the cosine's amplitude is twice the one's magnitude
    coefficient = half[rows[order], columns[order]]
    pairs = np.where(np.isclose(energy[order], np.abs(coefficient) ** 2, rtol=1e-9), 1.0, 2.0)
    waves = xr.Dataset(
        {
            "row": ("wave", rows[order]),
            "column": ("wave", columns[order]),
            "amplitude": ("wave", pairs * np.abs(coefficient) / math.sqrt(values.size), {"units": units}),
            "phase_rad": ("wave", np.angle(coefficient), {"units": "rad"}),
        }
    )
    return field.copy(data=back).assign_attrs(attrs), waves


def radial_spectrum(
    field: xr.DataArray, *, spacing: tuple[float, float] | None = None, rings: int | None = None, taper: bool = True
) -> xr.Dataset:
    """Power of a field by wavenumber, whatever the direction.

    Parameters
    ----------
    field : xarray.DataArray
        As `field_spectrum` takes it.
    spacing : (float, float), optional
        Step along each dim in one unit (m, say); needed where the coordinates are degrees and rings
        shall be round on the ground.
    rings : int, optional
        Rings between zero and the smaller Nyquist frequency; by default half the smaller side.
    taper : bool
        Subtract the mean and multiply by a Hann window: an edge is not a feature.

    Returns
    -------
    xarray.Dataset
        By `frequency` (middle of each ring, cycles per unit of spacing): `power` (mean squared
        magnitude, units of the field squared, corrected for the window's loss) and `n` (coefficients
        in the ring). The mean is in no ring.

    Raises
    ------
    ValueError
        As `field_spectrum`; fewer than one ring.
    """
    values, steps = _checked(field, spacing)
    rings = min(values.shape) // 2 if rings is None else rings
    if rings < 1:
        raise ValueError(f"rings is {rings}; at least 1 is needed")
    if taper:
        window = np.outer(*(_hann(n) for n in values.shape))
        values = (values - values.mean()) * window / np.sqrt(np.mean(window**2))
    power = np.abs(fft.fft2(values, norm="ortho")) ** 2
    radius = np.hypot(
        *np.meshgrid(*(np.fft.fftfreq(n, s) for n, s in zip(values.shape, steps, strict=True)), indexing="ij")
    )
    edges = np.linspace(0.0, 0.5 / max(steps), rings + 1)
    ring = np.digitize(radius.ravel(), edges, right=True) - 1  # each ring holds its upper edge; the mean is in none
    inside = (ring >= 0) & (ring < rings)
    count = np.bincount(ring[inside], minlength=rings)
    total = np.bincount(ring[inside], power.ravel()[inside], rings)
    units = field.attrs.get("units", "1")
    return xr.Dataset(
        {
            "power": (
                "frequency",
                np.divide(total, count, out=np.full(rings, np.nan), where=count > 0),
                {"units": f"({units})²"},
            ),
            "n": ("frequency", count),
        },
        {"frequency": ("frequency", 0.5 * (edges[:-1] + edges[1:]), {"units": "cycles per unit of spacing"})},
    )


@dataclass(frozen=True, eq=False)
class SpectralReference:
    """What is usual, ring by ring: mean and scatter of the logarithm of the radial spectrum.

    Attributes
    ----------
    mean, scatter : ndarray, shape (rings,)
        Of ``ln power`` over the fields of the reference window; scatter is the standard deviation.
    n_fields : int
    shape : (int, int)
        Of the fields.
    threshold : float
        Score that one usual field in `one_in` exceeds.
    one_in : float
    """

    mean: Array
    scatter: Array
    n_fields: int
    shape: tuple[int, int]
    threshold: float
    one_in: float


def spectral_reference(fields: Sequence[xr.DataArray], *, one_in: float = 1000.0, rings: int = 12) -> SpectralReference:
    """Learn what is usual from the fields of a reference window.

    Under "the next field is like these", with log powers independent and normal by ring, each
    ring's ``t²`` is that of Student's t with n - 1 degrees of freedom widened by ``1 + 1/n``; the
    threshold on their mean is found by simulation (200 000 draws, fixed seed).

    Parameters
    ----------
    fields : sequence of xarray.DataArray
        At least eight fields of one shape, one after the other but independent.
    one_in : float
        Wanted rate of false alarms: one field in so many; 2 … 10 000.
    rings : int

    Raises
    ------
    ValueError
        Too few fields, of several shapes, or rate out of range; as `radial_spectrum`.
    """
    if len(fields) < 8:
        raise ValueError(f"{len(fields)} fields make the reference; at least 8 are needed to know the scatter")
    if not 2.0 <= one_in <= 10_000.0:
        raise ValueError(f"one_in is {one_in}; it must lie between 2 and 10000")
    if len(shapes := {field.shape for field in fields}) > 1:
        raise ValueError(f"the fields have the shapes {sorted(shapes)}; one shape is needed")
    logs = np.stack([_log_rings(field, rings) for field in fields])
    logs = logs[:, np.isfinite(logs).all(axis=0)] if not np.isfinite(logs).all() else logs
    if logs.shape[1] != rings:
        raise ValueError(f"{rings - logs.shape[1]} of {rings} rings hold nothing; use fewer rings or larger fields")
    n = len(fields)
    t = np.random.default_rng(0).standard_t(n - 1, size=(200_000, rings))
    threshold = float(np.quantile(np.mean(t**2, axis=1), 1.0 - 1.0 / one_in))
    scatter = np.maximum(logs.std(axis=0, ddof=1), 1e-9)
    return SpectralReference(logs.mean(axis=0), scatter, n, fields[0].shape, threshold, one_in)  # type: ignore[arg-type]


def spectral_anomaly(field: xr.DataArray, reference: SpectralReference) -> xr.Dataset:
    """How unlike the reference a field's radial spectrum is.

    Returns
    -------
    xarray.Dataset
        `t` by `ring` (deviation of log power in units of its scatter, widened for the finite
        reference), `score` (mean of t²: about 1 for a usual field), `alarm` (score above the
        reference's threshold).

    Raises
    ------
    ValueError
        A field of another shape than the reference's.
    """
    if field.shape != reference.shape:
        raise ValueError(f"the field has shape {field.shape}, the reference {reference.shape}; they must agree")
    rings = reference.mean.size
    t = (_log_rings(field, rings) - reference.mean) / (reference.scatter * math.sqrt(1.0 + 1.0 / reference.n_fields))
    score = float(np.mean(t**2))
    return xr.Dataset(
        {"t": ("ring", t), "score": score, "alarm": score > reference.threshold},
        attrs={"threshold": reference.threshold, "one_in": reference.one_in},
    )


def truncated_svd(field: xr.DataArray, rank: int) -> xr.DataArray:
    """Best approximation of a field by `rank` products of a row and a column (Eckart–Young).

    Returns
    -------
    xarray.DataArray
        Like `field`; `rank`, `rmse`, `max_error` and `bytes` in its attributes.

    Raises
    ------
    ValueError
        As `field_spectrum`; rank out of range.
    """
    values, _ = _checked(field, None, need_spacing=False)
    if not 1 <= rank <= min(values.shape):
        raise ValueError(f"rank is {rank}; a field of shape {values.shape} has ranks 1 to {min(values.shape)}")
    left, singular, right = np.linalg.svd(values, full_matrices=False)
    back = (left[:, :rank] * singular[:rank]) @ right[:rank]
    error = values - back
    attrs = {
        "rank": rank, "rmse": float(np.sqrt(np.mean(error**2))), "max_error": float(np.abs(error).max()),
        "bytes": rank * (sum(values.shape)) * BYTES_PER_NUMBER,
    }  # fmt: skip
    return field.copy(data=back).assign_attrs(field.attrs | attrs)


def compression_table(field: xr.DataArray, *, ranks: Sequence[int] = (1, 2, 4, 8, 16, 32)) -> pd.DataFrame:
    """Error against bytes of plane waves and of singular vectors, at equal bytes.

    Returns
    -------
    pandas.DataFrame
        `method` ("fourier", "svd"), `parameter` (waves or rank), `bytes`, `rmse`, `max_error` in units
        of the field; ranks beyond the field's are left out.
    """
    rows = []
    for rank in ranks:
        if rank > min(field.shape):
            continue
        low_rank = truncated_svd(field, rank)
        waves = max(1, min(low_rank.attrs["bytes"] // BYTES_PER_WAVE, field.size // 2))
        plane = strongest_waves(field, waves)[0]
        for method, parameter, got in (("fourier", waves, plane), ("svd", rank, low_rank)):
            rows.append(
                {"method": method, "parameter": parameter, **{c: got.attrs[c] for c in ("bytes", "rmse", "max_error")}}
            )
    return pd.DataFrame(rows, columns=["method", "parameter", "bytes", "rmse", "max_error"])


def _checked(
    field: xr.DataArray, spacing: tuple[float, float] | None, *, need_spacing: bool = True
) -> tuple[Array, tuple[float, float]]:
    if field.ndim != 2 or min(field.shape) < 2:
        raise ValueError(f"the field has dims {dict(field.sizes)}; two dims of at least two cells are needed")
    values = field.to_numpy().astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{(~np.isfinite(values)).sum()} of {values.size} values are not finite; fill or cut them first: "
            "a transform would spread them everywhere"
        )
    if spacing is None:
        if not need_spacing:
            return values, (1.0, 1.0)
        spacing = (_step(field, 0), _step(field, 1))
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"spacing is {spacing}; two positive lengths are needed")
    return values, spacing


def _step(field: xr.DataArray, axis: int) -> float:
    dim = field.dims[axis]
    if dim not in field.coords:
        return 1.0
    steps = np.diff(field[dim].to_numpy().astype(np.float64))
    if not np.allclose(steps, steps.mean(), rtol=1e-3) or steps.mean() == 0:
        raise ValueError(f"{dim} is not equally spaced (steps {steps.min():g} to {steps.max():g}); give spacing=")
    return float(abs(steps.mean()))


def _real_waves(half: NDArray[np.complex128], shape: tuple[int, ...]) -> tuple[Array, np.ndarray, np.ndarray]:
    """Energy and place of each real wave, one of every conjugate pair."""
    ny, nx = shape
    rows, columns = np.meshgrid(np.arange(ny), np.arange(half.shape[1]), indexing="ij")
    # on columns that are their own mirror the partner of row r is row -r; elsewhere it lies in the half not stored
    edge = (columns == 0) | ((nx % 2 == 0) & (columns == nx // 2))
    mirror = (-rows) % ny
    first = ~edge | (rows <= mirror)
    alone = edge & (rows == mirror)
    energy = np.abs(half) ** 2 * np.where(alone, 1.0, 2.0)
    return energy[first], rows[first], columns[first]


def _complete(kept: NDArray[np.complex128], shape: tuple[int, ...]) -> None:
    """Put the partners of kept waves into the columns that hold both of a pair."""
    ny, nx = shape
    for column in {0, nx // 2} if nx % 2 == 0 else {0}:
        rows = np.flatnonzero(kept[:, column])
        kept[(-rows) % ny, column] = np.conj(kept[rows, column])


def _hann(n: int) -> Array:
    return np.asarray(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2)


def _log_rings(field: xr.DataArray, rings: int) -> Array:
    power = radial_spectrum(field, spacing=(1.0, 1.0), rings=rings).power.to_numpy()
    return np.asarray(np.log(np.maximum(power, np.finfo(float).tiny)))
