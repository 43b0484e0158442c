"""DNS messages as the fields of an event: who asked for which name, and what was answered.

Parses bytes that anyone may have sent, and gives up rather than guess. It knows the layout of a message,
not how it travelled.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
    35: "NAPTR", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS",
    99: "SPF", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}  # fmt: skip
_CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}
_MAX_ANSWERS = 32
_MAX_NAME = 255
_MAX_JUMPS = 32


def parse_dns(message: bytes) -> dict[str, Any] | None:
    """Fields of a DNS message, with the keys that EVE's DNS records get.

    Parameters
    ----------
    message : bytes
        One message, without the length that TCP puts before it.

    Returns
    -------
    dict or None
        ``dns_type`` (query or answer), ``dns_id``, ``dns_name``, ``dns_rrtype``, of an answer
        ``dns_rcode`` and ``dns_answers`` (texts with spaces between); None where it is no message or its
        first question is broken.

    Examples
    --------
    >>> parse_dns(bytes.fromhex("00070100000100000000000001610262630000010001"))["dns_name"]
    'a.bc'

    References
    ----------
    RFC 1035, section 4; names are written as in its section 5.1.
    """
    if len(message) < 12:
        return None
    number, flags, questions, answers = struct.unpack_from(">HHHH", message)
    answer = bool(flags & 0x8000)
    said: dict[str, Any] = {"dns_type": "answer" if answer else "query", "dns_id": number}
    try:
        at = 12
        for i in range(min(questions, _MAX_ANSWERS)):
            name, at = _name(message, at)
            (kind,) = struct.unpack_from(">H", message, at)
            at += 4
            if i == 0:
                said["dns_name"], said["dns_rrtype"] = name, _TYPES.get(kind, f"TYPE{kind}")
    except (IndexError, ValueError, struct.error):
        return None
    if answer:
        said["dns_rcode"] = _CODES.get(flags & 15, f"RCODE{flags & 15}")
        texts, first = _answers(message, at, answers)
        if texts:
            said["dns_answers"] = " ".join(texts)
        if "dns_name" not in said and first:  # multicast answers come without the question
            said["dns_name"], said["dns_rrtype"] = first
    return said if "dns_name" in said or answer else None


def _answers(message: bytes, at: int, count: int) -> tuple[list[str], tuple[str, str] | None]:
    """Texts of the answers up to the first broken one, and name and type of the first."""
    texts: list[str] = []
    first = None
    try:
        for _ in range(min(count, _MAX_ANSWERS)):
            name, at = _name(message, at)
            kind, _, _, size = struct.unpack_from(">HHIH", message, at)
            at += 10
            if at + size > len(message):
                break
            first = first or (name, _TYPES.get(kind, f"TYPE{kind}"))
            text = _data(message, at, kind, size)
            if text:
                texts.append(text)
            at += size
    except (IndexError, ValueError, struct.error):
        pass
    return texts, first


def _data(message: bytes, at: int, kind: int, size: int) -> str | None:
    if kind == 1 and size == 4:
        return str(ipaddress.IPv4Address(message[at : at + 4]))
    if kind == 28 and size == 16:
        return str(ipaddress.IPv6Address(message[at : at + 16]))
    if kind in (2, 5, 12):
        return _name(message, at)[0]
    if kind == 15 and size > 2:
        return _name(message, at + 2)[0]
    if kind == 33 and size > 6:
        return _name(message, at + 6)[0]
    return None


def _name(message: bytes, at: int) -> tuple[str, int]:
    """A name and the place after it; IndexError or ValueError where it is broken."""
    labels: list[str] = []
    after, jumps, size = -1, 0, 0
    while True:
        length = message[at]
        if length == 0:
            return ".".join(labels), (at + 1 if after < 0 else after)
        if length >= 0xC0:
            if after < 0:
                after = at + 2
            target = ((length & 0x3F) << 8) | message[at + 1]
            jumps += 1
            if target >= at or jumps > _MAX_JUMPS:  # pointers lead back, or they lead in circles
                raise ValueError(f"a pointer from {at} to {target}")
            at = target
            continue
        size += length + 1
        if length > 63 or size > _MAX_NAME or at + 1 + length > len(message):
            raise ValueError(f"a label of {length} bytes at {at}")
        labels.append("".join(map(_letter, message[at + 1 : at + 1 + length])))
        at += 1 + length


def _letter(byte: int) -> str:
    if byte in (0x2E, 0x5C):
        return "\\" + chr(byte)
    return chr(byte) if 32 < byte < 127 else f"\\{byte:03d}"
