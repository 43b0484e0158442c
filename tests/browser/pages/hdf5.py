"""Serves the HDF5 explorer alone, on the folder named first: ``python hdf5.py FOLDER``, with PORT and DATA_DIR."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import panel as pn
from tornado.web import RequestHandler

sys.path.insert(0, str(Path(__file__).parents[3]))
from dashboard.components.hdf5_explorer import Hdf5Explorer


class Ready(RequestHandler):
    """Says that it is served."""

    def get(self) -> None:
        """Answer."""
        self.write('{"state": "ready"}')


def page() -> pn.viewable.Viewable:
    """One session's explorer; file, path and theme come from the link."""
    asked = {name: values[-1].decode() for name, values in pn.state.session_args.items()}
    theme = asked.pop("theme", "light")
    folder = Path(sys.argv[1])
    explorer = Hdf5Explorer([folder], Path(os.environ["DATA_DIR"]) / "uploads", max_upload_bytes=8 << 20, theme=theme)
    if "file" in asked:
        explorer.open(folder / asked["file"], asked.get("path", ""))
    explorer.follow()
    pn.state.on_session_destroyed(lambda _: explorer.close())
    ground = {"light": "#ffffff", "dark": "#12181d"}[theme]
    pn.config.raw_css = [f"body, html {{ margin: 0; height: 100%; background: {ground}; font-family: sans-serif; }}"]
    return explorer.__panel__()


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    origins = [f"localhost:{port}", f"127.0.0.1:{port}"]
    pn.serve({"hdf5": page}, port=port, show=False, websocket_origin=origins, extra_patterns=[("/ready", Ready)],
             keep_alive_milliseconds=10_000)  # fmt: skip
