"""What is taken along is what was seen: picture, data, page and the lines that compute it again."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from pyproj import Transformer

from tests.browser.air import HOSTILE_VIEW
from tests.browser.driver import Tab, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture
def paused(laptop) -> Tab:
    return laptop.pause()


def saved(tab: Tab, button: str, folder: Path) -> Path:
    arriving = tab.download(button)
    path = folder / arriving.suggested_filename
    arriving.save_as(path)
    return path


def free_space_dbm(dataset: xr.Dataset, lat: float, lon: float) -> float:
    """ITU-R P.525 with the 4/3-earth horizon at one place, term by term, from the emitters in the file."""
    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True).transform
    here = np.array(to_ecef(lon, lat, float(dataset.attrs["height_m"])))
    alt = dataset["emitter_alt_m"].to_numpy()
    there = np.array(to_ecef(dataset["emitter_lon"].to_numpy(), dataset["emitter_lat"].to_numpy(), alt))
    d_km = np.linalg.norm(there - here[:, None], axis=0) / 1e3
    loss = 32.4478 + 20 * np.log10(dataset["emitter_freq_hz"].to_numpy() / 1e6) + 20 * np.log10(d_km)
    heard = d_km < 4.12 * (np.sqrt(np.maximum(alt, 0)) + np.sqrt(float(dataset.attrs["height_m"])))
    return float(10 * np.log10(np.sum(10 ** ((dataset["emitter_eirp_dbm"].to_numpy() - loss)[heard] / 10))))


def test_data_and_python_lines_agree_with_the_formula_and_with_the_screen(paused, tmp_path):
    with xr.open_dataset(saved(paused, "NetCDF", tmp_path), engine="h5netcdf") as file:
        dataset = file.load()
    power = dataset["power_dbm"].transpose("lat", "lon")
    assert power.attrs["units"] == "dBm"
    assert str(paused.caption.split("seq ")[1].split(" ")[0]) == str(int(dataset.attrs["seq"]))

    rng = np.random.default_rng(1)
    for row, column in zip(rng.integers(0, power.shape[0], 60), rng.integers(0, power.shape[1], 60), strict=True):
        here = power[row, column]
        assert float(here) == pytest.approx(free_space_dbm(dataset, float(here["lat"]), float(here["lon"])), abs=0.02)

    lines = saved(paused, "Python", tmp_path)
    field = runpy.run_path(str(lines))["field"]["power_dbm"].transpose("lat", "lon")
    assert field.shape == power.shape
    assert float(np.abs(field.to_numpy() - power.to_numpy()).max()) < 0.05

    # The screen shows the same in eight bits: half a step of 25 dB / 254, and the file's own rounding.
    screen = paused.ask("probe.layer('field', true)")
    levels = np.array(screen["bytes"]).reshape(screen["ny"], screen["nx"])
    inside = (levels > 1) & (levels < 255)
    shown = -80 + 25 * (levels - 1.0) / 254
    rows = power.to_numpy() if power["lat"][0] < power["lat"][-1] else power.to_numpy()[::-1]
    assert inside.sum() > 1000
    assert np.abs(shown - rows)[inside].max() < 0.5 * 25 / 254 + 0.02


def test_the_png_is_the_picture_with_its_caption(paused, tmp_path):
    image = Image.open(saved(paused, "PNG", tmp_path))
    assert image.format == "PNG"
    pixels = np.asarray(image.convert("RGB")).astype(int)
    map_height = round(paused.ask("probe.fig().outer_height"))
    scale = pixels.shape[1] / paused.ask("probe.fig().outer_width")
    foot = pixels[round(map_height * scale) :]
    assert len(foot) > 20, "there is room for a caption under the map"
    inked = np.abs(foot - foot[0, 0]).sum(axis=2) > 150
    assert inked.any(axis=0).sum() > 300, "and a line of text stands in it"
    assert not inked[:, -5:].any(), "which ends before the picture does"
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100, "the field is in the picture"


def test_the_html_page_works_without_any_network(tabs, paused, tmp_path):
    alone = tabs(f"file://{saved(paused, 'HTML', tmp_path)}", "", offline=True)
    alone.until("() => window.Bokeh?.documents?.length > 0 && probe.models().some((m) => m.type === 'Image')")
    alone.page.locator("canvas").first.wait_for()
    wait_for(lambda: len(set(alone.pixels().resize((160, 100)).tobytes()[::3])) > 60, "the field to be drawn")
    assert alone.ask("probe.models().some((m) => m.type === 'ColorBar')")


def test_names_from_data_stay_text_in_what_is_taken_along(tabs, odd, tmp_path):
    tab = tabs(odd, f"/field?{HOSTILE_VIEW}").drawn()
    alone = tabs(f"file://{saved(tab, 'HTML', tmp_path)}", "", offline=True)
    alone.until("() => probe.models().some((m) => m.type === 'Image')")
    assert alone.page.locator("img[src=x]").count() == 0  # and no dialog: the tab says so at its end
    names = set(runpy.run_path(str(saved(tab, "Python", tmp_path)))["emitters"]["id"])
    assert names >= {e["id"] for e in tab.ask("probe.emitters()")} >= {"<b>bold</b>"}
