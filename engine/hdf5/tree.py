"""The tree of a file: groups, datasets, attributes and views, asked for when they are looked at.

Nothing here touches libhdf5; that happens in reader processes (`engine.hdf5.readers`). No file is kept open.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import EllipsisType
from typing import Any

import pandas as pd
import xarray as xr

from engine.hdf5.errors import NotAllowed, ReaderCrashed, ReaderTimeout, Unreadable
from engine.hdf5.identity import identity
from engine.hdf5.overview import Overview
from engine.hdf5.readers import Readers, shared_readers
from engine.hdf5.views import box_of, data_array

PAGE = 500
"""Members of a group that are listed at a time."""

Slices = Sequence[int | slice | EllipsisType | tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group, as its page lists it.

    Attributes
    ----------
    name : str
    kind : {"group", "dataset", "datatype", "unknown"}
        Of what it leads to; "unknown" where that was not or could not be looked at.
    link : {"hard", "soft", "external"}
    target : str
        Where a soft or external link leads.
    shape : tuple of int, or None
        Of a dataset; None of a null space.
    type : str
        Of a dataset, in words.
    count : int
        Members of a group.
    address : str
        Equal for equal groups: a group that is its own ancestor is a cycle.
    problem : str
        Why it cannot be opened; else empty.
    """

    name: str
    kind: str = "unknown"
    link: str = "hard"
    target: str = ""
    shape: tuple[int, ...] | None = None
    type: str = ""
    count: int = 0
    address: str = ""
    problem: str = ""
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: its value as text, numbers and lists; None for a null space; `problem` if it cannot be read."""

    name: str
    value: Any
    type: str = ""
    shape: tuple[int, ...] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Node:
    """A group, a named type, or (see `Dataset`) a dataset.

    Attributes
    ----------
    tree : Tree
    path : str
    info : dict
        As the reader said it.
    """

    tree: Tree = field(repr=False)
    path: str
    info: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """Group, dataset or datatype."""
        return str(self.info["kind"])

    @property
    def attributes(self) -> list[Attribute]:
        """Attributes in the order of the file."""
        return [
            Attribute(a["name"], a["value"], a["type"], _shape(a["shape"]), a["problem"])
            for a in self.info["attributes"]
        ]

    @property
    def attrs(self) -> dict[str, Any]:
        """Values of the attributes by name; those that cannot be read are left out."""
        return {a.name: a.value for a in self.attributes if not a.problem}

    @property
    def notes(self) -> list[str]:
        """What has to be known of it: a killed writer, a truncated file, attributes that cannot be read."""
        return list(self.info["notes"])

    def members(self, start: int = 0, count: int = PAGE) -> tuple[int, list[Member]]:
        """How many members a group has, and a page of them."""
        return self.tree.members(self.path, start, count)


@dataclass(frozen=True)
class Dataset(Node):
    """A dataset: what is known of it, and views of its values."""

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape; () of a scalar, None of a null space."""
        return _shape(self.info["shape"])

    @property
    def type(self) -> str:
        """Type in words."""
        return str(self.info["type"])

    @property
    def type_class(self) -> str:
        """Class of the type: integer, float, complex, enum, bitfield, string, compound, array, vlen, opaque, …"""
        return str(self.info["class"])

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of the chunks, None if it is not chunked."""
        return _shape(self.info["chunks"])

    @property
    def filters(self) -> list[dict[str, Any]]:
        """Filters in the order they were applied: id, name, options, installed."""
        return list(self.info["filters"])

    @property
    def problem(self) -> str:
        """Why its values cannot be read; empty if they can."""
        return str(self.info["problem"])

    @property
    def conventions(self) -> dict[str, Any]:
        """Units, axes and what stored numbers stand for, see `engine.hdf5.conventions`."""
        return dict(self.info.get("conventions", {}))

    @property
    def pictured(self) -> bool:
        """Whether there is a picture or line of it: numbers, in one dimension or more."""
        numeric = self.type_class in ("integer", "float", "complex", "enum", "bitfield")
        fields = any(f["class"] in ("integer", "float", "complex") for f in self.info["fields"])
        return bool(not self.problem and self.shape and 0 not in self.shape and (numeric or fields))

    def view(
        self, slices: Slices = (), shape: tuple[int, int] = (512, 512), axes: tuple[int, ...] | None = None,
        part: str = "value", member: str = "", budget_s: float = 0.25,
        overview: Overview | None = None,
    ) -> xr.DataArray:  # fmt: skip
        """What is in view, at most the asked resolution.

        Parameters
        ----------
        slices : sequence of int, slice, (int, int) or ...
            For each dimension one index or a range of cells; what is left out is taken whole, or if it is no axis of
            the picture, at index 0.
        shape : (int, int)
            At most this many rows and columns; of a line the second counts.
        axes : tuple of one or two int, optional
            Which dimensions make the picture, rows first; the last two that are ranges by default.
        part : {"value", "magnitude", "phase", "real", "imaginary"}
            Of complex numbers; "value" is the magnitude.
        member : str
            Of a compound type, which member.
        budget_s : float
            About how long reading may take, s; it decides between means of all cells and single cells.

        overview : Overview, optional
            Used where it is ready and fine enough, see `engine.hdf5.overview`.

        Returns
        -------
        xarray.DataArray
            Coordinates at the middle of each pixel, in the units of the axes. Attributes: ``units``, ``long_name``;
            ``how``, one of "exact" (each value is a cell), "averaged" (means of the finite cells of a block) and
            "sampled" (single cells); ``steps``, cells in a pixel; ``box``, first and one past the last cell of rows
            and columns; ``nan`` and ``inf``, how many of the cells that were read are no numbers; ``damaged``, how many
            chunks cannot be read and ``damage`` why; ``share`` of the chunks in view that were read. A line that is
            averaged has a third, leading dimension ``stat``: mean, min, max.

        Raises
        ------
        Hdf5Error
            If there is no picture of it, saying why.
        ValueError
            For slices, axes or a part that do not fit.
        """
        if self.problem:
            raise Unreadable(f"{self.path}: {self.problem}")
        view = box_of(self, slices, axes)
        return data_array(self, view, shape, part, member, budget_s, overview)

    def table(self, start: int = 0, count: int = 200, others: Sequence[int] = ()) -> pd.DataFrame:
        """Values as they are, along the last dimension: compound types with a column for each member.

        Parameters
        ----------
        start, count : int
            First value, and how many; at most 2 000 at a time.
        others : sequence of int
            Places in the other dimensions; 0 by default.

        Returns
        -------
        pandas.DataFrame
            Indexed by the place along the last dimension. ``attrs["total"]`` says how many there are.
        """
        if self.problem:
            raise Unreadable(f"{self.path}: {self.problem}")
        found = self.tree.ask("table", path=self.path, start=start, count=count, others=list(others) or None)
        rows = found["rows"]
        fields = [f["name"] for f in self.info["fields"]]
        frame = pd.DataFrame(rows, columns=fields) if fields else pd.DataFrame({"value": pd.Series(rows, dtype=object)})
        frame.index = pd.RangeIndex(start, start + len(rows))
        frame.attrs["total"] = found["total"]
        return frame


class Tree:
    """An HDF5 file to walk through; see `open_hdf5`.

    Attributes
    ----------
    path : Path
        Resolved.
    allowed : tuple of Path
        Folders that may be read.
    info : dict
        ``size`` bytes, ``user_block`` bytes, ``superblock`` version, ``writing``, ``swmr``, ``truncated``,
        ``default``: path of the picture that the file wants to be opened with.
    """

    def __init__(self, path: Path, allowed: tuple[Path, ...], readers: Readers) -> None:
        self.path, self.allowed, self._readers = path, allowed, readers
        self.identity = identity(str(path))
        self.info: dict[str, Any] = self.ask("look")

    def __repr__(self) -> str:
        return f"Tree({str(self.path)!r})"

    @property
    def notes(self) -> list[str]:
        """What has to be known of the file: user block, killed writer, missing bytes."""
        return list(self.info["notes"])

    @property
    def default(self) -> str:
        """Path of the dataset that the file wants shown first; empty if it names none."""
        return str(self.info["default"])

    def __getitem__(self, path: str) -> Any:
        """The `Dataset` or `Node` at a path.

        Raises
        ------
        NotThere
            There is nothing, or a link leads nowhere; it is a KeyError, too.
        Hdf5Error
            It is there and cannot be opened.
        """
        path = "/" + "/".join(part for part in path.split("/") if part)
        try:
            info = self.ask("describe", path=path)
        except (ReaderCrashed, ReaderTimeout) as error:
            info = self.ask("describe", path=path, attributes=False)
            info["notes"] = [*info["notes"], f"its attributes cannot be read: {error}"]
        return (Dataset if info["kind"] == "dataset" else Node)(self, path, info)

    def members(self, path: str = "/", start: int = 0, count: int = PAGE) -> tuple[int, list[Member]]:
        """How many members a group has, and those from `start` on, in the order of their names."""
        asked = {"path": path, "start": start, "count": count}
        try:
            found = self.ask("members", **asked)
        except (ReaderCrashed, ReaderTimeout):
            found = self.ask("members", **asked, closely=False)
        listed = []
        for entry in found["members"]:
            listed.append(Member(**(entry | {"shape": _shape(entry.get("shape"))})))
        return found["total"], listed

    def walk(self, path: str = "/", limit: int = 10_000) -> Iterator[tuple[str, Member]]:
        """Every member below a group with its path, depth first; groups that are their own ancestors once.

        Parameters
        ----------
        path : str
        limit : int
            At most so many.
        """
        left = [limit]
        yield from self._walk(path.rstrip("/"), (self[path].info.get("address", ""),), left)

    def refresh(self) -> bool:
        """Look at the file again; whether it has changed since the last look."""
        now = identity(str(self.path))
        if now == self.identity:
            return False
        self.info = self.ask("look")
        # Only now: what could not be read is looked at again.
        self.identity = now
        return True

    def ask(self, do: str, **arguments: Any) -> Any:
        """Answer of a reader process about this file."""
        return self._readers.call(do, file=str(self.path), allowed=[str(f) for f in self.allowed], **arguments)

    def _walk(self, path: str, above: tuple[str, ...], left: list[int]) -> Iterator[tuple[str, Member]]:
        start, total = 0, 1
        while start < total:
            total, page = self.members(path or "/", start)
            if not page:
                return
            start += len(page)
            for member in page:
                if left[0] <= 0:
                    return
                left[0] -= 1
                place = f"{path}/{member.name}"
                yield place, member
                if member.kind == "group" and member.link == "hard" and member.address not in above:
                    yield from self._walk(place, (*above, member.address), left)


def open_hdf5(
    path: str | os.PathLike[str], allowed: Iterable[str | os.PathLike[str]] | None = None,
    readers: Readers | None = None,
) -> Tree:  # fmt: skip
    """Open an HDF5 file to walk through it. Nothing is locked, written or kept open.

    Parameters
    ----------
    path : path
    allowed : iterable of path, optional
        Folders that may be read, with all below them: the file must lie in one, and so must every file that it links
        to. The folder of the file by default.
    readers : Readers, optional
        Processes that do the reading; those shared by this process by default.

    Returns
    -------
    Tree
        ``tree["/group/dataset"].view(slices, shape)`` is a picture of what is in view.

    Raises
    ------
    NotAllowed
        It lies outside the allowed folders.
    NotThere
        There is no such file.
    Unreadable, ReaderCrashed, ReaderTimeout
        It cannot be read; says why.

    Examples
    --------
    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/a.h5", "w") as file:
    ...         file["field"] = [[1.0, 2.0], [3.0, 4.0]]
    ...     open_hdf5(f"{folder}/a.h5")["field"].view().values.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    real = Path(os.path.realpath(path))
    folders = tuple(Path(os.path.realpath(f)) for f in allowed) if allowed is not None else (real.parent,)
    if not any(real.is_relative_to(folder) for folder in folders):
        raise NotAllowed(f"{path} lies outside the allowed folders ({', '.join(map(str, folders)) or 'none'})")
    return Tree(real, folders, readers or shared_readers())


def _shape(dims: list[int] | None) -> tuple[int, ...] | None:
    return None if dims is None else tuple(dims)
