"""Dominance as a HoloViews image, and the lines that compute it: the twin of `field_dominance` for files and notebooks.

Drawn from full-precision fields of the groups, not from the bytes of the live picture.
"""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from bokeh.models import FixedTicker

from dashboard.components.field_dominance import palette
from dashboard.components.field_plot import load_bokeh
from engine.frames.field_dominance import SPAN_DB, groups_of
from engine.frames.field_frame import FieldFrame
from engine.frames.spec import FieldSpec
from engine.geo import web_mercator
from engine.rf import arbitration_score

_TITLES = {
    "ab": "A less B: blue A, red B", "server": "strongest group", "margin": "strongest less second",
    "score": "arbitration score",
}  # fmt: skip


def dominance_image(dataset: xr.Dataset, spec: FieldSpec) -> hv.Image:
    """What `spec.contest` says of the groups in a dataset of `engine.frames.FieldFrame.to_dataset`.

    Parameters
    ----------
    dataset : Dataset
        With ``group_power_dbm`` or ``group_intensity`` on (group, lat, lon), ``best``, ``margin_db`` and ``contested``.
    spec : FieldSpec
        Of the frame: contest, contested margin and weights of the score.

    Returns
    -------
    holoviews.Image
        In Web Mercator; cells where nobody is received are empty.

    Raises
    ------
    ValueError
        The dataset holds no groups.
    """
    load_bokeh()
    name = next((n for n in ("group_power_dbm", "group_intensity") if n in dataset), None)
    if name is None:
        raise ValueError("the dataset has no group_power_dbm and no group_intensity; a frame with dominance has one")
    level_db = dataset[name].transpose("group", "lat", "lon").to_numpy().astype(np.float64)
    if name == "group_intensity":
        with np.errstate(divide="ignore"):
            level_db = 10.0 * np.log10(level_db)
    level_db = np.where(np.isfinite(level_db), level_db, -np.inf)
    nobody = np.isneginf(level_db).all(axis=0)
    colours = palette(spec.contest, spec.contested_db)
    bar: dict[str, object] = {"title": _TITLES[spec.contest]}
    if spec.contest == "ab":
        with np.errstate(invalid="ignore"):
            values = np.clip(np.nan_to_num(level_db[0] - level_db[1], nan=0.0), -SPAN_DB, SPAN_DB)
        values, limits, unit, colours = np.where(nobody, np.nan, values), (-SPAN_DB, SPAN_DB), "dB", colours[1:]
    elif spec.contest == "margin":
        values = np.clip(dataset["margin_db"].transpose("lat", "lon").to_numpy(), 0.0, SPAN_DB)
        values, limits, unit, colours = np.where(nobody, np.nan, values), (0.0, SPAN_DB), "dB", colours[1:]
    elif spec.contest == "score":
        values = arbitration_score(np.where(np.isneginf(level_db), np.nan, level_db), weights=spec.score_weights)
        limits, unit = (0.0, 1.0), None
    else:
        names = [*dataset["group"].to_numpy().astype(str).tolist(), "contested"]
        best = dataset["best"].transpose("lat", "lon").to_numpy().astype(np.float64)
        contested = dataset["contested"].transpose("lat", "lon").to_numpy() > 0
        values = np.where(nobody, np.nan, np.where(contested, len(names) - 1, best))
        limits, unit, colours = (-0.5, len(names) - 0.5), None, [*colours[1 : len(names)], colours[255]]
        ticks = list(range(len(names)))
        bar |= {
            "ticker": FixedTicker(ticks=ticks), "major_label_overrides": dict(zip(ticks, names, strict=True)),
        }  # fmt: skip
    x = web_mercator(np.zeros(dataset.sizes["lon"]), dataset["lon"].to_numpy())[0]
    y = web_mercator(dataset["lat"].to_numpy(), 0.0)[1]
    bounds = [np.linspace(v[0], v[-1], len(v)) for v in (x, y)]
    vdim = hv.Dimension("dominance", label=_TITLES[spec.contest], unit=unit)
    image = hv.Image((*bounds, values.astype(np.float32)), ["x", "y"], vdim)
    return image.opts(cmap=colours, clim=limits, colorbar=True, colorbar_opts=bar, tools=["hover"])


def dominance_lines(frame: FieldFrame) -> str:
    """Lines of Python that follow those of the field and compute the dominance of its groups; empty if none is shown.

    They take `emitters` and `grid` as given.
    """
    spec = frame.spec
    if frame.dominance is None:
        return ""
    by = "ab" if spec.contest == "ab" else spec.group_by
    table: pd.DataFrame = frame.tracks.table
    ids = table["id"].astype(str).to_numpy(dtype=object)
    rows = groups_of(table, by, spec.group_a, spec.group_b)
    members = "".join(f"    {name!r}: {[str(i) for i in ids[rows[name]]]!r},\n" for name in rows)
    lines = (
        "\nfrom engine.rf import arbitration_score, dominance\n\n"
        f"members = {{\n{members}}}\n"
        "groups = {name: emitters[emitters['id'].isin(ids)] for name, ids in members.items()}\n"
        f"contest = dominance(groups, grid, {spec.model!r}, contested_db={spec.contested_db!r}, powers=True, "
        f"horizon={spec.horizon!r})\n"
        "print(contest)\n"
    )
    if spec.contest == "margin":
        lines += "print(contest['margin_db'])\n"
    if spec.contest == "score":
        lines += f"print(arbitration_score(contest['power_dbm'], weights={spec.score_weights!r}))\n"
    return lines
