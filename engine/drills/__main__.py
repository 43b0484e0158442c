"""Drills from the command line: list, run, cancel, and the table of recall and precision.

python -m engine.drills list
python -m engine.drills run sync_burst --seed 7      # at the station behind REDIS_URL, else in a scratch runner
python -m engine.drills cancel
python -m engine.drills table                        # every drill at ten seeds upon real background
python -m engine.drills weak                         # the same where less of each drill is heard
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa

from data.exchanges import known_exchanges
from data.loader import locate
from engine.drift import ExchangePoints
from engine.drills.registry import FIVE, SCENARIOS, drill
from engine.drills.request import DRILLS_CHANNEL, encode_request
from engine.drills.score import AFTER_S, alerts_of, merged, played, score, table
from engine.events.schema import SCHEMA
from engine.monitors import ALERTS_CHANNEL, MonitorRunner, decode_alert, standard_monitors

BEFORE_S = 1_800.0
"""Background before a drill in the table, s."""

SHARES = (1.0, 0.75, 0.5, 0.25)
"""Shares of a drill's events that are heard, in the table of weak drills."""


def make_runner() -> MonitorRunner:
    """The standard monitors with the known exchange points, without time limits."""
    return MonitorRunner(standard_monitors(ExchangePoints(*known_exchanges())), limit_s=None)


@cache
def _recordings() -> tuple[pa.Table, pa.Table]:
    """Two days of a network sensor, and a day of air traffic."""
    from engine.ingest import read_eve, read_tracks

    return read_eve(locate("net/eve_large.json.bz2"))[0], read_tracks(locate("tracks/switzerland.json.gz"))[0]


def real_background(seed: int) -> tuple[pa.Table, float]:
    """A random stretch of both recordings, as if they were of one time, and the moment at which a drill starts."""
    rng = np.random.default_rng([seed, 4])
    start_s = 1.7e9 + float(rng.uniform(0.0, 3600.0))
    parts = []
    for events in _recordings():
        time_s = events["time"].cast(pa.int64()).to_numpy() * 1e-6
        # A stretch in which something happens: around an event that is chosen at random.
        inner = time_s[(time_s > time_s.min() + BEFORE_S) & (time_s < time_s.max() - AFTER_S)]
        at = float(rng.choice(inner))
        rows = np.flatnonzero((time_s >= at - BEFORE_S) & (time_s <= at + AFTER_S))
        moved = np.round((time_s[rows] - at + start_s) * 1e6).astype(np.int64)
        column = pa.array(moved).cast(SCHEMA.field("time").type)
        parts.append(events.take(pa.array(rows)).set_column(SCHEMA.get_field_index("time"), "time", column))
    return merged(parts), start_s


def markdown(found: pd.DataFrame) -> str:
    """The table of `engine.drills.score.table` as Markdown."""
    head = ("drill", "must fire", "detected", "recall", "precision", "start to alarm, s: median (longest)",
            "other alarms", "left after the end")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for row in found.itertuples():
        lines.append(
            f"| {row.drill} | {row.monitors or 'nothing'} | {row.detected}/{row.runs} | {row.recall:.2f} | "
            f"{row.precision:.2f} | {row.median_s:.0f} ({row.longest_s:.0f}) | {row.other} | {row.left} |"
        )
    return "\n".join(lines).replace("nan (nan)", "–")


def weak_table(seeds: int) -> str:
    """Recall of the drills, and other alarms, by the share of their events that is heard, as Markdown."""
    lines = ["| drill | " + " | ".join(f"{share:.0%} heard" for share in SHARES) + " | other alarms |"]
    lines.append("| --- " * (len(SHARES) + 2) + "|")
    found = [table(real_background, make_runner, FIVE, range(seeds), share=share) for share in SHARES]
    for row, name in enumerate(FIVE):
        recalls = " | ".join(f"{each['recall'][row]:.2f}" for each in found)
        lines.append(f"| {name} | {recalls} | {sum(int(each['other'][row]) for each in found)} |")
    return "\n".join(lines)


def run_scratch(name: str, seed: int) -> int:
    """Play a drill through a runner of its own, as fast as it goes; 0 where all was detected."""
    run, start_s = drill(name, seed), 1.7e9
    found = score(run, SCHEMA.empty_table(), start_s, make_runner)
    alerts = alerts_of(merged([played(run, start_s)]), make_runner)
    for row in alerts.sort_values("raised").itertuples():
        print(f"{row.raised.timestamp() - start_s:6.1f} s  {row.monitor:16s} {row.label:14s} {row.entity}")
    for missed in found.missed:
        print(f"missed: {missed}")
    print(run.expectation.analyst)
    return len(found.missed) + len(found.other)


def run_there(url: str, name: str, seed: int) -> int:
    """Ask the station behind a Redis for a drill, and print what its monitors say."""
    from engine.events import EventBus

    bus = EventBus(url)
    bus.subscribe(ALERTS_CHANNEL, lambda message: print(_told(decode_alert(message)), flush=True))
    time.sleep(1.0)
    if not bus.publish(DRILLS_CHANNEL, encode_request("start", name, seed)):
        print(f"the Redis at {bus.address} cannot be reached", file=sys.stderr)
        return 1
    try:
        time.sleep(SCENARIOS[name].duration_s + 10.0)
    except KeyboardInterrupt:
        bus.publish(DRILLS_CHANNEL, encode_request("cancel"))
    bus.close()
    return 0


def _told(alert: dict[str, object]) -> str:
    return f"{alert['time']:%H:%M:%S} {alert['kind']:14s} {alert.get('monitor', '')} {alert['entity']}"


def main(arguments: list[str] | None = None) -> int:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m engine.drills", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what drills there are")
    run = commands.add_parser("run", help="play a drill")
    run.add_argument("name", choices=sorted(SCENARIOS))
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--redis", default=os.environ.get("REDIS_URL"), help="the station's Redis; without, a scratch run")
    cancel = commands.add_parser("cancel", help="end the drill that plays at a station")
    cancel.add_argument("--redis", default=os.environ.get("REDIS_URL"), required="REDIS_URL" not in os.environ)
    scores = commands.add_parser("table", help="recall and precision upon real background")
    scores.add_argument("--seeds", type=int, default=10)
    weak = commands.add_parser("weak", help="recall where only a share of each drill is heard")
    weak.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args(arguments)
    if given.command == "list":
        print("\n".join(f"{s.name:16s} {s.duration_s:3.0f} s  {s.about}" for s in SCENARIOS.values()))
    elif given.command == "run":
        return run_there(given.redis, given.name, given.seed) if given.redis else run_scratch(given.name, given.seed)
    elif given.command == "cancel":
        from engine.events import EventBus

        return 0 if EventBus(given.redis).publish(DRILLS_CHANNEL, encode_request("cancel")) else 1
    elif given.command == "weak":
        print(weak_table(given.seeds))
    else:
        print(markdown(table(real_background, make_runner, (*FIVE, "swarm"), range(given.seeds), print)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
