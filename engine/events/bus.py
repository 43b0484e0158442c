"""The bus: says on Redis that events were committed and how things stand, and hears what others say.

Pub/sub forgets, and the bus does too: nothing waits in it, a message that cannot be sent is counted and
gone, and no caller is held up by a server that is away. What must not be lost is in the log; the
follower joins the two. The bus knows channels and bytes, not folds.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from engine.events.link import Link, LinkState
from engine.events.message import EVENTS_CHANNEL, STATUS_CHANNEL, encode_events, encode_status

TIMEOUT_S = 0.5
"""How long connecting, sending or an answer may take before the server counts as lost."""

_BEAT_S = 0.35
"""Silence after which a side asks the server whether it lives: with `TIMEOUT_S`, a loss shows within 1 s."""

Handler = Callable[[bytes], None]


@dataclass(frozen=True)
class BusState:
    """Both sides of the bus; a side that was never used is None."""

    publishing: LinkState
    subscribing: LinkState | None


@dataclass(frozen=True)
class BusStats:
    """Messages so far: sent, not sent because the server was away, received; and failures of handlers."""

    published: int
    failed: int
    received: int
    handler_errors: int
    last_handler_error: str | None


@dataclass(frozen=True, eq=False)  # the same function may listen twice
class _Subscription:
    channel: str
    handler: Handler
    on_connected: Callable[[], None] | None


class EventBus:
    """Publishes to and subscribes on a Redis server, and reconnects by itself.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://`` address.
    instance : str, optional
        Name of this instance in messages; a random one if not given.

    Raises
    ------
    ValueError
        If the address is none.
    """

    def __init__(self, url: str, *, instance: str | None = None) -> None:
        self.instance = instance or uuid.uuid4().hex
        # Retries are the links' task: redis-py's own would hold a caller up, and hide a loss.
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        where = urlsplit(url)
        self.address = f"{where.hostname}:{where.port or 6379}" if where.hostname else where.path
        self._subscriptions: list[_Subscription] = []
        self._lock = threading.Lock()
        self._published = self._failed = self._received = self._handler_errors = 0
        self._last_handler_error: str | None = None
        self._connection: Any = None
        self._asked_for: frozenset[_Subscription] = frozenset()
        self._heard = self._asked = 0.0  # monotonic seconds of the last answer and the last ping
        self._closing = threading.Event()
        self._publisher = Link("bus-publisher", self._open_publisher, self._watch_publisher, self._drop_publisher)
        self._subscriber: Link | None = None
        self._publisher.start()

    # -- publishing ---------------------------------------------------------------------------------

    def publish_events(self, table: pa.Table) -> bool:
        """Announce a batch that the log committed; False if the server is away.

        Parameters
        ----------
        table : pyarrow.Table
            What `EventLog.commit` returned; an empty batch is not announced.
        """
        return table.num_rows == 0 or self.publish(EVENTS_CHANNEL, encode_events(table, self.instance))

    def publish_status(self, status: Mapping[str, Any]) -> bool:
        """Announce a flat mapping of JSON values; False if the server is away."""
        return self.publish(STATUS_CHANNEL, encode_status(status, self.instance))

    def publish(self, channel: str, message: bytes) -> bool:
        """Send a message, or count it as failed and return False; takes at most about `TIMEOUT_S`."""
        self._publisher.wait_tried(TIMEOUT_S)  # a message right after construction is not lost to haste
        sent = False
        if self._publisher.connected:
            try:
                self._client.publish(channel, message)
                sent = True
            except redis.ResponseError:
                pass  # a refusal (out of memory, no permission): the server is not away
            except Exception as error:  # broken sockets raise more than redis-py's own errors
                self._publisher.lose(error)
        with self._lock:
            self._published += sent
            self._failed += not sent
        return sent

    # -- subscribing --------------------------------------------------------------------------------

    def subscribe(
        self, channel: str, handler: Handler, on_connected: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """Have a function called with every message of a channel.

        Parameters
        ----------
        channel : str
        handler : callable
            Gets the bytes, on the bus's thread: it must be quick. What it raises is counted.
        on_connected : callable, optional
            Called on the same thread each time the channel is (again) being heard: whoever must miss
            nothing looks at the log now.

        Returns
        -------
        callable
            Call it to unsubscribe.
        """
        subscription = _Subscription(channel, handler, on_connected)
        with self._lock:
            self._subscriptions = [*self._subscriptions, subscription]
            if self._subscriber is None:
                self._subscriber = Link(
                    "bus-subscriber", self._open_subscriber, self._watch_subscriber, self._drop_subscriber
                )
                self._subscriber.start()

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions = [other for other in self._subscriptions if other is not subscription]

        return unsubscribe

    # -- state --------------------------------------------------------------------------------------

    @property
    def state(self) -> BusState:
        """Whether each side is connected, and if not, since when, why and what happens next."""
        return BusState(self._publisher.state(), None if self._subscriber is None else self._subscriber.state())

    @property
    def hearing(self) -> bool:
        """Whether the subscribing side is connected."""
        return self._subscriber is not None and self._subscriber.connected

    def stats(self) -> BusStats:
        """Counts of messages so far."""
        with self._lock:
            return BusStats(
                self._published, self._failed, self._received, self._handler_errors, self._last_handler_error
            )

    def reconnect(self) -> None:
        """Try now instead of after the rest of a wait: right after a server was restarted."""
        for link in (self._publisher, self._subscriber):
            if link is not None:
                link.retry_now()

    def close(self) -> None:
        """End both sides."""
        self._closing.set()
        for link in (self._publisher, self._subscriber):
            if link is not None:
                link.stop()
        self._client.close()

    def __enter__(self) -> EventBus:
        """The bus itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bus."""
        self.close()

    # -- the publishing side, on its thread ---------------------------------------------------------

    def _open_publisher(self) -> None:
        self._client.ping()

    def _watch_publisher(self) -> None:
        if not self._closing.wait(_BEAT_S):
            self._client.ping()

    def _drop_publisher(self) -> None:
        self._client.connection_pool.disconnect(inuse_connections=False)  # those fail in their own thread

    # -- the subscribing side, on its thread --------------------------------------------------------

    def _open_subscriber(self) -> None:
        # A bare connection rather than redis-py's PubSub, which may reconnect without telling.
        self._connection = self._client.connection_pool.make_connection()
        self._asked_for = frozenset()
        self._heard = self._asked = time.monotonic()
        self._connection.connect()

    def _watch_subscriber(self) -> None:
        connection = self._connection
        assert connection is not None
        self._ask_for_new_channels(connection)
        readable = connection.can_read(timeout=_BEAT_S / 2)
        now = time.monotonic()
        if readable:
            self._heard = now
            self._handle(connection.read_response())
        elif self._asked > self._heard:
            if now - self._asked > TIMEOUT_S:
                raise TimeoutError(f"no answer to a ping for {TIMEOUT_S} s")
        elif now - self._heard > _BEAT_S:
            self._asked = now
            connection.send_command("PING", check_health=False)

    def _drop_subscriber(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _ask_for_new_channels(self, connection: Any) -> None:
        current = frozenset(self._subscriptions)
        if current == self._asked_for:
            return
        new = sorted({subscription.channel for subscription in current - self._asked_for})
        unused = {subscription.channel for subscription in self._asked_for}
        unused -= {subscription.channel for subscription in current}
        if new:  # also for a channel that is heard already: the confirmation is what tells a newcomer
            connection.send_command("SUBSCRIBE", *new, check_health=False)
        if unused:
            connection.send_command("UNSUBSCRIBE", *sorted(unused), check_health=False)
        self._asked_for = current

    def _handle(self, reply: Any) -> None:
        if not isinstance(reply, list) or reply[0] not in (b"message", b"subscribe"):
            return  # the answer to a ping or an unsubscribe
        kind, channel, data = reply[0], reply[1].decode(), reply[2]
        for subscription in self._subscriptions:
            if subscription.channel != channel:
                continue
            try:
                if kind == b"message":
                    subscription.handler(data)
                elif subscription.on_connected is not None:
                    subscription.on_connected()
            except Exception as error:  # one handler's fault is not the others'
                with self._lock:
                    self._handler_errors += 1
                    self._last_handler_error = f"{type(error).__name__}: {error}"
        if kind == b"message":
            with self._lock:
                self._received += 1
