"""What is in a file: members of groups, datasets with all that is known of them, attributes; in a reader process."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from engine.hdf5.conventions import conventions_of
from engine.hdf5.datatypes import class_of, enum_names, fields_of, plain, text, words
from engine.hdf5.errors import Hdf5Error
from engine.hdf5.filters import filters_of, missing
from engine.hdf5.resolve import Session, link_of, open_member, permit_storage

MAX_ATTRIBUTES = 500
MAX_ATTRIBUTE_BYTES = 1 << 20
MAX_SHOWN = 200
"""Elements of one attribute that are shown."""

_LAYOUTS = {h5py.h5d.COMPACT: "compact", h5py.h5d.CONTIGUOUS: "contiguous", h5py.h5d.CHUNKED: "chunked",
            h5py.h5d.VIRTUAL: "virtual"}  # fmt: skip


def members(session: Session, path: str, start: int, count: int, closely: bool = True) -> dict[str, Any]:
    """A page of the members of a group, in the order of their names.

    Parameters
    ----------
    session : Session
    path : str
        Of the group.
    start, count : int
        First member, and how many at most.
    closely : bool
        Whether to open each one; without, only names and kinds of links are told.
    """
    group, where = session.find(path)
    if not isinstance(group, h5py.Group):
        raise Hdf5Error(f"{path} is no group and has no members")
    names: list[bytes] = []
    total = len(group)

    def taken(name: bytes) -> bool | None:
        names.append(name)
        return True if len(names) >= count else None

    if start < total:
        group.id.links.iterate(taken, idx=start)
    shown = [name.decode("utf-8", "surrogateescape") for name in names]
    return {"total": total, "members": [_member(group, path, name, where, session, closely) for name in shown]}


def _member(group: h5py.Group, path: str, name: str, where: Any, session: Session, closely: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "kind": "unknown", "problem": ""}
    link = link_of(group, name)
    if isinstance(link, (h5py.SoftLink, h5py.ExternalLink)):
        target = link.path if isinstance(link, h5py.SoftLink) else f"{text(link.filename)}:{link.path}"
        entry |= {"link": "soft" if isinstance(link, h5py.SoftLink) else "external", "target": text(target)}
        try:
            # A link in another file than the session's own is followed only when it is opened.
            found = session.find(f"{path}/{name}")[0] if where == session.path and closely else None
        except Hdf5Error as error:
            return entry | {"problem": str(error)}
        return entry | (_brief(found) if found is not None else {})
    if not isinstance(link, h5py.HardLink):
        return entry | {"problem": "a link of a kind that only its own program can follow"}
    if not closely:
        return entry
    try:
        return entry | _brief(open_member(group, name))
    except Exception as error:
        return entry | {"problem": str(error)[:300]}


def _brief(found: Any) -> dict[str, Any]:
    if isinstance(found, h5py.Group):
        return {"kind": "group", "count": len(found), "address": _address(found)}
    if isinstance(found, h5py.Datatype):
        return {"kind": "datatype", "type": words(found.id)}
    if found.id.get_create_plist().get_layout() == h5py.h5d.VIRTUAL:
        return {"kind": "dataset", "type": words(found.id.get_type()), "shape": None, "virtual": True}
    space = found.id.get_space()
    shape = None if space.get_simple_extent_type() == h5py.h5s.NULL else list(space.get_simple_extent_dims())
    return {"kind": "dataset", "shape": shape, "type": words(found.id.get_type(), 1)}


def _address(found: Any) -> str:
    # Its place in the file; numbers of files differ from one opening to the next.
    return str(h5py.h5o.get_info(found.id).addr)


def describe(session: Session, path: str, attributes: bool = True) -> dict[str, Any]:
    """Everything about one object but its values.

    Parameters
    ----------
    session : Session
    path : str
    attributes : bool
        Whether to read the attributes; their texts may lie in parts of the file that are damaged.
    """
    found, where = session.find(path)
    out: dict[str, Any] = {"path": path, "notes": session.notes}
    if where != session.path:
        out["file"] = str(where)
    if isinstance(found, h5py.Group):
        out |= {"kind": "group", "count": len(found), "address": _address(found)}
    elif isinstance(found, h5py.Datatype):
        out |= {"kind": "datatype", "type": words(found.id)}
    else:
        out |= dataset_info(session, found, where)
    out["attributes"] = attributes_of(found) if attributes else []
    if out["kind"] == "dataset" and attributes and not out["problem"]:
        try:
            out["conventions"] = conventions_of(session, found, path)
        except Exception as error:
            out["notes"] = [*session.notes, f"its axes could not be made out: {error}"]
    return out


def dataset_info(session: Session, dataset: h5py.Dataset, where: Any) -> dict[str, Any]:
    """Shape, type, storage and filters of a dataset, and what keeps its values from being read, if anything does."""
    kind, plist = dataset.id.get_type(), dataset.id.get_create_plist()
    out: dict[str, Any] = {"kind": "dataset", "type": words(kind), "class": class_of(kind), "problem": "",
                           "fields": fields_of(kind), "enum": enum_names(kind), "shape": None, "chunks": None,
                           "layout": _LAYOUTS.get(plist.get_layout(), "unknown"), "filters": filters_of(dataset),
                           "itemsize": kind.get_size(), "dtype": ""}  # fmt: skip
    try:
        permit_storage(session, dataset, where)
    except Hdf5Error as error:
        return out | {"problem": str(error), "maxshape": None}
    space = dataset.id.get_space()
    if space.get_simple_extent_type() != h5py.h5s.NULL:
        out["shape"] = list(space.get_simple_extent_dims())
        out["maxshape"] = [None if n == h5py.h5s.UNLIMITED else n for n in space.get_simple_extent_dims(True)]
    if plist.get_layout() == h5py.h5d.CHUNKED:
        out["chunks"] = list(plist.get_chunk())
    out["stored"] = dataset.id.get_storage_size()
    out["problem"] = missing(out["filters"])
    try:
        out["dtype"] = dataset.dtype.str if dataset.dtype.names is None else "compound"
    except Exception as error:
        out["problem"] = f"values of this type cannot be read here: {error}"
    if plist.fill_value_defined() == h5py.h5d.FILL_VALUE_USER_DEFINED and not out["problem"]:
        try:
            out["fill"] = plain(np.asarray(dataset.fillvalue)[()], kind, None)
        except Exception:
            out["fill"] = None
    return out


def attributes_of(found: Any) -> list[dict[str, Any]]:
    """Name, type, shape and value of each attribute; a problem in the place of a value that cannot be read."""
    count = h5py.h5a.get_num_attrs(found.id)
    out = []
    for index in range(min(count, MAX_ATTRIBUTES)):
        entry: dict[str, Any] = {"name": f"attribute {index}", "problem": "", "value": None, "shape": None, "type": ""}
        out.append(entry)
        try:
            attribute = h5py.h5a.open(found.id, index=index)
            entry["name"] = text(attribute.name)
            entry["type"] = words(attribute.get_type())
            space = attribute.get_space()
            if space.get_simple_extent_type() == h5py.h5s.NULL:
                continue
            entry["shape"] = list(space.get_simple_extent_dims())
            size = attribute.get_storage_size()
            if size > MAX_ATTRIBUTE_BYTES:
                entry["problem"] = f"{size} bytes; at most {MAX_ATTRIBUTE_BYTES} of an attribute are read"
                continue
            value = found.attrs[attribute.name]
            entry["value"] = plain(value, attribute.get_type(), found.file, MAX_SHOWN)
        except Exception as error:
            entry["problem"] = str(error)[:300] or type(error).__name__
    if count > MAX_ATTRIBUTES:
        out.append({"name": "…", "problem": f"{count - MAX_ATTRIBUTES} more attributes", "value": None, "shape": None,
                    "type": ""})  # fmt: skip
    return out
