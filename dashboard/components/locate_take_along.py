"""Take along from the Locate page: fixes, everything, a page, and the lines that find the positions again.

Pure functions of a frame; `dashboard.exports_locate` serves them.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.resources import Resources

from dashboard.components.base_map import View
from dashboard.components.csv_cells import csv_of_frame
from dashboard.components.inspector import utc_text
from dashboard.components.locate_plot import locate_plot
from engine.frames.locate_frame import LocateFrame
from engine.rf.arrival_fixes import ALT_RANGE_M, REACH_M
from engine.rf.tdoa import SPEED_IN_AIR_M_S

MOST_LINES = 200
"""Messages in the Python lines at most, the newest; a selected one alone."""


def fixes_table(frame: LocateFrame) -> pd.DataFrame:
    """All fixes of a frame: time as UTC, and the residual of each sensor, ns, as ``sensor=residual`` between blanks."""
    table = frame.fixes.table.copy()
    table.insert(0, "time", pd.to_datetime(table.pop("time_s"), unit="s", utc=True).astype("datetime64[us, UTC]"))
    names = frame.fixes.arrivals.sensors["sensor"].to_numpy(dtype=object)
    residuals = []
    for index, used, residual in zip(frame.fixes.arrivals.sensor_index, frame.fixes.used, frame.fixes.residual_s,
                                     strict=True):  # fmt: skip
        residuals.append(
            " ".join(f"{names[i]}={1e9 * r:.1f}" for i, u, r in zip(index, used, residual, strict=True) if u)
        )
    table["residuals_ns"] = residuals
    return table.rename(columns={"square": "report_square"})


def csv_bytes(frame: LocateFrame) -> bytes:
    """All fixes as CSV."""
    return csv_of_frame(fixes_table(frame))


def parquet_bytes(frame: LocateFrame) -> bytes:
    """All fixes as Parquet, types kept."""
    out = io.BytesIO()
    fixes_table(frame).to_parquet(out, index=False, compression="zstd")
    return out.getvalue()


def netcdf_bytes(frame: LocateFrame) -> bytes:
    """Everything of the frame as a NetCDF-4 file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "locate.nc"
        frame.to_dataset().to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def html_bytes(frame: LocateFrame, view: View, theme: str) -> bytes:
    """The picture as one HTML file that needs no server and no network."""
    # Put together by hand, for the reasons told in `dashboard.components.take_along`.
    title = f"{utc_text(frame.moment_s)}, σ {frame.spec.settings.sigma_ns:g} ns, seq {frame.seq}"
    script, place = components(locate_plot(frame, view, theme, title))
    library = "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Locate</title>\n'
        f"<script>{library}</script>\n<style>html, body {{ height: 100%; margin: 0; }}</style></head>\n"
        f"<body>{place}\n{script}</body>\n</html>\n"
    ).encode()


def python_lines(frame: LocateFrame) -> str:
    """Lines that find the same positions again, with nothing but the engine."""
    fixes, settings = frame.fixes, frame.spec.settings
    rows = [frame.row] if frame.row >= 0 else range(max(0, len(fixes.table) - MOST_LINES), len(fixes.table))
    messages, named = [], set()
    names = fixes.arrivals.sensors["sensor"].astype(str).to_numpy(dtype=object)
    for row in rows:
        used = np.flatnonzero(fixes.used[row])
        heard = {
            str(names[fixes.arrivals.sensor_index[row, k]]): round(float(fixes.arrivals.toa_s[row, k]), 9) for k in used
        }
        if len(heard) < 2:
            continue
        named |= set(heard)
        one = fixes.table.iloc[row]
        alt_m = float(one["reported_alt_m"]) if np.isfinite(one["reported_alt_m"]) else None
        messages.append(f"    ({str(one['key'])!r}, {alt_m!r}, {heard!r}),\n")
    stand = fixes.arrivals.sensors
    sensors = "".join(
        f"    {str(s.sensor)!r}: ({float(s.lat)!r}, {float(s.lon)!r}, {float(s.alt_m)!r}),\n"
        for s in stand[stand["sensor"].isin(named)].itertuples(index=False)
    )
    tie = settings.alt_sigma_m
    tied = "" if tie is None else f"\n        alt_m=np.nan if alt_m is None else alt_m, alt_sigma_m={tie!r},"
    return (
        '"""Positions of one moment, found again from times of arrival."""\n\n'
        "import numpy as np\n\nfrom engine.geo import geodetic_to_ecef\nfrom engine.rf import locate_tdoa\n\n"
        f"# moment {frame.moment_s!r} (epoch s), seq {frame.seq}\n"
        f"# name: latitude, longitude (degrees), height above the ellipsoid (m)\nsensors = {{\n{sensors}}}\n"
        "# message, reported height (m), time of arrival after the first (s) by sensor\n"
        f"messages = [\n{''.join(messages)}]\n"
        "for message, alt_m, heard in messages:\n"
        "    where = np.stack(geodetic_to_ecef(*np.array([sensors[name] for name in heard]).T), axis=-1)\n"
        "    toa_s = np.array(list(heard.values()))\n"
        "    fix = locate_tdoa(\n"
        f"        where, toa_s[1:] - toa_s[0], {settings.sigma_ns * 1e-9!r},{tied}\n"
        f"        alt_range_m={ALT_RANGE_M!r}, reach_m={REACH_M!r}, speed_m_s={SPEED_IN_AIR_M_S!r},\n"
        "    ).isel(fix=0)\n"
        "    print(message, fix.reason.item(), fix.lat.item(), fix.lon.item(), fix.alt_m.item(), sep=', ')\n"
    )
