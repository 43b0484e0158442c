"""What is taken along of runs is what was seen, and the lines give the stored numbers again."""

from __future__ import annotations

import io
import json
import re
import runpy
import time

import h5py
import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import xarray as xr

from dashboard.exports_runs import PAGE_EXPORTS
from engine.runs import simulate, validate, write_artifact, write_provenance
from engine.station import Station


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    """A station with three runs of a notebook in its folder."""
    with Station(data_dir=tmp_path_factory.mktemp("station"), feed="none") as station:
        folder = station.hunts.folder
        for seed in range(3):
            path = write_artifact(simulate({"N_grid": 16, "T_steps": 5, "seed": seed, "kappa": 0.1 * seed}), folder)
            write_provenance(validate(path, draws=19), folder)
        end = time.monotonic() + 60.0
        while sum(v is not None for v in station.hunts.table()["fitness"].to_pylist()) < 3:
            assert time.monotonic() < end, "the runs are not noticed"
            time.sleep(0.05)
        yield station


@pytest.fixture
def ids(station):
    table = station.hunts.table()
    return [run for _, run in sorted(zip(table["kappa"].to_pylist(), table["run_id"].to_pylist(), strict=True))]


def take(station, name, **query):
    return PAGE_EXPORTS[name].make(query, station)


def test_tables_hold_the_runs_listed_in_their_order(station):
    for name, read in (("runs.parquet", pyarrow.parquet.read_table), ("runs.csv", pyarrow.csv.read_csv)):
        table = read(io.BytesIO(take(station, name, where="kappa > 0.05", order="-kappa")))
        assert table["kappa"].to_pylist() == pytest.approx([0.2, 0.1])
    with pytest.raises(ValueError, match="kapa"):
        take(station, "runs.csv", where="kapa > 1")


def test_the_netcdf_file_holds_the_grids_of_the_files(station, ids):
    content = take(station, "run.nc", select=ids[1], **{"with": ids[0]})
    dataset = xr.load_dataset(io.BytesIO(content), engine="h5netcdf")
    assert dataset["run"].to_numpy().tolist() == [ids[1], ids[0]]
    for run in ids[:2]:
        with h5py.File(station.hunts.folder / f"rho_history_{run}.h5") as file:
            np.testing.assert_array_equal(dataset["final_rho"].sel(run=run), file["final_rho"][()])
    assert json.loads(dataset.attrs["params"])[ids[1]]["kappa"] == pytest.approx(0.1)


def test_the_lines_compute_the_stored_numbers_again(station, ids, tmp_path, capsys):
    lines = tmp_path / "run.py"
    lines.write_bytes(take(station, "run.py", select=ids[2]))
    out = runpy.run_path(str(lines))
    same = ("log_prime_sse", "log_prime_scale", "flat_deviation", "geometric_residual")
    assert {n: out["report"]["metrics"][n] for n in same} == {n: out["stored"][n] for n in same}
    assert "flat_deviation" in capsys.readouterr().out


def test_the_page_needs_nothing_from_elsewhere(station, ids):
    page = take(station, "run.html", select=ids[0], **{"with": ids[1]}).decode()
    assert ids[0][:10] in page and ids[1][:10] in page
    assert not re.search(r"<script[^>]+src|<link|@import", page)
    assert "http" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["run.nc", "run.html", "run.py"])
def test_what_is_not_there_is_refused_by_name(station, name):
    with pytest.raises(ValueError, match="select"):
        take(station, name)
    with pytest.raises(ValueError):
        take(station, name, select="0" * 40)
