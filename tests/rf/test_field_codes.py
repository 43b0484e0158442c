"""Learned codes of fields: against scikit-learn's components, on fields that lie on a curve, on bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA

from engine.rf.field_codes import autoencoder_code, learned_table, principal_code
from engine.rf.spectrum import compression_table


def blob(angle: float, n: int = 16) -> xr.DataArray:
    y, x = np.indices((n, n)) / n
    far = np.hypot(x - 0.5 - 0.3 * np.cos(angle), y - 0.5 - 0.3 * np.sin(angle))
    coords = {"lat": np.linspace(46.0, 47.0, n), "lon": np.linspace(7.0, 8.0, n)}
    return xr.DataArray(-20 * np.log10(far + 0.05), coords, ("lat", "lon"), attrs={"units": "dBm"})


@pytest.fixture(scope="module")
def window() -> list[xr.DataArray]:
    """One source on a circle: a family of fields with one degree of freedom, on no plane."""
    return [blob(angle) for angle in np.linspace(0.0, 2 * np.pi, 120, endpoint=False)]


def test_the_linear_code_is_that_of_scikit_learn(window: list[xr.DataArray]) -> None:
    code, field = principal_code(window, 5), blob(0.123)
    peer = PCA(5, svd_solver="full").fit(np.stack([f.to_numpy().ravel() for f in window]))
    expected = peer.inverse_transform(peer.transform(field.to_numpy().ravel()[None]))[0]
    back = code.decode(code.encode(field), field)
    np.testing.assert_allclose(back.to_numpy().ravel(), expected, atol=1e-4)
    assert back.attrs["units"] == "dBm" and back.lat.equals(field.lat)
    assert code.encode(field).dtype == np.float32 and code.shared_bytes == 6 * 256 * 4


def test_on_fields_of_a_curve_the_autoencoder_needs_fewer_numbers(window: list[xr.DataArray]) -> None:
    unseen = [blob(angle) for angle in np.linspace(0.026, 6.0, 17)]
    table = learned_table(window, unseen, latents=3).set_index("method")
    learned = table.loc[["autoencoder", "principal"]]
    assert (learned["bytes"] == 12).all()
    assert learned.rmse["autoencoder"] < 0.7 * learned.rmse["principal"]
    code = principal_code(window, 3)
    errors = [code.decode(code.encode(f), f) - f for f in unseen]
    assert learned.rmse["principal"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)


def test_what_needs_no_history_is_in_the_same_table(window: list[xr.DataArray]) -> None:
    table = learned_table(window, [blob(1.0)], latents=2)
    plain = compression_table(blob(1.0))
    found = table[table.shared_bytes == 0].merge(plain, on=["method", "parameter"], suffixes=("", "_plain"))
    assert len(found) == len(plain) and np.allclose(found.rmse, found.rmse_plain)


def test_the_same_seed_gives_the_same_code(window: list[xr.DataArray]) -> None:
    one, other = (autoencoder_code(window[:40], 2, seed=3).encode(blob(2.0)) for _ in range(2))
    assert (one == other).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda w: principal_code(w[:10], 2), "10 fields to learn from; at least 16"),
        (lambda w: principal_code(w[:20], 32), "at least 32"),
        (lambda w: principal_code(w, 0), "latents is 0"),
        (lambda w: principal_code([*w[:20], blob(0.0, 8)], 2), r"\(8, 8\); \(16, 16\)"),
        (lambda w: autoencoder_code([*w[:20], w[0] * np.inf], 2), "not finite"),
        (lambda w: principal_code(w, 2).encode(blob(0.0, 8)), "shape"),
        (lambda w: learned_table(w, [], latents=2), "0 fields to score"),
    ],
)
def test_bad_input_is_named(call: object, match: str, window: list[xr.DataArray]) -> None:
    with pytest.raises(ValueError, match=match):
        call(window)  # type: ignore[operator]
