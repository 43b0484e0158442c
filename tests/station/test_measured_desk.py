"""The desk of measured fields: what the log holds is there after a restart, and equal wishes are computed once."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from engine.events import EventLog
from engine.events.follower import Follower
from engine.ingest.rssi_events import measurement_events
from engine.measured_desk import SAMPLE, MeasuredDesk
from engine.measured_jobs import Cancelled, JobBoard

PATIENCE_S = 60.0


@dataclass
class Parts:
    """What a desk needs of a station."""

    log: EventLog
    follower: Follower


def walk(n: int, receiver: str) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    return pd.DataFrame(
        {
            "campaign": "walk", "transmitter": "van", "receiver": receiver, "session": "one",
            "time": pd.date_range("2022-04-25", periods=n, freq="s", tz="UTC"),
            "lat": 40.76 + rng.uniform(0, 0.01, n), "lon": -111.85 + rng.uniform(0, 0.01, n),
            "rssi_db": rng.uniform(-90.0, -60.0, n), "fixed_lat": 40.765, "fixed_lon": -111.845, "freq_hz": np.nan,
        }
    )  # fmt: skip


def test_what_the_log_holds_and_what_comes_in_is_measured(real_data) -> None:
    real_data("rssi/single_tx.csv")
    with EventLog(":memory:") as log, Follower(log, None) as follower:
        log.append(measurement_events(walk(12, "roof"), "file"))
        station = Parts(log, follower)
        desk = MeasuredDesk(station)
        rung = threading.Event()
        bell = desk.bell(rung.set)
        assert desk.wait(PATIENCE_S) and desk.missing == ""
        assert [(c.name, c.n) for c in desk.campaigns()] == [("walk", 12), (SAMPLE, 92_987)]
        rung.clear()
        seq = log.append(measurement_events(walk(7, "mast"), "file"))
        assert follower.wait_for(seq, PATIENCE_S) and rung.wait(PATIENCE_S)
        assert desk.campaigns()[0].receivers("van") == {"roof": 12, "mast": 7}
        desk.stop()
        assert bell is not None and station.log is log


class Held:
    """Work that goes on when it is let."""

    def __init__(self) -> None:
        self.go, self.begun, self.calls = threading.Event(), threading.Event(), list[int]()

    def __call__(self, spec: int, told, show) -> int:
        self.calls.append(spec)
        show(-spec)
        self.begun.set()
        while not self.go.wait(0.01):
            told(0.5, "half")
        if spec == 13:
            raise ValueError("thirteen cannot be done")
        return 2 * spec


def test_equal_wishes_are_computed_once_and_parts_are_shown() -> None:
    work = Held()
    board: JobBoard[int, int] = JobBoard(work)
    rung = threading.Event()
    mine, yours = board.ticket(rung.set), board.ticket(lambda: None)
    mine.ask(4)
    yours.ask(4)
    assert work.begun.wait(PATIENCE_S) and mine.job is yours.job and mine.job is not None
    assert mine.job.result == -4 and rung.wait(PATIENCE_S)
    mine.cancel()  # the other one still waits
    work.go.set()
    assert board.result(4, PATIENCE_S) == 8 and work.calls == [4] and yours.job.state == "done"
    assert mine.job.state == "cancelled" and mine.job.result == -4
    mine.again()
    assert mine.job.result == 8 and work.calls == [4]
    with pytest.raises(ValueError, match="thirteen cannot be done"):
        board.result(13, PATIENCE_S)
    board.stop()


def test_work_that_nobody_waits_for_ends_and_is_done_anew_when_asked_again() -> None:
    work = Held()
    board: JobBoard[int, int] = JobBoard(work)
    mine, later = board.ticket(lambda: None), board.ticket(lambda: None)
    mine.ask(5)
    later.ask(6)
    assert work.begun.wait(PATIENCE_S)
    later.close()
    mine.close()  # nobody waits for either
    work.begun.clear()
    mine.ask(7)
    assert work.begun.wait(PATIENCE_S) and work.calls == [5, 7]
    mine.cancel()
    work.go.set()
    mine.again()
    assert board.result(7, PATIENCE_S) == 14
    board.stop()
    assert issubclass(Cancelled, Exception)
