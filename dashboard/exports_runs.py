"""Take-along files of the Runs page: the runs listed, and the open run as data, page and Python lines."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import xarray as xr

from dashboard.components.csv_cells import csv_of_table
from dashboard.components.run_listing import listing
from dashboard.components.run_plot import run_html_bytes
from dashboard.components.run_rows import PARAMETERS
from dashboard.components.runs_state import RunsState
from dashboard.exports import Export, Maker, state_of
from engine.runs.artifact import ArtifactMissing, ArtifactUnreadable, read_artifact
from engine.runs.validator import METRICS
from engine.station import Station


def _listed(make: Callable[[pa.Table], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, RunsState())
        moment_s = state.moment_s if state.mode != "live" else None
        found = listing(station.hunts.table(state.hunt), state, moment_s)
        if found.refused:
            raise ValueError(found.refused)
        return make(found.table.take(pa.array(found.rows)))

    return export


def _open(make: Callable[[RunsState, list[xr.Dataset]], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, RunsState())
        if not state.selected:
            raise ValueError("select is empty; the id of a run is needed")
        try:
            runs = [read_artifact(station.hunts.grids.path(run)) for run in (state.selected, *state.others)]
        except (ArtifactMissing, ArtifactUnreadable) as error:
            raise ValueError(str(error)) from error
        return make(state, runs)

    return export


def parquet_bytes(table: pa.Table) -> bytes:
    """Runs as Parquet."""
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def csv_bytes(table: pa.Table) -> bytes:
    """Runs as CSV; lists of parents as JSON."""
    columns = {
        name: pa.array([json.dumps(v) if v is not None else None for v in table[name].to_pylist()], pa.string())
        if pa.types.is_nested(table.schema.field(name).type)
        else table[name]
        for name in table.column_names
    }
    return csv_of_table(pa.table(columns))


def netcdf_bytes(state: RunsState, runs: list[xr.Dataset]) -> bytes:
    """The open run and those compared with it along a dimension ``run``, as NetCDF-4; grids of unequal size refused."""
    if len({tuple(run.sizes.items()) for run in runs}) > 1:
        raise ValueError("the runs compared have grids of different size; take them along one by one")
    names = [run.attrs["run_id"] for run in runs]
    together = xr.concat(runs, "run", combine_attrs="drop_conflicts").assign_coords(run=names)
    params = {name: json.loads(run.attrs["params"]) for name, run in zip(names, runs, strict=True)}
    together.attrs["params"] = json.dumps(params)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.nc"
        encoding = {str(n): {"zlib": True, "complevel": 4} for n in together.data_vars if together[n].ndim >= 2}
        together.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        return path.read_bytes()


def python_lines(query: dict[str, str], station: Station) -> bytes:
    """Lines that compute the open run again, measure it, and set the numbers beside those stored; needs no file."""
    state = state_of(query, RunsState())
    table = station.hunts.table()
    rows = table.filter(pc.equal(table["run_id"], state.selected)).to_pylist()
    if not rows:
        raise ValueError(f"select is {state.selected!r}; the id of a run that is listed is needed")
    params = {name: rows[0][name] for name in PARAMETERS}
    stored = {name: rows[0][name] for name in METRICS}
    return (
        f'"""Run {state.selected}, computed and measured again."""\n\n'
        "import tempfile\n\nfrom engine.runs import run_id, simulate, validate, write_artifact\n\n"
        f"params = {params!r}\n"
        f"stored = {stored!r}\n\n"
        f"assert run_id(params) == {state.selected!r}\n"
        "run = simulate(params)\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    report = validate(write_artifact(run, folder))\n"
        "for name, value in report['metrics'].items():\n"
        "    print(f'{name:20} {value:<22} stored {stored.get(name)}')\n"
    ).encode()


PAGE_EXPORTS = {
    "runs.parquet": Export("application/vnd.apache.parquet", _listed(parquet_bytes)),
    "runs.csv": Export("text/csv; charset=utf-8", _listed(csv_bytes)),
    "run.nc": Export("application/x-netcdf", _open(netcdf_bytes)),
    "run.html": Export("text/html; charset=utf-8", _open(run_html_bytes)),
    "run.py": Export("text/x-python; charset=utf-8", python_lines),
}
"""Files of this page, by name."""
