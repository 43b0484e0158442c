"""False alarms and delays of the monitors of places, of fast looks, and of the runner as a whole: by simulation.

Run from the repository root: ``python -m tests.benchmarks.false_alarms_places`` prints the table of
docs/engine-drift.md, ``--write`` puts it there. Everything is seeded. A few minutes on one core.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from engine.drift import (
    ConflictMonitor,
    ExchangeMonitor,
    ExchangePoints,
    KillChainMonitor,
    Monitor,
    PhantomMonitor,
    TimingMonitor,
)
from engine.events import event_table
from engine.monitors import AlertBoard, MonitorRunner
from engine.monitors.standard import FAST_ALPHA, FAST_BUCKET_S
from tests.benchmarks.false_alarms import (
    DOC,
    HOUR_S,
    T0_S,
    Events,
    clusters,
    delay_s,
    events,
    flows,
    graph,
    in_pieces,
    markdown,
    poisson,
    raised,
    rate_text,
    stages,
    table,
    zipf,
)

Row = tuple[str, str, str, str, str]

BEFORE = 0.5
"""Hours before a change."""

POINTS = ExchangePoints(["A", "B", "C"], [50.1, 52.4, 47.4], [8.7, 4.9, 8.5])


def seconds_text(delays: list[float]) -> str:
    """Median and greatest delay, s, and how many changes were found."""
    found = [d for d in delays if np.isfinite(d)]
    if not found:
        return f"not found (0/{len(delays)})"
    return f"{np.median(found):.0f} ({max(found):.0f}), {len(found)}/{len(delays)}"


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


def row(
    make: Callable[[], Monitor], label: str, where: str, quiet: pa.Table, hours: float, change: str,
    loud: Callable[[np.random.Generator], pa.Table], change_s: float, repeats: int, entity: str | None = None,
) -> Row:  # fmt: skip
    """One line: false alarms per hour of what is quiet, and the delay on what is loud."""
    count = len(raised(in_pieces(make(), quiet)))
    delays = [delay_s(make(), loud(np.random.default_rng(300 + k)), change_s, None, entity) for k in range(repeats)]
    found = label, where, rate_text(count, hours), change, seconds_text(delays)
    print(*found, sep=" | ", flush=True)
    return found


def rows(hours: float, repeats: int) -> list[Row]:
    """All monitors of this table; `hours` of the dear ones, more of the others."""
    rng, change_s = np.random.default_rng(9), T0_S + BEFORE * HOUR_S
    out = []

    def then(before: pa.Table, after: pa.Table) -> pa.Table:
        return pa.concat_tables([before, after])

    for per_hour in (360.0,):
        beat = events(change_s + 10.0 * np.arange(60), "emitter.pulse", "c0")
        out.append(row(
            TimingMonitor, f"timing, {per_hour:.0f} events an hour (per cluster)", "> 0.5 and p < 1e-6",
            table(clusters(rng, hours, per_hour, 10, None)), 10 * hours, "a beat of 10 s ± 1 s in place of chance",
            lambda r, p=per_hour, b=beat: table(
                [*clusters(r, BEFORE, p, 1, None), b._replace(time_s=b.time_s + r.normal(0, 1.0, 60))]
            ), change_s, repeats, "c0",
        ))  # fmt: skip
    fast = partial(KillChainMonitor, bucket_s=FAST_BUCKET_S, alpha=FAST_ALPHA)
    quiet = table([events(t, "net.alert", f"c{i}", stages(t, rng, 0.9)) for i, t in
                   enumerate(poisson(rng, 3600.0, hours / 2) for _ in range(10))])  # fmt: skip

    def climb(r: np.random.Generator) -> pa.Table:
        before = poisson(r, 3600.0, BEFORE)
        times = change_s + np.sort(r.uniform(0.0, 60.0, 240))
        stage = np.clip(1.0 + 6.0 * (times - change_s) / 60.0 + 0.5 * r.standard_normal(240), 1, 7)
        payload = np.array([f'{{"stage": {s:.2f}}}' for s in stage], dtype=object)
        return table([events(before, "net.alert", "c0", stages(before, r, 0.9)),
                      events(times, "net.alert", "c0", payload)])  # fmt: skip

    out.append(row(
        fast, "kill chain, fast, one event a second, sticky (per cluster)", "IMMINENT and p < 1e-6", quiet, 5 * hours,
        "from 1 to 7 within a minute", climb, change_s, repeats, "c0",
    ))  # fmt: skip
    out.append(row(
        PhantomMonitor, "phantom, 360 paths an hour of 8 clusters", "> 5", lanes(rng, hours, 360.0, T0_S), hours,
        "half of 3 600 paths an hour through one place",
        lambda r: then(lanes(r, BEFORE, 360.0, T0_S), lanes(r, 0.1, 3600.0, change_s, True)), change_s, repeats,
    ))  # fmt: skip
    for share in (0.5, 0.2):
        out.append(row(
            ConflictMonitor, f"conflict, {share:.0%} red, 2 a second (per lane)", "> 3 dB both ways, p < 1e-5",
            sides(rng, hours, 7200.0, T0_S, share, 5), 5 * hours, "blue 95 %, then red 95 %",
            lambda r: then(sides(r, BEFORE, 14_400.0, T0_S, 0.05, 1), sides(r, 0.1, 14_400.0, change_s, 0.95, 1)),
            change_s, repeats, "l0",
        ))  # fmt: skip
    for bursty in (False, True):
        out.append(row(
            partial(ExchangeMonitor, POINTS), f"exchange, {'in bursts' if bursty else 'Poisson'} (per point)", "> 7",
            loads(rng, 10 * hours, 600.0, T0_S, bursty), 30 * hours, "ten times the load",
            lambda r, b=bursty: then(loads(r, BEFORE, 600.0, T0_S, b), loads(r, 0.1, 6000.0, change_s, b)), change_s,
            repeats,
        ))  # fmt: skip
    return out


def runner_rates(hours: float) -> str:
    """Alarms of the standard runner over all that is stationary at once, by monitor."""
    rng = np.random.default_rng(12)
    batch = table([*graph(rng, hours), *clusters(rng, hours, 600.0, 10, flows(rng, zipf(20, 1.0)))])
    runner, board = MonitorRunner(limit_s=None), AlertBoard(100_000)
    for at in range(0, batch.num_rows, 20_000):
        runner.apply(batch.slice(at, 20_000))
        board.apply(runner.take())
    counts = Counter(board.table(0.0)["monitor"])
    told = ", ".join(f"`{name}` {n / hours:.2g}" for name, n in counts.most_common()) or "none"
    return f"The standard runner over {hours:g} hours of all of it at once, alarms per hour: {told}."


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the table into {DOC.name}")
    parser.add_argument("--hours", type=float, default=20.0, help="stationary hours of the dearest monitors")
    parser.add_argument("--repeats", type=int, default=6, help="changes whose delay is taken")
    given = parser.parse_args()
    head = ("monitor", "raised where", "false alarms per hour", "known change", "delay, s: median (greatest), found")
    text = f"{markdown(head, rows(given.hours, given.repeats))}\n\n{runner_rates(given.hours)}"  # type: ignore[arg-type]
    if given.write:
        before, _, rest = DOC.read_text().partition("<!-- places -->\n")
        after = rest.partition("<!-- /places -->")[2]
        DOC.write_text(f"{before}<!-- places -->\n{text}\n<!-- /places -->{after}")
    print(text)


if __name__ == "__main__":
    main()
