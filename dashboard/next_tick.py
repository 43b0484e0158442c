"""From a thread into a session: on its loop first, then with its document locked.

`Document.add_next_tick_callback` may be called from any thread, but what a thread adds while the loop holds the
document's changes, or while it makes the session, now and then is lost or refused: both keep plain lists without a
lock. Asked on the loop itself nothing else is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.document import Document
from tornado.ioloop import IOLoop


def this_loop() -> IOLoop | None:
    """The loop that runs the caller, or None in a thread without one."""
    return IOLoop.current(instance=False)


def in_session(document: Document, loop: IOLoop | None, call: Callable[[], Any]) -> None:
    """Call something in a session, with its document locked; from any thread, returns at once.

    Parameters
    ----------
    document : Document
        Of the session. If the session is over by then, nothing is called.
    loop : IOLoop or None
        The one that serves it, see `this_loop`; without one the document is asked at once.
    call : callable () -> None
    """

    def enter() -> None:
        if document.session_context is not None:
            document.add_next_tick_callback(call)

    if loop is None:
        enter()
    else:
        loop.add_callback(enter)
