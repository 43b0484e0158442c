"""What a start folds is bounded: the newest of a window, whole parts of it, in log order."""

import numpy as np
import pytest

from engine.events import EventLog
from engine.events.schema import FIX, event_table
from engine.recent import recent_events

END_S = 1_790_000_000


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / "log.duckdb") as log:
        yield log


def fill(log, seconds_before_the_end):
    time_us = ((END_S - np.asarray(seconds_before_the_end, dtype=float)) * 1e6).astype(np.int64)
    log.append(event_table(time_us.tolist(), FIX, [f"e{k}" for k in range(len(time_us))], "test"))


def test_of_an_empty_log_there_is_nothing(log):
    assert recent_events(log, 60.0) is None


def test_all_of_the_window_and_nothing_before_it(log):
    fill(log, [7201, 7200.5, 7199, 3600, 10, 0])
    assert recent_events(log, 7200.0)["entity"].to_pylist() == ["e2", "e3", "e4", "e5"]


def test_of_too_many_the_newest(log, caplog):
    # Ten a second for two hours, one of them late: it was told last and happened early.
    fill(log, [*np.linspace(7199.9, 0.0, 72_000), 5000.0])
    found = recent_events(log, 7200.0, most=10_000)
    assert 9_800 <= found.num_rows <= 10_000
    names = found["entity"].to_pylist()
    assert names[-1] == "e71999" and names == [f"e{k}" for k in range(72_000 - len(names), 72_000)]
    assert "72001 events" in caplog.text and f"newest {len(names)} of them" in caplog.text


def test_the_newest_part_is_whole_however_many_it_holds(log):
    fill(log, np.linspace(3.0, 0.0, 500))
    assert recent_events(log, 7200.0, most=100).num_rows == 500
