"""Any HDF5 file: its tree at the left, a picture of what is chosen in the middle, all that is known of it at the right.

The parts can be placed one by one (`controls`, `picture`, `inspector`) or together, as in a notebook. Files come from
allowed folders or are handed in. Everything that may take long runs off the session's loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import param

from dashboard.components.array_controls import ArrayControls
from dashboard.components.array_section import CrossSection, Histogram
from dashboard.components.array_source import DatasetSource
from dashboard.components.array_view import ArrayView
from dashboard.components.hdf5_facts import node_html, table_html
from dashboard.components.hdf5_rows import TreeRows
from dashboard.components.hdf5_slices import SliceControls
from dashboard.components.hdf5_tree import Hdf5Tree
from dashboard.components.latest import Latest
from dashboard.components.line_view import LineSource, LineView
from dashboard.components.notebook_output import token_style
from dashboard.components.widget_style import heading, styled
from dashboard.theme import ASSETS, THEMES
from engine.hdf5 import Dataset, Hdf5Error, Node, Tree, open_hdf5, shared_overviews
from engine.hdf5.folders import Inbox, files_in
from engine.hdf5.identity import identity

FOLLOW_MS = 1_000
"""A file is looked at for changes this often, ms."""

ROWS = 200
"""Values of a table that are shown at a time."""

CSS = (ASSETS / "inspector.css").read_text() + "\n.warn { color: var(--warn); }"


class Hdf5Explorer(pn.viewable.Viewer):
    """Walk through HDF5 files and look at what is in them.

    Parameters
    ----------
    folders : iterable of path
        Files in and below them may be opened; nothing else is.
    uploads : path, optional
        Where files that are handed in are kept while this lives; without it none are taken.
    max_upload_bytes : int
        Of all files handed in together.
    **params
        See below; ``file`` and ``path`` may be given to begin with.

    Examples
    --------
    In a notebook::

        Hdf5Explorer(["data"])
    """

    file = param.String("", doc="Path of the open file.")
    path = param.String("", doc="Path of the chosen object in it.")
    theme: Any = param.Selector(default="light", objects=list(THEMES), doc="Colours of the page.")
    error = param.String("", doc="What went wrong last, read only.")

    def __init__(self, folders: Iterable[str | os.PathLike[str]], uploads: str | os.PathLike[str] | None = None,
                 max_upload_bytes: int = 512 << 20, **params: Any) -> None:  # fmt: skip
        wanted = {name: params.pop(name) for name in ("file", "path") if name in params}
        super().__init__(**params)
        self.folders = [Path(os.path.realpath(folder)) for folder in folders]
        self.inbox = Inbox(uploads, max_upload_bytes) if uploads is not None else None
        self.tree: Tree | None = None
        self.node: Node | None = None
        self._rows: TreeRows | None = None
        self._start, self._wanted_path = 0, ""
        self.view = ArrayView(theme=self.theme)
        self.line = LineView(theme=self.theme)
        self._opening, self._reading, self._following = (Latest(self.view.figure) for _ in range(3))
        self._build()
        self.param.watch(lambda *_: self._restyle(), "theme")
        self.param.watch(lambda event: self._open(event.new), "file")
        self.param.watch(lambda event: self._choose(event.new), "path")
        self.list_files()
        self._ticker: Any = None
        if wanted.get("file"):
            self.open(wanted["file"], wanted.get("path", ""))

    def __panel__(self) -> pn.viewable.Viewable:
        side = {"sizing_mode": "stretch_height", "margin": (0, 8)}
        return pn.Row(
            pn.Column(self.controls, width=270, **side), self.picture, pn.Column(self.inspector, width=280, **side),
            sizing_mode="stretch_both", min_height=560, stylesheets=pn.bind(token_style, self.param.theme),
        )  # fmt: skip

    def open(self, file: str | os.PathLike[str], path: str = "") -> None:
        """Open a file, at a place in it: by default at the one chosen in the last file, or where the file wants it."""
        self._wanted_path = path
        self.file = str(file)

    def follow(self) -> None:
        """Look once a second whether the file has changed, as one that is being written does, and show the newest."""
        if self._ticker is None:
            self._ticker = pn.state.add_periodic_callback(self.look_again, period=FOLLOW_MS)

    def close(self) -> None:
        """Stop following, ask for nothing more, and delete what was handed in."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        for work in (self._opening, self._reading, self._following):
            work.closed = True
        self.view.close()
        self.line.close()
        if self.inbox is not None:
            self.inbox.close()

    def list_files(self) -> None:
        """List the files in the allowed folders anew, those with the text of the search box in their names."""
        found = files_in(self._allowed(), 500, self.find.value_input or "")
        options = {"": ""} | {f.name.encode("utf-8", "replace").decode(): str(f.path) for f in found}
        if self.file and self.file not in options.values():
            options[Path(self.file).name] = self.file
        self.files.param.update(options=options, value=self.file)

    def look_again(self) -> None:
        """Show the newest if the file has changed since it was read; view, cut and limits stay."""
        tree = self.tree
        if tree is None:
            return

        def look() -> Any:
            if identity(str(tree.path)) == tree.identity:
                return None
            before = tree.identity
            try:
                tree.refresh()
                if self._rows is not None:
                    self._rows.refresh()
                return tree[self.path] if self.path else None
            except Hdf5Error:
                tree.identity = before  # most likely in the middle of a write: it is looked at again
                raise

        self._following.do(look, self._looked_again)

    # -- inside ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.find = styled(pn.widgets.TextInput(label="", placeholder="Find a file", value=""))
        self.files = styled(pn.widgets.Select(label="", options={"": ""}, value=""))
        self.rows = Hdf5Tree(uploads=self.inbox is not None)
        self.rows.on_action = self._act
        self.controls = pn.Column(heading("File"), self.find, self.files, heading("In it"), self.rows,
                                  sizing_mode="stretch_both", margin=0)  # fmt: skip
        self.facts = pn.pane.HTML("", stylesheets=[CSS], sizing_mode="stretch_width", margin=0)
        self.inspector = pn.Column(self.facts, sizing_mode="stretch_both", margin=0, scroll=True)
        self.slices = SliceControls(self._cut)
        self.kind = styled(pn.widgets.RadioButtonGroup(options=["Picture", "Table"], value="Picture", label="Show as"))
        self.kind.param.update(sizing_mode="fixed", width=150, height=30, margin=(18, 8, 5, 0))
        self.scale = ArrayControls(self.view)
        self.table = pn.pane.HTML("", stylesheets=[CSS], sizing_mode="stretch_width", margin=(4, 12))
        self.back, self.forth = (styled(pn.widgets.Button(label=label)) for label in ("Earlier values", "Later values"))
        pages = pn.Row(self.back, self.forth, margin=(0, 8), width=260)
        self._pages = pn.Column(pages, self.table, sizing_mode="stretch_both", scroll=True, visible=False, margin=0)
        self.section, self.histogram = CrossSection(self.view), Histogram(self.view)
        self._numbers = pn.Row(self.section, self.histogram, sizing_mode="stretch_width", height=150, margin=0)
        heat = (self.scale, self.view, self._numbers)
        self._heat = pn.Column(*heat, sizing_mode="stretch_both", margin=0, visible=False)
        self._line = pn.Column(self.line, sizing_mode="stretch_both", margin=0, visible=False)
        self.said = pn.pane.HTML("", sizing_mode="stretch_width", margin=(2, 10))
        self.picture = pn.Column(
            pn.Row(self.kind, self.slices, sizing_mode="stretch_width", margin=(0, 8)), self.said, self._heat,
            self._line, self._pages, sizing_mode="stretch_both", margin=0,
        )  # fmt: skip
        self.kind.param.watch(lambda *_: self._show(), "value")
        self.find.param.watch(lambda *_: self.list_files(), "value_input")
        self.files.param.watch(lambda event: self.param.update(file=event.new or ""), "value")
        self.back.on_click(lambda _: self._page(-ROWS))
        self.forth.on_click(lambda _: self._page(ROWS))

    def _allowed(self) -> list[Path]:
        return [*self.folders, *([self.inbox.folder] if self.inbox is not None else [])]

    def _open(self, file: str) -> None:
        if not file:
            return
        self.files.value = file if file in self.files.options.values() else ""

        def work() -> Any:
            tree = open_hdf5(file, self._allowed())
            rows = TreeRows(tree)
            rows.open("/")
            return tree, rows

        self._say(f"Opening {Path(file).name} …")
        self._opening.do(work, self._opened)

    def _opened(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self.tree = self._rows = None
            self.rows.rows = []
            self._fail(outcome)
            return
        kept = self._wanted_path or self.path
        self._wanted_path = ""
        self.tree, self._rows = outcome
        self._say("")
        wish = self.tree.default or "/"
        if kept and kept != "/":
            # The same place in the next file, if it has one: stepping from run to run keeps what is looked at.
            wish = kept
        self.rows.rows = self._rows.rows()
        self._unfold(wish, lambda: self._choose(wish, fall_back=True))

    def _unfold(self, path: str, then: Callable[[], None]) -> None:
        rows = self._rows
        assert rows is not None
        parts = [part for part in path.split("/") if part][:-1]

        def work() -> None:
            place = ""
            for part in parts:
                place += f"/{part}"
                if not rows.is_open(place):
                    rows.open(place)

        def done(_: Any) -> None:
            self.rows.rows = rows.rows()
            then()

        self._opening.do(work, done) if parts else then()

    def _act(self, action: dict[str, Any]) -> None:
        rows = self._rows
        if action["do"] == "piece":
            self._receive(action)
        elif action["do"] == "choose":
            if action["path"] == self.path:
                self._toggle(action["path"])
            else:
                self.path = action["path"]
        elif rows is not None and action["do"] == "more":
            self._opening.do(lambda: rows.more(action["path"]), self._rows_changed)
        elif action["do"] == "toggle":
            self._toggle(action["path"])

    def _toggle(self, path: str) -> None:
        rows = self._rows
        if rows is None:
            return
        if rows.is_open(path):
            rows.shut(path)
            self.rows.rows = rows.rows()
        elif any(row["path"] == path and row["kind"] == "group" for row in self.rows.rows):
            self._opening.do(lambda: rows.open(path), self._rows_changed)

    def _rows_changed(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            self._fail(outcome)
        if self._rows is not None:
            self.rows.rows = self._rows.rows()

    def _receive(self, piece: dict[str, Any]) -> None:
        if self.inbox is None:
            return
        try:
            path = self.inbox.write(piece["name"], piece["at"], piece["content"])
        except (ValueError, OSError) as error:
            self.rows.param.update(received=-1, note=str(error))
            self.rows.received = -2
            return
        there = piece["at"] + len(piece["content"])
        self.rows.received = there
        if there >= piece["size"]:
            self.rows.note = f"{path.name} is here"
            self.list_files()
            self.file = str(path)

    def _choose(self, path: str, fall_back: bool = False) -> None:
        tree = self.tree
        if tree is None or not path:
            return

        def done(outcome: Any) -> None:
            if isinstance(outcome, Exception) and fall_back and path != "/":
                self._choose(tree.default or "/")
            elif isinstance(outcome, Exception):
                self._fail(outcome)
                self.rows.chosen = path
            elif self.tree is tree:
                self._chosen(outcome)

        self._reading.do(lambda: tree[path], done)

    def _chosen(self, node: Node) -> None:
        fresh = self.node is None or node.path != self.node.path or node.tree is not self.node.tree
        self.node = node
        self._start = 0 if fresh else self._start
        with param.parameterized.discard_events(self):
            self.path = node.path
        self.rows.chosen = node.path
        self.facts.object = node_html(node.tree, node)
        dataset = node if isinstance(node, Dataset) else None
        self.slices.set_dataset(dataset)
        if dataset is not None and fresh:
            self.kind.value = "Picture" if dataset.pictured else "Table"
        self.kind.visible = bool(dataset and dataset.pictured)
        self._say("" if dataset is not None else "Choose a dataset in the tree.")
        if dataset is not None and dataset.problem:
            self._say(f"Its values cannot be shown: {dataset.problem}", warn=True)
        self._show()
        if node.path == "/" and self._rows is not None and not self._rows.is_open("/"):
            self._toggle("/")

    def _show(self) -> None:
        dataset = self.node if isinstance(self.node, Dataset) else None
        readable = dataset is not None and not dataset.problem
        as_table = readable and (self.kind.value == "Table" or not dataset.pictured)  # type: ignore[union-attr]
        picture = readable and not as_table
        line = picture and len(self.slices.axes) == 1
        self._heat.visible, self._line.visible = bool(picture and not line), bool(line)
        self._pages.visible = bool(as_table)
        if as_table:
            self._page(0)
        elif picture:
            self._cut()

    def _cut(self, keep: bool = False) -> None:
        """Another cut through the dataset, or another dataset: zoom and limits stay where they fit."""
        dataset = self.node
        if not isinstance(dataset, Dataset) or not dataset.pictured:
            return
        axes, how = self.slices.axes, self.slices.how
        self._heat.visible, self._line.visible = len(axes) == 2, len(axes) == 1
        try:
            if len(axes) == 1:
                source: Any = LineSource(dataset, self.slices.slices, axes[0], **how)
                shown: Any = self.line
            else:
                source, shown = (
                    DatasetSource(dataset, self.slices.slices, (axes[0], axes[1]), **how, overviews=shared_overviews()),
                    self.view,
                )
        except (Hdf5Error, ValueError) as error:
            self._fail(error)
            return
        if keep:
            shown.exchange(source)
        else:
            shown.source = source

    def _page(self, by: int) -> None:
        dataset = self.node
        if not isinstance(dataset, Dataset):
            return
        total = (dataset.shape or (1,))[-1]
        start = self._start = min(max(self._start + by, 0), max(total - 1, 0) // ROWS * ROWS)
        self.back.disabled, self.forth.disabled = start == 0, start + ROWS >= total
        others = self.slices.slices[:-1] if dataset.pictured else [0] * max(len(dataset.shape or ()) - 1, 0)

        def done(outcome: Any) -> None:
            if isinstance(outcome, Exception):
                self.table.object = ""
                self._fail(outcome)
            elif self.node is dataset:
                self.table.object = table_html(outcome, start)

        self._reading.do(lambda: dataset.table(start, ROWS, others), done)

    def _looked_again(self, outcome: Any) -> None:
        if isinstance(outcome, Exception):
            # The last picture stays.
            self._say(f"{outcome}; it is tried again every second", warn=True)
        elif outcome is not None and self.node is not None and outcome.path == self.node.path:
            self._say("")
            self.node = outcome
            self.facts.object = node_html(outcome.tree, outcome)
            if self._rows is not None:
                self.rows.rows = self._rows.rows()
            self.slices.set_dataset(outcome if isinstance(outcome, Dataset) else None)
            if self._pages.visible:
                self._page(0)
            else:
                self._cut(keep=True)

    def _fail(self, error: Exception) -> None:
        self._heat.visible = self._line.visible = self._pages.visible = False
        self._say(str(error) or type(error).__name__, warn=True)

    def _say(self, text: str, warn: bool = False) -> None:
        self.error = text if warn else ""
        colour = "var(--warn)" if warn else "var(--muted)"
        self.said.object = f'<p style="color:{colour};margin:0">{escape(text)}</p>' if text else ""

    def _restyle(self) -> None:
        self.view.theme = self.line.theme = self.theme
