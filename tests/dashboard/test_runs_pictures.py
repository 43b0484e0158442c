"""Charts, thumbnails and the inspector of runs: numbers as another way of computing them gives, data as text."""

from __future__ import annotations

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from dashboard.components.array_levels import COLOURS, palette
from dashboard.components.hunt_controls import status_html
from dashboard.components.run_charts import histogram_columns, spectrum_columns
from dashboard.components.run_inspector import origin_html, run_html
from dashboard.components.run_sections import section_lines
from dashboard.components.run_thumbnails import SIDE_PX, Thumbnails, thumbnail_png
from engine.run_grids import GridUnavailable, RunGrids
from engine.runs import simulate, validate, write_artifact
from engine.runs.hunt_settings import HuntStatus
from tests.dashboard.test_inspector import HOSTILE, Read

SMALL = {"N_grid": 16, "T_steps": 3, "history_every": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    for seed in range(4):
        write_artifact(simulate({**SMALL, "seed": seed}), folder)
    return folder


@pytest.fixture(scope="module")
def ids(folder):
    return sorted(path.stem.removeprefix("rho_history_") for path in folder.glob("rho_history_*.h5"))


def test_the_spectrum_is_the_mean_over_rings_of_a_plain_fft():
    rng = np.random.default_rng(3)
    grid, size = rng.random((24, 24)), 12.0
    power = np.abs(np.fft.fft2(grid) / 24**2) ** 2
    k = np.fft.fftfreq(24, 1 / 24)
    radius = np.rint(np.hypot(k[:, None], k[None, :]))
    rings = np.array([power[radius == n].mean() for n in range(1, 13)])
    line = spectrum_columns(grid, size)["line"]
    np.testing.assert_allclose(10.0 ** np.asarray(line["power"]), rings, rtol=1e-9)


def test_target_lines_stand_at_the_logarithms_of_primes_over_the_fitted_scale():
    x = 2 * np.pi * np.arange(64) / 64
    field = np.tile(sum(np.cos(m * x) for m in (6, 10, 15)), (64, 1))
    found = spectrum_columns(field, 2 * np.pi)
    peaks = np.asarray(found["peaks"]["k"])
    logs = np.log([2, 3, 5])
    scale = float(peaks[:3] @ logs / (peaks[:3] @ peaks[:3])) if len(peaks) == 3 else None
    if scale is not None:
        np.testing.assert_allclose(np.asarray(found["targets"]["k"])[:3] * scale, logs)
    assert found["targets"]["text"][:3] == ["ln 2", "ln 3", "ln 5"]
    ratio = np.asarray(found["targets"]["k"])[1] / np.asarray(found["targets"]["k"])[0]
    assert ratio == pytest.approx(np.log(3) / np.log(2))


@pytest.mark.parametrize("grid", [np.ones((3, 4)), np.full((8, 8), np.nan), np.empty((0, 0)), np.ones(5)])
def test_what_has_no_spectrum_has_none(grid):
    assert len(spectrum_columns(grid, 1.0)["line"]["k"]) == 0


def test_a_histogram_counts_every_finite_value_once():
    values = np.array([0.0, 1.0, 1.0, np.nan, np.inf, 5.0])
    assert histogram_columns(values)["top"].sum() == 4
    assert len(histogram_columns(np.array([np.nan]))["top"]) == 0


def test_sections_are_rows_and_columns_of_the_grid():
    grid = np.arange(12.0).reshape(3, 4)
    lines = section_lines([grid, np.ones((2, 2))], (2, 1))
    assert len(lines["row"][1]) == 1, "a grid without that cell is left out"
    np.testing.assert_array_equal(lines["row"][1][0], grid[2])
    np.testing.assert_array_equal(lines["column"][1][0], grid[:, 1])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_thumbnail_has_the_colours_of_the_heat_map_and_its_first_row_below(theme):
    grid = np.arange(64.0).reshape(8, 8)
    grid[7, 7] = np.nan
    image = Image.open(io.BytesIO(thumbnail_png(grid, None, theme))).convert("RGB")
    colours = [tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in palette("sequential", theme)]
    assert image.size == (8, 8)
    assert image.getpixel((0, 7)) == colours[0]
    assert image.getpixel((6, 0)) == colours[COLOURS - 1]
    assert image.getpixel((7, 0)) == colours[255], "no number has the colour of none"


def test_large_grids_become_small_pictures_of_block_means():
    grid = np.kron(np.array([[0.0, 1.0], [2.0, 3.0]]), np.ones((192, 192)))
    image = Image.open(io.BytesIO(thumbnail_png(grid)))
    assert max(image.size) <= 2 * SIDE_PX
    assert len(set(image.convert("RGB").get_flattened_data())) == 4


def test_thumbnails_are_kept_in_bounded_number_and_failures_have_a_reason(folder, ids):
    made, rung = Thumbnails(RunGrids(folder), kept=3), threading.Event()
    missing = "0" * 40
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        there = made.ask([ids[0], missing], "final_rho", None, "light", rung.set)
        if len(there) == 2:
            break
        rung.wait(1.0)
    assert there[ids[0]].startswith("data:image/png;base64,")
    assert there[missing] == f"there is no file rho_history_{missing}.h5"
    for run in ids:
        for theme in ("light", "dark"):
            made.ask([run], "final_rho", None, theme, rung.set)
    while made._wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(made) <= 3
    made.stop()


def test_grids_are_those_of_the_file_and_kept_in_bounded_bytes(folder, ids):
    grids = RunGrids(folder, kept_bytes=3 * 16 * 16 * 8)
    for run in ids:
        for name in ("final_rho", "rho_s"):
            assert grids.grid(run, name).shape == (16, 16)
    assert grids.kept_bytes <= 3 * 16 * 16 * 8
    assert grids.grid(ids[0]) is grids.grid(ids[0]), "read once"
    history = next(d for d in grids.datasets(ids[0]) if d.name == "rho_history")
    assert (history.frames, history.shape) == (4, (16, 16))
    np.testing.assert_array_equal(grids.grid(ids[0], "rho_history", 99), grids.grid(ids[0], "final_rho"))
    with pytest.raises(GridUnavailable, match="no grid 'psi'"):
        grids.grid(ids[0], "psi")


def test_a_damaged_file_is_explained(tmp_path, folder, ids):
    whole = (folder / f"rho_history_{ids[0]}.h5").read_bytes()
    path = tmp_path / f"rho_history_{ids[0]}.h5"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(GridUnavailable, match="cannot be read"):
        RunGrids(tmp_path).grid(ids[0])


def test_a_report_beside_the_stored_numbers_says_whether_they_agree(folder, ids):
    report = validate(folder / f"rho_history_{ids[0]}.h5", draws=9)
    run = {"run_id": ids[0], "state": "done", **report["metrics"]}
    assert "The arrays give the stored numbers" in run_html(run, report, None)
    other = {**run, "flat_deviation": report["metrics"]["flat_deviation"] + 1e-3}
    assert "The arrays give other numbers" in run_html(other, report, None)
    gone = validate(folder / "rho_history_none.h5")
    assert "there is no file" in run_html(run, gone, None)


@pytest.mark.parametrize("text", HOSTILE)
def test_data_is_text_and_only_text(text):
    run = {"run_id": text, "state": text, "reason": text, "hunt_id": text, "code_version": text, "precision": text}
    status = HuntStatus(hunt_id="a", state=text, message=text, budget=3, done=1)
    import pyarrow as pa

    table = pa.table({"state": ["failed"], "reason": [text], "run_id": ["a"]})
    for html in (run_html(run, None, None), origin_html(run, ["precision"]), status_html(status, table, True, text)):
        read = Read(html)
        assert not read.tags & {"script", "img", "svg", "!--"}
        assert not {name for name in read.attributes if name.startswith("on")}
