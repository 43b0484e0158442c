"""Network records as a sensor might write them, invented and deterministic: communities of hosts, and hostile texts.

Plain JSON lines, far from any style of the engine.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

IMAGE = "<img src=x onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"
BREAKER = "</div></style>" + "W" * 200

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def flow(second: float, src: str, dest: str, port: int = 443, packets: int = 10) -> dict:
    """A flow record."""
    return {
        "timestamp": (START + timedelta(seconds=second)).isoformat(), "event_type": "flow", "src_ip": src,
        "dest_ip": dest, "src_port": 40_000, "dest_port": port, "proto": "TCP",
        "flow": {"pkts_toserver": packets, "pkts_toclient": packets, "bytes_toserver": 900, "bytes_toclient": 900},
    }  # fmt: skip


def communities(count: int, hosts: int, second: float = 0.0) -> list[dict]:
    """Flows of `count` communities: `hosts` hosts each, that speak to a server and to the next in a ring."""
    out = []
    for c in range(count):
        server = f"10.{c // 200}.{c % 200}.250"
        for h in range(hosts):
            here, there = (f"10.{c // 200}.{c % 200}.{k % hosts}" for k in (h, h + 1))
            out.append(flow(second, here, server, 443))
            out.append(flow(second, here, there, 22))
        out.append(flow(second, server, "10.250.0.1", 53))
    return out


def hostile(second: float = 1.0) -> list[dict]:
    """Records whose names, SNI and signature would be markup, if anyone took them for it."""
    base = flow(second, "10.66.6.6", "10.66.6.7")
    return [
        {**base, "event_type": "dns", "dns": {"type": "query", "rrname": IMAGE, "rrtype": "A"}},
        {**base, "event_type": "tls", "tls": {"sni": SCRIPT, "version": "TLS 1.3"}},
        {**base, "event_type": "http", "http": {"hostname": BREAKER, "url": "/", "http_user_agent": IMAGE}},
        {**base, "event_type": "alert",
         "alert": {"gid": 1, "signature_id": 9, "signature": SCRIPT, "severity": 1, "category": IMAGE}},
    ]  # fmt: skip


def write(path: Path, records: list[dict], broken: int = 0) -> Path:
    """Lines of JSON, with some that are none at the end."""
    lines = [json.dumps(record) for record in records] + ['{"timestamp": "never"'] * broken
    path.write_text("\n".join(lines) + "\n")
    return path
