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
from dataclasses import dataclass
from typing import TypeVar

from tornado.web import RequestHandler

from dashboard import live
from dashboard.components.base_map import view_of_degrees
from dashboard.components.take_along import html_bytes, netcdf_bytes, python_lines
from dashboard.components.wanted import field_spec
from dashboard.share import from_query
from dashboard.state import PageState, ViewState
from engine.frames.field_frame import FieldFrame
from engine.station import Station

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=PageState)

MAX_WAITING = 16
"""Exports waiting or being made at most; one more is told to come again."""

_workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="exports")
_places = threading.BoundedSemaphore(MAX_WAITING)

Maker = Callable[[dict[str, str], Station], bytes]


@dataclass(frozen=True, slots=True)
class Export:
    """One take-along file: its content type, and how it is made from a link's parameters.

    `make` raises ValueError naming the parameter that makes no sense.
    """

    content_type: str
    make: Maker


def moment_of(state: PageState, query: dict[str, str], station: Station) -> float:
    """The moment of a view: of the link, or the one on the screen (``at``, epoch s) for a live view."""
    return state.moment_s if state.mode != "live" else _moment(query.get("at", ""), station)


def state_of(query: dict[str, str], state: S) -> S:
    """The state that a link describes; raises ValueError for a parameter that makes no sense, by name."""
    refused = from_query(query, state)
    if refused:
        raise ValueError("; ".join(refused))
    return state


def _field(make: Callable[[FieldFrame, str], bytes]) -> Maker:
    def export(query: dict[str, str], station: Station) -> bytes:
        state = state_of(query, ViewState())
        view = view_of_degrees(state.west, state.south, state.east, state.north)
        spec = field_spec(state, view, moment_of(state, query, station))
        return make(station.board.frame(spec), state.theme)

    return export


EXPORTS: dict[str, Export] = {
    "field.nc": Export("application/x-netcdf", _field(lambda frame, theme: netcdf_bytes(frame))),
    "field.html": Export("text/html; charset=utf-8", _field(html_bytes)),
    "field.py": Export("text/x-python; charset=utf-8", _field(lambda frame, theme: python_lines(frame).encode())),
}
"""What can be taken along, by file name; every page adds its own."""


def export(name: str, query: dict[str, str], station: Station) -> tuple[str, bytes]:
    """Content type and bytes of a take-along file.

    Parameters
    ----------
    name : str
        One of `EXPORTS`.
    query : dict of str to str
        Parameters of a link, and ``at``: the moment on the screen, epoch seconds, for a live view.
    station : Station

    Raises
    ------
    ValueError
        A parameter that makes no sense, by name.
    """
    wanted = EXPORTS[name]
    return wanted.content_type, wanted.make(query, station)


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
        if name not in EXPORTS:
            self.set_status(404)
            self.finish(f"there is no {name}; there are {', '.join(EXPORTS)}")
            return
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
