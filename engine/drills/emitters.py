"""Drills of emitters: a ring that fires together, a jammer whose beam sweeps over links, a swarm.

Each script writes events through a `Script` and says what must be detected. Nothing here knows how.
"""

from __future__ import annotations

import math

import numpy as np

from engine.drills.scenario import Detection, Expectation, Script
from engine.events.schema import FIX
from engine.geo import offset_position

PULSE = "emitter.pulse"
"""Kind of an event that reports one emission. Payload keys: ``energy``, ``lane``, ``side``, ``freq_hz``."""

RING_KM = 47.0
"""Radius of the ring of the sync burst, km (asked for)."""

RING_EMITTERS = 6

AREA = (45.8, 47.8, 5.9, 10.5)
"""South, north, west, east of where drills of emitters take place: Switzerland, where the sample feed is."""


def _centre(script: Script) -> tuple[float, float]:
    south, north, west, east = AREA
    return float(script.rng.uniform(south + 0.6, north - 0.6)), float(script.rng.uniform(west + 0.8, east - 0.8))


def _around(lat: float, lon: float, bearing_deg: float, distance_m: float) -> tuple[float, float]:
    east, north = (distance_m * f(math.radians(bearing_deg)) for f in (math.sin, math.cos))
    at_lat, at_lon = offset_position(lat, lon, east, north)
    return float(at_lat), float(at_lon)


def _report(script: Script, entity: str, lat: float, lon: float, cluster: str, kind: str, eirp_dbm: float) -> None:
    """Positions of an emitter that stands, every five seconds, so that it is on the map."""
    for t in np.arange(float(script.rng.uniform(0.0, 1.0)), script.duration_s, 5.0).tolist():
        script.add(
            t, FIX, entity, lat=lat, lon=lon, alt_m=600.0, cluster=cluster, emitter_kind=kind, eirp_dbm=eirp_dbm,
            confidence=0.9,
        )  # fmt: skip


def sync_burst(script: Script) -> Expectation:
    """Six emitters in a ring of 47 km fire together every two to three seconds, within some milliseconds."""
    lat, lon = _centre(script)
    period_s = float(script.rng.uniform(2.0, 3.0))
    first = float(script.rng.uniform(0.0, 360.0))
    places = [_around(lat, lon, first + 360.0 * i / RING_EMITTERS, 1e3 * RING_KM) for i in range(RING_EMITTERS)]
    for i, (at_lat, at_lon) in enumerate(places):
        _report(script, f"e{i}", at_lat, at_lon, "ring", "ground", 40.0)
    for beat in np.arange(0.5, script.duration_s, period_s).tolist():
        for i, (at_lat, at_lon) in enumerate(places):
            t = beat + float(script.rng.normal(0.0, 0.010))
            script.add(t, PULSE, f"e{i}", lat=at_lat, lon=at_lon, cluster="ring", energy=1.8, freq_hz=446.1e6)
    seen = Detection("timing", "ring", script.duration_s, lat, lon, 15.0, "SIMULTANEOUS")
    return Expectation((seen,), ("intent",), f"Six emitters on a circle fire every {period_s:.1f} s as one.")


def ew_sweep(script: Script) -> Expectation:
    """A jammer's beam sweeps over a chain of four links; each is blue's, then red's, then blue's again."""
    lat, lon = _centre(script)
    bearing = float(script.rng.uniform(0.0, 360.0))
    first_s, step_s = float(script.rng.uniform(9.5, 10.5)), float(script.rng.uniform(6.5, 7.5))
    jammer = _around(lat, lon, bearing + 90.0, 20e3)
    _report(script, "jammer", *jammer, "jammer", "ground", 60.0)
    detections = []
    for i in range(4):
        place = _around(lat, lon, bearing, (i - 1.5) * 15e3)
        _report(script, f"station{i}", *place, f"link{i}", "ground", 40.0)
        middle_s = first_s + step_s * i
        for t in np.sort(script.rng.uniform(0.0, script.duration_s, round(6 * script.duration_s))).tolist():
            energy = float(script.rng.uniform(0.35, 0.45))
            script.add(
                t, PULSE, f"station{i}", lat=place[0], lon=place[1], cluster=f"link{i}", energy=energy, side="blue",
                lane=script.name(f"link{i}"), freq_hz=5.8e9,
            )  # fmt: skip
        for t in np.sort(script.rng.uniform(middle_s - 5.0, middle_s + 5.0, 100)).tolist():
            energy = 2.0 * math.exp(-(((t - middle_s) / 4.0) ** 2))
            script.add(
                t, PULSE, "jammer", lat=place[0], lon=place[1], cluster=f"link{i}", energy=energy, side="red",
                lane=script.name(f"link{i}"), freq_hz=5.8e9,
            )  # fmt: skip
        detections.append(Detection("conflict", f"link{i}", min(middle_s + 20.0, script.duration_s), *place, 15.0))
    return Expectation(tuple(detections), ("intent",), "One jammer takes four links, one after the other.")


def swarm(script: Script) -> Expectation:
    """Twelve small platforms fly to one point at 14 to 22 m/s, and report their positions every second."""
    lat, lon = _centre(script)
    for i in range(12):
        bearing, away_m = float(script.rng.uniform(0.0, 360.0)), float(script.rng.uniform(1_500.0, 4_000.0))
        speed, height = float(script.rng.uniform(14.0, 22.0)), float(script.rng.uniform(60.0, 180.0))
        for t in np.arange(float(script.rng.uniform(0.0, 1.0)), script.duration_s, 1.0).tolist():
            at = _around(lat, lon, bearing, away_m - speed * t)
            script.add(
                t, FIX, f"drone{i}", lat=at[0], lon=at[1], alt_m=500.0 + height, cluster="swarm", emitter_kind="drone",
                speed_m_s=speed, track_deg=(bearing + 180.0) % 360.0, eirp_dbm=20.0, confidence=0.8,
            )  # fmt: skip
        for t in np.sort(script.rng.uniform(0.0, script.duration_s, script.rng.poisson(20))).tolist():
            at = _around(lat, lon, bearing, away_m - speed * t)
            script.add(t, PULSE, f"drone{i}", lat=at[0], lon=at[1], cluster="swarm", energy=0.2, freq_hz=2.44e9)
    return Expectation((), (), "Twelve drones converge on one point; that they fly is no alarm.")
