"""What the standard runner says to two days of a real network sensor: alarms per day, each with its evidence.

Run from the repository root: ``python -m tests.benchmarks.alarms_of_a_sensor``. Suricata's log as the ingest reads it,
hosts grouped by subnet; every alarm is printed with the numbers it rests on.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa

from data.loader import locate
from engine.drills.__main__ import make_runner
from engine.ingest import read_eve
from engine.monitors import AlertBoard


def main() -> None:
    """Print the table, and the alarms."""
    events, _ = read_eve(locate("net/eve_large.json.bz2"))
    events = events.sort_by("time")
    runner, board = make_runner(), AlertBoard(100_000)
    for at in range(0, events.num_rows, 2_000):
        runner.apply(events.slice(at, 2_000))
        board.apply(runner.take())
    time_s = events["time"].cast(pa.int64()).to_numpy() * 1e-6
    days = (time_s.max() - time_s.min()) / 86_400.0
    found = board.table(0.0)
    print(f"{events.num_rows} events, {days:.2f} days\n\n| monitor | alarms | per day | clusters | labels |")
    print("| --- | --- | --- | --- | --- |")
    for monitor, rows in found.groupby("monitor"):
        labels = ", ".join(f"{label} {n}" for label, n in Counter(rows["label"]).most_common() if label)
        print(f"| {monitor} | {len(rows)} | {len(rows) / days:.1f} | {rows['entity'].nunique()} | {labels} |")
    for row in found.iloc[::-1].itertuples():
        print(f"{row.raised:%d %H:%M:%S} {row.monitor} {row.entity} {row.label} value {row.value:.3g} n {row.n} "
              f"parts {row.parts} responsible {row.responsible}")  # fmt: skip


if __name__ == "__main__":
    main()
