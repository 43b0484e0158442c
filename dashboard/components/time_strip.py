"""The bottom strip: state and age of the data, the time control, and the counts of the spine.

It is drawn in the browser and ticks there, so an age is true even when the server has gone silent.
Python sends plain numbers and texts; what the viewer does comes back as small checked messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeGuard

import param
from panel.custom import JSComponent

from dashboard.state import MODES, SPEEDS
from dashboard.theme import ASSETS


class TimeStrip(JSComponent):
    """Status and time control of one session.

    Examples
    --------
    >>> strip = TimeStrip(mode="live")
    >>> strip.speed
    10
    """

    mode: Any = param.Selector(default="live", objects=list(MODES), doc="Live, paused or replaying.")
    moment_s = param.Number(0.0, doc="The moment shown when not live, epoch seconds.")
    speed: Any = param.Selector(default=10, objects=list(SPEEDS), doc="Replay speed.")
    span = param.List(default=[], item_type=float, doc="First and last moment of the slider, epoch seconds.")
    density = param.List(default=[], doc="Events per bin across the span.")
    marks = param.List(default=[], doc="Alerts and drills: time_s (epoch seconds), kind (alert or drill), text.")
    status = param.Dict(default={}, doc="State of the spine, see `engine.Station.health`.")
    query = param.String("", doc="The complete state as a query string, for the link.")
    picture = param.Dict(
        default={"kind": "loading"}, doc="State of the picture: loading, ok, empty or failed; title, text."
    )
    notice = param.String("", doc="A sentence to show once, plain text.")
    theme: Any = param.Selector(default="light", objects=["light", "dark"], doc="Look.")

    _esm = ASSETS / "strip.js"
    _stylesheets: ClassVar[list[str]] = [(ASSETS / "strip.css").read_text()]

    def __init__(self, **params: Any) -> None:
        self.on_action: Callable[[dict[str, Any]], None] | None = None
        params.setdefault("sizing_mode", "stretch_width")
        params.setdefault("margin", 0)
        super().__init__(**params)

    def _handle_msg(self, msg: Any) -> None:
        action = checked_action(msg)
        if action is not None and self.on_action is not None:
            self.on_action(action)


def checked_action(msg: Any) -> dict[str, Any] | None:
    """A message of the browser as a known action with finite numbers, or None.

    Examples
    --------
    >>> checked_action({"do": "seek", "moment_s": 12})
    {'do': 'seek', 'moment_s': 12.0}
    >>> checked_action({"do": "rm -rf", "moment_s": float("nan")}) is None
    True
    """
    if not isinstance(msg, dict) or msg.get("do") not in ("live", "pause", "play", "seek", "speed", "clear", "theme"):
        return None
    action: dict[str, Any] = {"do": msg["do"]}
    moment = msg.get("moment_s")
    # Compared before it is converted: JSON holds integers that no float can.
    if _is_number(moment) and 0.0 <= moment < 4.1e9:
        action["moment_s"] = float(moment)
    elif msg["do"] in ("seek", "pause", "play", "speed"):
        return None
    if msg["do"] == "speed":
        speed = msg.get("speed")
        if not _is_number(speed) or speed not in SPEEDS:
            return None
        action["speed"] = int(speed)
    return action


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
