"""The Runs view: a hunt to steer, its runs listed and drawn in several ways, and the run that is open.

It looks at what the desk has (`engine.hunts`), and draws it; all sessions share the desk.
"""

from __future__ import annotations

from typing import Any

import panel as pn
import param

from dashboard.components.hunt_controls import HuntControls
from dashboard.components.inspector import utc_text
from dashboard.components.page_view import PageView
from dashboard.components.run_compare import RunCompare
from dashboard.components.run_files import RunFiles
from dashboard.components.run_inspector import RunInspector
from dashboard.components.run_listing import Listing, followed, listing
from dashboard.components.run_overview import RunOverview
from dashboard.components.run_picture_controls import RunPictureControls
from dashboard.components.run_rows import differing
from dashboard.components.run_table import PAGE_ROWS, RunTable, table_columns, table_rows
from dashboard.components.run_thumbnails import shared_thumbnails
from dashboard.components.runs_state import MAX_COMPARED, RunsState
from dashboard.components.widget_style import WIDGET_CSS
from dashboard.theme import ASSETS
from engine.frames.spec import hundredths
from engine.station import Station

TABLE_PX = 232
"""Height of the table under the picture."""

TABS_CSS = (ASSETS / "run_tabs.css").read_text()


class RunsView(PageView):
    """One viewer's look at the runs.

    Examples
    --------
    In a notebook, the last line in a cell of its own (docs/page-runs.md)::

        station = Station(data_dir="run", feed="none").start()
        view = RunsView(station)
        view
    """

    state: RunsState = param.ClassSelector(
        class_=RunsState, doc="What is looked at; `dashboard.share` puts it into a link."
    )  # type: ignore[assignment]

    def __init__(self, station: Station, state: RunsState | None = None, **params: Any) -> None:
        super().__init__(station, state or RunsState(), **params)
        s = self.state
        self.desk = station.hunts
        self._page, self._drawing = 0, False
        self._key: tuple[Any, ...] = ()
        self._listing: Listing | None = None
        self._listed: tuple[Any, ...] = ()
        self._inspected: tuple[Any, ...] = ()
        self.table = RunTable(height=TABLE_PX)
        self.table.on_action = self._acted
        self.hunt = HuntControls(self.desk, self._say, self._started)
        self.overview = RunOverview(s, shared_thumbnails(self.desk.grids), self._rung, self._acted)
        self.open = RunCompare(s, self.desk, self._rung)
        self.inspector = RunInspector(s.theme, self._validate)
        self.options = RunPictureControls(s)
        self.files: RunFiles | None = None
        self.tabs = pn.widgets.RadioButtonGroup.from_param(
            s.param.look, label="", description=None, stylesheets=[WIDGET_CSS, TABS_CSS], margin=(3, 8), height=30
        )
        self._asides = {
            "controls": pn.Column(self.hunt.view, self.options.view, margin=0, sizing_mode="stretch_width"),
            "inspector": pn.Column(self.inspector.view, margin=0, sizing_mode="stretch_width"),
        }
        self.controls, self.about = (
            pn.Column(part, margin=0, sizing_mode="stretch_both") for part in self._asides.values()
        )
        self._stage = pn.Column(self.overview.view, self.open.view, margin=0, sizing_mode="stretch_both")
        self.main = pn.Column(self.tabs, self._stage, self.table, margin=0, sizing_mode="stretch_both")
        self._leave = self.desk.watch(self._rung)

    # -- what PageView asks for -----------------------------------------------------------------------

    def draw(self) -> None:
        """Draw the newest runs, and the open one."""
        if self._drawing:  # what is drawn changes the state, and the state would draw again
            return
        self._drawing = True
        try:
            found = self._found()
            opened = followed(found, self.state.follow) if self.state.mode == "live" else ""
            if opened and opened != self.state.selected:
                self.state.selected = opened
            self._draw_stage(found)
            self._draw_table(found)
            self.hunt.draw(self.state.hunt, found.table)
            self.options.draw(found, self.desk, self.open.datasets)
            self._inspect(found)
        finally:
            self._drawing = False

    def picture(self) -> dict[str, Any]:
        """State of the picture for the shell."""
        found = self._listing
        if self.desk.error:
            return {"kind": "failed", "title": "The ledger of runs could not be read",
                    "text": f"{self.desk.error}. It is tried again every 2 s; the log says more."}  # fmt: skip
        if found is None:
            return {"kind": "loading"}
        status = self.desk.status(self.state.hunt)
        n = found.table.num_rows
        hunt = (
            f"hunt {status.hunt_id[:8]} {status.state}, {status.done} of {status.budget} done" if status else "no hunt"
        )
        at = self.moment_s
        when = "" if at is None else f" · as of {utc_text(at)}"
        note = self.open.note if self.state.look == "run" else self.overview.note
        caption = f"{hunt} · {len(found.rows)} of {n} runs{when}" + (f" · {note}" if note else "")
        if self.state.look == "files":
            return {"kind": "ok", "at": "", "caption": f"{self.state.file or 'no file'} {self.state.node}"}
        if self.state.look == "run":
            if not n:
                return {**self._empty(at), "caption": caption}
            return {**self.open.picture(), "caption": f"{self.open.caption} · {caption}"}
        if not n:
            return {**self._empty(at), "caption": caption}
        if not len(found.rows):
            return {"kind": "empty", "title": "No run passes the filter", "caption": caption,
                    "text": f"{n} runs are there; clear the filter over the table to see them."}  # fmt: skip
        return {"kind": "ok", "caption": caption, "at": f"{at or 0:.2f}"}

    def notebook_parts(self) -> list[pn.viewable.Viewable]:
        """Hunt, picture and inspector side by side."""
        left = pn.Column(self.controls, width=250, height=700, scroll=True)
        right = pn.Column(self.about, width=270, height=700, scroll=True)
        return [pn.Row(left, pn.Column(self.main, height=700, sizing_mode="stretch_width"), right)]

    def close_watches(self) -> None:
        """Leave the desk."""
        self._leave()
        self.open.close()
        if self.files is not None:
            self.files.close()

    def changed(self) -> None:
        """Draw anew."""
        if not self._drawing:
            super().changed()

    # -- inside -----------------------------------------------------------------------------------------

    def _rung(self) -> None:
        self.wake()

    def _say(self, sentence: str) -> None:
        self.strip.notice = sentence

    def _empty(self, at: float | None) -> dict[str, str]:
        if at is not None:
            return {"kind": "empty", "title": "No run had ended by then", "text": "Go back to live, or scrub on."}
        status = self.desk.status(self.state.hunt)
        if status is not None and status.state == "running":
            text = f"{status.running} in workers, {status.queued} to come; each shows once it has ended."
            return {"kind": "empty", "title": "The first runs are on their way", "text": text}
        text = f"Nothing has been computed into {self.desk.folder}. Press 'New hunt …' on the left and start one."
        return {"kind": "empty", "title": "No run yet", "text": text}

    def _found(self) -> Listing:
        s, table = self.state, self.desk.table(self.state.hunt)
        moment = hundredths(self.moment_s)
        key = (id(table), s.where, s.order, moment)
        if self._listing is None or key != self._key:
            self._listing, self._key, self._kept = listing(table, s, moment), key, table
        return self._listing

    def _draw_stage(self, found: Listing) -> None:
        look = self.state.look
        for view, on in (
            (self.overview.view, look in ("scatter", "parallel", "wall")),
            (self.open.view, look == "run"),
        ):
            if view.visible != on:
                view.visible = on
        if look == "files" and self.files is None:
            self._open_files()
        if self.files is not None:
            self.files.show(look == "files")
        for part in self._asides.values():
            if part.visible != (look != "files"):
                part.visible = look != "files"
        if self.table.visible != (look != "files"):
            self.table.visible = look != "files"
        if look == "run":
            self.open.draw(found)
        elif look != "files":
            self.overview.draw(found, self._page)

    def _open_files(self) -> None:
        """The explorer takes the places of controls, picture and inspector while files are looked at."""
        self.files = RunFiles(self.state, self.desk.folder, self.station.settings)
        self.controls.append(self.files.explorer.controls)
        self._stage.append(self.files.explorer.picture)
        self.about.append(self.files.explorer.inspector)

    def _draw_table(self, found: Listing) -> None:
        s = self.state
        self._page = min(self._page, found.pages - 1)
        key = (id(found), self._page, s.differing)
        changes: dict[str, Any] = {
            "selected": s.selected, "others": list(s.others), "where": s.where, "refused": found.refused,
            "order": s.order, "differing": s.differing,
        }  # fmt: skip
        if key != self._listed:
            self._listed = key
            rows = found.page(self._page)
            columns = table_columns(found.table, found.rows, s.differing)
            changes |= {
                "columns": columns, "trace": found.line, "total": len(found.rows), "offset": self._page * PAGE_ROWS,
                "rows": table_rows(found.table, rows, columns, found.place),
                "nothing": found.refused or "No run to list.",
            }  # fmt: skip
        self.table.param.update(**{k: v for k, v in changes.items() if getattr(self.table, k) != v})

    def _inspect(self, found: Listing) -> None:
        s = self.state
        report, checking_s = self.desk.report(s.selected), self.desk.checking_s(s.selected)
        grid = self.open.grid if s.look == "run" and s.selected else None
        key = (
            id(found),
            s.selected,
            s.theme,
            s.look,
            s.dataset,
            s.frame,
            id(report),
            checking_s and int(checking_s),
            id(grid),
        )
        if key == self._inspected:
            return
        self._inspected, self._seen = key, (report, grid)
        self.inspector.set_theme(s.theme)
        row = found.run(s.selected)
        run = None if row is None else {n: found.table[n][row].as_py() for n in found.table.column_names}
        listed = differing(found.table, found.rows) if run is not None else []
        self.inspector.describe(run, listed, report, checking_s)
        self.inspector.describe_grid(
            grid if run is not None else None, float((run or {}).get("domain_size") or 1.0), s.dataset
        )

    def _validate(self) -> None:
        if self.state.selected:
            self.desk.revalidate(self.state.selected)

    def _started(self, hunt_id: str) -> None:
        self.state.param.update(hunt=hunt_id, follow=self.state.follow, where="")

    def _acted(self, action: dict[str, Any]) -> None:
        s, do, found = self.state, action["do"], self._listing
        if found is None:
            return
        if do in ("select", "open"):
            s.param.update(selected=action["id"], follow="nothing", **({"look": "run"} if do == "open" else {}))
        elif do == "compare" or (do == "mark" and s.selected):
            run = action.get("id", s.selected)
            kept = [other for other in s.others if other != run]
            s.others = kept if len(kept) < len(s.others) else [*kept, run][-MAX_COMPARED:]
        elif do == "step":
            run = found.neighbour(s.selected, action["by"])
            at = found.position(run)
            self._page = self._page if at is None else at // PAGE_ROWS
            s.param.update(selected=run, follow="nothing")
        elif do == "page":
            self._page = min(max(self._page + action["by"], 0), found.pages - 1)
            self.pull()
        elif do == "order":
            name = action["name"]
            # From high to low first: of a metric the large ones, of a time the newest; once more turns it round.
            s.order = name if s.order == f"-{name}" else f"-{name}"
        elif do == "where":
            self._page, s.where = 0, action["text"]
        elif do == "differing":
            s.differing = action["on"]

    def _act(self, action: dict[str, Any]) -> None:
        if action["do"] == "clear":
            self.state.others = []
        super()._act(action)
