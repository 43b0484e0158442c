"""How well the monitors detect drills: each drill upon real background, held against the same background without it.

Alarms that the background alone raises are no fault of the drill's; whatever comes on top must be declared. It runs
monitors over event tables and opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from engine.drills.registry import FIVE, drill
from engine.drills.scenario import Detection, DrillRun, Expectation, weakened
from engine.drills.source import shifted
from engine.events.schema import event_table
from engine.geo import slant_range_m
from engine.monitors.alerts import AlertBoard
from engine.monitors.runner import MonitorRunner
from engine.monitors.vocabulary import DRILL_ENDED

AFTER_S = 180.0
"""How long after the start of a drill alarms are counted, s: also those that its end might cause."""


@dataclass(frozen=True, slots=True)
class Score:
    """What was detected of one drill.

    Attributes
    ----------
    name, seed : str, int
    found : tuple of (Detection, float)
        Declared alarms that came, and how long after the start, s.
    missed : tuple of Detection
    allowed : int
        Alarms that the drill declares as possible.
    other : tuple of str
        Alarms that neither the drill declares nor the background raises: ``monitor entity``.
    left : tuple of str
        Alarms of the drill that still stand after its end.
    """

    name: str
    seed: int
    found: tuple[tuple[Detection, float], ...]
    missed: tuple[Detection, ...]
    allowed: int
    other: tuple[str, ...]
    left: tuple[str, ...]


def played(run: DrillRun, start_s: float) -> pa.Table:
    """The events of a drill that starts at a moment (epoch s), and the one that says it has ended."""
    end_us = np.array([round((start_s + run.duration_s) * 1e6)], np.int64)
    ended = event_table(end_us, DRILL_ENDED, [run.run_id], run.run_id, payload=['{"reason": "finished"}'])
    return pa.concat_tables([shifted(run.events, start_s), ended])


def merged(tables: Iterable[pa.Table]) -> pa.Table:
    """Event tables as one, in order of time, numbered as a log would."""
    whole = pa.concat_tables(tables)
    order = np.argsort(whole["time"].cast(pa.int64()).to_numpy(), kind="stable")
    whole = whole.take(pa.array(order))
    return whole.set_column(0, whole.schema.field("seq"), pa.array(np.arange(1, whole.num_rows + 1)))


def alerts_of(events: pa.Table, make: Callable[[], MonitorRunner], batch_events: int = 2_000) -> pd.DataFrame:
    """The alerts that a runner raises over a stream, as of `AlertBoard.table`."""
    runner, board = make(), AlertBoard()
    for first in range(0, events.num_rows, batch_events):
        runner.apply(events.slice(first, batch_events))
        board.apply(runner.take())
    return board.table(now_s=0.0)


def score(
    run: DrillRun, background: pa.Table, start_s: float, make: Callable[[], MonitorRunner],
    without: pd.DataFrame | None = None,
) -> Score:  # fmt: skip
    """Play a drill upon a background and judge the alarms.

    Parameters
    ----------
    run : DrillRun
    background : pyarrow.Table
        Events around the drill, from long enough before it for the monitors to have full windows, to `AFTER_S` after.
    start_s : float
        Epoch seconds.
    make : function
        Makes the runner.
    without : DataFrame, optional
        What `alerts_of` says to the background alone, where that is known already.
    """
    alone = alerts_of(merged([background]), make) if without is None else without
    table = alerts_of(merged([background, played(run, start_s)]), make)
    fresh = table[~table["alert"].isin(alone["alert"])]
    taken: set[str] = set()
    found: list[tuple[Detection, float]] = []
    missed: list[Detection] = []
    for wanted in run.expectation.detections:
        rows = [row for row in fresh.itertuples() if row.alert not in taken and _fits(row, wanted, run, start_s)]
        if rows:
            first = min(rows, key=lambda row: row.raised)
            taken.add(first.alert)
            found.append((wanted, first.raised.timestamp() - start_s))
        else:
            missed.append(wanted)
    rest = [row for row in fresh.itertuples() if row.alert not in taken]
    allowed = [row for row in rest if row.drill == run.run_id and row.monitor in run.expectation.may]
    other = tuple(f"{row.monitor} {row.entity}" for row in rest if row not in allowed)
    left = tuple(row.alert for row in fresh.itertuples() if row.drill == run.run_id and row.state == "raised")
    return Score(run.name, run.seed, tuple(found), tuple(missed), len(allowed), other, left)


def _fits(row: object, wanted: Detection, run: DrillRun, start_s: float) -> bool:
    told = {name: getattr(row, name) for name in ("monitor", "entity", "label", "drill", "raised", "lat", "lon")}
    if told["monitor"] != wanted.monitor or told["drill"] != run.run_id:
        return False
    if wanted.cluster != "*" and told["entity"] != f"{run.run_id}/{wanted.cluster}":
        return False
    if wanted.label and told["label"] != wanted.label:
        return False
    if told["raised"].timestamp() - start_s > wanted.within_s:
        return False
    if wanted.lat is None or wanted.lon is None:
        return True
    if not np.isfinite([told["lat"], told["lon"]]).all():
        return False
    return bool(slant_range_m(told["lat"], told["lon"], 0.0, wanted.lat, wanted.lon, 0.0) <= 1e3 * wanted.radius_km)


def table(
    background: Callable[[int], tuple[pa.Table, float]], make: Callable[[], MonitorRunner],
    names: Iterable[str] = FIVE, seeds: Iterable[int] = range(10), say: Callable[[str], None] = lambda _: None,
    share: float = 1.0,
) -> pd.DataFrame:  # fmt: skip
    """Recall and precision of drills at some seeds.

    Parameters
    ----------
    background : function of a seed
        Gives events and the moment (epoch s) at which the drill starts among them.
    make : function
        Makes a runner.
    names : iterable of str
    seeds : iterable of int
    say : function of a text
        Told of everything that went wrong.
    share : float
        How much of each drill is heard, see `engine.drills.scenario.weakened`.

    Returns
    -------
    DataFrame
        One row per drill: drill, monitors, runs, detected (runs in which all declared alarms came in time and place),
        recall (declared alarms that came), precision (of the alarms on top of the background, those that are declared
        or allowed), median_s and longest_s (start to alarm), allowed, other, left (standing after the end).
    """
    scores: dict[str, list[Score]] = {name: [] for name in names}
    for seed in seeds:
        events, start_s = background(seed)
        alone = alerts_of(merged([events]), make)
        for name, kept in scores.items():
            one = score(weakened(drill(name, seed), share), events, start_s, make, alone)
            kept.append(one)
            for kind, what in (("missed", one.missed), ("also raised", one.other), ("left standing", one.left)):
                for each in what:
                    say(f"{name} seed {seed}: {kind} {each}")
    return pd.DataFrame([_row(name, kept) for name, kept in scores.items()])


def _row(name: str, scores: list[Score]) -> dict[str, object]:
    delays = [delay for one in scores for _, delay in one.found]
    declared = sum(len(one.found) + len(one.missed) for one in scores)
    allowed, other = sum(one.allowed for one in scores), sum(len(one.other) for one in scores)
    good = len(delays) + allowed
    expectation: Expectation = drill(name, 0).expectation
    return {
        "drill": name,
        "monitors": ", ".join(sorted({wanted.monitor for wanted in expectation.detections})),
        "runs": len(scores),
        "detected": sum(not one.missed for one in scores),
        "recall": len(delays) / declared if declared else 1.0,
        "precision": good / (good + other) if good + other else 1.0,
        "median_s": float(np.median(delays)) if delays else float("nan"),
        "longest_s": max(delays) if delays else float("nan"),
        "allowed": allowed,
        "other": other,
        "left": sum(len(one.left) for one in scores),
    }
