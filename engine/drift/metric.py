"""What a monitor says: a number with its unit, threshold, state and window, and the change of an alarm.

Alarms speak on transitions only, with hysteresis: a value has to cross its threshold on several looks in a row
to raise one, and to pass a lower release level on several looks to clear it. Nothing here knows what is measured.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa

from engine.events.schema import event_table

State = Literal["insufficient", "quiet", "raised"]
Sense = Literal[">", ">=", "<", "<="]

ALERT_RAISED = "alert.raised"
ALERT_CLEARED = "alert.cleared"

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that a monitor reports, always finite, with all a reader needs to judge it.

    Attributes
    ----------
    name, unit : str
        ``""`` is the unit of a pure number.
    value : float
        0 where `state` is ``"insufficient"`` and nothing can be said.
    threshold : float
        Where the alarm is raised, in `unit`; NaN never occurs, infinity means *no alarm on this one*.
    state : {"insufficient", "quiet", "raised"}
        That of the alarm; ``"insufficient"`` where there are too few events to say anything.
    start_s, end_s : float
        The window the value speaks of, epoch seconds.
    n : int
        Events the value rests on.
    trend_per_h : float
        Theil-Sen slope of the last looks, `unit` per hour.
    since_s : float or None
        When the alarm was raised, epoch seconds.
    responsible : tuple of (str, float)
        The entities that make the value what it is, and the share of each in 0 … 1, greatest first.
    """

    name: str
    value: float
    unit: str
    threshold: float
    state: State
    start_s: float
    end_s: float
    n: int
    trend_per_h: float = 0.0
    since_s: float | None = None
    responsible: tuple[tuple[str, float], ...] = ()

    @property
    def window_s(self) -> float:
        """Length of the window, s."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Limit:
    """Where an alarm is raised and cleared, as named, documented numbers.

    Attributes
    ----------
    threshold, release : float
        Raised where ``value sense threshold``; cleared where no longer ``value sense release``.
    sense : {">", ">=", "<", "<="}
    min_n : int
        With fewer events than this nothing is said.
    raise_after, clear_after : int
        Looks in a row that it takes.

    Examples
    --------
    >>> Limit(0.75, 0.70).sense
    '>'
    """

    threshold: float
    release: float
    sense: Sense = ">"
    min_n: int = 20
    raise_after: int = 3
    clear_after: int = 5

    def __post_init__(self) -> None:
        if self.sense not in _COMPARE:
            raise ValueError(f"sense of a limit is {self.sense!r}; one of {', '.join(_COMPARE)} is needed")
        if self.raise_after < 1 or self.clear_after < 1:
            raise ValueError(
                f"raise_after is {self.raise_after}, clear_after {self.clear_after}; each must be at least 1"
            )
        if self.threshold != self.release and not _COMPARE[self.sense](self.threshold, self.release):
            raise ValueError(
                f"release {self.release} lies beyond threshold {self.threshold} for {self.sense!r}: an alarm that is "
                "cleared while it is raised would flutter"
            )


@dataclass(slots=True)
class Hysteresis:
    """An alarm's memory: raised or not, since when.

    Parameters
    ----------
    limit : Limit

    Examples
    --------
    >>> alarm = Hysteresis(Limit(0.75, 0.70, raise_after=2, clear_after=1))
    >>> [alarm.look(value, at) for at, value in enumerate([0.8, 0.8, 0.72, 0.6])]
    [None, True, None, False]
    """

    limit: Limit
    raised: bool = False
    since_s: float | None = None
    _run: int = field(default=0, repr=False)

    def look(self, value: float, time_s: float, sufficient: bool = True) -> bool | None:
        """True where the alarm is raised by this value, False where it is cleared, else None.

        A look with too few events counts as one on the quiet side: an alarm whose evidence is gone clears.
        """
        limit = self.limit
        level = limit.release if self.raised else limit.threshold
        beyond = sufficient and _COMPARE[limit.sense](value, level)
        if beyond == self.raised:
            self._run = 0
            return None
        self._run += 1
        if self._run < (limit.clear_after if self.raised else limit.raise_after):
            return None
        self._run, self.raised = 0, not self.raised
        self.since_s = time_s if self.raised else None
        return self.raised


@dataclass(frozen=True, slots=True)
class Transition:
    """An alarm that was raised or cleared, with its evidence.

    Attributes
    ----------
    monitor : str
        Which monitor speaks.
    metric : Metric
        As it was at that moment.
    time_s : float
        Epoch seconds.
    raised : bool
    entity : str
        Whom it is about: a cluster, or the name of the metric where it is about the whole graph.
    label : str
        What the monitor calls it, for those that have labels.
    parts : tuple of (str, float)
        What each part contributes to the value, greatest first, for those that are made of parts.
    place : tuple of float or None
        Latitude and longitude, degrees, for those that are about a place.
    """

    monitor: str
    metric: Metric
    time_s: float
    raised: bool
    entity: str
    label: str = ""
    parts: tuple[tuple[str, float], ...] = ()
    place: tuple[float, float] | None = None


def alert_events(transitions: Sequence[Transition]) -> pa.Table:
    """Transitions as an event batch: kinds ``alert.raised`` and ``alert.cleared``, evidence in the payload.

    Payload keys: ``metric``, ``value``, ``unit``, ``threshold``, ``window_s``, ``n``, ``label``, and
    ``responsible`` as text ``name share; …``.

    Parameters
    ----------
    transitions : sequence of n Transition

    Returns
    -------
    pyarrow.Table
        n rows of `engine.events.SCHEMA`; ``source`` is ``drift.<monitor>``.

    Examples
    --------
    >>> metric = Metric("gini", 0.8, "", 0.75, "raised", 0.0, 60.0, 50)
    >>> alert_events([Transition("gate", metric, 60.0, True, "gini")])["kind"].to_pylist()
    ['alert.raised']
    """
    return event_table(
        np.array([round(t.time_s * 1e6) for t in transitions], np.int64),
        [ALERT_RAISED if t.raised else ALERT_CLEARED for t in transitions],
        [t.entity for t in transitions],
        [f"drift.{t.monitor}" for t in transitions],
        payload=[_evidence(t) for t in transitions],
    )


def _evidence(transition: Transition) -> str:
    metric = transition.metric
    return orjson.dumps(
        {
            "metric": metric.name,
            "value": metric.value,
            "unit": metric.unit,
            "threshold": metric.threshold,
            "window_s": metric.window_s,
            "n": metric.n,
            "label": transition.label,
            "responsible": "; ".join(f"{name} {share:.3f}" for name, share in metric.responsible),
        }
    ).decode()
