"""The type of a dataset or attribute in words, and which way of showing its values fits; runs in a reader process."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from h5py import h5t

MAX_MEMBERS = 40

_CLASSES = {
    h5t.INTEGER: "integer", h5t.FLOAT: "float", h5t.STRING: "string", h5t.ENUM: "enum", h5t.COMPOUND: "compound",
    h5t.ARRAY: "array", h5t.VLEN: "vlen", h5t.OPAQUE: "opaque", h5t.BITFIELD: "bitfield", h5t.REFERENCE: "reference",
    h5t.TIME: "time",
}  # fmt: skip
if hasattr(h5t, "COMPLEX"):
    _CLASSES[h5t.COMPLEX] = "complex"


def class_of(kind: h5t.TypeID) -> str:
    """Class of a type: integer, float, complex, enum, bitfield, string, compound, array, vlen, opaque, reference, time.

    A compound of two equal floats that h5py takes for a complex number is "complex".
    """
    name = _CLASSES.get(kind.get_class(), "unknown")
    if name == "compound":
        try:
            if kind.dtype.kind == "c":
                return "complex"
        except Exception:
            return name
    return name


def words(kind: h5t.TypeID, depth: int = 3) -> str:
    """A type in words.

    Examples
    --------
    >>> words(h5t.py_create(np.dtype(">i4"))), words(h5t.py_create(np.dtype([("a", "f8")])))
    ('int32, big-endian', 'compound (a: float64)')
    """
    name, size = class_of(kind), kind.get_size()
    if depth == 0:
        return name
    if name in ("integer", "float", "bitfield"):
        return _number(kind, name, size)
    if name == "complex":
        return f"complex{8 * size}{_order(kind if kind.get_class() != h5t.COMPOUND else kind.get_member_type(0))}"
    if name == "string":
        coding = "UTF-8" if kind.get_cset() == h5t.CSET_UTF8 else "ASCII"
        return f"text, {coding}, variable length" if kind.is_variable_str() else f"text, {coding}, {size} bytes"
    if name == "enum":
        count = kind.get_nmembers()
        said = [f"{text(kind.get_member_name(i))} = {kind.get_member_value(i)}" for i in range(min(count, MAX_MEMBERS))]
        more = f", and {count - MAX_MEMBERS} more" if count > MAX_MEMBERS else ""
        return f"enum of {words(kind.get_super(), 1)} ({', '.join(said)}{more})"
    if name == "compound":
        count = kind.get_nmembers()
        said = [f"{text(kind.get_member_name(i))}: {words(kind.get_member_type(i), depth - 1)}"
                for i in range(min(count, MAX_MEMBERS))]  # fmt: skip
        return f"compound ({', '.join(said)}{f', and {count - MAX_MEMBERS} more' if count > MAX_MEMBERS else ''})"
    if name == "array":
        return f"array {' × '.join(map(str, kind.get_array_dims()))} of {words(kind.get_super(), depth - 1)}"
    if name == "vlen":
        return f"variable-length list of {words(kind.get_super(), depth - 1)}"
    if name == "opaque":
        tag = text(kind.get_tag())
        return f"opaque, {size} bytes{f', tag {tag!r}' if tag else ''}"
    if name == "reference":
        return "region reference" if kind.equal(h5t.STD_REF_DSETREG) else "object reference"
    return f"{name}, {size} bytes"


def enum_names(kind: h5t.TypeID) -> dict[str, str]:
    """Name by value of an enum type; a value is spelled as a whole number."""
    if kind.get_class() != h5t.ENUM:
        return {}
    return {str(kind.get_member_value(i)): text(kind.get_member_name(i)) for i in range(kind.get_nmembers())}


def fields_of(kind: h5t.TypeID) -> list[dict[str, str]]:
    """Name and class of each member of a compound type."""
    if class_of(kind) != "compound":
        return []
    members = []
    for index in range(kind.get_nmembers()):
        member = kind.get_member_type(index)
        members.append({"name": text(kind.get_member_name(index)), "class": class_of(member), "type": words(member)})
    return members


def text(raw: bytes | str) -> str:
    """Text from bytes of a file; what is no UTF-8 is kept visible as an escape."""
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "backslashreplace")
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def plain(value: Any, kind: h5t.TypeID | None, file: h5py.File | None, limit: int = 200) -> Any:
    """A value as text, numbers, lists and None: what can be sent and shown.

    Enum values by their names, references by what they lead to, bytes that are no text in hexadecimal.
    """
    if isinstance(value, h5py.Empty) or value is None:
        return None
    if isinstance(value, h5py.RegionReference):
        return _region(value, file)
    if isinstance(value, h5py.Reference):
        return _named(value, file)
    if isinstance(value, (bytes, str)):
        return text(value)
    if isinstance(value, np.void) and value.dtype.names:
        members = {text(kind.get_member_name(i)): kind.get_member_type(i) for i in range(kind.get_nmembers())} \
            if kind is not None and kind.get_class() == h5t.COMPOUND else {}  # fmt: skip
        return {text(n): plain(value[n], members.get(text(n)), file, limit) for n in value.dtype.names[:MAX_MEMBERS]}
    if isinstance(value, np.void):
        raw = value.tobytes()
        return "0x" + raw[:limit].hex() + ("…" if len(raw) > limit else "")
    if isinstance(value, np.ndarray):
        inner = kind.get_super() if kind is not None and kind.get_class() in (h5t.ARRAY, h5t.VLEN) else kind
        return [plain(entry, inner, file, limit) for entry in value[:limit]] if value.ndim else \
            plain(value[()], inner, file, limit)  # fmt: skip
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return str(value)
    if isinstance(value, (complex, np.complexfloating)):
        return f"{value.real:g}{value.imag:+g}i"
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        names = enum_names(kind) if kind is not None else {}
        return names.get(str(int(value)), int(value))
    if isinstance(value, (float, np.floating)):
        return float(value)
    return text(str(value))[:limit]


def _named(reference: h5py.Reference, file: h5py.File | None) -> str:
    if not reference:
        return "→ nothing"
    if file is None:
        return "→ ?"
    try:
        name = h5py.h5r.get_name(reference, file.id)
        return f"→ {text(name)}" if name else "→ an object without a name"
    except Exception:
        return "→ an object that is not there"


def _region(reference: h5py.RegionReference, file: h5py.File | None) -> str:
    named = _named(reference, file)
    if not reference or file is None:
        return named
    try:
        space = h5py.h5r.get_region(reference, file.id)
        start, stop = space.get_select_bounds()
        box = ", ".join(f"{low}:{high + 1}" for low, high in zip(start, stop, strict=True))
        return f"{named} [{box}], {space.get_select_npoints()} elements"
    except Exception:
        return f"{named}, a region that cannot be read"


def _number(kind: h5t.TypeID, name: str, size: int) -> str:
    if name == "float":
        word = f"float{8 * size}"
    elif name == "bitfield":
        word = f"bitfield of {8 * size} bits"
    else:
        word = f"{'int' if kind.get_sign() == h5t.SGN_2 else 'uint'}{8 * size}"
        if kind.get_precision() != 8 * size:
            word += f" ({kind.get_precision()} bits used)"
    return word + (_order(kind) if size > 1 else "")


def _order(kind: Any) -> str:
    return ", big-endian" if hasattr(kind, "get_order") and kind.get_order() == h5t.ORDER_BE else ""
