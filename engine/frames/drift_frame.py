"""What the Drift page shows at a moment: monitors as series, the alert feed, clusters with their numbers.

A frame like the others: computed once for all who look at it, from the boards of `engine.monitors`. It computes no
number of its own and knows nothing of how a page draws it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from engine.monitors.alerts import AlertBoard
from engine.monitors.board import MonitorBoard, MonitorStatus
from engine.monitors.cluster_numbers import ClusterBoard

SUMMARY = "raised"
"""Name under which a monitor of clusters tells how many of them are raised; shown where no cluster has a number."""

ABOUT_THE_WHOLE = ("gate", "stability")
"""Monitors whose results are metrics of the whole graph: one series each. The others have one per cluster."""

ABOUT_PLACES = ("exchange", "phantom", "conflict")
"""Monitors of places: known exchange points, unknown ones, lanes that two sides hold."""

LOCATED = ("monitor", "place", "lat", "lon", "state", "value", "unit", "threshold", "label", "n", "spark")

MOST_POINTS = 240
"""Points of a series on the page; of more, each stretch keeps its highest."""

MOST_CLUSTERS = 200
"""Rows of the cluster table."""


@dataclass(frozen=True, slots=True)
class DriftSpec:
    """Everything that determines a drift frame, besides the events.

    Attributes
    ----------
    window_s : float
        How far back the series reach, s.
    moment_s : float or None
        The moment shown, epoch seconds; None is live.
    """

    window_s: float = 3600.0
    moment_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One number of one monitor over time.

    Attributes
    ----------
    monitor, entity : str
        Who speaks and of what: a metric of the whole graph, or a cluster.
    metric, label, unit, state : str
        Of the newest result; ``label`` is empty for most.
    value, threshold : float
        Of the newest result, in `unit`; a threshold of NaN raises no alarm.
    n : int
        Events the newest value rests on.
    window_s, trend_per_h : float
        Window that the newest value speaks of, s, and its robust slope, `unit` per hour.
    since_s : float or None
        When its alarm was raised, epoch s.
    responsible : str
        ``name share; …``, greatest first.
    time_s, values : ndarray of float64, (m,)
        Epoch seconds and values, oldest first.
    raised, change : ndarray of bool, (m,)
        Where the alarm stood, and where the level changed.
    others_raised, others : int
        Of the monitor's other clusters: how many are raised, how many there are.
    """

    monitor: str
    entity: str
    metric: str
    label: str
    unit: str
    state: str
    value: float
    threshold: float
    n: int
    window_s: float
    trend_per_h: float
    since_s: float | None
    responsible: str
    time_s: NDArray[np.float64]
    values: NDArray[np.float64]
    raised: NDArray[np.bool_]
    change: NDArray[np.bool_]
    others_raised: int = 0
    others: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DriftFrame:
    """Everything the Drift page draws.

    Attributes
    ----------
    spec : DriftSpec
    moment_s : float
        Epoch seconds.
    seq : int
        Last event folded.
    series : tuple of Series
        Every metric of the whole graph, and of each monitor of clusters the one that stands out most, or its summary.
    alerts : DataFrame
        Newest first, columns `engine.monitors.alerts.COLUMNS`.
    clusters : DataFrame
        One row per cluster that monitors tell of, then those that only have numbers: ``cluster``, ``state``,
        ``raised`` (monitors), ``top`` (the monitor that stands out most), ``value``, ``unit``, ``threshold``,
        ``label``, ``n``, ``spark`` (list of float, share of threshold), and of C1 ``lat``, ``lon``,
        `engine.monitors.cluster_numbers.NUMBERS` (NaN where not known), ``activity_spark``.
    monitors : tuple of MonitorStatus
    places : DataFrame
        Clusters with a place and a score of intent: ``lat``, ``lon`` (degrees), ``score`` (0 to 1).
    located : DataFrame
        What `ABOUT_PLACES` watch, one row each: ``monitor``, ``place``, ``lat``, ``lon``, ``state``, ``value``,
        ``unit``, ``threshold``, ``label``, ``n``, ``spark``.
    """

    spec: DriftSpec
    moment_s: float
    seq: int
    series: tuple[Series, ...]
    alerts: pd.DataFrame
    clusters: pd.DataFrame
    monitors: tuple[MonitorStatus, ...] = ()
    places: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"lat": [], "lon": [], "score": []}))
    located: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(LOCATED)))

    def find(self, monitor: str, entity: str) -> Series | None:
        """One of the series."""
        return next((s for s in self.series if (s.monitor, s.entity) == (monitor, entity)), None)

    def table(self) -> pd.DataFrame:
        """All series as one long table: monitor, entity, metric, time (UTC), value, unit, threshold, raised, change."""
        parts = [
            pd.DataFrame(
                {
                    "monitor": s.monitor, "entity": s.entity, "metric": s.metric,
                    "time": pd.to_datetime(s.time_s, unit="s", utc=True), "value": s.values, "unit": s.unit,
                    "threshold": s.threshold, "raised": s.raised, "change": s.change,
                }
            )
            for s in self.series
        ]  # fmt: skip
        columns = ["monitor", "entity", "metric", "time", "value", "unit", "threshold", "raised", "change"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def to_dataset(self) -> xr.Dataset:
        """The series as a dataset: one variable each along its own time, with unit and threshold in its attributes."""
        out = {}
        for i, s in enumerate(self.series):
            time = pd.to_datetime(s.time_s, unit="s").to_numpy()
            out[f"series_{i:02d}"] = xr.DataArray(
                s.values, coords={f"time_{i:02d}": time}, dims=f"time_{i:02d}",
                attrs={"monitor": s.monitor, "entity": s.entity, "metric": s.metric, "units": s.unit or "1",
                       "threshold": s.threshold, "state": s.state, "window_s": s.window_s},
            )  # fmt: skip
        return xr.Dataset(out, attrs={"moment_s": self.moment_s, "seq": self.seq, "window_s": self.spec.window_s})


def compute_drift_frame(
    spec: DriftSpec, moment_s: float, seq: int, monitors: MonitorBoard, alerts: AlertBoard,
    clusters: ClusterBoard | None = None,
) -> DriftFrame:  # fmt: skip
    """The frame of a moment from the boards of that moment.

    Parameters
    ----------
    spec : DriftSpec
    moment_s : float
        Epoch seconds; the boards hold nothing later.
    seq : int
        Last event folded into the boards.
    monitors : MonitorBoard
    alerts : AlertBoard
    clusters : ClusterBoard, optional
    """
    latest = monitors.latest()
    latest = latest[latest["time"] >= pd.Timestamp(moment_s - spec.window_s, unit="s", tz="UTC")]
    whole = latest["monitor"].isin(ABOUT_THE_WHOLE)
    of_clusters = latest[~whole & (latest["entity"] != SUMMARY)]
    start_s = moment_s - spec.window_s
    series = [
        _series(monitors, row, start_s) for row in latest[whole].to_dict("records")
    ]  # fmt: skip
    for _, rows in of_clusters.assign(excess=_excess(of_clusters)).groupby("monitor", sort=True):
        rows = rows.sort_values(["excess", "entity"], ascending=[False, True])
        raised = int((rows["state"] == "raised").sum())
        top = rows.iloc[0].to_dict()
        series.append(_series(monitors, top, start_s, raised - int(top["state"] == "raised"), len(rows) - 1))
    silent = latest[~whole & (latest["entity"] == SUMMARY) & ~latest["monitor"].isin(of_clusters["monitor"])]
    series += [_series(monitors, row, start_s) for row in silent.to_dict("records")]
    return DriftFrame(
        spec, moment_s, seq, tuple(s for s in series if len(s.time_s)), alerts.table(moment_s),
        _with_numbers(_clusters(monitors, of_clusters, start_s), clusters, moment_s, spec.window_s),
        tuple(monitors.monitors()), _places(of_clusters), _located(monitors, of_clusters, start_s),
    )  # fmt: skip


def _excess(latest: pd.DataFrame) -> pd.Series:
    """How far each result stands out: raised first, then by its share of the threshold."""
    threshold = latest["threshold"].astype(float).abs()
    share = latest["value"].astype(float).abs() / threshold.where(threshold > 0.0)
    return share.fillna(0.0) + 1e6 * (latest["state"] == "raised")


def _series(monitors: MonitorBoard, row: dict, start_s: float, others_raised: int = 0, others: int = 0) -> Series:
    found = monitors.series(row["monitor"], row["entity"])
    time_s = found["time"].astype("int64").to_numpy() / _per_second(found["time"])
    keep = time_s >= start_s
    values, raised = found["value"].to_numpy(float)[keep], (found["state"] == "raised").to_numpy()[keep]
    change, time_s = found["change"].to_numpy(bool)[keep], time_s[keep]
    at = _kept(values)
    since = row["since_s"]
    return Series(
        row["monitor"], row["entity"], str(row["metric"] or row["entity"]), str(row["label"] or ""),
        str(row["unit"] or ""), str(row["state"]), float(row["value"]), _number(row["threshold"]), int(row["n"]),
        _number(row["window_s"]), _number(row["trend_per_h"]),
        float(since) if since is not None and np.isfinite(since) else None, str(row["responsible"] or ""),
        time_s[at], values[at], raised[at], _folded(change, at), others_raised, others,
    )  # fmt: skip


def _per_second(times: pd.Series) -> float:
    return {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[times.dt.unit]


def _kept(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of at most `MOST_POINTS` values: the highest of each stretch, and the newest."""
    n = len(values)
    if n <= MOST_POINTS:
        return np.arange(n)
    edges = np.linspace(0, n, MOST_POINTS).astype(np.int64)
    best = [a + int(np.nanargmax(values[a:b])) for a, b in pairwise(edges) if b > a]
    return np.unique([*best, n - 1])


def _folded(marks: NDArray[np.bool_], at: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks of a series on the points that were kept of it: none gets lost."""
    out = np.zeros(len(at), bool)
    for place in np.flatnonzero(marks):
        out[min(int(np.searchsorted(at, place)), len(at) - 1)] = True
    return out


def _clusters(monitors: MonitorBoard, latest: pd.DataFrame, start_s: float) -> pd.DataFrame:
    columns = ["cluster", "state", "raised", "top", "value", "unit", "threshold", "label", "n", "spark"]
    rows = []
    for cluster, found in latest.assign(excess=_excess(latest)).groupby("entity", sort=True):
        raised = found.loc[found["state"] == "raised", "monitor"]
        top = found.sort_values(["excess", "monitor"], ascending=[False, True]).iloc[0]
        rows.append(
            {
                "cluster": str(cluster), "state": "raised" if len(raised) else str(top["state"]),
                "raised": ", ".join(raised), "top": top["monitor"], "value": float(top["value"]),
                "unit": str(top["unit"] or ""), "threshold": _number(top["threshold"]),
                "label": str(top["label"] or ""), "n": int(found["n"].max()), "excess": float(top["excess"]),
            }
        )  # fmt: skip
    out = pd.DataFrame(rows, columns=[*columns[:-1], "excess"])
    out = out.sort_values(["excess", "cluster"], ascending=[False, True], ignore_index=True).head(MOST_CLUSTERS)
    out["spark"] = [
        _spark(monitors, row["top"], row["cluster"], row["threshold"], start_s) for row in out.to_dict("records")
    ]
    return out[columns]


def _with_numbers(told: pd.DataFrame, board: ClusterBoard | None, moment_s: float, window_s: float) -> pd.DataFrame:
    """The numbers of each cluster beside what monitors say of it; clusters that no monitor speaks of come last."""
    numbers = (board or ClusterBoard()).table(moment_s, window_s).rename(columns={"spark": "activity_spark"})
    both = told.merge(numbers, on="cluster", how="outer", sort=False)
    rank = {name: place for place, name in enumerate(told["cluster"])}
    both = both.assign(rank=both["cluster"].map(rank).fillna(len(rank)).astype(float))
    both = both.sort_values(["rank", "activity", "cluster"], ascending=[True, False, True], ignore_index=True)
    empty = {"state": "quiet", "raised": "", "top": "", "unit": "", "label": "", "n": 0}
    both = both.fillna({name: value for name, value in empty.items() if name in both})
    for name in ("spark", "activity_spark"):
        both[name] = [value if isinstance(value, list) else [] for value in both[name]]
    return both.drop(columns="rank").head(MOST_CLUSTERS)


def _located(monitors: MonitorBoard, latest: pd.DataFrame, start_s: float) -> pd.DataFrame:
    """What the monitors of places say, those that stand out first."""
    found = latest[latest["monitor"].isin(ABOUT_PLACES)]
    found = found.assign(excess=_excess(found)).sort_values(["excess", "entity"], ascending=[False, True])
    rows = [
        {
            "monitor": row["monitor"], "place": str(row["entity"]), "lat": _number(row["lat"]),
            "lon": _number(row["lon"]), "state": str(row["state"]), "value": float(row["value"]),
            "unit": str(row["unit"] or ""), "threshold": _number(row["threshold"]), "label": str(row["label"] or ""),
            "n": int(row["n"]), "spark": _spark(monitors, row["monitor"], row["entity"], row["threshold"], start_s),
        }
        for row in found.head(MOST_CLUSTERS).to_dict("records")
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(LOCATED))


def _spark(monitors: MonitorBoard, monitor: str, entity: str, threshold: object, start_s: float) -> list[float]:
    found = monitors.series(monitor, entity)
    recent = found[found["time"] >= pd.Timestamp(start_s, unit="s", tz="UTC")]["value"].to_numpy(float)
    limit = _number(threshold)
    scale = limit if np.isfinite(limit) and limit else 1.0
    return [round(float(v), 4) for v in np.nan_to_num(recent[_kept(recent)][-60:] / scale)]


def _places(latest: pd.DataFrame) -> pd.DataFrame:
    """Clusters whose intent is known and that have a place."""
    if not {"lat", "lon"} <= set(latest.columns):
        return pd.DataFrame({"lat": [], "lon": [], "score": []})
    known = latest[(latest["monitor"] == "intent") & latest["lat"].notna() & latest["lon"].notna()]
    return known[["lat", "lon", "value"]].rename(columns={"value": "score"}).reset_index(drop=True)


def _number(value: object) -> float:
    return float("nan") if value is None else float(value)  # type: ignore[arg-type]
