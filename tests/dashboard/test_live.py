"""One station for all sessions, and a bell per session that is rung, coalesced, and survives what goes away."""

import concurrent.futures
import threading

import pytest
from bokeh.document import Document

from dashboard import live
from dashboard.live import Wakeful
from engine.events.log import EventLog


class Session:
    """A bell on a real document, whose loop turns when told."""

    def __init__(self, pull=None):
        self.document, self.pulled, self.closed = Document(), 0, 0
        self.document._session_context = lambda: self  # it is served, by nobody's loop
        self.bell = Wakeful(pull or self._pull, self._close)

    def _pull(self):
        self.pulled += 1

    def _close(self):
        self.closed += 1

    def waiting(self):
        return len(self.document.session_callbacks)

    def turn(self):
        for callback in list(self.document.session_callbacks):
            callback.callback()
            if callback in self.document.session_callbacks:
                self.document.remove_next_tick_callback(callback)


@pytest.fixture
def session():
    session = Session()
    yield session
    session.bell.close()


def test_before_its_page_has_loaded_a_session_is_not_rung(session):
    session.bell.wake()
    assert session.waiting() == 0 and session.bell not in live.sessions


def test_a_loaded_page_is_drawn_at_once(session):
    session.bell.attach(session.document)
    assert session.bell in live.sessions and session.waiting() == 1
    session.turn()
    assert session.pulled == session.bell.pulls == 1


def test_many_wakes_before_the_loop_turns_are_one_pull(session):
    session.bell.attach(session.document)
    for _ in range(1000):
        session.bell.wake()
    assert session.waiting() == 1
    session.turn()
    assert session.pulled == 1
    session.bell.wake()
    session.turn()
    assert session.pulled == 2


def test_wakes_from_many_threads_at_once_lead_to_a_pull_and_to_few(session):
    session.bell.attach(session.document)
    session.turn()
    together = threading.Barrier(8)

    def ring(_):
        together.wait()
        for _ in range(200):
            session.bell.wake()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ring, range(8)))
    assert 1 <= session.waiting() <= 8
    session.turn()
    session.bell.wake()
    assert session.waiting() >= 1, "a bell that is rung at once must not stay mute"


def test_a_wake_during_a_pull_leads_to_another_pull():
    session = Session(lambda: session.bell.wake() if session.bell.pulls == 1 else None)
    session.bell.attach(session.document)
    session.turn()
    assert session.waiting() == 1
    session.turn()
    assert session.bell.pulls == 2 and session.waiting() == 0
    session.bell.close()


def test_a_pull_that_fails_is_counted_and_the_next_one_comes(caplog):
    def fail():
        raise ArithmeticError("no such picture")

    session = Session(fail)
    session.bell.attach(session.document)
    session.turn()
    session.bell.wake()
    session.turn()
    assert (session.bell.pulls, session.bell.errors) == (2, 2)
    assert "no such picture" in caplog.text
    session.bell.close()


def test_a_document_that_went_away_harms_nobody(session):
    gone = object()  # takes no callbacks any more
    session.bell.attach(gone)
    session.bell.wake()
    session.bell.wake()
    session.bell.attach(session.document)
    session.turn()
    assert session.pulled == 1


def test_closing_ends_it_once_and_for_all(session):
    session.bell.attach(session.document)
    session.bell.close()
    session.bell.close()
    assert session.closed == 1 and session.bell not in live.sessions
    session.turn()  # what was pending when it closed
    session.bell.wake()
    session.bell.attach(session.document)  # a page that loads after its session has ended
    session.turn()
    assert session.pulled == 0 and session.waiting() == 0 and session.bell not in live.sessions


def test_a_session_that_does_not_close_cleanly_is_gone_all_the_same(caplog):
    def fail():
        raise OSError("stuck")

    bell = Wakeful(lambda: None, fail)
    bell.attach(Document())
    bell.close()
    assert bell not in live.sessions and "stuck" in caplog.text


def test_outside_a_served_page_there_is_nothing_to_join(session):
    live.join(session.bell)
    assert session.bell not in live.sessions


# -- the station of the process ---------------------------------------------------------------------


@pytest.fixture
def environment(monkeypatch, tmp_path, redis_server):
    """A process that has no station yet."""
    monkeypatch.setattr(live, "_station", None)
    monkeypatch.setattr(live, "_failure", None)
    for name, value in {"DATA_DIR": str(tmp_path), "REDIS_URL": redis_server, "FEED": "none"}.items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    live.shut_down()


@pytest.mark.usefixtures("environment")
def test_all_sessions_get_one_station_and_asking_whether_it_is_ready_starts_none():
    assert live.readiness() == {"status": "warming", "sessions": 0, "error": None}
    assert live._station is None
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        stations = set(pool.map(lambda _: live.station(), range(4)))
    assert len(stations) == 1
    assert live.readiness()["status"] == "ready"


def test_shut_down_it_has_given_its_folder_free(environment, tmp_path):
    live.station()
    live.shut_down()
    live.shut_down()
    EventLog(tmp_path / "events.duckdb").close()


def test_a_station_that_cannot_start_says_why_and_can_be_started_later(environment):
    environment.setenv("FEED", "/no/such/file.csv")
    with pytest.raises(RuntimeError, match=r"FileNotFoundError: FEED is '/no/such/file\.csv'"):
        live.station()
    said = live.readiness()
    assert said["status"] == "failed" and "/no/such/file.csv" in said["error"]
    environment.setenv("FEED", "none")
    live.station()
    assert live.readiness()["status"] == "ready" and live.readiness()["error"] is None
