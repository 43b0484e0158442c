"""The forecast against its peers on the real tracks: measures, and writes the table of docs/engine-rf-forecast.md.

Run from the repository root: ``python -m tests.benchmarks.forecast_table``. The constants of the
filter were fitted on half of the aircraft (`fitted`); only the other half is scored here.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.loader import locate
from engine.geo import local_offset_m, offset_position
from engine.rf._fix_table import FixTable, Windows, fix_table, windows
from engine.rf._imm_models import TUNED, Constants
from engine.rf.forecast import WINDOW_FIXES, predict_batch
from engine.rf.forecast_peers import LINE_FIXES, fit_line
from engine.rf.forecast_score import interpolate_truth, normalised_error_squared
from engine.rf.rolling_bank import ERA_S
from engine.rf.track_bank import TrackBank, TrackStates
from engine.units import M_S_PER_FOOT_PER_MINUTE, M_S_PER_KNOT, METRES_PER_FOOT

HORIZONS_S = np.array([5.0, 10.0, 15.0, 20.0, 60.0])
PAGE = Path(__file__).parents[2] / "docs" / "engine-rf-forecast.md"
FILES = (
    "switzerland.json.gz", "savan.json.gz", "zurich_airport.json.gz", "trace_full_ac671b.json",
    "noisy_spoofing.json.gz",
)  # fmt: skip
TURNING_DEG_S = 0.5
NEW_TRACK_S = 300.0


def read_fixes(path: Path) -> pd.DataFrame:
    """Fixes of one of the recordings in the columns `forecast` takes; a pause of five minutes begins another track."""
    if path.suffix == ".json":
        return _read_trace(path)
    raw = pd.read_json(path, dtype=False)
    raw["timestamp"] = pd.to_datetime(raw["timestamp"], unit="ms", utc=True)
    # the survey aircraft is one address; its flights have names
    raw["aircraft"] = raw["callsign"].fillna("") if raw["icao24"].nunique() == 1 else raw["icao24"]
    raw = raw.sort_values(["aircraft", "timestamp"], kind="stable")
    begins = (raw["timestamp"].diff() > pd.Timedelta(NEW_TRACK_S, "s")) | (raw["aircraft"] != raw["aircraft"].shift())
    fixes = pd.DataFrame(
        {
            "id": raw["aircraft"] + "/" + begins.cumsum().astype(str),
            "aircraft": raw["aircraft"],
            "time": raw["timestamp"],
            "lat": raw["latitude"],
            "lon": raw["longitude"],
            "alt_m": raw["altitude"] * METRES_PER_FOOT,
            "speed_m_s": raw["groundspeed"] * M_S_PER_KNOT,
            "track_deg": raw["track"],
            "vertical_rate_m_s": raw["vertical_rate"] * M_S_PER_FOOT_PER_MINUTE,
        }
    )
    if "last_position" in raw:
        fixes["position_time"] = pd.to_datetime(raw["last_position"], unit="ms", utc=True)
    return fixes.drop_duplicates(["id", "time"], ignore_index=True)


def _read_trace(path: Path) -> pd.DataFrame:
    trace = json.loads(path.read_text())
    columns = list(zip(*(point[:8] for point in trace["trace"]), strict=True))
    time_s = columns[0]
    # altitude may be the word "ground"
    number = [pd.to_numeric(pd.Series(columns[i]), errors="coerce").to_numpy(float) for i in (1, 2, 3, 4, 5, 7)]
    times = pd.to_datetime((trace["timestamp"] + np.asarray(time_s, dtype=float)) * 1e3, unit="ms", utc=True)
    begins = np.diff(np.asarray(time_s, dtype=float), prepend=time_s[0]) > NEW_TRACK_S
    return pd.DataFrame(
        {
            "id": [f"{trace['icao']}/{n}" for n in np.cumsum(begins)],
            "aircraft": trace["icao"],
            "time": times,
            "lat": number[0],
            "lon": number[1],
            "alt_m": number[2] * METRES_PER_FOOT,
            "speed_m_s": number[3] * M_S_PER_KNOT,
            "track_deg": number[4],
            "vertical_rate_m_s": number[5] * M_S_PER_FOOT_PER_MINUTE,
        }
    )


def fitted(aircraft: pd.Series) -> pd.Series:
    """Which rows belong to the half of the aircraft on which the constants were fitted."""
    half = {name: zlib.crc32(str(name).encode()) % 2 == 0 for name in aircraft.unique()}
    return aircraft.map(half).astype(bool)


class Trial(NamedTuple):
    """Moments of recordings at which to forecast, with what was known then and the truth that came later."""

    table: FixTable
    ends: np.ndarray
    window: Windows
    lat: np.ndarray
    lon: np.ndarray
    turning: np.ndarray
    in_turn: np.ndarray


def trial(
    fixes: pd.DataFrame, moments: int, *, seed: int = 0, width: int = WINDOW_FIXES, drop_late: bool = True
) -> Trial:
    """Draw moments, at least five fixes and 20 s into a track, and find the truth at every horizon after them."""
    table = fix_table(fixes)
    begin = table.start[table.group]
    rows = np.arange(table.time_s.size)
    ripe = np.flatnonzero((rows - begin >= LINE_FIXES - 1) & (table.time_s - table.time_s[begin] >= 20.0))
    ends = np.sort(np.random.default_rng(seed).choice(ripe, min(moments, ripe.size), replace=False))
    group = table.group[ends]
    truth = [interpolate_truth(table, group, table.time_s[ends] + h, drop_late=drop_late) for h in HORIZONS_S]
    lat, lon = (np.stack(values, axis=1) for values in zip(*truth, strict=True))
    turned = _turning(table, ends)
    return Trial(table, ends, windows(table, ends, width), lat, lon, turned[:, 1:], turned[:, 0])


def _turning(table: FixTable, ends: np.ndarray) -> np.ndarray:
    """Whether the track turned over 0.5 °/s over some 10 s of the last 20 s (first column), or of the horizons too."""
    span = np.ptp(table.time_s) + 1e4
    key = table.group * span + (table.time_s - table.time_s.min())
    before = np.searchsorted(key, key - 10.0)
    dt = table.time_s - table.time_s[before]
    turned = np.abs((table.track_deg - table.track_deg[before] + 180.0) % 360.0 - 180.0)
    usable = (dt >= 8.0) & (dt <= 12.0) & np.isfinite(turned)
    fast = np.zeros(key.size)
    fast[usable] = turned[usable] / dt[usable] > TURNING_DEG_S
    total = np.concatenate([[0.0], np.cumsum(fast)])
    first = np.maximum(np.searchsorted(key, key[ends] - 10.0), table.start[table.group[ends]])
    last = np.stack([np.searchsorted(key, key[ends] + h, side="right") for h in (0.0, *HORIZONS_S)], axis=1)
    last = np.minimum(last, table.start[table.group[ends] + 1][:, None])
    return total[last] - total[first][:, None] > 0


def methods(t: Trial, *, endless: bool = False) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray | None]]:
    """Name, east and north error (m) and normalised error squared of each method, arrays (moments, horizons)."""
    steps = np.broadcast_to(HORIZONS_S, t.lat.shape)
    p = predict_batch(*t.window[:7], t.window.n_fixes, steps, position_time_s=t.window.position_time_s)
    east, north = local_offset_m(p.lat, p.lon, t.lat, t.lon)
    yield "bank", *errors(followed(t), t)
    claimed = p.var_east_m2, p.var_north_m2, p.cov_east_north_m2
    if endless:
        yield "endless", *errors(followed(t, era_s=np.inf), t)
    yield "window", east, north, normalised_error_squared(east, north, *claimed)
    now = t.table.time_s[t.ends][:, None]
    rows = t.ends[:, None] - np.arange(LINE_FIXES - 1, -1, -1)
    kept = [values[rows] for values in (t.table.lat, t.table.lon, t.table.alt_m, t.table.time_s)]
    yield "line", *_line_errors(t, *kept[:3], kept[3] - now), None
    # the same line for a reader who strips repeats first: a peer the feeds do not poison
    order = np.argsort(np.isfinite(t.window.lat), axis=1, kind="stable")[:, -LINE_FIXES:]
    kept = [np.take_along_axis(values, order, axis=1) for values in t.window[:4]]
    yield "line, repeats removed", *_line_errors(t, *kept[:3], kept[3] - now), None
    track = np.radians(t.table.track_deg[t.ends])[:, None]
    moved = t.table.speed_m_s[t.ends][:, None] * HORIZONS_S
    lat, lon = offset_position(
        t.table.lat[t.ends][:, None], t.table.lon[t.ends][:, None], moved * np.sin(track), moved * np.cos(track)
    )
    yield "dead reckoning", *local_offset_m(lat, lon, t.lat, t.lon), None


def followed(t: Trial, tuning: Constants = TUNED, era_s: float = ERA_S) -> TrackStates:
    """The tracks that pages ask (`engine.rf.rolling_bank`), followed fix by fix, at the moments drawn.

    Such a track is what its fixes since the last boundary of time but one say: so every era of every
    track is a slot of its own, which is fed that era and the one before. Eras without end are a bank
    that forgets nothing.
    """
    table = t.table
    fixes = np.stack([table.time_s, table.lat, table.lon, table.alt_m, table.speed_m_s, table.track_deg,
                      table.vertical_rate_m_s, table.position_time_s], axis=1)  # fmt: skip
    era = np.floor(table.time_s / era_s).astype(np.int64)
    key = table.group.astype(np.int64) * (era.max() + 2) + era
    piece = np.unique(key[t.ends])
    start, stop = np.searchsorted(key, piece - 1), np.searchsorted(key, piece, side="right")
    place = np.full(key.size, -1)
    place[t.ends] = np.arange(t.ends.size)
    bank = TrackBank(piece.size, tuning)
    parts: list[TrackStates] = []
    whose = []
    for k in range(int((stop - start).max())):
        slots = np.flatnonzero(stop - start > k)
        rows = start[slots] + k
        now = key[rows] == piece[slots]
        bank.update(slots, fixes[rows])
        asked = (place[rows] >= 0) & now
        if asked.any():
            parts.append(bank.states(slots[asked]))
            whose.append(place[rows[asked]])
    x, cov, mu, memory = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:4])
    return TrackStates(x, cov, mu, memory, tuning).take(np.argsort(np.concatenate(whose)))


def errors(states: TrackStates, t: Trial) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """East and north error, m, and normalised error squared of what the tracks say, (moments, horizons)."""
    p = states.predict(np.tile(HORIZONS_S, (t.ends.size, 1)))
    east, north = local_offset_m(p.lat, p.lon, t.lat, t.lon)
    claimed = p.var_east_m2, p.var_north_m2, p.cov_east_north_m2
    return east, north, normalised_error_squared(east, north, *claimed)


def _line_errors(
    t: Trial, lat: np.ndarray, lon: np.ndarray, alt_m: np.ndarray, ago_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    said = fit_line(lat, lon, alt_m, ago_s, np.isfinite(lat + lon), HORIZONS_S)
    return local_offset_m(said[0], said[1], t.lat, t.lon)


def figures(t: Trial, *, endless: bool = False) -> pd.DataFrame:
    """RMSE of every method at every horizon, of all moments and of the turning ones, on those all can answer."""
    results = {name: (np.hypot(east, north), nees) for name, east, north, nees in methods(t, endless=endless)}
    # dead reckoning has no answer without a reported velocity; that shall not shrink what is compared
    known = np.logical_and.reduce([np.isfinite(results[name][0]) for name in results if name != "dead reckoning"])
    error, nees = results["bank"]
    rows = []
    for h, horizon in enumerate(HORIZONS_S):
        groups = {"all": known[:, h], "in a turn": known[:, h] & t.in_turn, "turning": known[:, h] & t.turning[:, h]}
        for which, mask in groups.items():
            row: dict[str, object] = {"horizon_s": horizon, "moments": which, "n": int(mask.sum())}
            for name, (error_m, _) in results.items():
                used = error_m[mask, h][np.isfinite(error_m[mask, h])]
                row[name] = np.sqrt(np.mean(used**2)) if used.size else np.nan
            for name in ("bank", *(["endless"] if endless else [])):
                row[f"{name} / line"] = row[name] / row["line"] if mask.any() else np.nan
            row["median"] = np.median(error[mask, h]) if mask.any() else np.nan
            row["NEES"] = np.mean(nees[mask, h]) if mask.any() else np.nan
            for name, column in (("bank", "90 %"), ("window", "window 90 %")):
                inside = results[name][1][mask, h] < -2.0 * np.log(0.1)
                row[column] = np.mean(inside) if mask.any() else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown, metres whole where they are many."""

    def cell(name: str, value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        if name in {"NEES", "90 %", "window 90 %"}:
            return f"{value:.2f}"
        if name.endswith("/ line"):
            return f"{value:.3f}"
        return f"{value:.0f}" if value >= 100 or name == "horizon_s" else f"{value:.1f}"

    lines = ["| " + " | ".join(table.columns) + " |", "| " + " | ".join("---" for _ in table.columns) + " |"]
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(cell(n, v) for n, v in zip(table.columns, row, strict=True)) + " |")
    return "\n".join(lines)


def interval_s(table: FixTable) -> float:
    """Median time between successive reports of new positions of a track, s."""
    fresh = np.flatnonzero(table.use & 1)
    gaps = np.diff(table.time_s[fresh])
    return float(np.median(gaps[np.diff(table.group[fresh]) == 0]))


def main() -> None:
    """Score every recording and put the tables into the page."""
    parts, tables = [], []
    for name in FILES:
        fixes = read_fixes(locate(f"tracks/{name}"))
        held_out = fixes if fixes["aircraft"].nunique() == 1 else fixes[~fitted(fixes["aircraft"])]
        t = trial(held_out, 20_000)
        whose = f"{held_out['aircraft'].nunique()} of {fixes['aircraft'].nunique()} aircraft or flights"
        tables.append(figures(t, endless=True))
        often = f"a new position every {interval_s(t.table):.1f} s in the median"
        parts.append(f"### {name} ({whose}; {often})\n\n{markdown(tables[-1])}\n")
        if name == FILES[0]:
            raw = figures(trial(held_out, 20_000, drop_late=False))
            parts.append(f"The same with every fix as truth, late ones too:\n\n{markdown(raw)}\n")
        sys.stdout.write(parts[-1] + "\n")
    every = pd.concat(tables)
    every = every[every["moments"] == "all"].assign(inside=lambda rows: rows["90 %"] * rows["n"])
    summed = every.groupby("horizon_s")[["n", "inside"]].sum()
    together = pd.DataFrame({"horizon_s": summed.index, "n": summed["n"], "90 %": summed["inside"] / summed["n"]})
    parts.append(f"### All moments of all recordings together\n\n{markdown(together)}\n")
    sys.stdout.write(parts[-1] + "\n")
    head, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- table -->")
    tail = rest.partition("<!-- /table -->")[2]
    PAGE.write_text(f"{head}<!-- table -->\n\n{chr(10).join(parts)}\n<!-- /table -->{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
