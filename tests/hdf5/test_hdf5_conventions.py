"""Axes, units and default pictures as netCDF4, NeXus and our own artifacts write them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import xarray as xr

from engine.runs import open_hdf5 as promised
from engine.runs import simulate, write_artifact


@pytest.fixture
def climate(tmp_path):
    """A NetCDF-4 file as xarray and netCDF4 write it: scales, packing, fill values."""
    rng = np.random.default_rng(5)
    data = xr.Dataset(
        {
            "t2m": (
                ("time", "lat", "lon"),
                280 + 5 * rng.normal(size=(3, 19, 36)),
                {"units": "K", "long_name": "warmth"},
            )
        },
        {"time": [0.0, 6.0, 12.0], "lat": np.linspace(90, -90, 19), "lon": np.arange(0.0, 360, 10)},
    )
    data["t2m"].attrs.update(units="K", long_name="warmth")
    data["lat"].attrs["units"], data["lon"].attrs["units"] = "degrees_north", "degrees_east"
    data["t2m"][1, 3, 4] = np.nan
    data["gauss"] = (("time", "z"), rng.normal(size=(3, 5)))
    data["z"] = ("z", [1.0, 2.0, 5.0, 11.0, 30.0], {"units": "m"})
    packing = {"t2m": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768, "zlib": True}}
    path = tmp_path / "climate.nc"
    data.to_netcdf(path, engine="h5netcdf", encoding=packing)
    return path


def test_netcdf_axes_units_packing_and_fill_are_those_that_xarray_reads(opened, climate):
    with xr.open_dataset(climate, engine="h5netcdf") as theirs:
        view = opened(climate)["t2m"].view([1])
        assert view.dims == ("lat", "lon")
        assert view.attrs["units"] == "K"
        assert view.attrs["long_name"] == "warmth"
        assert view.attrs["nan"] == 1
        np.testing.assert_allclose(view.values, theirs["t2m"][1].values, rtol=1e-6)
        for name in ("lat", "lon"):
            np.testing.assert_allclose(view[name], theirs[name])
            assert view[name].attrs["units"] == theirs[name].attrs["units"]


def test_an_axis_with_uneven_steps_keeps_its_coordinates(opened, climate):
    view = opened(climate)["gauss"].view()
    np.testing.assert_array_equal(view["z"], [1, 2, 5, 11, 30])
    assert not view["z"].attrs["even"]
    assert view["z"].attrs["units"] == "m"


def test_nexus_names_the_picture_to_begin_with_and_its_axes(opened, tmp_path):
    with h5py.File(tmp_path / "scan.nxs", "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default="data")
        data = entry.create_group("data")
        data.attrs.update(
            NX_class="NXdata", signal="counts", axes=["angle", "energy"], angle_indices=0, energy_indices=1
        )
        data["counts"] = np.arange(12.0).reshape(3, 4)
        data["angle"], data["energy"] = [10.0, 20.0, 30.0], [1.0, 1.5, 2.0, 2.5]
        data["angle"].attrs["units"], data["energy"].attrs["units"] = "deg", "keV"
        data["counts_errors"] = np.ones((3, 4))
    tree = opened(tmp_path / "scan.nxs")
    assert tree.default == "/entry/data/counts"
    view = tree[tree.default].view()
    assert view.dims == ("angle", "energy")
    np.testing.assert_allclose(view["energy"], [1, 1.5, 2, 2.5])
    assert view["angle"].attrs["units"] == "deg"
    assert tree["/entry/data/counts_errors"].view().dims == ("angle", "energy")


def test_our_own_artifacts_have_their_axes(tmp_path):
    run = simulate({"N_grid": 16, "T_steps": 2, "history_every": 1})
    tree = promised(write_artifact(run, tmp_path))
    view = tree["final_rho"].view()
    np.testing.assert_array_equal(view.values, run.final_rho.values)
    assert view.dims == ("y", "x")
    np.testing.assert_allclose(view["x"], run.x, rtol=1e-6)
    assert view.attrs["long_name"] == run.final_rho.attrs["long_name"]
    history = tree["rho_history"].view([2])
    assert history.dims == ("y", "x")
    np.testing.assert_array_equal(history.values, run.rho_history[2].values)
