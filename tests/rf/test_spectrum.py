"""The spectrum of a field against NumPy and SciPy, Parseval, and fields whose spectrum is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from engine.rf.spectrum import (
    BYTES_PER_WAVE,
    compression_table,
    field_spectrum,
    radial_spectrum,
    spectral_anomaly,
    spectral_reference,
    strongest_waves,
    truncated_svd,
)

SHAPES = st.tuples(st.integers(2, 13), st.integers(2, 13))


def plane(values: np.ndarray, step: tuple[float, float] = (1.0, 1.0)) -> xr.DataArray:
    coords = {dim: np.arange(n) * s for dim, n, s in zip(("y", "x"), values.shape, step, strict=True)}
    return xr.DataArray(values, coords, ("y", "x"), attrs={"units": "dB"})


def noise(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@given(SHAPES)
def test_the_transform_keeps_the_sum_of_squares(shape: tuple[int, int]) -> None:
    values = noise(shape)
    assert np.sum(np.abs(field_spectrum(plane(values)).to_numpy()) ** 2) == pytest.approx(np.sum(values**2), rel=1e-12)


def test_the_transform_is_numpys_with_frequencies_in_cycles_per_metre() -> None:
    values = noise((6, 9))
    got = field_spectrum(plane(values, (50.0, 20.0)))
    np.testing.assert_allclose(got.to_numpy(), np.fft.fft2(values) / np.sqrt(values.size), atol=1e-12)
    np.testing.assert_allclose(got.f_x, np.fft.fftfreq(9, 20.0))
    np.testing.assert_allclose(got.f_y, np.fft.fftfreq(6, 50.0))


@given(SHAPES)
def test_all_waves_give_the_field_back_and_fewer_lose_what_parseval_says(shape: tuple[int, int]) -> None:
    values = noise(shape)
    half = np.fft.rfft2(values)
    # independent count of real waves: coefficients of the full transform that are their own mirror, and half the others
    rows, columns = np.indices(shape)
    own = int(((rows == -rows % shape[0]) & (columns == -columns % shape[1])).sum())
    total = own + (values.size - own) // 2
    assert half.size >= total
    full, waves = strongest_waves(plane(values), total)
    np.testing.assert_allclose(full.to_numpy(), values, atol=1e-10)
    with pytest.raises(ValueError, match="real waves"):
        strongest_waves(plane(values), total + 1)
    one, _ = strongest_waves(plane(values), 1)
    power = np.abs(np.fft.fft2(values)) ** 2 / values.size
    best = np.where((rows == -rows % shape[0]) & (columns == -columns % shape[1]), power, 2.0 * power).max()
    assert one.attrs["rmse"] ** 2 * values.size == pytest.approx(np.sum(values**2) - best, rel=1e-9, abs=1e-9)
    assert waves.sizes["wave"] == total


@pytest.mark.parametrize("shape", [(16, 24), (15, 21)])
def test_known_sinusoids_are_found_with_amplitude_and_phase(shape: tuple[int, int]) -> None:
    y, x = np.indices(shape)
    a = 3.0 * np.cos(2 * np.pi * (2 * x / shape[1] + 3 * y / shape[0]) + 0.7)
    b = 1.5 * np.cos(2 * np.pi * (4 * y / shape[0]) - 0.4)
    back, waves = strongest_waves(plane(a + b - 80.0), 3)
    np.testing.assert_allclose(back.to_numpy(), a + b - 80.0, atol=1e-9)
    np.testing.assert_allclose(waves.amplitude, [80.0, 3.0, 1.5], rtol=1e-9)
    assert [tuple(pair) for pair in zip(waves.row.values[1:2], waves.column.values[1:2], strict=True)] == [(3, 2)]
    # of a pair in the first column either may be named, with the phase's sign to match
    sign = 1.0 if waves.row.values[2] == 4 else -1.0
    np.testing.assert_allclose(waves.phase_rad.values[1:], [0.7, sign * -0.4], atol=1e-9)
    assert back.attrs["bytes"] == 3 * BYTES_PER_WAVE and back.attrs["energy_kept"] == pytest.approx(1.0)


def test_the_radial_spectrum_peaks_where_the_wave_is_in_any_direction_and_unit() -> None:
    y, x = np.indices((96, 128)) * np.array([40.0, 25.0])[:, None, None]
    for angle in (0.0, 0.6, 1.5):
        wave = np.cos(2 * np.pi / 400.0 * (x * np.cos(angle) + y * np.sin(angle)))
        ring = radial_spectrum(plane(wave, (40.0, 25.0)), rings=30)
        width = float(ring.frequency[1] - ring.frequency[0])
        assert abs(float(ring.frequency[int(np.argmax(ring.power.to_numpy()))]) - 1 / 400.0) <= width


def test_white_noise_has_a_flat_radial_spectrum_of_its_variance() -> None:
    power = np.mean([radial_spectrum(plane(2.0 * noise((64, 64), s)), rings=8).power for s in range(30)], axis=0)
    np.testing.assert_allclose(power, 4.0, rtol=0.12)


def test_the_tapered_spectrum_is_scipys_periodogram_of_a_field_that_varies_along_one_axis_only() -> None:
    values = noise((1, 64))
    field = plane(np.repeat(values, 2, axis=0))
    bare = radial_spectrum(field, spacing=(1.0, 1.0), rings=32, taper=False)
    _, density = scipy.signal.periodogram(values[0], fs=1.0, detrend=False, scaling="density")
    # two-sided density of the rows in the ring's coefficients (+f and -f in row 0; row 1, at 0.5, holds nothing)
    first = float(bare.power[0] * bare.n[0])
    assert int(bare.n[0]) == 2 and first == pytest.approx(2.0 * 2.0 * density[1] / 2.0, rel=1e-9)


def test_false_alarms_come_at_the_stated_rate_and_a_new_texture_is_seen() -> None:
    def field(seed: int, extra: float = 0.0) -> xr.DataArray:
        smooth = scipy.ndimage.gaussian_filter(noise((48, 48), seed), 2.0, mode="wrap") * 20.0
        y, x = np.indices((48, 48))
        return plane(smooth + extra * np.cos(2 * np.pi * 0.3 * (x + y)))

    reference = spectral_reference([field(s) for s in range(40)], one_in=20.0)
    alarms = sum(bool(spectral_anomaly(field(1000 + s), reference).alarm) for s in range(600))
    # wanted 30 of 600; the reference itself scatters
    assert 10 <= alarms <= 66
    assert bool(spectral_anomaly(field(7777, extra=0.5), reference).alarm)
    flat = spectral_anomaly(plane(noise((48, 48), 5)), reference)
    assert float(flat.score) > 10.0 * reference.threshold


def test_singular_vectors_are_numpys_and_err_as_eckart_and_young_say() -> None:
    values = noise((12, 20))
    got = truncated_svd(plane(values), 3)
    rest = np.linalg.svd(values, compute_uv=False)[3:]
    assert got.attrs["rmse"] == pytest.approx(np.sqrt(np.sum(rest**2) / values.size))
    assert got.attrs["bytes"] == 3 * 32 * 4
    assert truncated_svd(plane(values), 12).attrs["max_error"] < 1e-12


def test_the_table_compares_at_equal_bytes_and_knows_which_field_suits_which() -> None:
    y, x = np.indices((64, 64)) / 64.0
    table = compression_table(plane(np.exp(-8 * (x - 0.3) ** 2) * np.exp(-9 * (y - 0.6) ** 2)), ranks=(1, 4, 100))
    assert table.groupby("parameter").size().max() == 1 and len(table) == 4
    rank1 = table[(table.method == "svd") & (table.parameter == 1)].iloc[0]
    fourier = table[table.method == "fourier"].iloc[0]
    assert fourier.bytes <= rank1.bytes and rank1.rmse < 1e-12 < fourier.rmse
    diagonal = compression_table(plane(np.cos(2 * np.pi * 5 * (x + y))), ranks=(1,)).set_index("method").rmse
    assert diagonal["fourier"] < 1e-9 < diagonal["svd"]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: field_spectrum(plane(np.array([[1.0, np.nan], [0, 0]]))), "1 of 4 values are not finite"),
        (lambda: field_spectrum(xr.DataArray(np.ones(3), dims="x")), "two dims"),
        (lambda: field_spectrum(xr.DataArray(np.ones((2, 3)), {"x": [0, 1, 5.0]}, ("y", "x"))), "x is not equally"),
        (lambda: field_spectrum(plane(np.ones((2, 2))), spacing=(0.0, 1.0)), "spacing is"),
        (lambda: strongest_waves(plane(np.ones((4, 4))), 0), "k is 0"),
        (lambda: truncated_svd(plane(np.ones((4, 4))), 5), "rank is 5"),
        (lambda: radial_spectrum(plane(np.ones((4, 4))), rings=0), "rings is 0"),
        (lambda: spectral_reference([plane(noise((8, 8)))] * 3), "at least 8"),
        (lambda: spectral_reference([plane(noise((8, 8)))] * 9, one_in=1), "one_in is 1"),
    ],
)
def test_bad_input_is_named(call: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call()  # type: ignore[operator]
