"""Take-along files over plain HTTP: `/take/field.nc?…` with the parameters of a link.

Whatever view has a link can be fetched by a program, too. The work is done in threads of its own, a
bounded number of them, so no viewer waits for someone else's file.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tornado.web import RequestHandler

from dashboard import live
from dashboard.components.base_map import view_of_degrees
from dashboard.components.take_along import html_bytes, netcdf_bytes, python_lines
from dashboard.components.wanted import field_spec
from dashboard.share import from_query
from dashboard.state import ViewState
from engine.frames.field_frame import FieldFrame
from engine.station import Station

logger = logging.getLogger(__name__)

MAX_WAITING = 16
"""Exports waiting or being made at most; one more is told to come again."""

_workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="exports")
_places = threading.BoundedSemaphore(MAX_WAITING)

_MAKERS: dict[str, tuple[str, Callable[[FieldFrame, str], bytes]]] = {
    "field.nc": ("application/x-netcdf", lambda frame, theme: netcdf_bytes(frame)),
    "field.html": ("text/html; charset=utf-8", html_bytes),
    "field.py": ("text/x-python; charset=utf-8", lambda frame, theme: python_lines(frame).encode()),
}


def export(name: str, query: dict[str, str], station: Station) -> tuple[str, bytes]:
    """Content type and bytes of a take-along file.

    Parameters
    ----------
    name : str
        ``field.nc``, ``field.html`` or ``field.py``.
    query : dict of str to str
        Parameters of a link, and ``at``: the moment on the screen, epoch seconds, for a live view.
    station : Station

    Raises
    ------
    ValueError
        A parameter that makes no sense, by name.
    """
    state = ViewState()
    refused = from_query(query, state)
    if refused:
        raise ValueError("; ".join(refused))
    moment_s = state.moment_s if state.mode != "live" else _moment(query.get("at", ""), station)
    view = view_of_degrees(state.west, state.south, state.east, state.north)
    content_type, make = _MAKERS[name]
    return content_type, make(station.board.frame(field_spec(state, view, moment_s)), state.theme)


def _moment(text: str, station: Station) -> float:
    if not text:
        return float(station.health.get("server_s") or live.now_s())
    try:
        moment_s = float(text)
    except ValueError:
        moment_s = -1.0
    if not 0.0 <= moment_s < 4.1e9:
        raise ValueError(f"at is {text[:40]!r}; epoch seconds are needed")
    return moment_s


class TakeAlong(RequestHandler):
    """Serves one take-along file."""

    async def get(self, name: str) -> None:
        """Make the file in a thread; 400 names what is wrong with the request, 503 asks to come again."""
        query = {k: v[-1].decode("utf-8", "replace") for k, v in self.request.query_arguments.items()}
        if not _places.acquire(blocking=False):
            self.set_status(503)
            self.finish(f"{MAX_WAITING} files are being made already; try again in a moment")
            return
        try:
            loop = asyncio.get_running_loop()
            content_type, body = await loop.run_in_executor(_workers, export, name, query, live.station())
        except ValueError as error:
            self.set_status(400)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(str(error))
            return
        finally:
            _places.release()
        self.set_header("Content-Type", content_type)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(body)
