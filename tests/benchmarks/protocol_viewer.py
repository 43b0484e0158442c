"""A viewer without a browser: speaks just enough of the Bokeh protocol to be a session that gets patches."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

_READY = {
    "events": [
        {
            "kind": "MessageSent",
            "msg_type": "bokeh_event",
            "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": []}},
        }
    ]
}


@dataclass
class ProtocolViewer:
    """One viewer of a page.

    Attributes
    ----------
    ready : bool
        Whether it tells the server that its page has loaded; a half-open client never does.
    page_s : float
        Time to fetch the page, s.
    arrivals : list of (float, int)
        When patches came (epoch s) and their bytes.
    """

    url: str
    ready: bool = True
    page_s: float = 0.0
    live: bool = False
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    _socket: WebSocketClientConnection | None = None

    async def run(self) -> None:
        """Open the page and read until the connection ends."""
        started = time.monotonic()
        page = await AsyncHTTPClient().fetch(self.url, request_timeout=120, connect_timeout=120)
        self.page_s = time.monotonic() - started
        token = re.search(r'"token":\s*"([^"]+)"', page.body.decode())
        assert token is not None, "the page carries no session token"
        address = self.url.replace("http", "ws", 1).split("?")[0].rstrip("/") + "/ws"
        request = HTTPRequest(
            address, headers={"Sec-WebSocket-Protocol": f"bokeh, {token[1]}"}, connect_timeout=120, request_timeout=120
        )
        self._socket = await websocket_connect(request, subprotocols=["bokeh", token[1]], max_message_size=1 << 28)
        await self._read(self._socket)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()

    async def _read(self, socket: WebSocketClientConnection) -> None:
        size, kind, asked = 0, "", False
        while (message := await socket.read_message()) is not None:
            if isinstance(message, str) and message.startswith('{"msgid"'):
                if kind == "PATCH-DOC":
                    self.arrivals.append((time.time(), size))
                kind, size = json.loads(message)["msgtype"], 0
                if kind == "ACK" and not asked:
                    asked = True
                    await _send(socket, {"msgid": "pull", "msgtype": "PULL-DOC-REQ"}, {})
                if kind == "PULL-DOC-REPLY":
                    self.live = True
                    if self.ready:
                        await _send(socket, {"msgid": "ready", "msgtype": "PATCH-DOC"}, _READY)
            size += len(message)


async def _send(socket: WebSocketClientConnection, header: dict[str, str], content: dict[str, object]) -> None:
    for part in (header, {}, content):
        await socket.write_message(json.dumps(part))
