"""The open run and those compared with it: the same dataset as heat maps with linked axes, side by side, as their
difference, or flickering in one place.

Zoom, scale and limits belong to the state and stay when another run is opened. Grids are read off the session's loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import panel as pn
from bokeh.events import Tap
from bokeh.models.annotations import Span
from numpy.typing import NDArray

from dashboard.components.array_ranges import LinkedRanges
from dashboard.components.array_source import ArraySource
from dashboard.components.array_view import ArrayView, SharedLimits
from dashboard.components.latest import Latest
from dashboard.components.run_files import zoom_of
from dashboard.components.run_listing import Listing
from dashboard.components.run_rows import differing
from dashboard.components.run_sections import RunSections
from dashboard.components.runs_state import RunsState
from dashboard.theme import THEMES
from engine.hunts import HuntDesk
from engine.run_grids import GridInfo, GridUnavailable

FLICKER_S = 1.2
"""Time in which the flicker shows each of its pictures once, s."""

Grid = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What was read for a picture: grids of runs, or why there is none."""

    key: tuple[Any, ...]
    grids: dict[str, Grid]
    reasons: dict[str, str]
    datasets: list[GridInfo]


class RunCompare:
    """Heat maps of the open run and of those compared with it.

    Parameters
    ----------
    state : RunsState
    desk : HuntDesk
    ring : callable () -> None
        Asks for the view to be drawn again.
    """

    def __init__(self, state: RunsState, desk: HuntDesk, ring: Callable[[], None]) -> None:
        self.state, self._desk, self._ring = state, desk, ring
        self.ranges, self.shared = LinkedRanges(), SharedLimits()
        self.datasets: list[GridInfo] = []
        self.note = ""
        self._latest = Latest()
        self._read: Wanted | None = None
        self._asked: tuple[Any, ...] = ()
        self._shown: tuple[Any, ...] = ()
        self._slots: list[_Slot] = []
        self._listing: Listing | None = None
        self.ranges.listen(self._looked)
        self.sections = RunSections(state.theme)
        self._stage = pn.Column(margin=0, sizing_mode="stretch_both")
        self.view = pn.Column(self._stage, self.sections.view, margin=0, sizing_mode="stretch_both")

    @property
    def grid(self) -> Grid | None:
        """Grid of the open run, as soon as it is there."""
        return self._read.grids.get(self.state.selected) if self._read is not None else None

    @property
    def caption(self) -> str:
        """What is shown, with its scale and limits."""
        s = self.state
        names = [run[:10] for run in (s.selected, *s.others) if run]
        frame = f" frame {s.frame}" if self._frames() > 1 else ""
        return f"{s.dataset}{frame} of {' and '.join(names)}, {s.scale}, limits {s.limits}"

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        s = self.state
        if not s.selected:
            return {"kind": "empty", "title": "No run is open",
                    "text": "Pick one in the table, or press ↓ to open the first."}  # fmt: skip
        if self._read is None:
            return {"kind": "loading"}
        reason = self._read.reasons.get(s.selected)
        if reason and s.selected in self._read.key[0]:
            text = f"{reason}. Bring it back, compute it again with the Python lines, or step on with ↓."
            return {"kind": "failed", "title": "This run has no picture", "text": text}
        return {"kind": "ok", "at": "", "waiting": self._asked != self._read.key}

    def draw(self, found: Listing) -> None:
        """Draw what the state looks at; what is not there yet is read, and rings."""
        self._listing = found
        s = self.state
        runs = tuple(dict.fromkeys(run for run in (s.selected, *s.others) if run))
        if not s.selected:
            self._slots_of(0)
            return
        key = (runs, s.dataset, s.frame, tuple(self._stamp(run) for run in runs))
        if key != self._asked:
            self._asked = key
            self._latest.do(lambda: self._fetch(key), self._fetched)
        self._show()

    def close(self) -> None:
        """Read nothing more."""
        self._latest.closed = True
        for slot in self._slots:
            slot.array.close()

    # -- reading, off the loop --------------------------------------------------------------------------

    def _stamp(self, run: str) -> int:
        try:
            return self._desk.grids.path(run).stat().st_mtime_ns
        except OSError:
            return 0

    def _fetch(self, key: tuple[Any, ...]) -> Wanted:
        runs, dataset, frame, _ = key
        grids, reasons, datasets = {}, {}, []
        for run in runs:
            try:
                grids[run] = self._desk.grids.grid(run, dataset, frame)
            except GridUnavailable as error:
                reasons[run] = str(error)
        with contextlib.suppress(GridUnavailable):  # the reason is told with the grid
            datasets = self._desk.grids.datasets(runs[0])
        return Wanted(key, grids, reasons, datasets)

    def _fetched(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            outcome = Wanted(self._asked, {}, {self.state.selected: str(outcome)}, [])
        self._read, self.datasets = outcome, outcome.datasets
        self._ring()

    # -- drawing ------------------------------------------------------------------------------------------

    def _show(self) -> None:
        read, s = self._read, self.state
        if read is None:
            return
        runs = [run for run in read.key[0] if run in read.grids]
        style = (s.scale, s.limits, s.fixed, s.theme, s.cut)
        shown = (read.key, tuple(runs), s.compare, style)
        if shown == self._shown or not runs:
            return
        self._shown = shown
        if len({read.grids[run].shape for run in runs}) == 1:
            self._settle(ArraySource(read.grids[runs[0]]).bounds)
        panels = self._panels(read, runs)
        self._slots_of(len(panels))
        flicker = s.compare == "flicker" and len(panels) > 1
        for at, (slot, (run, title, grid, diverging)) in enumerate(zip(self._slots, panels, strict=True)):
            colour = RunSections.colour(runs.index(run), s.theme) if run else ""
            slot.show(run, title, grid, s, diverging, colour)
            slot.place(at, len(panels), flicker)
            slot.mark(s.cut, s.theme)
        colours = [RunSections.colour(at, s.theme) for at in range(len(runs))]
        self.sections.draw([read.grids[run] for run in runs], colours, s.cut, s.theme)
        # Placed when all is set: a change of what the browser does not have yet would be refused there.
        for slot in self._slots:
            if slot.view not in self._stage.objects:
                self._stage.append(slot.view)
        missing = [f"{run[:10]}: {reason}" for run, reason in read.reasons.items() if run != s.selected]
        self.note = "; ".join(missing)

    def _panels(self, read: Wanted, runs: list[str]) -> list[tuple[str, str, Grid, bool]]:
        panels = [(run, self._title(run), read.grids[run], False) for run in runs]
        if self.state.compare == "difference" and len(runs) > 1:
            a, b = read.grids[runs[0]], read.grids[runs[1]]
            if a.shape == b.shape:
                both = f"{runs[0][:10]} − {runs[1][:10]}"
                panels = [*panels[:2], ("", both, a.astype(np.float64) - b.astype(np.float64), True)]
            else:
                self.note = f"no difference: the grids are {a.shape} and {b.shape}"
        return panels

    def _title(self, run: str) -> str:
        """Id of a run and what tells it apart from the others shown."""
        found = self._listing
        row = found.run(run) if found is not None else None
        if found is None or row is None:
            return run[:10]
        rows = [found.run(other) for other in (self.state.selected, *self.state.others)]
        there = np.array([r for r in rows if r is not None], dtype=np.int64)
        names = differing(found.table, there)[:3] if len(there) > 1 else ["kappa", "sigma_k", "alpha"]
        values = [(n, found.table[n][row].as_py()) for n in names if n in found.table.column_names]
        said = ", ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in values)
        fitness = found.table["fitness"][row].as_py() if "fitness" in found.table.column_names else None
        return " · ".join([run[:10], said, *([] if fitness is None else [f"fitness {fitness:.4g}"])])

    def _slots_of(self, n: int) -> None:
        while len(self._slots) < n:
            slot = _Slot(self.ranges, self.shared, self.state)
            slot.array.figure.on_event(Tap, self._tapped)
            self._slots.append(slot)
        for slot in self._slots[n:]:
            slot.array.close()
            if slot.view in self._stage.objects:
                self._stage.remove(slot.view)
        del self._slots[n:]

    def _settle(self, home: tuple[float, float, float, float]) -> None:
        fresh = self.ranges.home is None
        self.ranges.settle(home)
        if fresh and self.state.zoom is not None:
            self.ranges.go(self.state.zoom)

    def _tapped(self, event: Any) -> None:
        """A click cuts through a cell; one more on the same cell takes the cut away."""
        if event.x is not None and event.y is not None and np.isfinite([event.x, event.y]).all():
            cut = (int(np.floor(event.y + 0.5)), int(np.floor(event.x + 0.5)))
            inside = self.grid is not None and all(0 <= at < n for at, n in zip(cut, self.grid.shape, strict=True))
            self.state.cut = cut if inside and cut != self.state.cut else None

    def _looked(self) -> None:
        """The viewer's zoom came to rest: it belongs to the state, and so to the link."""
        view, home = self.ranges.view, self.ranges.home
        if view is None or home is None or self.state.look != "run":
            return
        zoom = zoom_of(view, home)
        if zoom != self.state.zoom:
            self.state.zoom = zoom

    def _frames(self) -> int:
        return next((d.frames for d in self.datasets if d.name == self.state.dataset), 1)


class _Slot:
    """One heat map with its title."""

    def __init__(self, ranges: LinkedRanges, shared: SharedLimits, state: RunsState) -> None:
        self.array = ArrayView(ranges=ranges, shared=shared, theme=state.theme)
        self.array.figure.toolbar_location = None  # drag, wheel and double click do without
        self._title = pn.pane.HTML("", margin=(2, 10), sizing_mode="stretch_width", height=18)
        self.view = pn.Column(self._title, self.array, margin=0, sizing_mode="stretch_both")
        self._of: tuple[str, int] = ("", 0)
        self._marks = [Span(dimension=side, visible=False, line_width=1, line_dash="dashed", level="overlay")
                       for side in ("width", "height")]  # fmt: skip
        for mark in self._marks:
            self.array.figure.add_layout(mark)

    def mark(self, cut: tuple[int, int] | None, theme: str) -> None:
        for mark, at in zip(self._marks, cut or (0, 0), strict=True):
            mark.update(location=float(at), visible=cut is not None, line_color=THEMES[theme].selected)

    def show(self, run: str, title: str, grid: Grid, state: RunsState, diverging: bool, colour: str) -> None:
        html = (
            f'<div style="font-size:12px;color:var(--text);white-space:nowrap;overflow:hidden;text-overflow:ellipsis" '
            f'title="{escape(title)}"><b style="color:{colour or "var(--muted)"}">■</b> {escape(title)}</div>'
        )
        if self._title.object != html:
            self._title.object = html
        if diverging:
            top = float(np.nanmax(np.abs(grid), initial=0.0)) or 1.0
            limits = {"limits_from": "fixed", "limits": (-top, top), "scale": "linear", "colour_map": "diverging"}
        else:
            limits = {
                "limits_from": state.limits,
                "limits": state.fixed,
                "scale": state.scale,
                "colour_map": "sequential",
            }
        label = f"difference of {state.dataset}" if diverging else state.dataset
        changes = {"theme": state.theme, "label": label, **limits}
        self.array.param.update(**{k: v for k, v in changes.items() if getattr(self.array, k) != v})
        if self._of != (run, id(grid)):
            self._of = (run, id(grid))
            self.array.source = ArraySource(grid)

    def place(self, at: int, n: int, flicker: bool) -> None:
        """Where it stands; flickering pictures lie on each other and take turns, which happens in the browser."""
        columns, rows = (1, 1) if flicker else ((n, 1) if n <= 3 else (2, 2))
        left, top = (0, 0) if flicker else (at % columns, at // columns)
        turn = ""
        if flicker:
            share = 100.0 / n
            turn = (
                f"@keyframes turn {{ 0%, {share:.3f}% {{ opacity: 1; }} {share + 0.001:.3f}%, 100% {{ opacity: 0; }} }}"
                f":host {{ animation: turn {FLICKER_S / 2 * n:g}s steps(1) infinite; "
                f"animation-delay: {FLICKER_S / 2 * at:g}s; opacity: 0; background: var(--surface); }}"
            )
        css = (
            f":host {{ position: absolute; left: {100 * left / columns:.4g}%; top: {100 * top / rows:.4g}%; "
            f"width: {100 / columns:.4g}% !important; height: {100 / rows:.4g}% !important; }} {turn}"
        )
        if self.view.stylesheets != [css]:
            self.view.stylesheets = [css]
