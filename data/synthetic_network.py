"""Invented network activity for when no recorded one can be had: an office that browses, and one machine that scans.

Written as Suricata EVE lines. Addresses are those of RFC 5737 and names end in ``.example`` (RFC 2606), so that
nothing in it can be taken for real; each line says that it is synthetic. Nothing is shared with the engine.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["network_activity", "write_eve"]

SITES, BROWSERS = 24, 4


def network_activity(
    seed: int = 0, n_hosts: int = 30, duration_s: float = 1800.0, *, start: str = "2020-01-01T00:00:00+00:00"
) -> list[dict[str, Any]]:
    """EVE records of invented hosts, in order of time: look-ups, TLS, flows, some alerts.

    Each host keeps its JA3; one roams, with a new address every two minutes.

    Parameters
    ----------
    seed : int
        Same seed and parameters, same records.
    n_hosts : int
        Hosts of the office, up to 200.
    duration_s : float
        s.
    start : str
        Time of the first record, ISO 8601.

    Returns
    -------
    list of dict
        ``synthetic`` is true in each.

    Raises
    ------
    ValueError
        If a size is not positive or there are too many hosts.

    Examples
    --------
    >>> records = network_activity(seed=1, n_hosts=3, duration_s=60.0)
    >>> all(record["synthetic"] for record in records), records[0]["event_type"]
    (True, 'dns')
    """
    if not 1 <= n_hosts <= 200 or not duration_s > 0.0:
        raise ValueError(
            f"n_hosts is {n_hosts}, duration_s {duration_s}: 1 to 200 hosts and a positive time are needed"
        )
    rng, begin = np.random.default_rng(seed), datetime.fromisoformat(start)
    records: list[tuple[float, dict[str, Any]]] = []
    for host in range(n_hosts):
        ja3 = hashlib.md5(f"{seed} {host % BROWSERS}".encode(), usedforsecurity=False).hexdigest()
        at = float(rng.exponential(15.0))
        favourites = rng.choice(SITES, 4, replace=False)
        while at < duration_s:
            # The first host roams: another address every 120 s, the same way of speaking TLS.
            address = f"192.0.2.{201 + int(at // 120.0) % 50 if host == 0 else 1 + host}"
            records += _visit(rng, at, address, int(rng.choice(favourites)), ja3, int(rng.integers(30_000, 60_000)))
            at += float(rng.exponential(25.0))
    for i, at in enumerate(np.arange(30.0, duration_s, 20.0)):
        records += _scan(float(at), i)
    records.sort(key=lambda pair: pair[0])
    return [{"timestamp": _stamp(begin, at), **record, "synthetic": True} for at, record in records if at < duration_s]


def write_eve(records: list[dict[str, Any]], path: Path) -> Path:
    """Write records as EVE lines; returns the path."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def _visit(
    rng: np.random.Generator, at: float, address: str, site: int, ja3: str, port: int
) -> list[tuple[float, dict[str, Any]]]:
    """A look-up, a handshake and, some seconds later, the flow that they were part of."""
    name, server = f"site{site}.example", f"198.51.100.{1 + site}"
    ends = {"src_ip": address, "dest_ip": server, "src_port": port, "dest_port": 443, "proto": "TCP"}
    packets = int(rng.integers(5, 200))
    lookup = {"src_ip": address, "dest_ip": "192.0.2.254", "src_port": port, "dest_port": 53, "proto": "UDP"}
    flow_id = site * 1_000_000 + port
    return [
        (at, {"event_type": "dns", **lookup, "flow_id": flow_id + 1,
              "dns": {"type": "query", "rrname": name, "rrtype": "A"}}),
        (at + 0.1, {"event_type": "tls", **ends, "flow_id": flow_id, "tls": {"sni": name, "ja3": {"hash": ja3}}}),
        (at + 5.0, {"event_type": "flow", **ends, "flow_id": flow_id, "app_proto": "tls",
                    "flow": {"pkts_toserver": packets, "pkts_toclient": 2 * packets, "state": "closed"}}),
    ]  # fmt: skip


def _scan(at: float, i: int) -> list[tuple[float, dict[str, Any]]]:
    """One host outside tries a port of one host inside after the other; a rule sees it."""
    ends = {"src_ip": "203.0.113.66", "dest_ip": f"192.0.2.{1 + i % 30}", "src_port": 40_000 + i, "dest_port": 22}
    alert = {"gid": 1, "signature_id": 9_000_001, "signature": "SYNTHETIC scan of port 22", "severity": 2}
    flow = {"event_type": "flow", **ends, "proto": "TCP", "flow_id": 7_000_000 + i, "flow": {"pkts_toserver": 1}}
    seen = {"event_type": "alert", **ends, "proto": "TCP", "flow_id": 7_000_000 + i, "alert": alert}
    return [(at, flow), (at, seen)]


def _stamp(begin: datetime, at: float) -> str:
    return (begin + timedelta(seconds=at)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
