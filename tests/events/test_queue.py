"""The queue holds so many events and no more, keeps their order, and accounts for every one."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.events import event_table
from engine.events.queue import BoundedQueue


def batch(first: int, n: int) -> pa.Table:
    return event_table(np.arange(first, first + n), "count", [str(i) for i in range(first, first + n)], "test")


def numbers(table: pa.Table | None) -> list[int]:
    return [] if table is None else [int(name) for name in table["entity"].to_pylist()]


class QueueLaws(RuleBasedStateMachine):
    """Any order of puts and gets, beside a plain list that does the same."""

    def __init__(self):
        super().__init__()
        self.queue = BoundedQueue(maxsize_events=10)
        self.twin: list[int] = []
        self.offered = self.accepted = self.taken = self.deepest = 0

    @rule(n=st.integers(0, 25))
    def put(self, n):
        room = 10 - len(self.twin)
        accepted = self.queue.put(batch(self.offered, n))
        assert accepted == min(n, room)
        self.twin += range(self.offered, self.offered + accepted)
        self.offered += n
        self.accepted += accepted
        self.deepest = max(self.deepest, len(self.twin))

    @rule(most=st.none() | st.integers(1, 12))
    def get(self, most):
        wanted = self.twin[:most]
        assert numbers(self.queue.get(0.0, most)) == wanted
        del self.twin[: len(wanted)]
        self.taken += len(wanted)

    @invariant()
    def accounts(self):
        stats = self.queue.stats()
        assert (stats.depth, stats.put, stats.got) == (len(self.twin), self.accepted, self.taken)
        assert stats.drops.get("full", 0) == self.offered - self.accepted
        assert stats.high_watermark == self.deepest
        assert stats.above_watermark == (len(self.twin) >= 8)
        assert stats.fill == len(self.twin) / stats.capacity


QueueLaws.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestQueueLaws = QueueLaws.TestCase


def test_a_patient_source_loses_nothing_to_a_slow_reader():
    queue = BoundedQueue(maxsize_events=50)
    source = threading.Thread(target=lambda: [queue.put(batch(i * 70, 70), timeout_s=60) for i in range(30)])
    source.start()
    received: list[int] = []
    while len(received) < 2100:
        received += numbers(queue.get(timeout_s=60, max_events=33))
        assert queue.stats().depth <= 50
    source.join()
    assert received == list(range(2100))
    assert queue.stats().drops == {}


def test_several_sources_keep_their_own_order_and_the_sum_is_right():
    queue = BoundedQueue(maxsize_events=20)
    accepted: list[int] = []

    def source(first: int) -> None:
        accepted.append(sum(queue.put(batch(first + i, 1)) for i in range(500)))

    sources = [threading.Thread(target=source, args=(k * 1000,)) for k in range(4)]
    for thread in sources:
        thread.start()
    received: list[int] = []
    while any(thread.is_alive() for thread in sources) or queue.stats().depth:
        received += numbers(queue.get(0.01))
    for thread in sources:
        thread.join()
    assert len(received) == sum(accepted)
    for k in range(4):
        own = [i for i in received if i // 1000 == k]
        assert own == sorted(set(own))
    assert len(received) + queue.stats().drops.get("full", 0) == 2000


def test_closing_wakes_who_waits_and_leaves_what_is_inside():
    queue = BoundedQueue(maxsize_events=2)
    queue.put(batch(0, 2))
    results: list[int] = []
    waiting = threading.Thread(target=lambda: results.append(queue.put(batch(2, 3), timeout_s=60)))
    waiting.start()
    queue.close()
    waiting.join(60)
    assert results == [0]
    assert queue.stats().drops == {"closed": 3}
    assert numbers(queue.get(60)) == [0, 1]
    assert queue.get(60) is None  # at once: nothing can come any more


def test_a_queue_without_room_or_a_get_without_events_is_refused():
    for wrong in ({"maxsize_events": 0}, {"watermark": 0.0}, {"watermark": 1.5}):
        with pytest.raises(ValueError, match="is needed"):
            BoundedQueue(**wrong)
    with pytest.raises(ValueError, match="max_events is 0"):
        BoundedQueue().get(0.0, 0)


def test_the_default_capacity_is_two_thousand_events():
    assert BoundedQueue().stats().capacity == 2000
