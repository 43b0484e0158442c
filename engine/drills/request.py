"""Drills asked for over the bus, version 1: one JSON object on `scythe:drills:v1`.

One process owns a log, so another one that wants a drill there asks for it. Whoever can publish on the Redis of a
station can have it play a drill; nothing else can be asked for here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import orjson

from engine.drills.registry import SCENARIOS

logger = logging.getLogger(__name__)

DRILLS_CHANNEL = "scythe:drills:v1"
VERSION = 1


def encode_request(action: str, name: str = "", seed: int = 0) -> bytes:
    """The message that asks for a drill (``start``), or for its end (``cancel``).

    Raises
    ------
    ValueError
        If the action or the drill is unknown, or the seed is negative.

    Examples
    --------
    >>> decode_request(encode_request("start", "sync_burst", 3))
    ('start', 'sync_burst', 3)
    """
    found = {"v": VERSION, "action": action, "drill": name, "seed": seed}
    _check(action, name, seed)
    return orjson.dumps(found)


def decode_request(message: bytes) -> tuple[str, str, int]:
    """Action, drill and seed of a message of `encode_request`.

    Raises
    ------
    ValueError
        If it is no such message.
    """
    try:
        found = orjson.loads(message)
    except ValueError as error:
        raise ValueError(f"drill request is not JSON: {message[:80]!r} ({error})") from error
    if not isinstance(found, dict) or found.get("v") != VERSION:
        raise ValueError(f"drill request {message[:80]!r}: a JSON object with v = {VERSION} is understood")
    action, name, seed = found.get("action"), found.get("drill", ""), found.get("seed", 0)
    _check(action, name, seed)
    return str(action), str(name), int(seed)


def answer_requests(start: Callable[[str, int], object], cancel: Callable[[], object]) -> Callable[[bytes], None]:
    """A handler for `EventBus.subscribe`: what it cannot do, it logs.

    Parameters
    ----------
    start : function of a name and a seed
    cancel : function
    """

    def handle(message: bytes) -> None:
        try:
            action, name, seed = decode_request(message)
            _ = start(name, seed) if action == "start" else cancel()
        except (ValueError, RuntimeError) as error:
            logger.warning("a drill was asked for in vain: %s", error)

    return handle


def _check(action: object, name: object, seed: object) -> None:
    if action not in ("start", "cancel"):
        raise ValueError(f"a drill request asks for {action!r}; start or cancel is possible")
    if action == "start" and (name not in SCENARIOS or type(seed) is not int or seed < 0):
        raise ValueError(f"drill {name!r}, seed {seed!r}: one of {', '.join(SCENARIOS)} and a seed from 0 are needed")
