"""Every fold gets every event once and in order, whatever becomes of the bus."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.events import event_table
from engine.events.bus import EventBus
from engine.events.embedded import EmbeddedRedis
from engine.events.follower import Follower
from engine.events.log import EventLog
from engine.events.message import EVENTS_CHANNEL, encode_events

PATIENCE_S = 60.0


def batch(n: int) -> pa.Table:
    return event_table(np.arange(n), "count", ["e"] * n, "test")


def wait_until(true, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


class Record:
    """A fold that keeps the seq of everything it was given."""

    def __init__(self):
        self.seqs: list[int] = []

    def apply(self, table: pa.Table) -> None:
        self.seqs += table["seq"].to_pylist()

    def assert_had(self, last: int, after: int = 0) -> None:
        assert self.seqs == list(range(after + 1, last + 1))


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / "log.duckdb") as log:
        yield log


@pytest.fixture(scope="module")
def server():
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def bus(server):
    with EventBus(server.url) as bus:
        yield bus


@pytest.fixture
def record():
    return Record()


def heard(follower: Follower, bus: EventBus) -> bool:
    try:
        return follower.mode == "bus" and bus._client.pubsub_numsub(EVENTS_CHANNEL)[0][1] >= 1
    except redis.RedisError:
        return False


def test_the_bus_brings_the_events_themselves(log, bus, record):
    with Follower(log, bus, poll_s=PATIENCE_S) as follower:
        follower.add(record)
        wait_until(lambda: heard(follower, bus))
        for n in (1, 5, 2):
            bus.publish_events(log.commit(batch(n)))
        assert follower.wait_for(8, PATIENCE_S)
        stats = follower.stats()
    record.assert_had(8)
    assert (stats.mode, stats.cursor, stats.lag, stats.folded, stats.from_log) == ("bus", 8, 0, 8, 0)
    assert (stats.bus_messages, stats.gaps_filled, stats.duplicates_ignored) == (3, 0, 0)


def test_events_too_large_for_a_message_are_read_from_the_log(log, bus, record):
    with Follower(log, bus, poll_s=PATIENCE_S) as follower:
        follower.add(record)
        wait_until(lambda: heard(follower, bus))
        bus.publish_events(log.commit(batch(25_000)))
        assert follower.wait_for(25_000, PATIENCE_S)
        assert follower.stats().from_log == 25_000
    record.assert_had(25_000)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_messages_lost_doubled_joined_and_out_of_order_still_give_each_event_once(bus, data, sizes):
    record = Record()
    with EventLog(":memory:") as log, Follower(log, bus, poll_s=0.05) as follower:
        follower.add(record)
        batches = [log.commit(batch(n)) for n in sizes]
        some = data.draw(st.lists(st.sampled_from(range(len(batches))), max_size=10), label="announced")
        for i in some:
            last = data.draw(st.integers(i, len(batches) - 1), label="joined up to")
            message = encode_events(pa.concat_tables(batches[i : last + 1]), bus.instance)
            bus.publish(EVENTS_CHANNEL, data.draw(st.sampled_from([message, message.split(b"\n")[0], message[:-9]])))
        assert follower.wait_for(log.last_seq, PATIENCE_S)
    record.assert_had(log.last_seq)


def test_what_is_no_message_or_anothers_is_counted_and_left(log, bus, record):
    with Follower(log, bus, poll_s=PATIENCE_S) as follower:
        follower.add(record)
        wait_until(lambda: heard(follower, bus))
        ours = log.commit(batch(2))
        bus.publish(EVENTS_CHANNEL, b"hello")
        bus.publish(EVENTS_CHANNEL, encode_events(ours, "another instance"))
        bus.publish(EVENTS_CHANNEL, encode_events(ours, bus.instance)[:-20])
        assert follower.wait_for(2, PATIENCE_S)
        stats = follower.stats()
    record.assert_had(2)
    assert (stats.broken, stats.foreign, stats.bus_messages, stats.from_log) == (2, 1, 1, 2)


def test_an_announcement_beyond_the_log_is_not_believed(log, bus, record):
    with Follower(log, bus, poll_s=PATIENCE_S) as follower:
        follower.add(record)
        wait_until(lambda: heard(follower, bus))
        lie = f'{{"v":1,"instance":"{bus.instance}","first_seq":1,"last_seq":9,"n":9,"body":null}}'
        bus.publish(EVENTS_CHANNEL, lie.encode())
        bus.publish_events(log.commit(batch(3)))
        assert follower.wait_for(3, PATIENCE_S)
        assert follower.cursor == 3
    record.assert_had(3)


@pytest.mark.parametrize("with_bus", [False, True])
def test_without_announcements_the_log_is_polled(log, bus, record, with_bus):
    with Follower(log, bus if with_bus else None, poll_s=0.05) as follower:
        follower.add(record)
        log.append(batch(4))
        assert follower.wait_for(4, PATIENCE_S)
        log.append(batch(1))
        assert follower.wait_for(5, PATIENCE_S)
    record.assert_had(5)


def test_a_fold_that_raises_is_counted_and_the_others_go_on(log, record):
    class Fragile:
        def __init__(self):
            self.seqs: list[int] = []

        def apply(self, table: pa.Table) -> None:
            self.seqs += table["seq"].to_pylist()
            if 2 in self.seqs[-table.num_rows :]:
                raise RuntimeError("two is too much")

    fragile, batches = Fragile(), []
    with Follower(log, None, poll_s=0.02) as follower:
        follower.on_batch(lambda table: 1 / 0)
        follower.on_batch(batches.append)
        follower.add(fragile)
        follower.add(record, name="record")
        for n in (1, 2, 1):
            log.append(batch(n))
            assert follower.wait_for(log.last_seq, PATIENCE_S)
        folds = follower.stats().folds
    record.assert_had(4)
    assert fragile.seqs == [1, 2, 3, 4]
    assert (folds["Fragile"].events, folds["Fragile"].errors) == (2, 1)
    assert folds["Fragile"].last_error == "RuntimeError: two is too much"
    assert (folds["record"].events, folds["record"].errors, folds["record"].last_error) == (4, 0, None)
    assert pa.concat_tables(batches)["seq"].to_pylist() == [1, 2, 3, 4]


def test_a_late_fold_gets_the_past_first_if_it_wants_it(log, record):
    whole, rest, tail = Record(), Record(), Record()
    log.append(batch(10_500))
    with Follower(log, None, from_seq=4, poll_s=0.02) as follower:
        follower.add(record, from_seq=4)  # it may have run ahead by now
        assert follower.wait_for(10_500, PATIENCE_S)
        follower.add(whole, from_seq=0)
        follower.add(rest)
        follower.add(tail, from_seq=10_502)
        assert follower.wait_for(10_500, PATIENCE_S)
        log.append(batch(4))
        assert follower.wait_for(10_504, PATIENCE_S)
        follower.remove(rest)
        log.append(batch(1))
        assert follower.wait_for(10_505, PATIENCE_S)
    record.assert_had(10_505, after=4)
    whole.assert_had(10_505)
    rest.assert_had(10_504, after=10_500)
    tail.assert_had(10_505, after=10_502)


def test_folds_added_while_events_pour_in_miss_nothing(log):
    records: list[Record] = []
    with Follower(log, None, poll_s=0.001) as follower:
        for _ in range(40):
            log.append(batch(3))
            records.append(Record())
            follower.add(records[-1], from_seq=0)
        assert follower.wait_for(120, PATIENCE_S)
    for record in records:
        record.assert_had(120)


def test_a_stopped_follower_goes_on_where_it_was(log, bus, record):
    follower = Follower(log, bus, poll_s=0.05)
    follower.add(record)
    for last in (2, 4, 6):
        log.append(batch(2))
        follower.start()
        with pytest.raises(RuntimeError, match="running"):
            follower.start()
        assert follower.wait_for(last, PATIENCE_S)
        follower.stop()
        follower.stop()
    record.assert_had(6)


def test_a_cursor_beyond_the_log_is_refused(log):
    with pytest.raises(ValueError, match="from_seq is 5: 0 to 0"):
        Follower(log, None, from_seq=5)


def test_a_log_in_trouble_is_reported_and_tried_again(log, record):
    with Follower(log, None, poll_s=0.02) as follower:
        follower.add(record)
        log.append(batch(2))
        assert follower.wait_for(2, PATIENCE_S)
        log._last_seq += 1  # as if there were more to read
        log.close()
        wait_until(lambda: follower.stats().log_errors >= 2)
        assert "is closed" in follower.stats().last_log_error
    record.assert_had(2)


@contextlib.contextmanager
def pouring(log: EventLog, bus: EventBus):
    """Two threads that commit and announce small and large batches meanwhile."""
    done = threading.Event()

    def source(seed: int) -> None:
        sizes = random.Random(seed)
        while not done.is_set():
            bus.publish_events(log.commit(batch(sizes.choice([1, 3, 40, 6000]))))
            time.sleep(0.01)

    sources = [threading.Thread(target=source, args=(seed,)) for seed in (1, 2)]
    for thread in sources:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in sources:
            thread.join()


def test_a_server_killed_hung_and_restarted_under_load_costs_no_event(log, record):
    def hears_new_messages() -> None:
        before = follower.stats().bus_messages
        wait_until(lambda: heard(follower, bus) and follower.stats().bus_messages > before)

    with EmbeddedRedis() as server, EventBus(server.url) as bus, Follower(log, bus, poll_s=0.2) as follower:
        follower.add(record)
        with pouring(log, bus):
            for end, begin in (
                (lambda: os.kill(server.pid, signal.SIGKILL), server.restart),
                (lambda: os.kill(server.pid, signal.SIGSTOP), lambda: os.kill(server.pid, signal.SIGCONT)),
                (server._end_process, server.restart),
            ):
                hears_new_messages()
                end()
                wait_until(lambda: follower.mode == "log" and not bus.state.publishing.connected)
                assert follower.wait_for(follower.cursor + 100, PATIENCE_S)  # the picture stays live without the bus
                begin()
            hears_new_messages()
        assert follower.wait_for(log.last_seq, PATIENCE_S)
        stats, failed = follower.stats(), bus.stats().failed
    record.assert_had(log.last_seq)
    assert stats.gaps_filled > 0
    assert failed > 0
