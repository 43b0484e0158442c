"""Events: the schema, the log that keeps them, the bus that announces them, the queue before both."""

from engine.events.schema import FIX, SCHEMA, empty_events, event_table
from engine.events.times import epoch_us, parse_times

__all__ = ["FIX", "SCHEMA", "empty_events", "epoch_us", "event_table", "parse_times"]
