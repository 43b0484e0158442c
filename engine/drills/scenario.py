"""What a drill is: seeded events with times from its start, and what must be detected, where and how soon.

A scenario is a function of a seeded generator; the registry names all of them. It knows no station, and no monitor but
by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from engine.events.schema import event_table

MAX_DURATION_S = 45.0
"""Longest drill, s (asked for)."""

MAX_ENERGY = 2.0
"""Greatest ``energy`` of any event of a drill (asked for)."""

DRILL_SOURCE = "drill"
"""Sources of drill events are ``drill:<name>:<seed>``."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One alarm that must come.

    Attributes
    ----------
    monitor : str
        Name of the monitor.
    cluster : str
        Cluster (without the run's prefix) that the alarm must be about; ``*`` where any of the drill's will do.
    within_s : float
        Time from the start of the drill, s.
    lat, lon : float or None
        Where it must be, degrees; None where the alarm has no place.
    radius_km : float
        How far from there it may be.
    label : str
        What the monitor must call it; empty where any label will do.
    """

    monitor: str
    cluster: str
    within_s: float
    lat: float | None = None
    lon: float | None = None
    radius_km: float = 50.0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be detected of a drill, and what may be besides.

    Attributes
    ----------
    detections : tuple of Detection
        Each must come.
    may : tuple of str
        Monitors whose alarm about the drill's own clusters follows from what is played and counts as no mistake.
    analyst : str
        What a good analyst sees, in words.
    """

    detections: tuple[Detection, ...]
    may: tuple[str, ...] = ()
    analyst: str = ""


@dataclass(frozen=True, slots=True)
class DrillRun:
    """A drill that is ready to be played.

    Attributes
    ----------
    name, seed : str, int
    run_id : str
        ``drill:<name>:<seed>``; a source that plays it adds a suffix, so that two plays are two runs.
    duration_s : float
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`, ordered; times count from 1970, that is: microseconds from the start.
        Entities and clusters begin with ``<run_id>/``; payloads hold ``drill``, ``synthetic`` and ``energy``.
    expectation : Expectation
    """

    name: str
    seed: int
    run_id: str
    duration_s: float
    events: pa.Table
    expectation: Expectation


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of drill.

    Attributes
    ----------
    name, title, about : str
    duration_s : float
        At most `MAX_DURATION_S`.
    script : function of Script
        Writes the events and gives the expectation.
    """

    name: str
    title: str
    about: str
    duration_s: float
    script: Callable[[Script], Expectation] = field(repr=False)


class Script:
    """Collects the events of a drill while a scenario writes them.

    Parameters
    ----------
    run_id : str
    seed : int
    duration_s : float

    Attributes
    ----------
    rng : numpy.random.Generator
        The only source of chance.
    """

    def __init__(self, run_id: str, seed: int, duration_s: float) -> None:
        self.run_id, self.duration_s = run_id, duration_s
        self.rng = np.random.default_rng([seed, *run_id.rpartition(":")[0].encode()])
        self._rows: list[tuple[float, str, str, float, float, float, dict[str, Any]]] = []

    def name(self, local: str) -> str:
        """The full name of an entity or a cluster of this run."""
        return f"{self.run_id}/{local}"

    def add(
        self, t_s: float, kind: str, entity: str, *, lat: float = np.nan, lon: float = np.nan, alt_m: float = np.nan,
        cluster: str = "", energy: float = 1.0, **payload: Any,
    ) -> None:  # fmt: skip
        """Add an event at `t_s` after the start; one beyond the end of the drill is left out.

        Raises
        ------
        ValueError
            If the energy is not in 0 … `MAX_ENERGY`.
        """
        if not 0.0 <= energy <= MAX_ENERGY:
            raise ValueError(f"energy of {entity} is {energy}; 0 to {MAX_ENERGY} is allowed in a drill")
        if 0.0 <= t_s <= self.duration_s:
            own = {"drill": self.run_id, "synthetic": True, "energy": round(float(energy), 4)}
            group = {"cluster": self.name(cluster)} if cluster else {}
            self._rows.append((t_s, kind, self.name(entity), lat, lon, alt_m, {**group, **payload, **own}))

    def table(self) -> pa.Table:
        """The events in order of time."""
        rows = sorted(self._rows, key=lambda row: row[0])
        columns = list(zip(*rows, strict=True)) if rows else [()] * 7
        return event_table(
            np.array([round(t * 1e6) for t in columns[0]], np.int64), list(columns[1]), list(columns[2]), self.run_id,
            lat=list(columns[3]), lon=list(columns[4]), alt_m=list(columns[5]),
            payload=[orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY).decode() for payload in columns[6]],
        )  # fmt: skip


def build(scenario: Scenario, seed: int, suffix: str = "") -> DrillRun:
    """A drill of a scenario.

    Parameters
    ----------
    scenario : Scenario
    seed : int
        At least 0. The same seed gives the same drill.
    suffix : str
        Ends the id of the run, so that a second play of the same drill is another run.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; a whole number from 0 is needed")
    run_id = f"{DRILL_SOURCE}:{scenario.name}:{seed}{suffix}"
    script = Script(run_id, seed, scenario.duration_s)
    expectation = scenario.script(script)
    return DrillRun(scenario.name, seed, run_id, scenario.duration_s, script.table(), expectation)


def weakened(run: DrillRun, share: float) -> DrillRun:
    """The drill as it is heard where only a share of its events is: each is kept by chance, by the drill's own seed.

    Parameters
    ----------
    run : DrillRun
    share : float
        In (0, 1].

    Examples
    --------
    >>> from engine.drills import run
    >>> whole = run("sync_burst", 1)
    >>> weakened(whole, 0.5).events.num_rows < 0.7 * whole.events.num_rows
    True
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share is {share}; more than 0 and at most 1 of a drill can be heard")
    heard = np.random.default_rng([run.seed, 7, *run.name.encode()]).uniform(size=run.events.num_rows) < share
    return replace(run, events=run.events.filter(pa.array(heard)))
