"""Drills of networks: beacons through a relay, paths that meet where they should not, a climb through the stages.

Addresses are those set aside for documentation (RFC 5737). Each script writes events through a `Script` and says what
must be detected.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.drills.scenario import Detection, Expectation, Script

FLOW = "net.flow"

HOSTS = "192.0.2"
HOME = "203.0.113"

REMOTE_PLACES = ((42.65, 0.85), (46.45, 13.2), (62.5, 13.5), (53.9, 21.6), (40.3, -6.9), (57.3, -4.7), (44.35, 3.6))
"""Where paths meet in the phantom drill: places far from any large city."""


def _place(script: Script) -> tuple[float, float]:
    """Where a network stands: in the Alps, far from any exchange point."""
    return float(script.rng.uniform(46.35, 46.7)), float(script.rng.uniform(7.3, 9.0))


def _flow(
    script: Script, t_s: float, source: str, target: str, port: int, cluster: str, *, energy: float = 0.5,
    lat: float = np.nan, lon: float = np.nan, **more: Any,
) -> None:  # fmt: skip
    """A flow between two addresses."""
    script.add(
        t_s, FLOW, f"{source}-{target}:{port}", lat=lat, lon=lon, cluster=cluster, energy=energy, src_ip=source,
        dest_ip=target, dest_port=port, proto="TCP", **more,
    )  # fmt: skip


def c2_relay(script: Script) -> Expectation:
    """Five hosts call a relay by the clock with a little jitter, one shortly after the other; the relay calls home."""
    period_s = float(script.rng.uniform(1.6, 2.1))
    lat, lon = _place(script)
    relay = f"198.51.100.{int(script.rng.integers(2, 250))}"
    port = int(script.rng.choice([443, 8443, 4444]))
    for beat in np.arange(0.4, script.duration_s, period_s).tolist():
        at = beat + float(script.rng.normal(0.0, 0.02 * period_s))
        for host in range(5):
            t = at + 0.03 * host + float(script.rng.uniform(0.0, 0.02))
            _flow(script, t, f"{HOSTS}.{10 + host}", relay, port, "relay", lat=lat, lon=lon, bytes_to_server=420.0)
        _flow(script, at + 0.22, relay, f"{HOME}.7", 443, "relay", lat=lat, lon=lon, bytes_to_server=2_100.0)
    seen = Detection("timing", "relay", script.duration_s, lat, lon, 15.0, "BEAT")
    return Expectation((seen,), ("intent",), f"Hosts call {relay} every {period_s:.1f} s, and it calls {HOME}.7.")


def phantom_emerge(script: Script) -> Expectation:
    """Lanes of five clusters lie at random; after ten seconds lanes of four of them cross at one place."""
    base = REMOTE_PLACES[int(script.rng.integers(len(REMOTE_PLACES)))]
    lat, lon = base[0] + float(script.rng.uniform(-0.15, 0.15)), base[1] + float(script.rng.uniform(-0.15, 0.15))
    for k in range(5):
        for t in np.sort(script.rng.uniform(0.0, 10.0, 4)).tolist():
            _lane(script, t, k, lat + float(script.rng.uniform(-3, 3)), lon + float(script.rng.uniform(-4, 4)),
                  float(script.rng.uniform(0.0, 180.0)))  # fmt: skip
    for k in range(4):
        for t in np.sort(script.rng.uniform(10.0, script.duration_s - 18.0, 10)).tolist():
            off = script.rng.normal(0.0, 0.05, 2).tolist()
            _lane(script, t, k, lat + off[0], lon + off[1], float(script.rng.uniform(0.0, 180.0)))
    seen = Detection("phantom", "*", script.duration_s, lat, lon, 30.0)
    return Expectation(
        (seen,), ("intent",), f"Paths of four clusters meet at {lat:.2f}, {lon:.2f}: no exchange is there."
    )


def _lane(script: Script, t_s: float, k: int, lat: float, lon: float, bearing_deg: float) -> None:
    """A flow whose path passes a place at a bearing."""
    back, ahead = (float(script.rng.uniform(250e3, 600e3)) for _ in range(2))
    start, end = _far(lat, lon, bearing_deg + 180.0, back), _far(lat, lon, bearing_deg, ahead)
    _flow(
        script, t_s, f"{HOSTS}.{50 + 10 * k}", f"{HOME}.{50 + 10 * k + int(script.rng.integers(9))}", 443, f"path{k}",
        lat=start[0], lon=start[1], dest_lat=end[0], dest_lon=end[1],
    )  # fmt: skip


def _far(lat: float, lon: float, bearing_deg: float, distance_m: float) -> tuple[float, float]:
    """Where a great circle leads, on the sphere of mean radius."""
    angle, bearing = distance_m / 6_371_008.8, math.radians(bearing_deg)
    a, b = math.radians(lat), math.radians(lon)
    at = math.asin(math.sin(a) * math.cos(angle) + math.cos(a) * math.sin(angle) * math.cos(bearing))
    turn = math.atan2(math.sin(bearing) * math.sin(angle) * math.cos(a), math.cos(angle) - math.sin(a) * math.sin(at))
    return math.degrees(at), (math.degrees(b + turn) + 540.0) % 360.0 - 180.0


STAGES = ("reconnaissance", "weaponization", "delivery", "exploitation", "installation", "command", "exfiltration")


def recon_exfil(script: Script) -> Expectation:
    """One host goes from a scan to sending data out; each event carries its stage, with some of the stage before."""
    lat, lon = _place(script)
    host = f"{HOSTS}.{int(script.rng.integers(100, 200))}"
    for t in np.sort(script.rng.uniform(0.2, script.duration_s - 0.5, 180)).tolist():
        climb = 1.0 + 6.2 * t / script.duration_s
        stage = min(max(round(climb + float(script.rng.normal(0.0, 0.45))), 1), 7)
        target = f"{HOSTS}.{int(script.rng.integers(1, 100))}" if stage < 6 else f"{HOME}.9"
        port = int(script.rng.integers(1, 1024)) if stage == 1 else 443
        out = float(script.rng.uniform(1e6, 5e7)) if stage == 7 else float(script.rng.uniform(60, 3000))
        _flow(
            script, t, host, target, port, "intruder", lat=lat, lon=lon, stage=stage, stage_name=STAGES[stage - 1],
            bytes_to_server=out, energy=min(0.25 * stage, 2.0),
        )  # fmt: skip
    seen = Detection("kill_chain_fast", "intruder", script.duration_s, lat, lon, 15.0, "IMMINENT")
    return Expectation((seen,), ("intent", "behaviour"), f"{host} scans, gets in and sends data to {HOME}.9.")
