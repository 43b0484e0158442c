"""Line density: cell by cell where all is drawn, right in the mean and as uncertain as it says where not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.hypergraph.density import density
from engine.hypergraph.line_density import line_density

SHAPE, BOX = (60, 90), (0.0, 0.0, 90.0, 60.0)


def random_lines(n: int, seed: int = 0, reach: float = 30.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x0, y0 = rng.uniform(-10, 100, n), rng.uniform(-10, 70, n)
    x1, y1 = x0 + rng.uniform(-reach, reach, n), y0 + rng.uniform(-reach, reach, n)
    return pd.DataFrame({"x0": x0, "y0": y0, "x1": x1, "y1": y1, "weight": rng.uniform(0, 3, n),
                         "last_seen_s": 1.7e9 + rng.uniform(0, 1e6, n)})  # fmt: skip


@pytest.mark.parametrize("by", ["count", "weight", "recency"])
def test_lines_along_the_cells_are_those_of_datashader(by) -> None:
    rng = np.random.default_rng(1)
    a, b, c = rng.integers(-20, 110, (3, 400)) + 0.5
    flat = pd.DataFrame({"x0": a, "y0": c, "x1": b, "y1": c, "weight": rng.uniform(0, 3, 400)})
    upright = pd.DataFrame({"x0": c, "y0": a, "x1": c, "y1": b, "weight": rng.uniform(0, 3, 400)})
    lines = pd.concat([flat, upright], ignore_index=True).assign(last_seen_s=1.7e9 + rng.uniform(0, 1e6, 800))
    theirs, mine = density(lines, BOX, SHAPE, by).values.astype(float), line_density(lines, BOX, SHAPE, by).values
    if by == "recency":
        assert np.array_equal(mine, theirs, equal_nan=True) and np.isfinite(mine).sum() > 1_000
    else:
        assert np.allclose(mine, np.nan_to_num(theirs), rtol=1e-5)


def test_slanted_lines_have_as_many_cells_as_with_datashader_and_nearly_the_same() -> None:
    lines = random_lines(20_000)
    mine, theirs = line_density(lines, BOX, SHAPE).values, density(lines, BOX, SHAPE).values.astype(float)
    assert mine.sum() == pytest.approx(theirs.sum(), rel=2e-3)
    inner = (slice(2, -2), slice(2, -2))
    # Theirs run from cell to cell, mine from place to place: a line differs by a cell here and there.
    assert np.abs(mine - theirs)[inner].mean() < 0.1 * theirs.mean()


def test_each_line_is_one_cell_per_step_from_end_to_end() -> None:
    """Against a line walked with exact fractions of its length."""
    for i, row in random_lines(80, seed=3).iterrows():
        picture = line_density(pd.DataFrame([row]), (-60.0, -60.0, 160.0, 130.0), (190, 220)).values
        steps = np.linspace(0.0, 1.0, 4_001)
        cells = {(int(y + 60), int(x + 60)) for x, y in zip(
            row.x0 + steps * (row.x1 - row.x0), row.y0 + steps * (row.y1 - row.y0), strict=True)}  # fmt: skip
        drawn = set(zip(*np.nonzero(picture), strict=True))
        assert drawn <= {(y + dy, x + dx) for y, x in cells for dy in (-1, 0, 1) for dx in (-1, 0, 1)}, i
        along = max(len({c[0] for c in cells}), len({c[1] for c in cells}))
        assert len(drawn) == picture.sum() and abs(len(drawn) - along) <= 1, i


def test_with_a_budget_it_is_right_in_the_mean_and_as_uncertain_as_it_says() -> None:
    lines = random_lines(40_000, reach=60.0)
    whole = line_density(lines, BOX, SHAPE).values.astype(float)
    assert line_density(lines, BOX, SHAPE).attrs["relative_error"] == 0.0
    budget = int(whole.sum() / 8)
    rng = np.random.default_rng(0)
    tries = [line_density(lines.iloc[rng.permutation(len(lines))], BOX, SHAPE, budget_cells=budget) for _ in range(40)]
    values = np.stack([t.values for t in tries]).astype(float)
    said = tries[0].attrs["relative_error"]
    assert 0.0 < tries[0].attrs["drawn_share"] < 0.5
    assert values.mean(axis=0).sum() == pytest.approx(whole.sum(), rel=0.01)
    typical = np.abs(whole - whole.mean()) < 0.1 * whole.mean()
    found = (values.std(axis=0, ddof=1) / whole)[typical].mean()
    assert found == pytest.approx(said, rel=0.25)
    bias = (values.mean(axis=0) - whole)[typical] / (whole[typical] * said / np.sqrt(40))
    assert np.abs(bias).mean() < 1.2  # 0.8 for a normal distribution without bias


def test_of_a_sample_of_lines_no_time_is_later_than_of_all() -> None:
    lines = random_lines(40_000, reach=60.0)
    whole = line_density(lines, BOX, SHAPE, "recency").values
    part = line_density(lines, BOX, SHAPE, "recency", budget_cells=200_000)
    there = np.isfinite(part.values)
    assert part.attrs["drawn_share"] < 0.9 and there.mean() > 0.9
    assert (part.values[there] <= whole[there]).all() and (part.values[there] == whole[there]).mean() > 0.1


def test_the_same_lines_make_the_same_picture_every_time() -> None:
    lines = random_lines(40_000, reach=60.0)
    a, b = (line_density(lines, BOX, SHAPE, "weight", budget_cells=50_000).values for _ in range(2))
    assert np.array_equal(a, b)


def test_nothing_comes_of_nothing_and_bad_wishes_are_named() -> None:
    lines = random_lines(3).assign(x0=np.nan)
    assert line_density(lines, BOX, SHAPE).values.sum() == 0.0
    assert line_density(lines.iloc[:0], BOX, SHAPE).values.sum() == 0.0
    for bad in (dict(by="kind"), dict(budget_cells=0), dict(bounds=(0, 0, 0, 1)), dict(shape=(0, 3))):
        with pytest.raises(ValueError, match=next(iter(bad)).split("_")[0]):
            line_density(random_lines(3), **({"bounds": BOX, "shape": SHAPE} | bad))
    with pytest.raises(ValueError, match="weight"):
        line_density(random_lines(3).drop(columns="weight"), BOX, SHAPE, "weight")
