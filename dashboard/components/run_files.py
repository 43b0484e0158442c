"""The HDF5 explorer as one look of the Runs page: any file of the allowed folders, or one that is handed in.

It joins the explorer with the page's state, so that file, place and theme are part of the link.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import panel as pn

from dashboard.components.array_source import Bounds, DatasetSource
from dashboard.components.hdf5_explorer import Hdf5Explorer
from dashboard.components.runs_state import RunsState
from engine.config import Settings


def explored_folders(runs: Path, settings: Settings) -> list[Path]:
    """Folders whose files may be opened: the runs, ``DATA_DIR/files``, and those of ``HDF5_FOLDERS``.

    Parameters
    ----------
    runs : Path
        Folder of the runs.
    settings : Settings
    """
    files = [] if str(settings.data_dir) == ":memory:" else [settings.data_dir / "files"]
    return [folder for folder in (runs, *files, *settings.hdf5_folders) if folder.is_dir()]


def place_of(name: str, folders: list[Path]) -> str:
    """Path of a file from its name relative to an allowed folder; empty if there is none.

    Examples
    --------
    >>> place_of("../../etc/passwd", [Path("/tmp")])
    ''
    """
    for folder in folders:
        root = os.path.realpath(folder)
        path = os.path.realpath(os.path.join(root, name))
        if name and Path(path).is_relative_to(root) and os.path.isfile(path):
            return path
    return ""


def name_of(path: str, folders: list[Path]) -> str:
    """Name of a file relative to the allowed folder that it lies in; empty for one that was handed in."""
    for folder in folders:
        root = os.path.realpath(folder)
        if path and Path(path).is_relative_to(root):
            return str(Path(path).relative_to(root))
    return ""


def zoom_of(view: Bounds, home: Bounds) -> Bounds | None:
    """What of a picture is in view, to six digits; None if all of it is.

    Examples
    --------
    >>> zoom_of((-1.0, -1.0, 9.0, 9.0), (0.0, 0.0, 4.0, 4.0)) is None
    True
    """
    whole = view[0] <= home[0] and view[1] <= home[1] and view[2] >= home[2] and view[3] >= home[3]
    return None if whole else (view[0], view[1], view[2], view[3])


class RunFiles:
    """The explorer of one session.

    Parameters
    ----------
    state : RunsState
        Holds file and place.
    runs : Path
        Folder of the runs.
    settings : Settings
    """

    def __init__(self, state: RunsState, runs: Path, settings: Settings) -> None:
        self.state, self.folders = state, explored_folders(runs, settings)
        uploads = None if str(settings.data_dir) == ":memory:" else settings.data_dir / "uploads"
        self.explorer = Hdf5Explorer(
            self.folders, uploads, max_upload_bytes=settings.upload_mib * 2**20, theme=state.theme
        )
        self._wish = (state.slices, state.zoom if state.look == "files" else None)
        self._looks = 0
        self.explorer.param.watch(lambda *_: self._told(), ["file", "path"])
        self.explorer.view.param.watch(lambda event: self._cut(event.new), "source")
        self.explorer.view.ranges.listen(self._looked)
        state.param.watch(lambda event: setattr(self.explorer, "theme", event.new), "theme")

    def show(self, on: bool) -> None:
        """Show the explorer's parts, or hide them."""
        for part in (self.explorer.controls, self.explorer.picture, self.explorer.inspector):
            if part.visible != on:
                part.visible = on
        document = pn.state.curdoc
        served = document is not None and document.session_context is not None
        self._looks += on
        # The first look of a served page builds it: what arrived before it has loaded could be lost.
        if on and self._looks == (2 if served else 1):
            self._open()
            self.explorer.follow()

    def _open(self) -> None:
        """Open the link's file at its place, or else the file of the open run."""
        s = self.state
        opened, node = place_of(s.file, self.folders), "" if s.node == "/" else s.node
        if not opened and s.selected:
            opened, node = place_of(f"rho_history_{s.selected}.h5", self.folders), f"/{s.dataset}"
        if opened:
            self.explorer.open(opened, node)

    def close(self) -> None:
        """Ask for nothing more, and delete what was handed in."""
        self.explorer.close()

    def _told(self, *_: Any) -> None:
        changes = {"file": name_of(self.explorer.file, self.folders)[:128]}
        if self.explorer.path:  # empty while a file is being opened
            changes["node"] = self.explorer.path[:128]
        self.state.param.update(**{k: v for k, v in changes.items() if getattr(self.state, k) != v})

    def _cut(self, source: Any) -> None:
        """Another cut is shown: the link's own first, then whichever the viewer chooses."""
        if not isinstance(source, DatasetSource):
            return
        self._told()
        (slices, zoom), self._wish = self._wish, ("", None)
        if zoom is not None:
            self.explorer.view.ranges.settle(source.bounds)
            self.explorer.view.ranges.go(zoom)
        for axis, place in zip(range(len(source.slices)), slices.split(","), strict=False):
            slider = self.explorer.slices.places.get(axis)
            if slider is not None and place.isdigit() and int(place) <= slider.end:
                slider.value = int(place)  # cuts anew, and comes back here
        source = self.explorer.view.source
        text = ",".join(":" if axis in source.axes else str(at) for axis, at in enumerate(source.slices))
        if text != self.state.slices and len(text) <= 128:
            self.state.slices = text

    def _looked(self) -> None:
        ranges = self.explorer.view.ranges
        if self.state.look == "files" and ranges.view is not None and ranges.home is not None:
            zoom = zoom_of(ranges.view, ranges.home)
            if zoom != self.state.zoom:
                self.state.zoom = zoom
