"""What a reader process can be asked: each request opens the file, answers and closes it again."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from engine.hdf5 import describe as _describe
from engine.hdf5 import pictures
from engine.hdf5.blocks import Numbers
from engine.hdf5.conventions import MAX_AXIS, default_of
from engine.hdf5.datatypes import plain
from engine.hdf5.errors import Unreadable
from engine.hdf5.filters import filters_of, missing
from engine.hdf5.opening import superblock_of
from engine.hdf5.pictures import Request, picture
from engine.hdf5.resolve import Session, permit_storage

MAX_ROWS = 2_000
"""Rows of a table that are read at a time."""


def ping() -> dict[str, Any]:
    """Says that the reader is there."""
    return {"pong": True}


def look(file: str, allowed: list[str]) -> dict[str, Any]:
    """What is to be said of a file as a whole."""
    with Session(file, allowed) as session:
        block = superblock_of(session.path)
        default = ""
        try:
            default = default_of(session)
        except Exception as error:
            session.notes.append(f"its default picture cannot be made out: {error}")
        return {
            "size": block.size, "user_block": block.offset, "superblock": block.version, "notes": session.notes,
            "writing": block.writing, "swmr": block.swmr, "truncated": block.truncated, "default": default,
        }  # fmt: skip


def members(file: str, allowed: list[str], path: str, start: int, count: int, closely: bool = True) -> Any:
    """A page of the members of a group."""
    with Session(file, allowed) as session:
        return _describe.members(session, path, start, count, closely)


def describe(file: str, allowed: list[str], path: str, attributes: bool = True) -> Any:
    """Everything about one object but its values."""
    with Session(file, allowed) as session:
        return _describe.describe(session, path, attributes)


def view(file: str, allowed: list[str], path: str, box: list[list[int]], axes: list[int], shape: list[int],
         budget_s: float, average: bool, **how: Any) -> Any:  # fmt: skip
    """The numbers in a box as a picture or line."""
    with Session(file, allowed) as session:
        size = session.path.stat().st_size if session.overlays else None
        numbers = Numbers(_dataset(session, path), size=size, missed=session.missed, **how)
        request = Request(tuple((a, b) for a, b in box), tuple(axes), (shape[0], shape[1]), budget_s, average)
        found = picture(numbers, request)
        return found | {"damaged": len(numbers.damaged), "damage": numbers.damage, "notes": session.notes}


def blocks(file: str, allowed: list[str], path: str, box: list[list[int]], axes: list[int], steps: list[int],
           **how: Any) -> Any:  # fmt: skip
    """Means and counts of blocks of cells, for an overview."""
    with Session(file, allowed) as session:
        size = session.path.stat().st_size if session.overlays else None
        numbers = Numbers(_dataset(session, path), size=size, missed=session.missed, **how)
        request = Request(tuple((a, b) for a, b in box), tuple(axes), (1, 1), 0.0)
        return pictures.blocks(numbers, request, (steps[0], steps[1]))


def axis(file: str, allowed: list[str], path: str, start: int, stop: int) -> Any:
    """Coordinates along one axis, in float64; of a long one a few, to tell whether it is even."""
    with Session(file, allowed) as session:
        dataset = _dataset(session, path)
        stop = min(stop, dataset.shape[0])
        if stop - start <= MAX_AXIS:
            return {"values": np.asarray(dataset[start:stop], "f8"), "places": np.arange(start, stop)}
        places = np.unique(np.linspace(start, stop - 1, 33).astype("i8"))
        return {"values": np.asarray(dataset[places], "f8"), "places": places}


def table(file: str, allowed: list[str], path: str, start: int, count: int, others: list[int] | None = None) -> Any:
    """Values as they are: along the last dimension, at fixed places in the others."""
    with Session(file, allowed) as session:
        dataset = _dataset(session, path)
        kind = dataset.id.get_type()
        if dataset.shape is None:
            return {"rows": [], "total": 0}
        if dataset.shape == ():
            return {"rows": [plain(dataset[()], kind, dataset.file)], "total": 1}
        count, fixed = min(count, MAX_ROWS), tuple(others or [0] * (dataset.ndim - 1))
        found: Any = dataset[(*fixed, slice(start, start + count))]
        return {"rows": [plain(entry, kind, dataset.file) for entry in found], "total": dataset.shape[-1]}


def _dataset(session: Session, path: str) -> h5py.Dataset:
    found, where = session.find(path)
    if not isinstance(found, h5py.Dataset):
        raise Unreadable(f"{path} is no dataset and has no values")
    permit_storage(session, found, where)
    absent = missing(filters_of(found))
    if absent:
        raise Unreadable(f"{path}: {absent}")
    return found


REQUESTS = {call.__name__: call for call in (ping, look, members, describe, view, blocks, axis, table)}
"""By name."""
