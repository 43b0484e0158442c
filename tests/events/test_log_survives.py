"""What the log acknowledged is there after kill -9, a torn tail, and a damaged disk block."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from engine.events.log import EventLog
from engine.events.logfile import LogDamagedError, recover_log

# Small, large and very large batches: the last are beyond what DuckDB writes to its write-ahead log, and
# the small limit makes it fold that log into the file many times a second.
WRITER = """
import sys, numpy as np
from engine.events import event_table
from engine.events.log import EventLog
log = EventLog(sys.argv[1], wal_limit_mib=1)
sizes = np.random.default_rng(int(sys.argv[2])).choice([1, 100, 1000, 130_000], 100_000, p=[0.3, 0.4, 0.29, 0.01])
print("open", flush=True)
for n in sizes:
    seq = np.arange(log.last_seq + 1, log.last_seq + n + 1)
    log.append(event_table(seq * 1000, "count", seq.astype(str), "writer", lat=seq / 1e9))
    print(log.last_seq, flush=True)
"""


def append_until_killed(path, seed: int, seconds: float) -> int:
    """Last acknowledged seq of a process that appends and is killed with SIGKILL."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(seed)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "open\n"
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    acknowledged = [line for line in writer.stdout.read().split("\n") if line]
    writer.wait()
    writer.stdout.close()
    return int(acknowledged[-1])


def assert_whole(log: EventLog, at_least: int) -> None:
    events = log.since(0)
    seq = events["seq"].to_numpy()
    assert log.last_seq == len(seq) >= at_least
    np.testing.assert_array_equal(seq, np.arange(1, len(seq) + 1))
    np.testing.assert_array_equal(events["entity"].to_numpy().astype(np.int64), seq)
    np.testing.assert_array_equal(events["lat"].to_numpy(), seq / 1e9)


def test_every_acknowledged_event_survives_kill_9_again_and_again(tmp_path):
    path = tmp_path / "log.duckdb"
    for seed in range(4):
        acknowledged = append_until_killed(path, seed, random.uniform(0.3, 0.9))
        with EventLog(path) as log:
            assert_whole(log, at_least=acknowledged)


@pytest.fixture
def killed(tmp_path):
    """A log and a write-ahead log as a killed process left them: 30 batches of 10 events, none folded in."""
    path = tmp_path / "log.duckdb"
    code = WRITER.replace("sizes = ", "sizes = [10] * 30 or ") + "\nimport os; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(path), "0"], stdout=subprocess.DEVNULL)
    assert (tmp_path / "log.duckdb.wal").stat().st_size > 0
    return path


@pytest.mark.parametrize("torn_bytes", [1, 8, 100, 3000])
def test_a_torn_tail_loses_only_the_batches_it_was_in(killed, torn_bytes):
    wal = killed.with_name("log.duckdb.wal")
    wal.write_bytes(wal.read_bytes()[:-torn_bytes])
    with EventLog(killed) as log:
        assert log.last_seq % 10 == 0
        assert 250 <= log.last_seq < 300
        assert_whole(log, at_least=250)
        log.append(log.since(0, limit=1))
        assert log.last_seq % 10 == 1


def test_a_damaged_write_ahead_log_is_refused_until_recovered_and_is_kept(killed):
    wal = killed.with_name("log.duckdb.wal")
    content = bytearray(wal.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(8)
    wal.write_bytes(content)
    with pytest.raises(LogDamagedError, match=r"recover_log\(.*log\.duckdb.*keeps a copy"):
        EventLog(killed)
    assert recover_log(killed) > len(content) // 3
    with EventLog(killed) as log:
        assert_whole(log, at_least=100)
    kept = list(killed.parent.glob("*.damaged-*"))
    assert [copy.read_bytes() for copy in kept] == [bytes(content)]
    assert recover_log(killed) == 0


def test_a_file_that_is_no_log_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database" * 1000)
    with pytest.raises(LogDamagedError, match=r"notes\.txt is no event log"):
        EventLog(path)
    shutil.rmtree(tmp_path)
