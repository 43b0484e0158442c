"""Many runs at once: scatter, parallel coordinates or wall of thumbnails, each made when it is first looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn

from dashboard.components.run_listing import Listing
from dashboard.components.run_parallel import RunParallel
from dashboard.components.run_rows import numeric, values
from dashboard.components.run_scatter import RunScatter
from dashboard.components.run_thumbnails import Thumbnails
from dashboard.components.run_wall import RunWall, wall_tiles
from dashboard.components.runs_state import RunsState


class RunOverview:
    """The pictures of many runs of one session.

    Parameters
    ----------
    state : RunsState
        Changed by what is clicked.
    thumbnails : Thumbnails
    ring : callable () -> None
        Called from any thread when more thumbnails are there.
    act : callable (action) -> None
        Takes what the wall says, see `run_table.checked_action`.
    """

    def __init__(
        self, state: RunsState, thumbnails: Thumbnails, ring: Callable[[], None], act: Callable[[dict[str, Any]], None]
    ) -> None:
        self.state, self._thumbnails, self._ring, self._act = state, thumbnails, ring, act
        self._parts: dict[str, Any] = {}
        self._drawn: dict[str, tuple[Any, ...]] = {}
        self._listing: Listing | None = None
        self.note = ""
        self.view = pn.Column(margin=0, sizing_mode="stretch_both")

    def draw(self, found: Listing, page: int) -> None:
        """Draw what the state looks at, if it changed."""
        self._listing, look, s = found, self.state.look, self.state
        part = self._part(look)
        for name, other in self._parts.items():
            if other.view.visible != (name == look):
                other.view.visible = name == look
        if s.theme != self._drawn.get(f"{look} theme", (None,))[0] and look != "wall":
            part.set_theme(s.theme)
            self._drawn[f"{look} theme"] = (s.theme,)
        marked = (id(found), s.selected, tuple(s.others), s.x, s.y)
        if look == "wall":
            self._draw_wall(part.view, found, page)
            return
        names = self._axes(found)
        key = (id(found), names if look == "scatter" else names[2:])
        if key != self._drawn.get(look):
            self._drawn[look] = key
            if look == "scatter":
                missing = part.draw(found.table, found.rows, names)
                self.note = f"{missing} without a value on an axis" if missing else ""
            else:
                n = part.draw(found.table, found.rows, names[2])
                self.note = f"the first {n} of {len(found.rows)} drawn" if n < len(found.rows) else ""
        if marked != self._drawn.get(f"{look} marks"):
            self._drawn[f"{look} marks"] = marked
            here = [found.run(run) for run in s.others]
            others, selected = [row for row in here if row is not None], found.run(s.selected)
            if look == "scatter":
                part.mark(found.table, names, selected, others)
            else:
                part.mark(found.table, selected, others)

    # -- inside ---------------------------------------------------------------------------------------

    def _part(self, look: str) -> Any:
        if look not in self._parts:
            s = self.state
            if look == "scatter":
                part: Any = RunScatter(s.theme, self._pick, self._box)
            elif look == "parallel":
                part = RunParallel(s.theme, self._pick, self._ranges)
            else:
                part = _Wall()
                part.view.on_action = self._act
            self._parts[look] = part
            self.view.append(part.view)
        return self._parts[look]

    def _axes(self, found: Listing) -> tuple[str, str, str]:
        """Columns of the axes; one that is not there is replaced by the first there is."""
        there = numeric(found.table)
        usual = there[0] if there else "run_id"
        x, y, colour = (n if n in there else usual for n in (self.state.x, self.state.y, self.state.colour))
        return x, y, colour

    def _draw_wall(self, wall: RunWall, found: Listing, page: int) -> None:
        rows = found.page(page)
        ids = [found.identity(int(row)) for row in rows]
        low, high = self.state.fixed
        limits = (float(low), float(high)) if self.state.limits == "fixed" else None
        made = self._thumbnails.ask(ids, self.state.dataset, limits, self.state.theme, self._ring)
        name = self.state.order.removeprefix("-")
        if name not in numeric(found.table) or name == "finished_s":
            name = "fitness"
        shown = values(found.table, name, rows) if name in found.table.column_names else np.full(len(rows), np.nan)
        labels = [f"{name} {v:.4g}" if np.isfinite(v) else "not measured" for v in shown]
        changes = {"tiles": wall_tiles(ids, made, labels), "selected": self.state.selected, "others": self.state.others}
        wall.param.update(**{k: v for k, v in changes.items() if getattr(wall, k) != v})
        self.note = f"{len(made)} of {len(ids)} drawn" if len(made) < len(ids) else ""

    def _pick(self, row: int) -> None:
        if self._listing is not None and row < self._listing.table.num_rows:
            self.state.selected = self._listing.identity(row)

    def _box(self, low_x: float, high_x: float, low_y: float, high_y: float) -> None:
        if self._listing is not None:
            x, y, _ = self._axes(self._listing)
            self._ranges({x: (low_x, high_x), y: (low_y, high_y)})

    def _ranges(self, kept: dict[str, tuple[float, float]]) -> None:
        """Keep the runs within these ranges: the filter says so, for all pictures and for the link."""
        parts = [f"{n} >= {low:.4g}, {n} <= {high:.4g}" for n, (low, high) in kept.items()]
        text = ", ".join(parts)
        self.state.where = text if len(text) <= 128 else ", ".join(parts[:1])


class _Wall:
    """The wall with the same shape as the other pictures."""

    def __init__(self) -> None:
        self.view = RunWall()
