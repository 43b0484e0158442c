"""The tree of a file in the browser: rows that open and close, and a way to hand a file in.

It shows rows that it is given and tells what was clicked, as small checked messages. It knows no file.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.theme import ASSETS

MAX_PIECE = 2 << 20
"""Bytes of one piece of a file that is handed in."""


class Hdf5Tree(JSComponent):
    """Rows of a tree.

    Examples
    --------
    >>> Hdf5Tree(rows=[{"path": "/a", "name": "a", "depth": 0, "kind": "group", "open": False}]).chosen
    ''
    """

    rows = param.List(
        default=[], doc="Rows from top to bottom: path, name, depth, kind (group, dataset, datatype, link, more, "
        "problem), detail, open, title.",
    )  # fmt: skip
    chosen = param.String("", doc="Path of the chosen row.")
    uploads = param.Boolean(True, doc="Whether files may be handed in.")
    received = param.Number(-1, doc="Bytes of the file being handed in that have arrived; below 0: refused.")
    note = param.String("", doc="What to say under the tree.")

    _esm = ASSETS / "hdf5_tree.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "hdf5_tree.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_action: Callable[[dict[str, Any]], None] | None = None
        params.setdefault("sizing_mode", "stretch_both")
        params.setdefault("margin", 0)
        super().__init__(**params)

    def _handle_msg(self, msg: Any) -> None:
        action = checked_action(msg)
        if action is not None and self.on_action is not None:
            self.on_action(action)


def checked_action(msg: Any) -> dict[str, Any] | None:
    """A message of the browser as a known action, or None.

    Examples
    --------
    >>> checked_action({"do": "choose", "path": "/a"})
    {'do': 'choose', 'path': '/a'}
    >>> checked_action({"do": "piece", "name": "a.h5", "at": 0, "size": 2, "content": "YWI="})["content"]
    b'ab'
    >>> checked_action({"do": "choose"}) is None
    True
    """
    if not isinstance(msg, dict):
        return None
    do = msg.get("do")
    if do in ("choose", "toggle", "more") and isinstance(msg.get("path"), str) and len(msg["path"]) < 65_536:
        return {"do": do, "path": msg["path"]}
    if do == "piece":
        name, content, at, size = (msg.get(key) for key in ("name", "content", "at", "size"))
        if not isinstance(name, str) or not isinstance(content, str) or len(content) > 2 * MAX_PIECE:
            return None
        if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 50 for n in (at, size)):
            return None
        try:
            return {"do": do, "name": name[:500], "at": at, "size": size,
                    "content": base64.b64decode(content, validate=True)}  # fmt: skip
        except (binascii.Error, ValueError):
            return None
    return None
