"""How one parameter of a view is spelt in a link: written as short text, read back with every value checked.

A page's state lists its words (`dashboard.state.PageState.words`); `dashboard.share` writes and reads the
whole link. A reader raises ValueError with what is needed and what is used instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import param

MAX_TEXT = 128
"""Characters of an identity or of a search in a link."""

LATEST_S = 4.1e9
"""The last moment that a link may name, epoch seconds (the year 2099)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One name=value of a link.

    Attributes
    ----------
    write : callable (state) -> str
        The value as text.
    read : callable (text, state) -> dict of str to object
        Parameters of the state to set. Raises ValueError saying what is needed and what is used instead.
    """

    write: Callable[[Any], str]
    read: Callable[[str, Any], dict[str, Any]]


def number(attribute: str) -> Word:
    """A number within the bounds of its parameter."""

    def read(text: str, state: param.Parameterized) -> dict[str, Any]:
        low, high = state.param[attribute].bounds
        needed = f"a number from {low:g} to {high:g} is needed, {getattr(state, attribute):g} is used"
        value = finite(text, low, high, needed)
        if isinstance(state.param[attribute], param.Integer):
            if value != int(value):
                raise ValueError(f"a whole {needed.removeprefix('a ')}")
            value = int(value)
        return {attribute: value}

    return Word(lambda state: f"{getattr(state, attribute):g}", read)


def choice(attribute: str) -> Word:
    """One of the values that a selector allows."""

    def read(text: str, state: param.Parameterized) -> dict[str, Any]:
        allowed = list(state.param[attribute].objects)
        allowed = list(allowed.values()) if isinstance(allowed, dict) else allowed
        by_text = {str(v): v for v in allowed}
        if text not in by_text:
            raise ValueError(f"one of {', '.join(by_text)} is needed, {getattr(state, attribute)} is used")
        return {attribute: by_text[text]}

    return Word(lambda state: str(getattr(state, attribute)), read)


def flag(attribute: str) -> Word:
    """On or off, as 1 or 0."""

    def read(text: str, state: param.Parameterized) -> dict[str, Any]:
        if text not in ("0", "1"):
            raise ValueError(f"0 or 1 is needed, {int(getattr(state, attribute))} is used")
        return {attribute: text == "1"}

    return Word(lambda state: str(int(getattr(state, attribute))), read)


def flags(names: Mapping[str, str], what: str) -> Word:
    """Several switches as the list of those that are on, ``none`` for none.

    Parameters
    ----------
    names : mapping of str to str
        From the name in the link to the attribute of the state.
    what : str
        How the switches are called together, for the sentence of a refusal: "the usual layers".
    """

    def read(text: str, state: param.Parameterized) -> dict[str, Any]:
        on = [] if text == "none" else text.split(",")
        if any(name not in names for name in on):
            raise ValueError(f"a list of {', '.join(names)} is needed, {what} are used")
        return {attribute: name in on for name, attribute in names.items()}

    return Word(lambda state: ",".join(n for n, a in names.items() if getattr(state, a)) or "none", read)


def interval(attribute: str, unit: str) -> Word:
    """Two numbers ``low,high`` with low < high, within the bounds of their parameter."""

    def read(text: str, state: param.Parameterized) -> dict[str, Any]:
        now_low, now_high = getattr(state, attribute)
        needed = f"two numbers low,high in {unit} are needed, {now_low:g},{now_high:g} is used"
        low, high = numbers(text, 2, needed)
        least, most = state.param[attribute].bounds
        if not least <= low < high <= most:
            raise ValueError(needed)
        return {attribute: (low, high)}

    return Word(lambda state: ",".join(f"{v:g}" for v in getattr(state, attribute)), read)


def text(attribute: str, what: str = "an identity", without: str = "none is selected") -> Word:
    """Printable text of at most `MAX_TEXT` characters; it is data and never becomes HTML."""

    def read(value: str, state: param.Parameterized) -> dict[str, Any]:
        if len(value) > MAX_TEXT or not value.isprintable():
            raise ValueError(f"{what} of at most {MAX_TEXT} printable characters is needed, {without}")
        return {attribute: value}

    return Word(lambda state: getattr(state, attribute), read)


def degrees_view() -> Word:
    """Bounds of a map as ``west,south,east,north`` in degrees, in the parameters of these names."""

    def read(value: str, state: param.Parameterized) -> dict[str, Any]:
        needed = (
            "west,south,east,north in degrees with west < east and south < north are needed, the usual view is used"
        )
        west, south, east, north = numbers(value, 4, needed)
        if not (-180 <= west < east <= 180 and -85.06 <= south < north <= 85.06):
            raise ValueError(needed)
        return {"west": west, "south": south, "east": east, "north": north}

    return Word(lambda s: ",".join(f"{v:.5f}" for v in (s.west, s.south, s.east, s.north)), read)


def moment() -> Word:
    """The moment shown: ``live`` or an ISO-8601 time, in `mode` and `moment_s`."""

    def read(value: str, state: param.Parameterized) -> dict[str, Any]:
        if value == "live":
            return {"mode": "live"}
        needed = "'live' or an ISO-8601 time is needed, live is shown"
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(needed) from None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return {"mode": "paused", "moment_s": finite(str(when.timestamp()), 0.0, LATEST_S, needed)}

    def write(state: Any) -> str:
        if state.mode == "live":
            return "live"
        iso = datetime.fromtimestamp(state.moment_s, UTC).isoformat(timespec="milliseconds")
        return iso.replace("+00:00", "Z")

    return Word(write, read)


def playing() -> Word:
    """Whether the moment moves on, as 1 or 0; read after the moment, of which it changes the mode."""

    def read(value: str, state: Any) -> dict[str, Any]:
        if value not in ("0", "1"):
            raise ValueError("0 or 1 is needed, 0 is used")
        return {"mode": "replaying"} if value == "1" else {}

    return Word(lambda state: "1" if state.mode == "replaying" else "0", read)


def finite(value: str, low: float, high: float, needed: str) -> float:
    """A finite number from low to high; ValueError with the sentence `needed` otherwise."""
    try:
        parsed = float(value)
    except ValueError:
        raise ValueError(needed) from None
    if not (math.isfinite(parsed) and low <= parsed <= high):
        raise ValueError(needed)
    return parsed


def numbers(value: str, n: int, needed: str) -> list[float]:
    """n finite numbers between commas; ValueError with the sentence `needed` otherwise."""
    parts = value.split(",")
    if len(parts) != n:
        raise ValueError(needed)
    return [finite(p, -1e6, 1e6, needed) for p in parts]
