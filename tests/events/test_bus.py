"""The bus carries messages, holds nobody up while its server is away, and comes back by itself."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
import redis

from engine.events import event_table
from engine.events.bus import EventBus
from engine.events.embedded import EmbeddedRedis
from engine.events.link import backoff_delays
from engine.events.log import EventLog
from engine.events.message import STATUS_CHANNEL, decode_events, decode_status


def wait_until(true, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def lost(bus: EventBus) -> bool:
    return not bus.state.publishing.connected and not bus.state.subscribing.connected


def connected(bus: EventBus) -> bool:
    return bus.state.publishing.connected and bus.state.subscribing.connected


def listeners(bus: EventBus, channel: str) -> int:
    """How many the server says listen on a channel; 0 while it does not answer."""
    try:
        return bus._client.pubsub_numsub(channel)[0][1]
    except redis.RedisError:
        return 0


@pytest.fixture
def server():
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def bus(server):
    with EventBus(server.url, instance="a") as bus:
        wait_until(lambda: bus.state.publishing.connected)
        yield bus


@pytest.fixture
def heard(bus):
    """Messages on a channel, once it is being heard."""
    messages: list[bytes] = []
    ready = threading.Event()
    bus.subscribe("news", messages.append, ready.set)
    assert ready.wait(60)
    return messages


def test_what_is_published_arrives_in_order(bus, heard):
    sent = [str(i).encode() + bytes(i) for i in range(100)]
    assert all(bus.publish("news", message) for message in sent)
    wait_until(lambda: len(heard) == 100)
    assert heard == sent
    assert (bus.stats().published, bus.stats().failed, bus.stats().received) == (100, 0, 100)


def test_channels_are_kept_apart_and_can_be_left(bus, heard):
    other: list[bytes] = []
    ready = threading.Event()
    leave = bus.subscribe("other", other.append, ready.set)
    assert ready.wait(60)
    bus.publish("other", b"1")
    bus.publish("news", b"2")
    wait_until(lambda: heard == [b"2"] and other == [b"1"])
    leave()
    wait_until(lambda: listeners(bus, "other") == 0)
    bus.publish("other", b"3")
    bus.publish("news", b"4")
    wait_until(lambda: heard == [b"2", b"4"])
    assert other == [b"1"]


def test_a_second_listener_on_a_heard_channel_is_told_that_it_is_heard(bus, heard):
    second: list[bytes] = []
    ready = threading.Event()
    bus.subscribe("news", second.append, ready.set)
    assert ready.wait(60)
    bus.publish("news", b"1")
    wait_until(lambda: heard == second == [b"1"])


def test_a_handler_that_raises_is_counted_and_the_others_go_on(bus, heard):
    ready = threading.Event()
    bus.subscribe("news", lambda message: 1 / 0, ready.set)
    assert ready.wait(60)
    for text in (b"1", b"2"):
        bus.publish("news", text)
    wait_until(lambda: bus.stats().handler_errors == 2)
    assert heard == [b"1", b"2"]
    assert bus.stats().last_handler_error == "ZeroDivisionError: division by zero"
    assert connected(bus)


def test_events_and_status_go_to_their_channels(bus):
    events, statuses, ready = [], [], threading.Semaphore(0)
    bus.subscribe("scythe:events:v1", events.append, ready.release)
    bus.subscribe("scythe:status:v1", statuses.append, ready.release)
    assert ready.acquire(timeout=60)
    assert ready.acquire(timeout=60)
    with EventLog(":memory:") as log:
        batch = log.commit(event_table(np.arange(3), "x", ["a", "b", "c"], "test"))
    assert bus.publish_events(batch)
    assert bus.publish_events(batch.slice(0, 0))  # nothing to say
    assert bus.publish_status({"state": "ready"})
    wait_until(lambda: events and statuses)
    assert [decode_events(message).table for message in events] == [batch]
    assert [decode_status(message)["state"] for message in statuses] == ["ready"]
    assert STATUS_CHANNEL == "scythe:status:v1"


def test_a_killed_server_is_noticed_while_idle_and_both_sides_come_back(server, bus, heard):
    before = time.time()
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: lost(bus))
    for side in (bus.state.publishing, bus.state.subscribing):
        assert side.since_s >= before
        assert side.losses == 1
        assert side.last_error
    wait_until(lambda: bus.state.publishing.attempt >= 2 and bus.state.subscribing.attempt >= 2)
    assert "refused" in bus.state.publishing.last_error
    wait_until(lambda: bus.state.publishing.next_retry_in_s is not None)
    assert bus.publish("news", b"unheard") is False
    assert bus.stats().failed == 1

    server.restart()
    wait_until(lambda: connected(bus))
    assert bus.state.publishing.attempt == bus.state.subscribing.attempt == 0
    wait_until(lambda: listeners(bus, "news") == 1)
    assert bus.publish("news", b"heard again")
    wait_until(lambda: heard == [b"heard again"])


def test_a_hung_server_is_noticed_while_idle_and_is_heard_again_when_it_goes_on(server, bus, heard):
    os.kill(server.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: lost(bus))
        assert bus.publish("news", b"unheard") is False
    finally:
        os.kill(server.pid, signal.SIGCONT)
    wait_until(lambda: connected(bus) and listeners(bus, "news") >= 1)

    def arrives() -> bool:
        return bus.publish("news", b"heard again") and b"heard again" in heard

    wait_until(arrives)
    assert b"unheard" not in heard


def test_a_connection_closed_under_a_waiting_publisher_is_a_failed_message_and_no_error(server, bus):
    results: list[bool] = []
    os.kill(server.pid, signal.SIGSTOP)
    try:
        waiting = threading.Thread(target=lambda: results.append(bus.publish("news", b"1")))
        waiting.start()
        time.sleep(0.1)
        bus._client.connection_pool.disconnect(inuse_connections=True)
        waiting.join()
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert results == [False]
    wait_until(lambda: bus.publish("news", b"2"))


def test_a_bus_may_be_made_before_its_server_and_is_there_soon_after_it():
    with EmbeddedRedis() as server:
        server._end_process()
        with EventBus(server.url) as bus:
            assert bus.publish("news", b"1") is False
            assert bus.state.subscribing is None
            assert not bus.hearing
            server.restart()
            bus.reconnect()
            wait_until(lambda: bus.publish("news", b"2"))


def test_a_refusal_by_the_server_is_a_failure_but_no_loss(server, bus):
    with EventBus(server.url) as admin:
        wait_until(lambda: admin.state.publishing.connected)
        admin._client.acl_setuser("default", enabled=True, keys=["*"], channels=["only"], commands=["+@all"],
                                  reset_channels=True)  # fmt: skip
    assert bus.publish("news", b"1") is False
    assert bus.publish("only", b"1") is True
    assert bus.state.publishing.losses == 0


def test_an_address_that_is_none_is_refused_and_a_shown_one_has_no_password(server, bus):
    with pytest.raises(ValueError, match="scheme"):
        EventBus("localhost:6379")
    assert bus.address == f"127.0.0.1:{server.port}"


def test_waits_start_short_grow_to_the_cap_and_never_agree():
    waits = list(itertools.islice(backoff_delays(rng=random.Random(1)), 200))
    other = list(itertools.islice(backoff_delays(rng=random.Random(2)), 200))
    assert waits[0] <= 0.1
    assert all(2.5 <= wait <= 5.0 for wait in waits[10:])
    assert waits != other
    # A wait is at most about as long as the outage so far: 0.5 * sum of full waits before it, and the jitter.
    full = [0.1 * 1.6**i for i in range(9)]
    for i in range(2, 9):
        assert waits[i] <= full[i]
        assert full[i] < 1.4 * sum(full[:i])
