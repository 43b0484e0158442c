"""How often each monitor cries for nothing, and how long it takes to notice a known change: by simulation.

Run from the repository root: ``python -m tests.benchmarks.false_alarms`` prints the tables of
docs/engine-drift.md, ``--write`` puts them there. Everything is seeded. Some minutes on one core.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

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
    Transition,
)
from tests.benchmarks.streams import (
    HOUR_S,
    T0_S,
    Events,
    climb,
    clusters,
    events,
    flows,
    graph,
    poisson,
    stages,
    table,
    zipf,
)

DOC = Path(__file__).parents[2] / "docs" / "engine-drift.md"


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
    if count:
        return f"{count / hours:.2g}"
    bound = 3.0 / hours
    digit = 10.0 ** math.floor(math.log10(bound))
    return f"0 (< {math.ceil(round(bound / digit, 6)) * digit:.1g})"  # up, so that it stays a bound


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
        load_rows(hours / 2),
    )
    three = markdown((*head[:2], "false alarms per cluster and hour", *head[3:]), cluster_rows(hours / 2, repeats))
    four = markdown(
        ("detector", "false alarms, Gaussian", "false alarms, Student t₄", "values to a shift of 1 σ", "of 2 σ"),
        detector_rows(),
    )
    others = f"The same for other stationary graphs over {hours / 2:g} hours, alarms per hour:"
    text = "\n\n".join([one, others, two, three, four])
    if given.write:
        before, _, rest = DOC.read_text().partition("<!-- simulated -->\n")
        after = rest.partition("<!-- /simulated -->")[2]
        DOC.write_text(f"{before}<!-- simulated -->\n{text}\n<!-- /simulated -->{after}")
    print(text)


if __name__ == "__main__":
    main()
