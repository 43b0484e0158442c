"""What clients say, put together from the packets that carry it: TCP segments in order, QUIC's pieces joined.

Bounded in every direction: streams, bytes per stream, segments that wait for one before them. It turns
bytes into the fields of events and knows nothing of flows but a number for each.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from engine.ingest.pcap_dns import parse_dns
from engine.ingest.pcap_flows import DNS, HELLO_BYTES, HTTP, QUIC, TLS
from engine.ingest.pcap_http import parse_request
from engine.ingest.tls_fingerprints import ja3, ja4
from engine.ingest.tls_hello import ClientHello, parse_client_hello, printable
from engine.ingest.tls_quic import MAX_HELLO_BYTES, initial_crypto

MAX_STREAMS = 10_000
MAX_HELD_BYTES = 1 << 26
"""Streams put together at once, and bytes held for them; the longest untouched is forgotten first."""

MAX_WAITING = 64
"""Segments of a stream that wait for an earlier one; with more, one was lost."""

Said = tuple[int, dict[str, Any]]
"""What was found: an application (`engine.ingest.pcap_flows.TLS` …) and the fields of its event."""

_MAX_MESSAGES = 1_000


@dataclass(slots=True)
class _Stream:
    """One direction of a connection: bytes in order that are not used yet, and pieces beyond a gap."""

    next_offset: int = 0
    data: bytearray = field(default_factory=bytearray)
    waiting: dict[int, bytes] = field(default_factory=dict)
    app: int = 0
    skip: int = 0
    done: bool = False
    held: int = 0

    def settle(self) -> int:
        """Let go of what a finished stream holds; by how many bytes it holds more than when last asked."""
        if self.done:
            self.data, self.waiting = bytearray(), {}
        before, self.held = self.held, len(self.data) + sum(map(len, self.waiting.values()))
        return self.held - before

    def add(self, offset: int, piece: bytes) -> None:
        """Take a piece in; what is there already stays as it came first."""
        if offset > self.next_offset:
            if len(self.waiting) < MAX_WAITING and len(piece) > len(self.waiting.get(offset, b"")):
                self.waiting[offset] = piece
            return
        self._append(piece[self.next_offset - offset :])
        for place in sorted(self.waiting):
            if place > self.next_offset:
                break
            self._append(self.waiting.pop(place)[self.next_offset - place :])

    def _append(self, piece: bytes) -> None:
        self.next_offset += len(piece)
        skipped = min(self.skip, len(piece))
        self.skip -= skipped
        self.data += piece[skipped:]


class Streams:
    """Streams by a number of their own, until they have said what is wanted of them.

    Examples
    --------
    >>> streams = Streams()
    >>> streams.tcp(1, 0, 4, b"/ HTTP/1.1\\r\\nHost: b\\r\\n\\r\\n", False)  # the second segment came first
    []
    >>> streams.tcp(1, 0, 0, b"GET ", False)[0][1]["http_host"]
    'b'
    """

    def __init__(self, max_streams: int = MAX_STREAMS) -> None:
        self._max, self._held = max_streams, 0
        self._streams: OrderedDict[tuple[int, Any], _Stream] = OrderedDict()

    def tcp(self, serial: int, back: int, offset: int, piece: bytes, port_53: bool) -> list[Said]:
        """What a TCP segment completes.

        Parameters
        ----------
        serial, back : int
            Number of the flow, and the direction.
        offset : int
            Place of the segment in its direction.
        piece : bytes
        port_53 : bool
            Whether the stream is one of DNS messages.

        Returns
        -------
        list of Said
        """
        stream = self._stream(serial, back)
        if stream.done:
            return []
        stream.add(offset, piece)
        found: list[Said] = []
        if not stream.app and stream.data:
            stream.app = DNS if port_53 else (TLS if stream.data[0] == 22 else HTTP)
        if stream.app == DNS:
            found = _dns_messages(stream)
        elif stream.app == TLS:
            found = _client_hello(stream)
        elif stream.app == HTTP:
            found = _requests(stream)
        self._settle(stream)
        return found

    def udp(self, serial: int, payload: bytes) -> list[Said]:
        """What a datagram says: a DNS message, or a piece of a QUIC client's hello."""
        opened = initial_crypto(payload) if len(payload) >= 1_000 and payload[0] & 0xC0 == 0xC0 else None
        if opened is None:
            said = parse_dns(payload)
            return [] if said is None else [(DNS, said)]
        connection, pieces = opened
        stream = self._stream(serial, connection)
        if stream.done:
            return []
        for offset, piece in sorted(pieces):
            stream.add(offset, piece)
        size = 4 + int.from_bytes(stream.data[1:4], "big") if len(stream.data) >= 4 else MAX_HELLO_BYTES
        hello = parse_client_hello(bytes(stream.data[:size])) if len(stream.data) >= size else None
        stream.done = len(stream.data) >= size
        self._settle(stream)
        return [] if hello is None else [(QUIC, hello_fields(hello, "q"))]

    def _stream(self, serial: int, part: Any) -> _Stream:
        stream = self._streams.get((serial, part))
        if stream is None:
            stream = self._streams[serial, part] = _Stream()
        else:
            self._streams.move_to_end((serial, part))
        return stream

    def _settle(self, stream: _Stream) -> None:
        self._held += stream.settle()
        while len(self._streams) > self._max or (self._held > MAX_HELD_BYTES and len(self._streams) > 1):
            self._held -= self._streams.popitem(last=False)[1].held


def hello_fields(hello: ClientHello, transport: str) -> dict[str, Any]:
    """Fields of the event of a ClientHello, with the keys that EVE's TLS records get."""
    said: dict[str, Any] = {"ja3": ja3(hello), "ja4": ja4(hello, transport)}
    if hello.server_name is not None:
        said["tls_sni"] = hello.server_name
    if hello.alpn:
        said["tls_alpn"] = " ".join(map(printable, hello.alpn))[:512]
    return said


def _client_hello(stream: _Stream) -> list[Said]:
    """The ClientHello at the beginning of a stream of TLS records, whole or in pieces."""
    message, at, data = bytearray(), 0, stream.data
    while True:
        if at + 5 > len(data):
            break
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] != 22 or data[at + 1] != 3 or not 0 < size <= 1 << 14:
            stream.done = True  # another record before the message was whole
            break
        message += data[at + 5 : at + 5 + size]
        at += 5 + size
        if len(message) >= 4 and (message[0] != 1 or len(message) >= 4 + int.from_bytes(message[1:4], "big")):
            stream.done = True
            hello = parse_client_hello(bytes(message))
            return [] if hello is None else [(TLS, hello_fields(hello, "t"))]
    stream.done = stream.done or len(data) > HELLO_BYTES
    return []


def _requests(stream: _Stream) -> list[Said]:
    found: list[Said] = []
    try:
        while stream.data and not stream.skip:
            request = parse_request(bytes(stream.data))
            if request is None:
                break
            said, size = request
            found.append((HTTP, said))
            if size < 0:  # a body without a length: what follows cannot be told from it
                stream.done = True
                break
            stream.skip = max(0, size - len(stream.data))
            del stream.data[:size]
    except ValueError:
        stream.done = True
    return found


def _dns_messages(stream: _Stream) -> list[Said]:
    found: list[Said] = []
    while len(stream.data) >= 2 and len(found) < _MAX_MESSAGES:
        size = int.from_bytes(stream.data[:2], "big")
        if len(stream.data) < 2 + size:
            break
        said = parse_dns(bytes(stream.data[2 : 2 + size]))
        if said is None:
            stream.done = True
            break
        found.append((DNS, said))
        del stream.data[: 2 + size]
    return found
