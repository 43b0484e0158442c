"""Learned compression of fields: a window of past fields teaches a code, a new field is told in a few numbers of it.

Two codes on one scale with `engine.rf.spectrum.compression_table`, error against bytes: principal components of the
window (the best linear code of it) and a small autoencoder. The decoder is shared by both sides and is sent once;
its bytes are told beside those of a field. Takes fields as xarray; it must not know where they came from.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from engine.rf.spectrum import BYTES_PER_NUMBER, compression_table

Array = NDArray[np.float64]

LATENTS = 32
"""Numbers that a field is told in."""

MIN_HISTORY = 16
"""A code is learnt from so many fields at least."""

_HIDDEN = 96
_COMPONENTS = 96
_EPOCHS = 400


@dataclass(frozen=True, eq=False)
class FieldCode:
    """A way to tell a field in a few numbers, and back.

    Attributes
    ----------
    method : {"principal", "autoencoder"}
    latents : int
        Numbers per field, sent as float32.
    shared_bytes : int
        Size of the decoder, float32.
    shape : (int, int)
        Of the fields that it is for.
    """

    method: str
    latents: int
    shared_bytes: int
    shape: tuple[int, int]
    _encode: Callable[[Array], Array]
    _decode: Callable[[Array], Array]

    def encode(self, field: xr.DataArray) -> NDArray[np.float32]:
        """The numbers that stand for a field, (latents,).

        Raises
        ------
        ValueError
            A field of another shape, or one that is not finite.
        """
        values = _flat([field], self.shape)
        return self._encode(values)[0].astype(np.float32)

    def decode(self, numbers: NDArray[np.float32], like: xr.DataArray) -> xr.DataArray:
        """The field that some numbers stand for, with the coordinates and attributes of `like`."""
        back = self._decode(np.asarray(numbers, dtype=np.float64)[None])[0]
        return like.copy(data=back.reshape(self.shape))


def principal_code(history: Sequence[xr.DataArray], latents: int = LATENTS) -> FieldCode:
    """The best linear code of a window of fields: mean and leading right singular vectors of the stacked fields.

    Parameters
    ----------
    history : sequence of DataArray
        Fields on one grid, at least `MIN_HISTORY` and at least `latents` of them, finite, in dB or any unit.
    latents : int

    Raises
    ------
    ValueError
        Too few fields, fields of different shapes, values that are not finite.
    """
    shape, _, mean, basis = _window(history, latents)
    kept = basis[:latents]
    return FieldCode(
        "principal", latents, (kept.size + mean.size) * BYTES_PER_NUMBER, shape,
        lambda fields: (fields - mean) @ kept.T, lambda numbers: numbers @ kept + mean,
    )  # fmt: skip


def autoencoder_code(history: Sequence[xr.DataArray], latents: int = LATENTS, *, seed: int = 0) -> FieldCode:
    """A small autoencoder with one hidden layer on either side of the code, of scikit-learn's perceptron.

    It is trained on the leading principal components of the window, each divided by the spread of the first: a field
    of 64 × 64 cells has too many numbers for a few hundred examples. The same window and seed give the same code.

    Parameters
    ----------
    history, latents
        See `principal_code`.
    seed : int
        Of the first weights and of the order of examples.

    Raises
    ------
    ValueError
        As `principal_code`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    shape, values, mean, basis = _window(history, latents)
    kept = basis[:_COMPONENTS]
    scores = (values - mean) @ kept.T
    spread = float(scores.std(axis=0).max()) or 1.0
    net = MLPRegressor(
        hidden_layer_sizes=(_HIDDEN, latents, _HIDDEN), activation="tanh", alpha=1e-5, learning_rate_init=2e-3,
        batch_size=32,
        max_iter=_EPOCHS, tol=0.0, n_iter_no_change=_EPOCHS, random_state=seed,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # a fixed number of epochs, so that it is the same each time
        net.fit(scores / spread, scores / spread)
    layers = list(zip(net.coefs_, net.intercepts_, strict=True))
    decoder = sum(w.size + b.size for w, b in layers[2:]) + kept.size + mean.size

    def encode(fields: Array) -> Array:
        at = ((fields - mean) @ kept.T) / spread
        for w, b in layers[:2]:
            at = np.tanh(at @ w + b)
        return at

    def decode(numbers: Array) -> Array:
        (w, b), (last_w, last_b) = layers[2:]
        return np.asarray((np.tanh(numbers @ w + b) @ last_w + last_b) * spread @ kept + mean)

    return FieldCode("autoencoder", latents, decoder * BYTES_PER_NUMBER, shape, encode, decode)


def learned_table(
    history: Sequence[xr.DataArray], fields: Sequence[xr.DataArray], *, latents: int = LATENTS, seed: int = 0
) -> pd.DataFrame:
    """Error against bytes on fields that no code has seen: learned codes, plane waves and singular vectors.

    Parameters
    ----------
    history : sequence of DataArray
        What the learned codes are learnt from.
    fields : sequence of DataArray
        What all are scored on, of the same grid.
    latents, seed
        See `autoencoder_code`.

    Returns
    -------
    pandas.DataFrame
        `method` (principal, autoencoder, fourier, svd), `parameter` (latents, waves or rank), `bytes` of one field,
        `shared_bytes` sent once, `rmse` (root mean square over all cells of all fields) and `max_error`, in units of
        the field. Plane waves and singular vectors at rank 1 and above, for they need no history but more bytes.

    Raises
    ------
    ValueError
        As `principal_code`; no field to score on.
    """
    if not len(fields):
        raise ValueError("there are 0 fields to score on; at least one that is not in the history is needed")
    rows = []
    for code in (principal_code(history, latents), autoencoder_code(history, latents, seed=seed)):
        errors = [code.decode(code.encode(field), field).to_numpy() - field.to_numpy() for field in fields]
        rows.append(_row(code.method, latents, latents * BYTES_PER_NUMBER, code.shared_bytes, np.array(errors)))
    each = pd.concat([compression_table(field) for field in fields])
    for (method, parameter), found in each.groupby(["method", "parameter"], sort=True):
        rows.append({
            "method": method, "parameter": parameter, "bytes": int(found["bytes"].iloc[0]), "shared_bytes": 0,
            "rmse": float(np.sqrt(np.mean(found["rmse"] ** 2))), "max_error": float(found["max_error"].max()),
        })  # fmt: skip
    return pd.DataFrame(rows).sort_values(["bytes", "method"], ignore_index=True)


def _row(method: str, parameter: int, n_bytes: int, shared: int, errors: Array) -> dict[str, object]:
    return {
        "method": method, "parameter": parameter, "bytes": n_bytes, "shared_bytes": shared,
        "rmse": float(np.sqrt(np.mean(errors**2))), "max_error": float(np.abs(errors).max()),
    }  # fmt: skip


def _window(history: Sequence[xr.DataArray], latents: int) -> tuple[tuple[int, int], Array, Array, Array]:
    """Shape of the fields, the fields as rows, their mean, and their right singular vectors."""
    if latents < 1:
        raise ValueError(f"latents is {latents}; at least 1 is needed")
    need = max(MIN_HISTORY, latents)
    if len(history) < need:
        raise ValueError(f"there are {len(history)} fields to learn from; at least {need} are needed")
    ny, nx = history[0].shape
    values = _flat(history, (ny, nx))
    mean = values.mean(axis=0)
    return (ny, nx), values, mean, np.linalg.svd(values - mean, full_matrices=False)[2]


def _flat(fields: Sequence[xr.DataArray], shape: tuple[int, int]) -> Array:
    for field in fields:
        if field.shape != shape:
            raise ValueError(f"a field has the shape {field.shape}; {shape} is needed")
    values = np.stack([field.to_numpy().astype(np.float64).ravel() for field in fields])
    if not np.isfinite(values).all():
        raise ValueError(
            f"{(~np.isfinite(values)).sum()} of {values.size} values are not finite; fill or cut them first"
        )
    return values
