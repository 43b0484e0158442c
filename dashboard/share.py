"""State ⇄ URL: one table says how each part of a view is spelt in a link.

`to_query` writes everything, so that a link does not depend on anyone's defaults; `from_query` checks
every value, keeps the good ones and says what was wrong with the others. Nothing in a link is ever
executed or shown as HTML.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from dashboard.state import ViewState

_FLAGS = {"field": "show_field", "forecast": "show_forecast", "trails": "show_trails", "emitters": "show_emitters"}
_MAX_TEXT = 128


def to_query(state: ViewState) -> str:
    """The complete state as a query string (without the question mark).

    Examples
    --------
    >>> "t=live" in to_query(ViewState())
    True
    """
    layers = [name for name, attribute in _FLAGS.items() if getattr(state, attribute)]
    pairs = {
        "view": ",".join(f"{v:.5f}" for v in (state.west, state.south, state.east, state.north)),
        "model": state.model,
        "layers": ",".join(layers) or "none",
        "height": f"{state.height_m:g}",
        "horizon": str(int(state.horizon)),
        "ahead": f"{state.forecast_s:g}",
        "trail": f"{state.trail_s:g}",
        "limits": f"{state.limits_dbm[0]:g},{state.limits_dbm[1]:g}",
        "cells": str(state.cells),
        "tiles": str(int(state.show_tiles)),
        "select": state.selected,
        "t": "live" if state.mode == "live" else _iso(state.moment_s),
        "play": "1" if state.mode == "replaying" else "0",
        "speed": str(state.speed),
        "theme": state.theme,
    }
    return urlencode(pairs, safe=",:", quote_via=quote)


def from_query(query: Mapping[str, str], state: ViewState) -> list[str]:
    """Set the state from a link's parameters; parameters that a link does not have stay as they are.

    Parameters
    ----------
    query : mapping of str to str
        Decoded parameters; unknown names are ignored (a proxy may add its own).
    state : ViewState
        Changed in place, in one step.

    Returns
    -------
    list of str
        One sentence for each value that was refused; the state keeps its own value there.

    Examples
    --------
    >>> state = ViewState()
    >>> from_query({"height": "tall"}, state)
    ["height is 'tall'; a number from 0 to 20000 is needed, 10 is used"]
    """
    changes: dict[str, Any] = {}
    refused: list[str] = []
    for name, read in _READERS.items():
        if name not in query:
            continue
        text = str(query[name])[:512]
        try:
            changes.update(read(text, state))
        except ValueError as error:
            refused.append(f"{name} is {text[:60]!r}; {error}")
    if query.get("play") == "1" and changes.get("mode") == "paused":
        changes["mode"] = "replaying"
    state.param.update(**changes)
    return refused


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(attribute: str) -> Callable[[str, ViewState], dict[str, Any]]:
    def read(text: str, state: ViewState) -> dict[str, Any]:
        low, high = state.param[attribute].bounds
        needed = f"a number from {low:g} to {high:g} is needed, {getattr(state, attribute):g} is used"
        return {attribute: _finite(text, low, high, needed)}

    return read


def _choice(attribute: str, parse: Callable[[str], Any] = str) -> Callable[[str, ViewState], dict[str, Any]]:
    def read(text: str, state: ViewState) -> dict[str, Any]:
        allowed = list(state.param[attribute].objects)
        allowed = list(allowed.values()) if isinstance(allowed, dict) else allowed
        by_text = {str(v): v for v in allowed}
        if text not in by_text:
            raise ValueError(f"one of {', '.join(by_text)} is needed, {getattr(state, attribute)} is used")
        return {attribute: by_text[text]}

    return read


def _flag(attribute: str) -> Callable[[str, ViewState], dict[str, Any]]:
    def read(text: str, state: ViewState) -> dict[str, Any]:
        if text not in ("0", "1"):
            raise ValueError(f"0 or 1 is needed, {int(getattr(state, attribute))} is used")
        return {attribute: text == "1"}

    return read


def _finite(text: str, low: float, high: float, needed: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(needed) from None
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(needed)
    return value


def _numbers(text: str, n: int, needed: str) -> list[float]:
    parts = text.split(",")
    if len(parts) != n:
        raise ValueError(needed)
    return [_finite(p, -1e6, 1e6, needed) for p in parts]


def _view(text: str, state: ViewState) -> dict[str, Any]:
    needed = "west,south,east,north in degrees with west < east and south < north are needed, the usual view is used"
    west, south, east, north = _numbers(text, 4, needed)
    if not (-180 <= west < east <= 180 and -85.06 <= south < north <= 85.06):
        raise ValueError(needed)
    return {"west": west, "south": south, "east": east, "north": north}


def _layers(text: str, state: ViewState) -> dict[str, Any]:
    names = [] if text == "none" else text.split(",")
    unknown = [n for n in names if n not in _FLAGS]
    if unknown:
        raise ValueError(f"a list of {', '.join(_FLAGS)} is needed, the usual layers are used")
    return {attribute: name in names for name, attribute in _FLAGS.items()}


def _limits(text: str, state: ViewState) -> dict[str, Any]:
    needed = f"two numbers low,high in dBm are needed, {state.limits_dbm[0]:g},{state.limits_dbm[1]:g} is used"
    low, high = _numbers(text, 2, needed)
    if not -160 <= low < high <= 20:
        raise ValueError(needed)
    return {"limits_dbm": (low, high)}


def _selected(text: str, state: ViewState) -> dict[str, Any]:
    if len(text) > _MAX_TEXT or not text.isprintable():
        raise ValueError(f"an identity of at most {_MAX_TEXT} printable characters is needed, none is selected")
    return {"selected": text}


def _moment(text: str, state: ViewState) -> dict[str, Any]:
    if text == "live":
        return {"mode": "live"}
    needed = "'live' or an ISO-8601 time is needed, live is shown"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(needed) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return {"mode": "paused", "moment_s": _finite(str(moment.timestamp()), 0.0, 4.1e9, needed)}


_READERS: dict[str, Callable[[str, ViewState], dict[str, Any]]] = {
    "view": _view,
    "model": _choice("model"),
    "layers": _layers,
    "height": _number("height_m"),
    "horizon": _flag("horizon"),
    "ahead": _number("forecast_s"),
    "trail": _number("trail_s"),
    "limits": _limits,
    "cells": _choice("cells"),
    "tiles": _flag("show_tiles"),
    "select": _selected,
    "t": _moment,
    "speed": _choice("speed"),
    "theme": _choice("theme"),
}
