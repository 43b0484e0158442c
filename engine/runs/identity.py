"""The identity of a run: a name that follows from its parameters alone.

Canonical JSON by RFC 8785, and its SHA-1. This module must not know of time, chance, machines or what has run before.
"""

from __future__ import annotations

import hashlib
import json
import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.runs.params import RunParams


def run_id(params: Mapping[str, Any] | RunParams) -> str:
    """Identity of a run: SHA-1 of the canonical JSON of all its parameters, seed included.

    Parameters that are not named have their defaults, and defaults count as if they had been given: ``{}`` and all
    defaults spelled out are the same run. A parameter that a later version adds changes all ids, and is meant to.

    Parameters
    ----------
    params : mapping of str to value, or RunParams

    Returns
    -------
    str
        40 hexadecimal digits.

    Raises
    ------
    ValueError
        A name that is no parameter, or a value that is refused.

    Examples
    --------
    >>> run_id({"kappa": 0.1}) == run_id({})
    True
    >>> run_id({"seed": 1}) == run_id({"seed": 2})
    False
    """
    return hashlib.sha1(canonical_json(RunParams.of(params).as_dict()).encode(), usedforsecurity=False).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON text that is the same for equal values: RFC 8785 (JSON Canonicalization Scheme).

    Names are sorted by their UTF-16 code units, there is no white space, and a number is written as ECMAScript does,
    with the fewest digits that give the same double back. **Whole numbers and floats are one kind of number**: 1 and
    1.0 are both ``1``, -0.0 is ``0``. A whole number that is no double is refused rather than rounded.

    Parameters
    ----------
    value : None, bool, int, float, str, list, tuple, mapping with str keys, NumPy scalar
        Nested as one likes.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        NaN or infinity, a whole number that is no double, a lone surrogate, a name that is no string, another type.

    Examples
    --------
    >>> canonical_json({"b": 1.0, "a": [1e21, 0.5, None]})
    '{"a":[1e+21,0.5,null],"b":1}'

    References
    ----------
    RFC 8785, sections 3.2.2 and 3.2.3; ECMA-262, Number::toString.
    """
    if value is None:
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, numbers.Real):
        return _number(value)
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"{name!r} is a name in an object; it must be a string")
        members = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_string(name)}:{canonical_json(member)}" for name, member in members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical_json(member) for member in value) + "]"
    raise ValueError(
        f"{value!r} is a {type(value).__name__}; JSON has null, booleans, numbers, strings, lists, objects"
    )


def _string(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} has half of a surrogate pair; it must be text that UTF-8 can write") from None
    # Python escapes exactly what ECMAScript escapes.
    return json.dumps(text, ensure_ascii=False)


def _number(value: numbers.Real) -> str:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number that JSON can write; it must be finite")
    if number != value:
        raise ValueError(f"{value!r} is no double; it must be one, or be given as text")
    if number == 0:
        return "0"
    # Python and ECMAScript agree on the digits, not on where exponents begin: they are rearranged here.
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    return ("-" if number < 0 else "") + _ecmascript(digits, point)


def _ecmascript(digits: str, point: int) -> str:
    """``0.digits * 10**point`` as Number::toString writes it; `digits` begin and end with another digit than 0."""
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{point - 1:+d}"
