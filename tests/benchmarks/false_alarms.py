"""How often each monitor cries for nothing, and how long it takes to notice a known change: by simulation.

Run from the repository root: ``python -m tests.benchmarks.false_alarms`` prints the tables of
docs/engine-drift.md, ``--write`` puts them there. Everything is seeded. Some minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from engine.drift import (
    AdaptiveWindow,
    BehaviourMonitor,
    DriftGate,
    KillChainMonitor,
    Monitor,
    PageHinkley,
    SilenceMonitor,
    Stability,
    TimingMonitor,
    Transition,
)
from engine.events import event_table

DOC = Path(__file__).parents[2] / "docs" / "engine-drift.md"
HOUR_S = 3600.0
T0_S = 1.7e9 - 1.7e9 % HOUR_S


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


# --- what the monitors are given


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
    """Stage scores 1 … 4 that stay as they are from one event to the next with probability `sticky`."""
    fresh = rng.integers(1, 5, len(times))
    stay = rng.uniform(size=len(times)) < sticky
    if len(stay):
        stay[0] = False
    last = np.maximum.accumulate(np.where(stay, 0, np.arange(len(times))))
    return np.array([f'{{"stage": {s}}}' for s in fresh[last]], dtype=object)


# --- what is counted


def raised(found: list[Transition], name: str | None = None) -> list[Transition]:
    """Alarms raised, of one metric."""
    return [t for t in found if t.raised and (name is None or t.entity == name)]


def in_pieces(monitor: Monitor, batch: pa.Table, size: int = 20_000) -> list[Transition]:
    """What a monitor says to a long batch."""
    found = []
    for at in range(0, batch.num_rows, size):
        found += monitor.update(batch.slice(at, size))
    return found


def raised_share(found: list[Transition], name: str, hours: float) -> str:
    """Share of the time that the alarm was raised."""
    total, since = 0.0, None
    for t in (t for t in found if t.entity == name):
        total += 0.0 if since is None or t.raised else t.time_s - since
        since = t.time_s if t.raised else None
    total += 0.0 if since is None else T0_S + hours * HOUR_S - since
    return f"{100.0 * total / (hours * HOUR_S):.3g} %"


def delay_s(monitor: Monitor, batch: pa.Table, change_s: float, name: str | None, entity: str | None) -> float:
    """Time from the change to the first alarm of the metric after it, s; infinite where there is none."""
    for t in raised(in_pieces(monitor, batch), name):
        if t.time_s > change_s and (entity is None or t.entity == entity):
            return t.time_s - change_s
    return np.inf


def median_text(delays: list[float]) -> str:
    """Median and greatest delay, min, and how many changes were found."""
    found = [d for d in delays if np.isfinite(d)]
    if not found:
        return f"not found (0/{len(delays)})"
    return f"{np.median(found) / 60:.0f} ({max(found) / 60:.0f}), {len(found)}/{len(delays)}"


Row = tuple[str, str, str, str, str]


def rate_text(count: int, hours: float) -> str:
    """Alarms per hour; where there were none, the 95 % upper bound of what may be (rule of three)."""
    return f"{count / hours:.2g}" if count else f"0 (< {3.0 / hours:.1g})"


ONE_TAKES_MOST = np.r_[0.75, np.full(49, 0.25 / 49)]

GRAPH_CHANGES: list[tuple[type[Monitor], str, str, dict[str, object]]] = [
    (DriftGate, "reinforcement_gini", "shares k^-0.5 → k^-2", {"shares": zipf(50, 2.0)}),
    (DriftGate, "entropy_slope", "shares k^-0.5 → k^-1.5", {"shares": zipf(50, 1.5)}),
    (DriftGate, "tool_skew", "the order of four tools turns round", {"tools": [0.1, 0.2, 0.3, 0.4]}),
    (DriftGate, "mutation_concentration", "one of 50 targets takes 3/4", {"shares": ONE_TAKES_MOST}),
    (DriftGate, "entity_concentration", "one of 50 targets takes 3/4", {"shares": ONE_TAKES_MOST}),
    (DriftGate, "abstention_rate", "abstentions 20 % → 0", {"abstaining": 0.0}),
    (Stability, "oscillation", "one target changes every 5 s", {"flutter_s": 5.0}),
    (Stability, "burst_surprise", "one target changes every 5 s", {"flutter_s": 5.0}),
    (Stability, "reversals", "one target is added and pruned every 5 s", {"flutter_s": 5.0}),
    (Stability, "entropy_step", "shares k^-0.5 → k^-1.5", {"shares": zipf(50, 1.5)}),
    (Stability, "weight_variance", "weights' deviation 0.2 → 0.6", {"weight_sd": 0.6}),
    (Stability, "decay_volatility", "log-deviation of rates 0.1 → 1", {"rate_spread": 1.0}),
    (Stability, "prune_ratio", "prunes 20 % → 70 %", {"pruned": 0.7}),
]  # fmt: skip


def graph_rows(hours: float, repeats: int) -> list[Row]:
    """Gate and stability."""
    rng = np.random.default_rng(1)
    quiet = table(graph(rng, hours))
    found = {monitor: in_pieces(monitor(), quiet) for monitor in (DriftGate, Stability)}  # type: ignore[call-arg]
    rows = []
    for monitor, name, change, changed in GRAPH_CHANGES:
        delays = []
        for seed in range(repeats):
            rng = np.random.default_rng(100 + seed)
            change_s = T0_S + 5 * HOUR_S
            batch = table([*graph(rng, 5.0), *graph(rng, 3.0, start_s=change_s, **changed)])
            delays.append(delay_s(monitor(), batch, change_s, name, None))  # type: ignore[call-arg]
        limit = monitor.default_limits[name]  # type: ignore[attr-defined]
        threshold = f"{limit.sense} {limit.threshold:g}"
        count = len(raised(found[monitor], name))
        rate = f"{rate_text(count, hours)}, {raised_share(found[monitor], name, hours)}"
        rows.append((f"{monitor.name}: `{name}`", threshold, rate, change, median_text(delays)))
    return rows


def load_rows(hours: float) -> list[Row]:
    """How the asked-for thresholds do when the stationary graph is another one."""
    rows = []
    cases: list[tuple[str, dict[str, object]]] = [
        ("50 equal targets, 20/min", {"shares": zipf(50, 0.0)}),
        ("50 targets k^-0.5, 20/min", {}),
        ("500 targets k^-1, 20/min", {"shares": zipf(500, 1.0)}),
        ("5 000 equal targets, 20/min", {"shares": zipf(5000, 0.0)}),
        ("200 equal targets, 2/min", {"shares": zipf(200, 0.0), "per_min": 2.0}),
    ]
    for label, changed in cases:
        batch = table(graph(np.random.default_rng(7), hours, **changed))
        gate, stability = DriftGate(), Stability()
        found = in_pieces(gate, batch) + in_pieces(stability, batch)
        counts = [
            f"{rate_text(len(raised(found, name)), hours)}, {raised_share(found, name, hours)}"
            for name in ("oscillation", "burst_surprise", "reversals")
        ]
        gini_now = gate.state()["reinforcement_gini"]
        rows.append((label, f"{gini_now.value:.2f} {gini_now.state}", *counts))
    return rows  # type: ignore[return-value]


def climb(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Payloads of a stage that rises from 2.5 by 7 per hour from the first event on, with noise of 1."""

    def payload(times: np.ndarray) -> np.ndarray:
        stage = 2.5 + 7.0 * (times - times[0]) / HOUR_S + rng.standard_normal(len(times))
        return np.array([f'{{"stage": {s:.2f}}}' for s in np.clip(stage, 1, 7)], dtype=object)

    return payload


def cluster_rows(hours: float, repeats: int) -> list[Row]:
    """Monitors of clusters; rates per cluster and hour."""
    rows, n = [], 10
    flat, moved = zipf(20, 1.0), np.roll(zipf(20, 1.0), 10)
    change_s = T0_S + 2 * HOUR_S

    def row(
        monitor: Callable[[], Monitor], label: str, threshold: str, quiet: list[Events], change: str,
        loud: Callable[[np.random.Generator], list[Events]],
    ) -> None:  # fmt: skip
        count = len(raised(in_pieces(monitor(), table(quiet))))
        delays = [
            delay_s(monitor(), table(loud(np.random.default_rng(200 + seed))), change_s, None, "c0")
            for seed in range(repeats)
        ]
        rows.append((label, threshold, rate_text(count, hours * n), change, median_text(delays)))

    def before_and_after(
        rng: np.random.Generator, per_hour: float, early: Callable, late: Callable, late_per_hour: float | None = None
    ) -> list[Events]:
        rate = per_hour if late_per_hour is None else late_per_hour
        return [*clusters(rng, 2.0, per_hour, 1, early), *clusters(rng, 2.0, rate, 1, late, change_s)]

    rng = np.random.default_rng(2)
    quiet = clusters(rng, hours, 600.0, n, flows(rng, flat))
    row(
        lambda: BehaviourMonitor(["dest_port", "proto", "peer"]), "behaviour, 50 events a window", "label not STABLE",
        quiet, "ports reordered",
        lambda r: before_and_after(r, 600.0, flows(r, flat), flows(r, moved)),
    )  # fmt: skip
    row(
        lambda: BehaviourMonitor(["dest_port", "proto", "peer"]), "behaviour, 400 events a window", "label not STABLE",
        clusters(rng, hours / 4, 4800.0, 4 * n, flows(rng, flat)), "1/10 of the flows to a new port",
        lambda r: before_and_after(r, 4800.0, flows(r, flat), flows(r, np.r_[0.9 * flat, 0.1])),
    )  # fmt: skip
    for sticky in (0.0, 0.9):
        quiet = [
            events(times, "net.alert", f"c{i}", stages(times, rng, sticky))
            for i, times in enumerate(poisson(rng, 120.0, hours) for _ in range(n))
        ]
        row(
            KillChainMonitor, f"kill chain, stages {'sticky' if sticky else 'independent'}", "IMMINENT", quiet,
            "from 2.5 up by 7 stages per hour, noise 1: 29 min to IMMINENT",
            lambda r, sticky=sticky: before_and_after(r, 120.0, partial(stages, rng=r, sticky=sticky), climb(r)),  # type: ignore[misc]
        )  # fmt: skip
    quiet = clusters(rng, hours, 360.0, n, None)
    beat = events(change_s + 10.0 * np.arange(360), "emitter.pulse", "c0")
    row(
        TimingMonitor, "timing", "> 0.5 and p < 1e-5", quiet, "a beat of 10 s ± 1 s in place of chance",
        lambda r: [*clusters(r, 2.0, 360.0, 1, None), beat._replace(time_s=beat.time_s + r.normal(0, 1.0, 360))],
    )  # fmt: skip
    row(
        SilenceMonitor, "silence, 360 events an hour", "> 6", quiet, "silence",
        lambda r: [*clusters(r, 2.0, 360.0, 1, None), *clusters(r, 4.0, 60.0, 2, None)[1:]],
    )  # fmt: skip
    return rows


def detector_rows() -> list[Row]:
    """Page-Hinkley and adaptive windowing on unit noise: values per false alarm, values until a shift is seen."""
    rows: list[Row] = []
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((40, 20_000))
    tails = rng.standard_t(4, (40, 20_000)) / np.sqrt(2.0)
    for label, make in (
        ("Page-Hinkley, delta 0.005, threshold 50 (river's defaults)", lambda: PageHinkley(0.005, 50.0)),
        ("Page-Hinkley, delta 0.5, threshold 8", lambda: PageHinkley(0.5, 8.0)),
        ("Page-Hinkley, delta 0.5, threshold 14 (ours)", PageHinkley),
        ("adaptive windowing, delta 0.002 (ours)", AdaptiveWindow),
    ):
        alarms = [sum(len(make().update(row)) for row in block) for block in (noise, tails)]
        between = [f"1 in {block.size / a:,.0f}" if a else f"0 in {block.size:,}" for a, block in
                   zip(alarms, (noise, tails), strict=True)]  # fmt: skip
        texts = []
        for shift in (1.0, 2.0):
            delays = []
            for row in noise:
                found = make().update(np.concatenate([row[:500], row[500:900] + shift]))
                after = found[found >= 500]
                delays.append(float(after[0] - 500) if len(after) else np.inf)
            seen = [d for d in delays if np.isfinite(d)]
            texts.append(f"{np.median(seen):.0f} ({len(seen)}/{len(delays)})")
        rows.append((label, between[0], between[1], texts[0], texts[1]))
    return rows


def markdown(head: tuple[str, ...], rows: list[Row]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the tables into {DOC.name}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the hours, to see that it runs")
    given = parser.parse_args()
    hours, repeats = (20.0, 3) if given.quick else (100.0, 6)
    head = (
        "monitor",
        "raised where",
        "false alarms per hour, share of time raised",
        "known change",
        "delay, min: median (greatest), found",
    )
    one = markdown(head, graph_rows(hours, repeats))
    two = markdown(
        ("stationary graph", "Gini at the end", "`oscillation`", "`burst_surprise`", "`reversals`"),
        load_rows(hours / 4),
    )
    three = markdown((*head[:2], "false alarms per cluster and hour", *head[3:]), cluster_rows(hours / 2, repeats))
    four = markdown(
        ("detector", "false alarms, Gaussian", "false alarms, Student t₄", "values to a shift of 1 σ", "of 2 σ"),
        detector_rows(),
    )
    text = "\n\n".join([one, "The same for other stationary graphs, alarms per hour:", two, three, four])
    if given.write:
        before, _, rest = DOC.read_text().partition("<!-- simulated -->\n")
        after = rest.partition("<!-- /simulated -->")[2]
        DOC.write_text(f"{before}<!-- simulated -->\n{text}\n<!-- /simulated -->{after}")
    print(text)


if __name__ == "__main__":
    main()
