"""Which rows the tree of a file shows: groups that are open, page by page. It asks the file and draws nothing."""

from __future__ import annotations

from typing import Any

from engine.hdf5 import Hdf5Error, Member, Tree

PAGE = 200
"""Members that a group shows before it is asked for more."""

MAX_ROWS = 5_000
"""Rows of the whole tree; beyond that a group is told to be too much to list."""


class TreeRows:
    """Open groups of a tree and their members.

    Parameters
    ----------
    tree : Tree
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._pages: dict[str, tuple[int, list[Member]]] = {}
        self._problems: dict[str, str] = {}

    def open(self, path: str) -> None:
        """Read the first members of a group."""
        self._problems.pop(path, None)
        try:
            self._pages[path] = self.tree.members(path, 0, PAGE)
        except Hdf5Error as error:
            self._problems[path] = str(error)
            self._pages[path] = (0, [])

    def more(self, path: str) -> None:
        """Read the next members of a group."""
        total, known = self._pages.get(path, (0, []))
        if sum(len(members) for _, members in self._pages.values()) < MAX_ROWS:
            total, page = self.tree.members(path, len(known), PAGE)
            self._pages[path] = (total, [*known, *page])

    def shut(self, path: str) -> None:
        """Close a group."""
        self._pages.pop(path, None)

    def is_open(self, path: str) -> bool:
        """Whether a group shows its members."""
        return path in self._pages

    def refresh(self) -> None:
        """Read the open groups again, as far as they were read."""
        for path, (_, known) in list(self._pages.items()):
            try:
                self._pages[path] = self.tree.members(path, 0, max(len(known), PAGE))
            except Hdf5Error as error:
                self._problems[path] = str(error)

    def rows(self) -> list[dict[str, Any]]:
        """Rows from top to bottom, see `Hdf5Tree.rows`."""
        name = self.tree.path.name
        top = {"path": "/", "name": _visible(name), "depth": 0, "kind": "group", "open": self.is_open("/"),
               "detail": "", "title": str(self.tree.path)}  # fmt: skip
        return [top, *self._below("/", 1, ())]

    def _below(self, path: str, depth: int, above: tuple[str, ...]) -> list[dict[str, Any]]:
        if path not in self._pages:
            return []
        if path in self._problems:
            return [{"path": f"{path}\0problem", "name": _visible(self._problems[path]), "depth": depth,
                     "kind": "problem", "detail": "", "title": ""}]  # fmt: skip
        total, members = self._pages[path]
        out = []
        for member in members:
            place = f"{path.rstrip('/')}/{member.name}"
            cycle = member.kind == "group" and member.address in above
            out.append(_row(place, member, depth, self.is_open(place) and not cycle, cycle))
            if not cycle and depth < 200:
                out += self._below(place, depth + 1, (*above, member.address))
        if len(members) < total:
            out.append({"path": path, "name": f"{total - len(members)} more …", "depth": depth, "kind": "more",
                        "detail": "", "title": ""})  # fmt: skip
        return out


def _row(path: str, member: Member, depth: int, opened: bool, cycle: bool) -> dict[str, Any]:
    shape = "" if member.shape is None else "scalar" if member.shape == () else " × ".join(map(str, member.shape))
    detail = {"group": f"{member.count}", "dataset": f"{shape} {member.type}".strip()}.get(member.kind, member.type)
    if member.link != "hard":
        detail = f"→ {member.target} {detail}".strip()
    if cycle:
        detail = "→ a group that this one lies in"
    return {"path": path, "name": _visible(member.name), "depth": depth, "open": opened,
            "kind": "problem" if member.problem else "dataset" if cycle else member.kind,
            "detail": _visible(detail), "title": _visible(member.problem or detail)}  # fmt: skip


def _visible(text: str) -> str:
    """Text that can be sent: bytes of a name that are no UTF-8 are shown as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:500]
