"""What threads hand to sessions arrives, once, whatever the session's loop does at that moment."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from bokeh.document import Document
from bokeh.models import Slider
from bokeh.server.session import ServerSession
from tornado.ioloop import IOLoop

from dashboard.next_tick import in_session, this_loop

SESSIONS, CALLS = 200, 20


@pytest.fixture
def restless():
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_nothing_is_lost_or_doubled_while_sessions_begin_and_hold_their_changes():
    arrived: Counter[tuple[int, int]] = Counter()
    refused: list[Exception] = []

    async def serve() -> None:
        loop = IOLoop.current()
        assert this_loop() is loop
        for number in range(SESSIONS):
            document, slider = Document(), Slider(start=0, end=1, value=0)
            document.add_root(slider)
            document._session_context = lambda: SimpleNamespace(session=None)

            def hand_over(document: Document = document, number: int = number) -> None:
                for call in range(CALLS):
                    try:
                        in_session(document, loop, lambda name=(number, call): arrived.update([name]))
                    except Exception as error:
                        refused.append(error)

            thread = threading.Thread(target=hand_over)
            thread.start()
            session = ServerSession(f"{number}", document, loop)
            while thread.is_alive():
                async with session._lock:
                    session._pending_writes = []
                    document.hold("combine")
                    slider.value = 1 - slider.value
                    document.unhold()
                    session._pending_writes = None
                await asyncio.sleep(0)
            thread.join()
            await asyncio.sleep(0.001)
            assert session.document is document
        await asyncio.sleep(0.2)

    asyncio.run(serve())
    assert refused == []
    assert arrived == dict.fromkeys([(n, c) for n in range(SESSIONS) for c in range(CALLS)], 1)


def test_without_a_loop_the_document_is_asked_at_once_and_an_ended_session_gets_nothing():
    document, called = Document(), []
    in_session(document, this_loop(), lambda: called.append(1))
    assert document.session_callbacks == [] and called == []
    document._session_context = lambda: SimpleNamespace(session=None)
    in_session(document, this_loop(), lambda: called.append(1))
    assert len(document.session_callbacks) == 1
