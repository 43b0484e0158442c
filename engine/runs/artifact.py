"""Artifacts of runs: one HDF5 file per run, whole or not there at all.

Writing is atomic; reading gives the arrays or a reason why not. What the arrays are worth is not its concern: no
metric is written or computed here.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
import xarray as xr

from engine.runs.identity import canonical_json, run_id
from engine.runs.params import PRECISIONS, RunParams
from engine.runs.solver import Checkpoint

T = TypeVar("T")

FORMAT = "rho_history 1"
"""What the attribute `format` of an artifact says."""

FIELDS = ("final_rho", "final_g_tt", "rho_s")

# Superblock and object headers of this version carry checksums, so that a flipped bit in them is found out. The
# global heap has none, and a flipped bit there makes the HDF5 library loop for ever: texts are of fixed length, and
# there are no dimension scales, because both would otherwise lie in it.
_LIBVER = ("v110", "v110")
_CHUNK = 256
_SOURCES = {
    "solver": ("params.py", "solver.py", "_walk.py", "_stepper.py", "_etdrk4.py"),
    "metrics": ("metrics.py", "nulls.py", "validator.py", "artifact.py"),
}


class ArtifactMissing(Exception):
    """There is no artifact at this place."""


class ArtifactUnreadable(Exception):
    """What is there is no whole artifact; the message says what is wrong with it."""


def artifact_name(identity: str) -> str:
    """File name of the artifact of a run.

    Parameters
    ----------
    identity : str
        A `run_id`.

    Returns
    -------
    str

    Examples
    --------
    >>> artifact_name("ab" * 20)
    'rho_history_abababababababababababababababababababab.h5'
    """
    return f"rho_history_{identity}.h5"


@cache
def code_version(part: str = "solver") -> str:
    """Version of the project, and a hash of the source text of what computed an artifact or its metrics.

    Parameters
    ----------
    part : {"solver", "metrics"}

    Returns
    -------
    str

    Examples
    --------
    >>> "+solver." in code_version()
    True
    """
    try:
        version = importlib.metadata.version("scythe-dashboard")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    digest = hashlib.sha1(usedforsecurity=False)
    for name in _SOURCES[part]:
        source = Path(__file__).with_name(name)
        digest.update(source.read_bytes() if source.is_file() else b"")
    return f"{version}+{part}.{digest.hexdigest()[:12]}"


def write_artifact(run: xr.Dataset, folder: str | os.PathLike[str]) -> Path:
    """Write the artifact of a run; it appears under its name whole, or not at all.

    The file is written under a hidden name, brought to the disk and renamed. The same run gives the same bytes with
    the same libraries: no times, no names of users or machines. A file of that name is replaced.

    Parameters
    ----------
    run : xarray.Dataset
        From `simulate`, begun from its seed.
    folder : path
        An existing folder.

    Returns
    -------
    Path
        ``rho_history_<id>.h5``.

    Raises
    ------
    ValueError
        A run from a given start, which has no id.
    OSError
        The folder is not there or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> from engine.runs.solver import simulate
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_artifact(simulate({"N_grid": 8, "T_steps": 1}), folder)
    ...     read_artifact(path).final_rho.shape
    (8, 8)
    """
    if "run_id" not in run.attrs:
        raise ValueError("this run was begun from a given start and has no id; only runs from a seed have artifacts")

    def fill(file: h5py.File) -> None:
        libraries = canonical_json({name: importlib.metadata.version(name) for name in _LIBRARIES})
        texts = {"format": FORMAT, "code_version": code_version(), "libraries": libraries}
        for name, text in (texts | {name: run.attrs[name] for name in ("params", "run_id")}).items():
            file.attrs[name] = np.bytes_(text.encode())
        for name in ("smallest_dt", "t"):
            file.attrs[name] = float(run.attrs[name])
        for name in sorted(map(str, run.coords)):
            file.create_dataset(name, data=run.coords[name].to_numpy(), fletcher32=True)
        for name in (*FIELDS, *(["rho_history"] if "rho_history" in run else [])):
            field = run[name]
            chunks = tuple(1 if dim == "t" else min(size, _CHUNK) for dim, size in field.sizes.items())
            stored = file.create_dataset(name, data=field.to_numpy(), chunks=chunks, fletcher32=True)
            stored.attrs["axes"] = np.bytes_(" ".join(map(str, field.dims)).encode())
            stored.attrs["long_name"] = np.bytes_(field.attrs["long_name"].encode())

    return _write_whole(Path(folder) / artifact_name(run.attrs["run_id"]), fill)


def read_artifact(path: str | os.PathLike[str]) -> xr.Dataset:
    """The arrays and attributes of an artifact, checked against its own parameters.

    Checked are: format, parameters, identity against the parameters and the file name, that each dataset is there
    with the shape and type the parameters ask for and with all its chunks, checksums, and that all is finite.

    Parameters
    ----------
    path : path

    Returns
    -------
    xarray.Dataset
        `final_rho`, `final_g_tt`, `rho_s` on ``y``, ``x``, where kept `rho_history` on ``t``, ``y``, ``x``.

    Raises
    ------
    ArtifactMissing
        There is no file.
    ArtifactUnreadable
        It is no whole artifact; says why.

    Examples
    --------
    >>> read_artifact("nowhere.h5")
    Traceback (most recent call last):
    ...
    engine.runs.artifact.ArtifactMissing: there is no file nowhere.h5
    """
    return _read(Path(path), _artifact_of)


def write_checkpoint(saved: Checkpoint, folder: str | os.PathLike[str]) -> Path:
    """Write a checkpoint, as atomically as an artifact.

    Parameters
    ----------
    saved : Checkpoint
        Of a run begun from its seed.
    folder : path
        An existing folder.

    Returns
    -------
    Path
        ``checkpoint_<id>.h5``.

    Raises
    ------
    ValueError
        A run from a given start, which has no id.
    """
    if not saved.own_start:
        raise ValueError("this run was begun from a given start and has no id; its checkpoint has no name")

    def fill(file: h5py.File) -> None:
        file.attrs["params"] = np.bytes_(canonical_json(saved.params.as_dict()).encode())
        for name in ("step", "level", "calm", "deepest"):
            file.attrs[name] = getattr(saved, name)
        for name in ("spectrum", "rho_s", "history"):
            array = getattr(saved, name)
            file.create_dataset(name, data=array, fletcher32=True, chunks=array.shape if array.size else True)

    return _write_whole(Path(folder) / f"checkpoint_{run_id(saved.params)}.h5", fill)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """A checkpoint from its file, for `simulate(..., resume=...)`.

    Parameters
    ----------
    path : path

    Returns
    -------
    Checkpoint

    Raises
    ------
    ArtifactMissing
        There is no file.
    ArtifactUnreadable
        It is no whole checkpoint; says why. The run is then to be begun anew.
    """
    return _read(Path(path), _checkpoint_of)


_LIBRARIES = ("numpy", "scipy")


def _write_whole(path: Path, fill: Callable[[h5py.File], None]) -> Path:
    hidden = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with h5py.File(hidden, "x", libver=_LIBVER) as file:
            fill(file)
        with open(hidden, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # so that the new name, too, is on the disk
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return path


def _read(path: Path, take: Callable[[h5py.File, Path], T]) -> T:
    try:
        if not path.exists():
            raise ArtifactMissing(f"there is no file {path.name}")
        if not path.is_file():
            raise ArtifactUnreadable(f"{path.name} is no file")
        with h5py.File(path, "r", locking="best-effort") as file:
            return take(file, path)
    except (ArtifactMissing, ArtifactUnreadable):
        raise
    # What the HDF5 library raises for a damaged file is any of these, as it comes.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise ArtifactUnreadable(f"{path.name}: {type(error).__name__}: {error}") from error


def _artifact_of(file: h5py.File, path: Path) -> xr.Dataset:
    written = _text(file, "format")
    if written != FORMAT:
        raise ArtifactUnreadable(f"format is {written!r}; it must be {FORMAT!r}")
    run, identity = _params(file), _text(file, "run_id")
    if identity != run_id(run):
        raise ArtifactUnreadable(f"run_id is {identity!r}; its parameters have the id {run_id(run)}")
    named = re.fullmatch(r"rho_history_([0-9a-f]{40})\.h5", path.name)
    if named and named[1] != identity:
        raise ArtifactUnreadable(f"the file is named for another run than it holds, {identity}")
    n, real = run.N_grid, PRECISIONS[run.precision][1]
    data: dict[str, Any] = {name: (("y", "x"), _array(file, name, (n, n), real)) for name in FIELDS}
    for name, least in (("final_rho", 0.0), ("rho_s", np.nextafter(0.0, 1.0))):
        low = int(np.count_nonzero(data[name][1] < least))
        if low:
            side = "not above" if least else "below"
            raise ArtifactUnreadable(f"{name} is no density: it has {low} cells that are {side} 0")
    coords = {name: _array(file, name, (n,), "float64") for name in ("y", "x")}
    if run.history_every:
        frames = 1 + run.T_steps // run.history_every
        data["rho_history"] = (("t", "y", "x"), _array(file, "rho_history", (frames, n, n), real))
        coords["t"] = _array(file, "t", (frames,), "float64")
    attrs: dict[str, Any] = {"params": canonical_json(run.as_dict()), "run_id": identity}
    attrs |= {name: _text(file, name) for name in ("code_version", "libraries")}
    attrs |= {name: float(_attribute(file, name)) for name in ("t", "smallest_dt")}
    if not np.isfinite([attrs["t"], attrs["smallest_dt"]]).all():
        raise ArtifactUnreadable(f"t is {attrs['t']} and smallest_dt {attrs['smallest_dt']}; they must be finite")
    return xr.Dataset(data, coords, attrs)


def _checkpoint_of(file: h5py.File, path: Path) -> Checkpoint:
    run = _params(file)
    field, real = PRECISIONS[run.precision]
    counts = {name: int(_attribute(file, name)) for name in ("step", "level", "calm", "deepest")}
    frames = 1 + counts["step"] // run.history_every if run.history_every else 0
    shapes = {"spectrum": (run.N_grid,) * 2, "rho_s": (run.N_grid,) * 2, "history": (frames, run.N_grid, run.N_grid)}
    arrays = {name: _array(file, name, shape, field if name == "spectrum" else real) for name, shape in shapes.items()}
    return Checkpoint(params=run, own_start=True, **counts, **arrays)  # type: ignore[arg-type]


def _attribute(file: h5py.File, name: str) -> Any:
    if name not in file.attrs:
        raise ArtifactUnreadable(f"there is no attribute {name!r}")
    stored = file.attrs.get_id(name)
    if stored.shape != () or stored.get_type().get_class() not in (h5py.h5t.STRING, h5py.h5t.FLOAT, h5py.h5t.INTEGER):
        raise ArtifactUnreadable(f"the attribute {name!r} is neither a number nor a text")
    if stored.dtype == object:  # in the global heap, which is not safe to read
        raise ArtifactUnreadable(f"the attribute {name!r} is a text of variable length; it must be of fixed length")
    return file.attrs[name]


def _text(file: h5py.File, name: str) -> str:
    value = _attribute(file, name)
    if not isinstance(value, bytes):
        raise ArtifactUnreadable(f"the attribute {name!r} is a {type(value).__name__}; it must be text")
    return value.decode()


def _params(file: h5py.File) -> RunParams:
    text = _text(file, "params")
    try:
        return RunParams.of(json.loads(text))
    except ValueError as error:
        raise ArtifactUnreadable(f"the attribute 'params' does not hold parameters: {error}") from error


def _array(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A dataset as the parameters ask for it; its size is known to be right before anything is read."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise ArtifactUnreadable(f"there is no dataset {name!r}")
    if found.shape != shape or found.dtype != np.dtype(dtype):
        raise ArtifactUnreadable(f"{name} is {found.dtype} of shape {found.shape}; it must be {dtype} of {shape}")
    if found.size == 0:
        return np.empty(shape, dtype)
    if found.chunks is None or not found.fletcher32:
        raise ArtifactUnreadable(f"{name} is stored without checksums")
    # HDF5 reads zeros where a chunk was never written.
    due = int(np.prod([-(-size // chunk) for size, chunk in zip(shape, found.chunks, strict=True)]))
    if found.id.get_num_chunks() != due:
        raise ArtifactUnreadable(f"{name} has {found.id.get_num_chunks()} of {due} chunks")
    array = found[...]
    wrong = int(array.size - np.count_nonzero(np.isfinite(array)))
    if wrong:
        raise ArtifactUnreadable(f"{name} has {wrong} values that are not finite")
    return array
