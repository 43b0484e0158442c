"""Finds a registered data set on this machine, or fetches it once from its origin.

It returns a path whose content has been checked; what the bytes mean is not its concern. Looked at in order: the files
shipped with the package, a folder of real data beside the project, the cache, and at last the origin.

Environment: ``SCYTHE_SHARED_DATA`` names the folder of real data (default ``../shared/data`` beside the repository),
``DATA_DIR`` the folder whose ``cache/`` keeps what was fetched (default ``data/cache`` in the repository).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from data.fetch import FetchError, fetch, locked, sha256_of
from data.registry import DataSet, known

__all__ = ["DataUnavailable", "cache_folder", "locate", "shared_folder"]

_PACKAGE = Path(__file__).resolve().parent


class DataUnavailable(Exception):
    """A data set is not here and could not be fetched; the message says what is missing and how to get it."""


def shared_folder() -> Path:
    """Folder of real data beside the project; it need not exist."""
    named = os.environ.get("SCYTHE_SHARED_DATA")
    return Path(named).expanduser() if named else _PACKAGE.parent.parent / "shared" / "data"


def cache_folder() -> Path:
    """Folder for what was fetched; it need not exist yet."""
    named = os.environ.get("DATA_DIR")
    return (Path(named).expanduser() if named else _PACKAGE) / "cache"


def locate(name: str, *, download: bool = True, registry: Mapping[str, DataSet] | None = None) -> Path:
    """Path of a data set with the registered size and checksum.

    Parameters
    ----------
    name : str
        As in the registry, such as ``tracks/switzerland.json.gz``.
    download : bool
        Whether the origin may be asked.
    registry : mapping of str to DataSet, optional
        Other data sets than those of `data.registry.known`.

    Returns
    -------
    Path
        An existing file; not to be written to.

    Raises
    ------
    DataUnavailable
        If the name is not registered, the file is nowhere and cannot be fetched, or a file is there
        with other content than registered.

    Examples
    --------
    >>> locate("land/lines_110m.npz").name
    'lines_110m.npz'
    """
    sets = known() if registry is None else registry
    if name not in sets:
        close = difflib.get_close_matches(name, sets, n=1, cutoff=0.0)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DataUnavailable(f"no data set is registered as {name!r}{hint}")
    dataset = sets[name]
    for folder in (_PACKAGE, shared_folder()) if dataset.origin.kind == "built" else (shared_folder(),):
        if (folder / name).is_file():
            return _checked(folder / name, dataset)
    return _from_cache(dataset, sets, download)


def _from_cache(dataset: DataSet, sets: Mapping[str, DataSet], download: bool) -> Path:
    path = cache_folder() / dataset.name
    if path.is_file() and _matches(path, dataset):
        return path
    if not download:
        raise DataUnavailable(_missing(dataset, "downloading was not allowed"))
    try:
        with locked(cache_folder()):
            # Another process may have brought it while this one waited.
            if not (path.is_file() and _matches(path, dataset)):
                fetch(dataset, sets.values(), cache_folder())
    except FetchError as error:
        raise DataUnavailable(_missing(dataset, str(error))) from error
    except OSError as error:
        raise DataUnavailable(_missing(dataset, f"the cache cannot be written: {error}")) from error
    return path


def _checked(path: Path, dataset: DataSet) -> Path:
    if not _matches(path, dataset):
        raise DataUnavailable(
            f"{path} is not the registered {dataset.name}: it should have {dataset.bytes} bytes and "
            f"checksum {dataset.sha256}; remove it, or put the right file there"
        )
    return path


def _matches(path: Path, dataset: DataSet) -> bool:
    status = path.stat()
    # The size is free; the whole file is read once per process, unless it changes.
    return status.st_size == dataset.bytes and _sha256(path, status.st_mtime_ns, status.st_size) == dataset.sha256


@lru_cache(maxsize=256)
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    return sha256_of(path)


def _missing(dataset: DataSet, reason: str) -> str:
    return (
        f"data set {dataset.name} ({dataset.bytes / 1e6:.1f} MB, {dataset.origin.about}, {dataset.origin.licence}) "
        f"is not here: {reason}. To get it by hand: {dataset.origin.how_to_get(dataset.member)}; "
        f"put it at {shared_folder() / dataset.name} or {cache_folder() / dataset.name}"
    )
