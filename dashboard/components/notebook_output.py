"""What a view needs in a notebook that a page has from its shell: one thread for all it does, and its colours."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import panel as pn

from dashboard.theme import ASSETS

_TOKENS = dict(re.findall(r':root\[data-theme="(\w+)"\] \{(.*?)\}', (ASSETS / "shell.css").read_text(), re.DOTALL))
"""Colours that the strip is drawn with, by theme; a page has them from its shell, a notebook from here."""


class NotebookOutput(pn.Column):
    """The root of a view in a notebook, where everything that happens runs on one thread: the kernel's own loop.

    A front end may hand its messages to the kernel in other threads (JupyterLab does, one for each kind),
    where two updates would mix on the way out and Bokeh's document would lose changes.
    """

    def __init__(self, *objects: Any, **params: Any) -> None:
        super().__init__(*objects, **params)
        self._thread = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        # A served page has its document's lock for this.
        if getattr(pn.state.curdoc, "session_context", None) is None:
            with suppress(RuntimeError):
                self._loop = asyncio.get_running_loop()

    def run(self, call: Callable[[], None]) -> None:
        """Call at once if this is the right thread, else hand the call over to it."""
        if self._loop is None or threading.get_ident() == self._thread:
            call()
        else:
            self._loop.call_soon_threadsafe(call)

    def _on_msg(self, ref: str, manager: Any, msg: Any) -> None:
        self.run(partial(super()._on_msg, ref, manager, msg))


def token_style(theme: str) -> list[str]:
    """Style sheet with the colour tokens of a theme, for the root of an output."""
    return [":host { " + _TOKENS[theme] + " }"]
