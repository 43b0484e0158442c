"""Following eve.json: nothing lost and nothing twice, through growth, rotation, truncation and restarts."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time

import pyarrow as pa
import pytest

from engine.events.queue import BoundedQueue
from engine.ingest import CaptureEngine, EveTail


def record(number):
    said = {"timestamp": "2024-05-01T12:00:00.000000+0000", "event_type": "dns", "tx_id": number}
    return json.dumps(said).encode() + b"\n"


def records(first, last):
    return b"".join(map(record, range(first, last)))


class Collected:
    """A sink with room for everything, or for so many."""

    def __init__(self, room=10**9):
        self.tables, self.lock, self.room = [], threading.Lock(), room

    def put(self, table, timeout_s=None):
        with self.lock:
            accepted = min(table.num_rows, self.room)
            self.room -= accepted
            if accepted:
                self.tables.append(table.slice(0, accepted))
        return accepted

    def numbers(self):
        with self.lock:
            payloads = pa.concat_tables(self.tables)["payload"].to_pylist() if self.tables else []
        return [json.loads(payload)["tx_id"] for payload in payloads]


def until(condition, limit_s=60.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "eve.json"


@pytest.fixture
def follow(path):
    """Starts tails, and stops them in the end."""
    running = []

    def begin(out, **options):
        tail = EveTail("sensor", path, poll_s=0.02, **options)
        running.append(tail)
        tail.start(out)
        return tail

    yield begin
    for tail in running:
        tail.stop()


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def test_it_is_a_capture_engine(path):
    assert isinstance(EveTail("x", path), CaptureEngine)


def test_a_growing_file_is_followed_line_by_line(path, follow):
    out = Collected()
    path.write_bytes(records(0, 3))
    follow(out)
    until(lambda: out.numbers() == [0, 1, 2])
    line = record(3)
    append(path, line[:20])
    time.sleep(0.1)
    assert out.numbers() == [0, 1, 2]
    append(path, line[20:] + records(4, 2_000))
    until(lambda: out.numbers() == list(range(2_000)))


def test_it_waits_for_a_file_that_is_not_there_yet(path, follow):
    out = Collected()
    tail = follow(out)
    until(lambda: "waiting" in (tail.stats().last_error or ""))
    path.write_bytes(records(0, 2))
    until(lambda: out.numbers() == [0, 1])
    assert tail.stats().last_error is None and tail.stats().state == "running"


def test_at_end_begins_with_what_comes_next(path, follow):
    out = Collected()
    path.write_bytes(records(0, 5))
    tail = follow(out, at_end=True)
    until(lambda: tail.position is not None)
    append(path, records(5, 7))
    until(lambda: out.numbers() == [5, 6])


def test_rotation_by_renaming_loses_nothing_that_is_written_late(path, follow):
    out = Collected()
    path.write_bytes(records(0, 3))
    follow(out)
    until(lambda: len(out.numbers()) == 3)
    for turn in range(1, 4):
        moved = path.with_name(f"eve.json.{turn}")
        os.rename(path, moved)
        append(moved, records(10 * turn, 10 * turn + 2))  # the writer has not noticed yet
        path.write_bytes(records(10 * turn + 2, 10 * turn + 5))
        until(lambda turn=turn: out.numbers()[-1:] == [10 * turn + 4])
    assert out.numbers() == [0, 1, 2, *(10 * turn + i for turn in (1, 2, 3) for i in range(5))]


def test_a_last_line_without_an_end_counts_when_its_file_was_moved_away(path, follow):
    out = Collected()
    path.write_bytes(records(0, 2) + record(2).rstrip())
    follow(out)
    until(lambda: len(out.numbers()) == 2)
    os.rename(path, path.with_name("eve.json.1"))
    path.write_bytes(record(3))
    until(lambda: out.numbers() == [0, 1, 2, 3])


def test_truncation_begins_anew(path, follow):
    out = Collected()
    path.write_bytes(records(0, 50))
    follow(out)
    until(lambda: len(out.numbers()) == 50)
    os.truncate(path, 0)
    append(path, records(50, 52))
    until(lambda: out.numbers()[50:] == [50, 51])


def test_a_file_that_was_emptied_and_has_grown_beyond_the_old_length_is_noticed(path, follow):
    out = Collected()
    path.write_bytes(records(0, 3))
    follow(out)
    until(lambda: len(out.numbers()) == 3)
    with open(path, "r+b") as file:  # the same file, other content, longer
        file.write(records(100, 140))
    until(lambda: out.numbers()[3:] == list(range(100, 140)))


def test_a_later_tail_goes_on_from_the_position_of_an_earlier_one(path, follow):
    first, second = Collected(), Collected()
    path.write_bytes(records(0, 10) + record(10)[:15])
    tail = follow(first)
    until(lambda: len(first.numbers()) == 10)
    tail.stop()
    assert tail.stats().state == "idle" and tail.position.offset == len(records(0, 10))
    append(path, record(10)[15:] + records(11, 13))
    follow(second, position=tail.position)
    until(lambda: second.numbers() == [10, 11, 12])


def test_it_finds_a_file_that_was_rotated_while_nobody_looked(path, follow):
    first, second = Collected(), Collected()
    path.write_bytes(records(0, 4))
    tail = follow(first)
    until(lambda: len(first.numbers()) == 4)
    tail.stop()
    append(path, records(4, 6))
    os.rename(path, path.with_name("eve.json-20240501"))
    path.write_bytes(records(6, 8))
    follow(second, position=tail.position)
    until(lambda: second.numbers() == [4, 5, 6, 7])


def test_a_position_in_a_file_that_is_gone_begins_the_new_one(path, follow):
    first, second = Collected(), Collected()
    path.write_bytes(records(0, 4))
    tail = follow(first)
    until(lambda: len(first.numbers()) == 4)
    tail.stop()
    path.unlink()
    path.write_bytes(records(4, 6))
    follow(second, position=tail.position)
    until(lambda: second.numbers() == [4, 5])


def test_what_the_sink_did_not_take_comes_after_a_restart_and_nothing_twice(path, follow):
    full = Collected(room=700)
    path.write_bytes(records(0, 1_500))
    tail = follow(full)
    until(lambda: full.room == 0)
    tail.stop()
    assert tail.position.offset == 0, "not all of the piece was accepted"
    full.room = 10**9
    tail.start(full)
    until(lambda: full.numbers() == list(range(1_500)))
    until(lambda: tail.position.offset == path.stat().st_size)


def test_a_slow_reader_of_the_queue_slows_the_tail_and_loses_nothing(path, follow):
    queue = BoundedQueue(100)
    path.write_bytes(records(0, 1_000))
    tail = follow(queue)
    seen = 0
    while seen < 1_000:
        part = queue.get(5.0, max_events=50)
        assert part is not None
        seen += part.num_rows
    assert queue.stats().drops == {} and tail.stats().events == 1_000


def test_without_following_it_ends_and_takes_the_last_line(path):
    path.write_bytes(records(0, 5).rstrip() + b"\n{oops\n" + record(5).rstrip())
    out, tail = Collected(), EveTail("sensor", path, follow=False)
    tail.start(out)
    assert tail.join(60.0) and tail.stats().state == "finished"
    assert out.numbers() == list(range(6)) and tail.stats().rejected == {"not_json": 1}
    assert tail.stats().packets == 7 == tail.stats().events + tail.stats().parse_errors


def test_a_compressed_file_is_read_once(path):
    path.write_bytes(gzip.compress(records(0, 100)))
    out, tail = Collected(), EveTail("sensor", path)
    tail.start(out)
    assert tail.join(60.0) and tail.stats().state == "finished" and out.numbers() == list(range(100))


def test_a_path_that_cannot_be_read_is_a_failure_in_words(tmp_path):
    tail = EveTail("sensor", tmp_path)
    tail.start(Collected())
    assert tail.join(60.0) and tail.stats().state == "failed" and "IsADirectoryError" in tail.stats().last_error


def test_it_runs_once(path, follow):
    tail = follow(Collected())
    with pytest.raises(RuntimeError, match="running already"):
        tail.start(Collected())
