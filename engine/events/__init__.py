"""Events: the schema, the log that keeps them, the bus that announces them, the queue before both."""

from engine.events.bus import BusState, BusStats, EventBus
from engine.events.clock import ClockState, ReplayClock
from engine.events.embedded import EmbeddedRedis, EmbeddedRedisError
from engine.events.follower import Fold, FoldStats, Follower, FollowerStats
from engine.events.link import LinkState
from engine.events.log import EventLog
from engine.events.logfile import LogDamagedError, LogLockedError, recover_log
from engine.events.message import (
    EVENTS_CHANNEL,
    STATUS_CHANNEL,
    Announcement,
    decode_events,
    decode_status,
    encode_events,
    encode_status,
)
from engine.events.payload import payload_columns
from engine.events.queue import DEFAULT_CAPACITY, BoundedQueue, QueueStats
from engine.events.schema import FIX, SCHEMA, empty_events, event_table
from engine.events.times import TimeLike, epoch_us, parse_times

__all__ = [
    "DEFAULT_CAPACITY",
    "EVENTS_CHANNEL",
    "FIX",
    "SCHEMA",
    "STATUS_CHANNEL",
    "Announcement",
    "BoundedQueue",
    "BusState",
    "BusStats",
    "ClockState",
    "EmbeddedRedis",
    "EmbeddedRedisError",
    "EventBus",
    "EventLog",
    "Fold",
    "FoldStats",
    "Follower",
    "FollowerStats",
    "LinkState",
    "LogDamagedError",
    "LogLockedError",
    "QueueStats",
    "ReplayClock",
    "TimeLike",
    "decode_events",
    "decode_status",
    "empty_events",
    "encode_events",
    "encode_status",
    "epoch_us",
    "event_table",
    "parse_times",
    "payload_columns",
    "recover_log",
]
