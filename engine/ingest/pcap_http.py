"""HTTP/1 requests as the fields of an event: method, host, address, and who asks.

Parses bytes that anyone may have sent. It knows a request's head and how long its body is, and not how
either travelled.
"""

from __future__ import annotations

import re
from typing import Any

MAX_HEAD_BYTES = 1 << 15
"""A longer head is no head."""

_LINE = re.compile(rb"([A-Z]{3,16}) ([^ \r\n]{1,8192}) (HTTP/1\.[01])\r?\n")
_FIELDS = {b"host": "http_host", b"user-agent": "http_user_agent", b"referer": "http_referer"}
_MAX_TEXT = 512


def parse_request(data: bytes) -> tuple[dict[str, Any], int] | None:
    """The request at the beginning of some bytes.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    said : dict
        ``http_method``, ``http_url``, ``http_protocol``, ``http_host``, ``http_user_agent``,
        ``http_referer``: the keys that EVE's HTTP records get. Bytes beyond ASCII come as ``\\xNN``.
    size : int
        Bytes of head and body; the next request begins after them. -1 where a body has no known length.

    None where no whole head is there (yet).

    Raises
    ------
    ValueError
        If this can never become a request.

    Examples
    --------
    >>> said, size = parse_request(b"GET /x HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n")
    >>> said["http_host"], said["http_url"], size
    ('a.example', '/x', 36)
    """
    end = re.search(rb"\r?\n\r?\n", data[: MAX_HEAD_BYTES + 4])
    line = _LINE.match(data)
    if line is None and (b"\n" in data or len(data) > MAX_HEAD_BYTES):
        raise ValueError("no request line")
    if end is None or line is None:
        if len(data) > MAX_HEAD_BYTES:
            raise ValueError("a head without an end")
        return None
    said: dict[str, Any] = {"http_method": line[1].decode("ascii"), "http_protocol": line[3].decode("ascii")}
    said["http_url"] = _text(line[2])
    body = 0
    for header in data[line.end() : end.start()].split(b"\n")[:200]:
        name, _, value = header.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if name in _FIELDS:
            said.setdefault(_FIELDS[name], _text(value))
        elif name == b"content-length" and value.isdigit() and len(value) < 13:
            body = int(value)
        elif name == b"transfer-encoding" and value.lower() != b"identity":
            return said, -1
    return said, end.end() + body


def _text(value: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in value[:_MAX_TEXT])
