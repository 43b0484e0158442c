"""Simulated streams that monitors are measured on: stationary ones, and what may be changed in them. All seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from engine.drift import ExchangePoints
from engine.events import event_table

HOUR_S = 3600.0
T0_S = 1.7e9 - 1.7e9 % HOUR_S

POINTS = ExchangePoints(["A", "B", "C"], [50.1, 52.4, 47.4], [8.7, 4.9, 8.5])
"""Exchange points at whose places `loads` are."""


class Events(NamedTuple):
    """Columns of simulated events: time, s, kind, entity, payload."""

    time_s: np.ndarray
    kind: np.ndarray
    entity: np.ndarray
    payload: np.ndarray


def poisson(rng: np.random.Generator, per_hour: float, hours: float, start_s: float = T0_S) -> np.ndarray:
    """Times of a Poisson process, s."""
    n = rng.poisson(per_hour * hours)
    return start_s + np.sort(rng.uniform(0, hours * HOUR_S, n))


def events(
    times: np.ndarray, kind: str | np.ndarray, entity: str | np.ndarray, payload: str | np.ndarray | None = None
) -> Events:
    """Columns where single values stand for all rows."""
    n = len(times)

    def column(value: str | np.ndarray | None) -> np.ndarray:
        if isinstance(value, np.ndarray):
            return value.astype(object)
        out = np.empty(n, dtype=object)
        out[:] = value
        return out

    return Events(times, column(kind), column(entity), column(payload))


def table(parts: Iterable[Events]) -> pa.Table:
    """One event batch of several kinds, in the order of time."""
    time_s, kind, entity, payload = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(time_s, kind="stable")
    return event_table(
        np.round(time_s[order] * 1e6).astype(np.int64), kind[order].tolist(), entity[order].tolist(), "simulated",
        payload=payload[order].tolist(),
    )  # fmt: skip


def names(prefix: str, numbers: np.ndarray) -> np.ndarray:
    """Names such as e7."""
    return np.array([f"{prefix}{i}" for i in range(int(numbers.max(initial=0)) + 1)], dtype=object)[numbers]


def zipf(k: int, exponent: float) -> np.ndarray:
    """Shares that fall with the rank."""
    share = 1.0 / np.arange(1, k + 1) ** exponent
    return share / share.sum()


def mutations(
    rng: np.random.Generator, hours: float, shares: np.ndarray, per_min: float = 20.0, start_s: float = T0_S,
    pruned: float = 0.2, weight_sd: float = 0.2,
) -> Events:  # fmt: skip
    """Reinforcements and prunes of targets drawn by their shares, weights about 0.5."""
    times = poisson(rng, 60.0 * per_min, hours, start_s)
    target = rng.choice(len(shares), len(times), p=shares)
    kind = np.where(rng.uniform(size=len(times)) < pruned, "edge.pruned", "edge.reinforced")
    weight = np.clip(rng.normal(0.5, weight_sd, len(times)), 0, 2)
    payload = np.array([f'{{"delta": 1.0, "weight": {w:.4f}}}' for w in weight], dtype=object)
    return events(times, kind, names("e", target), payload)


def tools(rng: np.random.Generator, hours: float, shares: np.ndarray, start_s: float = T0_S) -> Events:
    """Two tool calls a minute."""
    times = poisson(rng, 120.0, hours, start_s)
    tool = names("t", rng.choice(len(shares), len(times), p=shares))
    return events(times, "tool.called", "executor", np.array([f'{{"tool": "{t}"}}' for t in tool], dtype=object))


def decisions(rng: np.random.Generator, hours: float, abstaining: float, start_s: float = T0_S) -> Events:
    """Two decisions a minute."""
    times = poisson(rng, 120.0, hours, start_s)
    kind = np.where(rng.uniform(size=len(times)) < abstaining, "decision.abstained", "decision.proposed")
    return events(times, kind, "analyst")


def rates(rng: np.random.Generator, hours: float, spread: float, start_s: float = T0_S) -> Events:
    """A decay rate set once a minute, log-normal."""
    times = poisson(rng, 60.0, hours, start_s)
    value = 1e-3 * np.exp(spread * rng.standard_normal(len(times)))
    return events(times, "decay.set", "graph", np.array([f'{{"lambda_per_s": {v:.3e}}}' for v in value], dtype=object))


def graph(rng: np.random.Generator, hours: float, start_s: float = T0_S, **changed: object) -> list[Events]:
    """All that the gate and stability look at, stationary but for what is `changed`."""
    share = changed.get("shares", zipf(50, 0.5))
    assert isinstance(share, np.ndarray)
    extra = {key: changed[key] for key in ("per_min", "pruned", "weight_sd") if key in changed}
    more = []
    if "flutter_s" in changed:
        times = start_s + np.arange(0.0, hours * HOUR_S, float(changed["flutter_s"]))  # type: ignore[arg-type]
        more.append(events(times, np.resize(["edge.added", "edge.pruned"], len(times)), "e49"))
    return [
        *more,
        mutations(rng, hours, share, start_s=start_s, **extra),  # type: ignore[arg-type]
        tools(rng, hours, np.asarray(changed.get("tools", [0.4, 0.3, 0.2, 0.1])), start_s),
        decisions(rng, hours, float(changed.get("abstaining", 0.2)), start_s),  # type: ignore[arg-type]
        rates(rng, hours, float(changed.get("rate_spread", 0.1)), start_s),  # type: ignore[arg-type]
    ]


def clusters(
    rng: np.random.Generator, hours: float, per_hour: float, n: int, payload: Callable[[np.ndarray], np.ndarray] | None,
    start_s: float = T0_S,
) -> list[Events]:  # fmt: skip
    """n clusters with Poisson events; `payload` gives theirs from the times."""
    out = []
    for i in range(n):
        times = poisson(rng, per_hour, hours, start_s)
        out.append(events(times, "net.flow", f"c{i}", payload(times) if payload else None))
    return out


def flows(rng: np.random.Generator, port_shares: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Payloads with ports drawn by their shares, and a protocol and a peer."""

    def payload(times: np.ndarray) -> np.ndarray:
        port = rng.choice(len(port_shares), len(times), p=port_shares)
        proto, peer = rng.choice(["TCP", "UDP"], len(times), p=[0.8, 0.2]), rng.choice(12, len(times), p=zipf(12, 1.0))
        rows = zip(port, proto, peer, strict=True)
        return np.array([f'{{"dest_port": {a}, "proto": "{b}", "peer": "h{c}"}}' for a, b, c in rows], dtype=object)

    return payload


def stages(times: np.ndarray, rng: np.random.Generator, sticky: float) -> np.ndarray:
    """Payloads of stage scores 1 … 4 that stay from one event to the next with probability `sticky`."""
    return np.array([f'{{"stage": {s}}}' for s in _sticky(times, rng, sticky)], dtype=object)


def _sticky(times: np.ndarray, rng: np.random.Generator, sticky: float) -> np.ndarray:
    fresh = rng.integers(1, 5, len(times))
    stay = rng.uniform(size=len(times)) < sticky
    if len(stay):
        stay[0] = False
    last = np.maximum.accumulate(np.where(stay, 0, np.arange(len(times))))
    return fresh[last] if len(fresh) else fresh


def climb(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Payloads of a stage that rises from 2.5 by 7 per hour from the first event on, with noise of 1."""

    def payload(times: np.ndarray) -> np.ndarray:
        stage = 2.5 + 7.0 * (times - times[0]) / HOUR_S + rng.standard_normal(len(times))
        return np.array([f'{{"stage": {s:.2f}}}' for s in np.clip(stage, 1, 7)], dtype=object)

    return payload


def lanes(rng: np.random.Generator, hours: float, per_hour: float, start_s: float, meet: bool = False) -> pa.Table:
    """Flows of eight clusters between random places of Europe; where `meet`, half of them through one place."""
    times = poisson(rng, per_hour, hours, start_s)
    n = len(times)
    a, b = (np.column_stack([rng.uniform(40, 55, n), rng.uniform(-5, 20, n)]) for _ in range(2))
    if meet:
        through = rng.uniform(size=n) < 0.5
        centre = np.array([47.5, 7.5]) + rng.normal(0.0, 0.03, (n, 2))
        b = np.where(through[:, None], 2.0 * centre - a, b)  # near enough to a great circle over these distances
    payload = [f'{{"cluster": "c{i % 8}", "dest_lat": {x:.4f}, "dest_lon": {y:.4f}}}' for i, (x, y) in enumerate(b)]
    return event_table(
        np.round(times * 1e6).astype(np.int64), "net.flow", [f"f{i % 8}" for i in range(n)], "simulated", lat=a[:, 0],
        lon=a[:, 1], payload=payload,
    )  # fmt: skip


def sides(
    rng: np.random.Generator, hours: float, per_hour: float, start_s: float, share: float, n: int = 10
) -> pa.Table:
    """Emissions on lanes: a share of them red, energies log-normal."""
    out: list[Events] = []
    for i in range(n):
        times = poisson(rng, per_hour, hours, start_s)
        red, energy = rng.uniform(size=len(times)) < share, np.exp(0.5 * rng.standard_normal(len(times)))
        payload = [f'{{"lane": "l{i}", "side": "{"red" if r else "blue"}", "energy": {e:.3f}}}' for r, e in
                   zip(red.tolist(), energy.tolist(), strict=True)]  # fmt: skip
        out.append(events(times, "emitter.pulse", f"l{i}", np.array(payload, dtype=object)))
    return table(out)


def loads(rng: np.random.Generator, hours: float, per_hour: float, start_s: float, bursty: bool = False) -> pa.Table:
    """Flows at the places of the exchange points; where `bursty`, each is a burst of one to nine at once."""
    times = poisson(rng, per_hour, hours, start_s)
    if bursty:
        times = np.sort(np.repeat(times, rng.integers(1, 10, len(times))))
    at = rng.integers(0, 3, len(times))
    return event_table(
        np.round(times * 1e6).astype(np.int64), "net.flow", ["f"] * len(times), "simulated", lat=POINTS.lat[at],
        lon=POINTS.lon[at],
    )  # fmt: skip


def deeds(
    rng: np.random.Generator, times: np.ndarray, entity: str, ports: np.ndarray | None = None,
    stage: np.ndarray | None = None,
) -> Events:  # fmt: skip
    """Flows of a cluster with everything that intent is read from: ports by their shares, peers, a stage each."""
    shares = zipf(20, 1.0) if ports is None else ports
    port, peer = rng.choice(len(shares), len(times), p=shares), rng.choice(12, len(times), p=zipf(12, 1.0))
    proto = rng.choice(["TCP", "UDP"], len(times), p=[0.8, 0.2])
    score = _sticky(times, rng, 0.9) if stage is None else stage
    payload = [f'{{"dest_port": {a}, "proto": "{b}", "dest_ip": "10.1.0.{c}", "stage": {s:.2f}}}' for a, b, c, s in
               zip(port.tolist(), proto.tolist(), peer.tolist(), score.tolist(), strict=True)]  # fmt: skip
    return events(times, "net.flow", entity, np.array(payload, dtype=object))
