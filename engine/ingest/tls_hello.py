"""The first message of a TLS client, as numbers: what it offers, in its order, and whom it calls.

Parses bytes that anyone may have sent, and gives up rather than guess. It knows the layout of the
message, not records, packets or fingerprints.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVER_NAME, GROUPS, POINT_FORMATS, SIGNATURES, ALPN, VERSIONS = 0x0000, 0x000A, 0x000B, 0x000D, 0x0010, 0x002B
"""Extension numbers (IANA)."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a ClientHello says.

    Attributes
    ----------
    version : int
        The version field of the message; TLS 1.3 leaves it at 0x0303.
    ciphers, extensions, groups, point_formats, signatures, versions : tuple of int
        In the client's order, GREASE values included.
    alpn : tuple of bytes
        Application protocols offered.
    server_name : str or None
        Host name of the server; bytes that are not printable ASCII come as ``\\xNN``.

    Examples
    --------
    >>> ClientHello(0x0303, (0x1301,)).extensions
    ()
    """

    version: int
    ciphers: tuple[int, ...] = ()
    extensions: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    point_formats: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    alpn: tuple[bytes, ...] = ()
    server_name: str | None = None


class _Bytes:
    """Reads forward, and raises IndexError at the end rather than give less than asked for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise IndexError(f"{count} bytes wanted, {len(self.data) - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> bytes:
        """What a length of `size` bytes announces."""
        return self.take(self.number(size))

    @property
    def left(self) -> int:
        return len(self.data) - self.at


def parse_client_hello(message: bytes) -> ClientHello | None:
    """A ClientHello from a handshake message, header included.

    Parameters
    ----------
    message : bytes
        One byte of type, three of length, and the body; what follows is ignored.

    Returns
    -------
    ClientHello or None
        None where it is another message, incomplete, or not well formed.

    Examples
    --------
    >>> body = bytes.fromhex("0303") + bytes(32) + bytes.fromhex("00" "0002" "1301" "0100")
    >>> parse_client_hello(b"\\x01" + len(body).to_bytes(3, "big") + body).ciphers
    (4865,)

    References
    ----------
    RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2.
    """
    try:
        outer = _Bytes(message)
        if outer.number(1) != 1:
            return None
        body = _Bytes(outer.block(3))
        version = body.number(2)
        body.take(32)
        body.block(1)
        ciphers = _numbers(body.block(2), 2)
        body.block(1)
        found = _extensions(body.block(2)) if body.left >= 2 else []
    except (IndexError, ValueError):
        return None
    first: dict[int, bytes] = {}
    for number, data in found:
        first.setdefault(number, data)
    return ClientHello(
        version, ciphers, tuple(number for number, _ in found),
        groups=_listed(first, GROUPS, 2, 2), point_formats=_listed(first, POINT_FORMATS, 1, 1),
        signatures=_listed(first, SIGNATURES, 2, 2), versions=_listed(first, VERSIONS, 1, 2),
        alpn=_protocols(first.get(ALPN, b"")), server_name=_server_name(first.get(SERVER_NAME, b"")),
    )  # fmt: skip


def _extensions(data: bytes) -> list[tuple[int, bytes]]:
    reader, found = _Bytes(data), []
    while reader.left:
        found.append((reader.number(2), reader.block(2)))
    return found


def _numbers(data: bytes, size: int) -> tuple[int, ...]:
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are no list of numbers of {size} bytes")
    return tuple(int.from_bytes(data[i : i + size], "big") for i in range(0, len(data), size))


def _listed(extensions: dict[int, bytes], number: int, length_size: int, size: int) -> tuple[int, ...]:
    """List of numbers in an extension; empty where it is not well formed, for the rest may still be."""
    try:
        return _numbers(_Bytes(extensions.get(number, b"")).block(length_size), size)
    except (IndexError, ValueError):
        return ()


def _protocols(data: bytes) -> tuple[bytes, ...]:
    try:
        reader, found = _Bytes(_Bytes(data).block(2)), []
        while reader.left:
            found.append(reader.block(1))
        return tuple(found)
    except IndexError:
        return ()


def _server_name(data: bytes) -> str | None:
    try:
        names = _Bytes(_Bytes(data).block(2))
        while names.left:
            kind, name = names.number(1), names.block(2)
            if kind == 0:
                return printable(name)
    except IndexError:
        pass
    return None


def printable(data: bytes) -> str:
    r"""Text of bytes that should be ASCII: control and other characters as ``\xNN``, at most 512 bytes.

    Examples
    --------
    >>> printable(b"a.example\x00")
    'a.example\\x00'
    """
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in data[:512])
