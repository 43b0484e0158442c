"""False alarms and delays of the monitors of places, of fast looks, of intent, and of the runner as a whole.

Run from the repository root: ``python -m tests.benchmarks.false_alarms_places`` prints the table of
docs/engine-drift.md, ``--write`` puts it there. Everything is seeded, and simulated in pieces of some hours by
worker processes: 50 hours take ten minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.drift import (
    ConflictMonitor,
    ExchangeMonitor,
    KillChainMonitor,
    Monitor,
    PhantomMonitor,
    TimingMonitor,
)
from engine.monitors import AlertBoard, MonitorRunner
from engine.monitors.standard import FAST_ALPHA, FAST_BUCKET_S, standard_monitors
from tests.benchmarks.false_alarms import DOC, delay_s, in_pieces, markdown, raised, rate_text
from tests.benchmarks.streams import (
    HOUR_S,
    POINTS,
    T0_S,
    clusters,
    deeds,
    events,
    flows,
    graph,
    lanes,
    loads,
    poisson,
    sides,
    stages,
    table,
    zipf,
)

Row = tuple[str, str, str, str, str]
Stream = Callable[[np.random.Generator], pa.Table]

PIECE_H = 4.0
"""Simulated hours of one piece of work."""

BEFORE = 1.0
"""Stationary hours before a change."""

CHANGE_S = T0_S + BEFORE * HOUR_S

INTENT_READS = ("behaviour", "kill_chain", "kill_chain_fast", "timing", "silence")


@dataclass(frozen=True)
class Case:
    """One line of the table: how to count false alarms, and how long a known change takes to be found."""

    label: str
    where: str
    per_hour: float
    """Hours that one simulated hour counts for: clusters, lanes or points in it."""
    simulated: float
    """Hours simulated of each hour asked for: less of the dear ones, more of those that have one place only."""
    false_alarms: Callable[[np.random.Generator, float], int] | None
    """Alarms in some stationary hours; None where the line before has counted them."""
    change: str
    delay: Callable[[np.random.Generator], float]


def case(
    make: Callable[[], Monitor], label: str, where: str, per_hour: float,
    quiet: Callable[[np.random.Generator, float], pa.Table], change: str, loud: Stream, entity: str | None = None,
    simulated: float = 1.0,
) -> Case:  # fmt: skip
    """A case of one monitor by itself."""
    return Case(
        label, where, per_hour, simulated, lambda rng, hours: len(raised(in_pieces(make(), quiet(rng, hours)))), change,
        lambda rng: delay_s(make(), loud(rng), CHANGE_S, None, entity),
    )  # fmt: skip


def alerts_of(batch: pa.Table, names: tuple[str, ...] | None = None) -> pd.DataFrame:
    """What the standard runner, with all monitors or some, raises over a stream."""
    makers = standard_monitors(POINTS)
    runner = MonitorRunner({n: m for n, m in makers.items() if names is None or n in names}, limit_s=None)
    board = AlertBoard(100_000)
    for at in range(0, batch.num_rows, 20_000):
        runner.apply(batch.slice(at, 20_000))
        board.apply(runner.take())
    return board.table(0.0)


def intent_case(minutes: float, counted: bool) -> Case:
    """Intent with all that it reads, on clusters that have ports, peers and stages."""

    def quiet(rng: np.random.Generator, hours: float) -> pa.Table:
        return table([deeds(rng, poisson(rng, 600.0, hours), f"c{i}") for i in range(10)])

    def loud(rng: np.random.Generator) -> pa.Table:
        times = np.sort(CHANGE_S + 6.0 * np.arange(round(minutes * 10.0)) + rng.normal(0.0, 0.6, round(minutes * 10.0)))
        climb = 1.0 + 6.0 * (times - CHANGE_S) / (60.0 * minutes) + 0.5 * rng.standard_normal(len(times))
        ports = np.roll(zipf(20, 1.0), 10)
        before, other = poisson(rng, 600.0, BEFORE), poisson(rng, 600.0, BEFORE + minutes / 60.0 + 0.1)
        loud_one = deeds(rng, times, "c0", ports, np.clip(climb, 1.0, 7.0))
        return table([deeds(rng, before, "c0"), loud_one, deeds(rng, other, "c1")])

    def raised_of(batch: pa.Table) -> pd.DataFrame:
        found = alerts_of(batch, (*INTENT_READS, "intent"))
        return found[found["monitor"] == "intent"]

    def delay(rng: np.random.Generator) -> float:
        found = raised_of(loud(rng))
        after = [t.timestamp() - CHANGE_S for t in found.loc[found["entity"] == "c0", "raised"]]
        return min((s for s in after if s > 0.0), default=np.inf)

    return Case(
        "intent, 600 events an hour (per cluster)", ">= 0.5", 10.0, 0.5,
        None if counted else lambda rng, hours: len(raised_of(quiet(rng, hours))),
        f"a beat of 6 s ± 0.6 s, ports reordered, stages from 1 to 7 in {minutes:g} min", delay,
    )  # fmt: skip


@cache
def cases() -> list[Case]:
    """All lines of the table."""

    def then(before: pa.Table, after: pa.Table) -> pa.Table:
        return pa.concat_tables([before, after])

    def beat(rng: np.random.Generator) -> pa.Table:
        times = CHANGE_S + 10.0 * np.arange(60) + rng.normal(0.0, 1.0, 60)
        return table([*clusters(rng, BEFORE, 360.0, 1, None), events(times, "emitter.pulse", "c0")])

    def sticky(rng: np.random.Generator, hours: float) -> pa.Table:
        times = [poisson(rng, 3600.0, hours) for _ in range(10)]
        return table([events(t, "net.alert", f"c{i}", stages(t, rng, 0.9)) for i, t in enumerate(times)])

    def climb(rng: np.random.Generator) -> pa.Table:
        before = poisson(rng, 3600.0, BEFORE)
        times = CHANGE_S + np.sort(rng.uniform(0.0, 60.0, 240))
        stage = np.clip(1.0 + 6.0 * (times - CHANGE_S) / 60.0 + 0.5 * rng.standard_normal(240), 1, 7)
        payload = np.array([f'{{"stage": {s:.2f}}}' for s in stage], dtype=object)
        return table([events(before, "net.alert", "c0", stages(before, rng, 0.9)),
                      events(times, "net.alert", "c0", payload)])  # fmt: skip

    out = [
        case(
            TimingMonitor, "timing, 360 events an hour (per cluster)", "> 0.5 and p < 1e-6", 10.0,
            lambda rng, hours: table(clusters(rng, hours, 360.0, 10, None)), "a beat of 10 s ± 1 s in place of chance",
            beat, "c0",
        ),
        case(
            partial(KillChainMonitor, bucket_s=FAST_BUCKET_S, alpha=FAST_ALPHA),
            "kill chain, fast, one event a second, sticky (per cluster)", "IMMINENT and p < 1e-6", 10.0, sticky,
            "from 1 to 7 within a minute", climb, "c0", simulated=0.5,
        ),
        intent_case(15.0, False),
        intent_case(30.0, True),
        case(
            PhantomMonitor, "phantom, 360 paths an hour of 8 clusters", "> 5", 1.0,
            lambda rng, hours: lanes(rng, hours, 360.0, T0_S), "half of 3 600 paths an hour through one place",
            lambda rng: then(lanes(rng, BEFORE, 360.0, T0_S), lanes(rng, 0.1, 3600.0, CHANGE_S, True)),
            simulated=2.0,
        ),
    ]  # fmt: skip
    for share in (0.5, 0.2):
        out.append(case(
            ConflictMonitor, f"conflict, {share:.0%} red, 2 a second (per lane)", "> 3 dB both ways, p < 1e-5", 10.0,
            lambda rng, hours, s=share: sides(rng, hours, 7200.0, T0_S, s, 10), "blue 95 %, then red 95 %",
            lambda rng: then(sides(rng, BEFORE, 14_400.0, T0_S, 0.05, 1), sides(rng, 0.1, 14_400.0, CHANGE_S, 0.95, 1)),
            "l0",
        ))  # fmt: skip
    for bursty in (False, True):
        out.append(case(
            partial(ExchangeMonitor, POINTS), f"exchange, {'in bursts' if bursty else 'Poisson'} (per point)", "> 7",
            3.0, lambda rng, hours, b=bursty: loads(rng, hours, 600.0, T0_S, b), "ten times the load",
            lambda rng, b=bursty: then(loads(rng, BEFORE, 600.0, T0_S, b), loads(rng, 0.1, 6000.0, CHANGE_S, b)),
            simulated=10.0,
        ))  # fmt: skip
    return out


def seconds_text(delays: list[float]) -> str:
    """Median and greatest delay, s, and how many changes were found."""
    found = [d for d in delays if np.isfinite(d)]
    if not found:
        return f"not found (0/{len(delays)})"
    return f"{np.median(found):.0f} ({max(found):.0f}), {len(found)}/{len(delays)}"


def count_of(row: int, piece: int, hours: float) -> int:
    """False alarms of one piece of simulated hours of a case."""
    count = cases()[row].false_alarms
    return count(np.random.default_rng([9, row, piece]), hours) if count else 0


def delay_of(row: int, repeat: int) -> float:
    """Delay of one known change of a case, s."""
    return cases()[row].delay(np.random.default_rng([300, row, repeat]))


def runner_counts(piece: int, hours: float) -> Counter[str]:
    """Alarms of the standard runner over all that is stationary at once, by monitor."""
    rng = np.random.default_rng([12, piece])
    batch = table([*graph(rng, hours), *clusters(rng, hours, 600.0, 10, flows(rng, zipf(20, 1.0)))])
    return Counter(alerts_of(batch)["monitor"])


def pieces_of(hours: float) -> list[tuple[int, float]]:
    """Hours cut into pieces: number and length of each."""
    pieces = math.ceil(hours / PIECE_H)
    return [(piece, hours / pieces) for piece in range(pieces)]


def simulate(hours: float, repeats: int, workers: int) -> str:
    """The table and the line about the runner, as text."""
    told = cases()
    with ProcessPoolExecutor(workers) as pool:
        counts, delays = [], []
        for row, each in enumerate(told):
            pieces = pieces_of(hours * each.simulated) if each.false_alarms else []
            counts.append([pool.submit(count_of, row, *piece) for piece in pieces])
            delays.append([pool.submit(delay_of, row, k) for k in range(repeats)])
        runner = [pool.submit(runner_counts, *piece) for piece in pieces_of(0.5 * hours)]
        rows: list[Row] = []
        rate = ""
        for each, alarms, found in zip(told, counts, delays, strict=True):
            if each.false_alarms:
                rate = rate_text(sum(a.result() for a in alarms), hours * each.simulated * each.per_hour)
            rows.append((each.label, each.where, rate, each.change, seconds_text([d.result() for d in found])))
            print(*rows[-1], sep=" | ", flush=True)
        total = sum((r.result() for r in runner), Counter())
    said = ", ".join(f"`{name}` {2.0 * n / hours:.2g}" for name, n in total.most_common())
    head = ("monitor", "raised where", "false alarms per hour", "known change", "delay, s: median (greatest), found")
    return (
        f"{markdown(head, rows)}\n\n"  # type: ignore[arg-type]
        f"The standard runner over {0.5 * hours:g} hours of all of it at once, alarms per hour: "
        f"{said or rate_text(0, 0.5 * hours)}."
    )


def main() -> None:
    """Print the table, or write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the table into {DOC.name}")
    parser.add_argument("--hours", type=float, default=50.0, help="stationary hours")
    parser.add_argument("--repeats", type=int, default=12, help="changes whose delay is taken")
    parser.add_argument("--workers", type=int, default=min(os.cpu_count() or 1, 2), help="processes")
    given = parser.parse_args()
    text = simulate(given.hours, given.repeats, given.workers)
    if given.write:
        before, _, rest = DOC.read_text().partition("<!-- places -->\n")
        after = rest.partition("<!-- /places -->")[2]
        DOC.write_text(f"{before}<!-- places -->\n{text}\n<!-- /places -->{after}")
    print(text)


if __name__ == "__main__":
    main()
