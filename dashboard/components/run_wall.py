"""The wall of thumbnails: the page of runs that the table lists, in its order, one small picture each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from dashboard.components.run_table import checked_action
from dashboard.theme import ASSETS


class RunWall(JSComponent):
    """Thumbnails of one session.

    Examples
    --------
    >>> RunWall().tiles
    []
    """

    tiles = param.List(default=[], doc="(id, data URI or empty, label, reason) of each run.")
    selected = param.String("", doc="Id of the open run.")
    others = param.List(default=[], doc="Ids of the runs compared with it.")

    _esm = ASSETS / "run_wall.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "run_wall.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_action: Callable[[dict[str, Any]], None] | None = None
        params.setdefault("sizing_mode", "stretch_both")
        params.setdefault("margin", 0)
        super().__init__(**params)

    def _handle_msg(self, msg: Any) -> None:
        action = checked_action(msg)
        if action is not None and self.on_action is not None:
            self.on_action(action)


def wall_tiles(ids: list[str], pictures: dict[str, str], labels: list[str]) -> list[tuple[str, str, str, str]]:
    """Tiles for a page of runs; what is not there yet says so.

    Examples
    --------
    >>> wall_tiles(["a"], {}, ["0.5"])
    [('a', '', '0.5', 'being drawn')]
    """
    tiles = []
    for run, label in zip(ids, labels, strict=True):
        made = pictures.get(run, "being drawn")
        drawn = made.startswith("data:")
        tiles.append((run, made if drawn else "", label, "" if drawn else made))
    return tiles
