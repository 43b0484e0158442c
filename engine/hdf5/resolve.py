"""From a path in a file to the object there, link by link, so that libhdf5 never leaves the allowed folders by itself.

libhdf5 follows external links, virtual datasets and external storage wherever they point. Here each link is looked at
before it is followed, and each other file that would be read must lie in an allowed folder.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from pathlib import Path
from typing import Any

import h5py

from engine.hdf5.errors import Hdf5Error, NotAllowed, NotThere, Unreadable
from engine.hdf5.opening import Overlay, open_file

MAX_LINKS = 32
"""How many soft and external links one path may go through."""

MAX_VIRTUAL_DEPTH = 4
MAX_SOURCES = 10_000


class Session(contextlib.ExitStack):
    """The files that one request has open, and where it may read.

    Parameters
    ----------
    path : str
        Of the file.
    allowed : list of str
        Folders, resolved; files in and below them may be read.
    """

    def __init__(self, path: str, allowed: list[str]) -> None:
        super().__init__()
        self.allowed = [Path(folder) for folder in allowed]
        self.notes: list[str] = []
        self.overlays: list[Overlay] = []
        self._files: dict[Path, h5py.File] = {}
        self.path = Path(os.path.realpath(path))
        self.root = self.open(self.path)

    def open(self, path: Path) -> h5py.File:
        """A file of the allowed folders; opened once."""
        self.permit(path)
        if path not in self._files:
            file, notes, overlay = open_file(path)
            self._files[path] = self.enter_context(file)
            if overlay is not None:
                self.overlays.append(overlay)
            self.notes += notes
        return self._files[path]

    def permit(self, path: Path) -> None:
        """Raise unless a file lies in an allowed folder."""
        real = Path(os.path.realpath(path))
        if not any(real.is_relative_to(folder) for folder in self.allowed):
            folders = ", ".join(map(str, self.allowed)) or "none"
            raise NotAllowed(f"{path} lies outside the allowed folders ({folders}) and is not read")

    def missed(self) -> int:
        """How many bytes were asked for that truncated files do not have."""
        return sum(overlay.missed for overlay in self.overlays)

    def find(self, path: str) -> tuple[Any, Path]:
        """The object at a path, and the file that it lies in."""
        return _walk(self, self.root, self.path, path, MAX_LINKS)


def beside(file: Path, named: str) -> Path:
    """Where a file named in another one is looked for: as it is if absolute, else beside that one."""
    return Path(os.path.realpath(file.parent / named))


def _walk(session: Session, file: h5py.File, where: Path, path: str, links: int) -> tuple[Any, Path]:
    here: Any = h5py.Group(h5py.h5g.open(file.id, b"/"))
    walked = ""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for at, part in enumerate(parts):
        if not isinstance(here, h5py.Group):
            raise NotThere(f"{walked or '/'} in {where.name} is no group, so there is no {path}")
        link = link_of(here, part)
        if link is None:
            raise NotThere(f"there is no {walked}/{part} in {where.name}")
        rest = "/".join(parts[at + 1 :])
        if isinstance(link, h5py.HardLink):
            here = open_member(here, part)
            walked += f"/{part}"
            continue
        if links <= 0:
            raise NotThere(f"{path} in {where.name} goes through more than {MAX_LINKS} links, most likely in a circle")
        if isinstance(link, h5py.SoftLink):
            target = link.path if link.path.startswith("/") else f"{walked}/{link.path}"
            try:
                return _walk(session, file, where, f"{target}/{rest}", links - 1)
            except NotThere as error:
                raise NotThere(f"{walked}/{part} is a soft link to {link.path}: {error}") from None
        if isinstance(link, h5py.ExternalLink):
            other = beside(where, link.filename)
            said = f"{walked}/{part} is an external link to {link.path} in {link.filename}"
            try:
                return _walk(session, session.open(other), other, f"{link.path}/{rest}", links - 1)
            except Hdf5Error as error:
                raise type(error)(f"{said}: {error}") from None
        raise Unreadable(f"{walked}/{part} is a link of a kind that only its own program can follow")
    return here, where


def raw_name(name: str) -> bytes:
    """The bytes of a name; those that are no UTF-8 are surrogates in the text."""
    return name.encode("utf-8", "surrogateescape")


def link_of(group: h5py.Group, name: str) -> Any:
    """The link of this name itself, as h5py has it; None if there is none, "user-defined" if it is of another kind."""
    raw = raw_name(name)
    try:
        kind = group.id.links.get_info(raw).type
        if kind == h5py.h5l.TYPE_HARD:
            return h5py.HardLink()
        if kind == h5py.h5l.TYPE_SOFT:
            return h5py.SoftLink(group.id.links.get_val(raw).decode("utf-8", "surrogateescape"))
        if kind == h5py.h5l.TYPE_EXTERNAL:
            file, path = group.id.links.get_val(raw)
            return h5py.ExternalLink(os.fsdecode(file), path.decode("utf-8", "surrogateescape"))
    except Exception:
        return None
    return "user-defined"


def open_member(group: h5py.Group, name: str) -> Any:
    """What a hard link leads to."""
    try:
        raw = raw_name(name)
        if h5py.h5o.get_info(group.id, raw).type == h5py.h5o.TYPE_DATASET:
            access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
            if group.file.driver != "fileobj":  # such a file has no folder, and libhdf5 crashes looking for it
                access.set_efile_prefix(b"${ORIGIN}")
            return h5py.Dataset(h5py.h5d.open(group.id, raw, dapl=access))
        found = h5py.h5o.open(group.id, raw)
    except Exception as error:
        raise Unreadable(f"{name}: {error}") from error
    if isinstance(found, h5py.h5g.GroupID):
        return h5py.Group(found)
    if isinstance(found, h5py.h5t.TypeID):
        return h5py.Datatype(found)
    raise Unreadable(f"{name} is an object of an unknown kind")


def permit_storage(session: Session, dataset: h5py.Dataset, where: Path, depth: int = MAX_VIRTUAL_DEPTH) -> None:
    """Raise if the values of a dataset lie in other files outside the allowed folders (external or virtual storage)."""
    plist = dataset.id.get_create_plist()
    for index in range(plist.get_external_count()):
        name = os.fsdecode(plist.get_external(index)[0])
        session.permit(beside(where, name))
        if not beside(where, name).is_file():
            raise NotThere(f"its values lie in {name}, and there is no such file")
    if plist.get_layout() != h5py.h5d.VIRTUAL:
        return
    if depth == 0:
        raise Unreadable(f"virtual datasets of virtual datasets, more than {MAX_VIRTUAL_DEPTH} deep")
    seen: set[tuple[str, str]] = set()
    for index in range(min(plist.get_virtual_count(), MAX_SOURCES + 1)):
        if index == MAX_SOURCES:
            raise Unreadable(f"a virtual dataset of more than {MAX_SOURCES} sources")
        seen.add((plist.get_virtual_filename(index), plist.get_virtual_dsetname(index)))
    for filename, name in seen:
        if re.search(r"%\d*b", name):
            raise Unreadable(
                "a virtual dataset with numbered source datasets, whose links cannot be checked beforehand"
            )
        for other in _sources(where, filename):
            session.permit(other)
            if other.is_file():
                _permit_source(session, other, name, depth)


def _permit_source(session: Session, other: Path, name: str, depth: int) -> None:
    file = session.root if other == session.path else session.open(other)
    try:
        source, there = _walk(session, file, other, name, MAX_LINKS)
    except NotThere:
        return  # libhdf5 shows the fill value for it
    if isinstance(source, h5py.Dataset):
        permit_storage(session, source, there, depth - 1)


def _sources(where: Path, filename: str) -> list[Path]:
    if filename == ".":
        return [where]
    if not re.search(r"%\d*b", filename):
        return [beside(where, filename)]
    # A series of files, numbered as long as they exist.
    pattern = re.sub(r"%\d*b", "*", glob.escape(filename).replace("%%", "%"))
    return [Path(os.path.realpath(path)) for path in glob.glob(str(where.parent / pattern))[:MAX_SOURCES]]
