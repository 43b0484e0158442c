"""Work off the session's loop, where only the newest wish counts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import panel as pn

from dashboard.next_tick import in_session, this_loop

_POOL = ThreadPoolExecutor(max_workers=4, thread_name_prefix="latest")


class Latest:
    """Runs one piece of work at a time; of those that come meanwhile only the last is run.

    In a served session the work is done in a thread and its result handed over on the session's loop; anywhere else
    both happen at once, in the caller.

    Parameters
    ----------
    model : bokeh.model.Model, optional
        One of those that `done` changes; its document takes the result, else the current one.

    Examples
    --------
    >>> Latest().do(lambda: 6 * 7, print)
    42
    """

    def __init__(self, model: Any = None) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._next: tuple[Callable[[], Any], Callable[[Any], None], Any, Any] | None = None
        self._running = False
        self.closed = False

    def do(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run some work and give its result, or the exception that it raised, to `done`.

        Parameters
        ----------
        work : callable () -> result
            Must not touch models.
        done : callable (result) -> None
        """
        # Where the models are that `done` changes: that document has to be locked then, whoever asks.
        document = getattr(self._model, "document", None) or pn.state.curdoc
        if document is None or document.session_context is None:
            done(_outcome(work))
            return
        with self._lock:
            self._next = (work, done, document, this_loop())
            if self._running:
                return
            self._running = True
        _POOL.submit(self._run)

    @property
    def waiting(self) -> bool:
        """Whether something newer is wanted than what is being done."""
        return self._next is not None

    def _run(self) -> None:
        while True:
            with self._lock:
                wish, self._next = self._next, None
                if wish is None or self.closed:
                    self._running = False
                    return
            work, done, document, loop = wish
            outcome = _outcome(work)
            # A session that is gone takes no more callbacks; nobody looks at the result then.
            if not self.closed:
                in_session(document, loop, partial(_hand_over, done, outcome))


def _hand_over(done: Callable[[Any], None], outcome: Any) -> None:
    """Give a result to its session; held, so that no change overtakes the message that brings the models it is of.

    Not before the page has loaded: between handing its document over and then, Panel drops what it holds
    (docs/decisions/into-a-session.md).
    """
    if not pn.state.loaded:
        pn.state.onload(partial(done, outcome))
        return
    with pn.io.hold():
        done(outcome)


def _outcome(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return error
