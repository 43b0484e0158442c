"""What is in view of a dataset, at most the asked resolution, within a budget of time; runs in a reader process.

Cells are put together in blocks of a power of two that are counted from cell 0, so that a picture does not shimmer
when it is moved. If all cells in view can be read in the time, the picture is of their means; if not, of single
cells, taken from so many chunks as can be read in the time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from engine.hdf5.blocks import Box, Numbers
from engine.hdf5.reduce import block_reduce, step_for

BAND_BYTES = 32 << 20
"""What is held of the dataset at a time."""

_PSEUDO_CHUNK_BYTES = 1 << 20


@dataclass
class Request:
    """What is wanted: the box, which two of its axes make the picture (y, x; for a line only x), and how fine."""

    box: Box
    axes: tuple[int, ...]
    shape: tuple[int, int]
    budget_s: float
    average: bool = True


def steps_for(request: Request) -> tuple[int, int]:
    """Cells in one pixel along y and x: powers of two."""
    sizes = [request.box[axis][1] - request.box[axis][0] for axis in request.axes]
    tall, wide = ([1] * (2 - len(sizes)) + sizes)[-2:]
    return step_for((0, tall), request.shape[0]), step_for((0, wide), request.shape[1])


def picture(numbers: Numbers, request: Request) -> dict[str, Any]:
    """The picture, with how it was made.

    Returns
    -------
    dict
        ``values`` (ny, nx); ``steps`` cells in a pixel; ``box`` of y and x, cut at multiples of the steps; ``how``:
        "exact", "averaged" or "sampled"; of a line also ``min`` and ``max``; ``nan``, ``inf``: counts of cells (of
        those read); ``share``: how much of the chunks in view was read.
    """
    started = time.monotonic()
    steps = steps_for(request)
    line = len(request.axes) == 1
    y, x = _sides(numbers, request, steps)
    cells = (y[1] - y[0]) * (x[1] - x[0])
    if cells == 0:
        raise ValueError("the view has no cells")
    frame = {"steps": list(steps), "box": [list(y), list(x)]}
    if steps == (1, 1):
        values = _plane(numbers, request, y, x)
        return frame | {"values": values, "how": "exact", "share": 1.0} | _counts(values)
    if request.average:
        found = _averaged(numbers, request, steps, y, x, started, extremes=line)
        if found is not None:
            return frame | found | {"how": "averaged", "share": 1.0}
    left = max(request.budget_s - (time.monotonic() - started), 0.5 * request.budget_s)
    values, share = _sampled(numbers, request, steps, y, x, left)
    return frame | {"values": values, "how": "sampled", "share": share} | _counts(values)


def blocks(numbers: Numbers, request: Request, steps: tuple[int, int]) -> dict[str, Any]:
    """Means (of a line also extremes) and counts of all blocks of cells in a box, however long it takes."""
    y, x = _sides(numbers, request, steps)
    parts = _bands(numbers, request, steps, y, x, 0.0, len(request.axes) == 1)
    assert parts is not None
    return parts


def _sides(numbers: Numbers, request: Request, steps: tuple[int, int]) -> list[tuple[int, int]]:
    sides = []
    for axis, step in zip(((-1,) * (2 - len(request.axes)) + request.axes), steps, strict=True):
        low, high = request.box[axis] if axis >= 0 else (0, 1)
        size = numbers.dataset.shape[axis] if axis >= 0 else 1
        sides.append((low - low % step, min(-(-high // step) * step, size)))
    return sides


def _plane(numbers: Numbers, request: Request, y: tuple[int, int], x: tuple[int, int]) -> np.ndarray:
    """A rectangle of the picture as (ny, nx), whatever the order of its axes in the dataset."""
    box = list(request.box)
    if len(request.axes) == 1:
        box[request.axes[0]] = x
        return numbers.read(tuple(box)).reshape(1, -1)
    box[request.axes[0]], box[request.axes[1]] = y, x
    block = numbers.read(tuple(box))
    return _turned(block, request)


def _turned(block: np.ndarray, request: Request) -> np.ndarray:
    if len(request.axes) == 1:
        return block.reshape(1, -1)
    others = [axis for axis in range(block.ndim) if axis not in request.axes]
    return block.transpose([*others, *request.axes]).reshape(block.shape[request.axes[0]], block.shape[request.axes[1]])


def _cut(size: int, low: int, high: int, block: int) -> list[tuple[int, int]]:
    """Pieces of low..high that end at multiples of a block."""
    places = [low, *range(low - low % block + block, high, block), high]
    return [(a, b) for a, b in pairwise(places) if b > a]


def _chunk(numbers: Numbers, request: Request) -> tuple[int, int]:
    """Cells read together along y and x."""
    axes = request.axes
    if numbers.chunks:
        sizes = [numbers.chunks[axis] for axis in axes]
    else:
        # Without chunks, rows lie one after the other along the last dimension.
        many = max(_PSEUDO_CHUNK_BYTES // numbers.itemsize, 1)
        sizes = [1] * len(axes)
        last = axes.index(max(axes))
        sizes[last] = min(numbers.dataset.shape[axes[last]], many)
        if len(axes) == 2:
            sizes[1 - last] = max(many // sizes[last], 1)
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _averaged(numbers: Numbers, request: Request, steps: tuple[int, int], y: tuple[int, int], x: tuple[int, int],
              started: float, extremes: bool) -> dict[str, Any] | None:  # fmt: skip
    parts = _bands(numbers, request, steps, y, x, started, extremes)
    if parts is None:
        return None
    out: dict[str, Any] = {"values": parts["mean"]} | {n: parts[n] for n in ("min", "max") if n in parts}
    return out | {name: int(parts[name].sum()) if name in parts else 0 for name in ("nan", "inf")}


def _bands(numbers: Numbers, request: Request, steps: tuple[int, int], y: tuple[int, int], x: tuple[int, int],
           started: float, extremes: bool) -> dict[str, Any] | None:  # fmt: skip
    """Means over all cells, band by band; None as soon as it is clear that the time will not do."""
    chunk = _chunk(numbers, request)
    tall, wide = (max(step, -(-size // step) * step) for step, size in zip(steps, chunk, strict=True))
    wide = max(wide, BAND_BYTES // max(tall * numbers.itemsize, 1) // wide * wide)
    rows, columns = _cut(0, *y, tall), _cut(0, *x, wide)
    ny, nx = -(-(y[1] - y[0]) // steps[0]), -(-(x[1] - x[0]) // steps[1])
    parts: dict[str, np.ndarray] = {}
    done, total = 0, (y[1] - y[0]) * (x[1] - x[0])
    for top, bottom in rows:
        for left, right in columns:
            # A step may be longer than what can be held: its band is read in pieces no wider than a step.
            found = block_reduce(_plane(numbers, request, (top, bottom), (left, right)), steps, extremes)
            place = np.s_[(top - y[0]) // steps[0] : -(-(bottom - y[0]) // steps[0]),
                          (left - x[0]) // steps[1] : -(-(right - x[0]) // steps[1])]  # fmt: skip
            for name, values in found.items():
                if name not in parts:
                    parts[name] = np.zeros((ny, nx), values.dtype)
                parts[name][place] = values
            done += (bottom - top) * (right - left)
            spent = time.monotonic() - started if started else 0.0
            if spent > 0.1 * request.budget_s and spent * total / done > request.budget_s:
                return None
    return parts


def _sampled(numbers: Numbers, request: Request, steps: tuple[int, int], y: tuple[int, int], x: tuple[int, int],
             budget_s: float) -> tuple[np.ndarray, float]:  # fmt: skip
    """One cell for each pixel, the one in its middle; in a chunk that is not read, the mean of the nearest that is."""
    wanted = [np.minimum(np.arange(low, high, step) + step // 2, high - 1)
              for (low, high), step in zip((y, x), steps, strict=True)]  # fmt: skip
    chunk = _chunk(numbers, request)
    picked = [np.unique(cells // size) for cells, size in zip(wanted, chunk, strict=True)]
    out: np.ndarray = np.full((len(wanted[0]), len(wanted[1])), np.nan, np.result_type(numbers.out, "f4"))
    # The middle chunk is read first: it tells how many can be read in the time.
    every, total = 1, len(picked[0]) * len(picked[1])
    before = time.monotonic()
    middle = [chunks[len(chunks) // 2] for chunks in picked]
    _read_chunk(numbers, request, chunk, middle, y, x, wanted)
    each_s = max(time.monotonic() - before, 2e-5)
    affordable = max(int(budget_s / each_s), 4)
    while -(-len(picked[0]) // every) * -(-len(picked[1]) // every) > affordable:
        every += 1
    read = [chunks[(len(chunks) - 1) % every // 2 :: every] for chunks in picked]
    sources, owners = [], []
    for cells, size, chunks in zip(wanted, chunk, read, strict=True):
        # Which of the chunks that are read lies nearest to a cell, and which of its cells.
        index = np.clip(np.searchsorted(chunks, cells // size), 0, len(chunks) - 1)
        before_it = np.maximum(index - 1, 0)
        centre = (chunks + 0.5) * size
        index = np.where(abs(centre[before_it] - cells) < abs(centre[index] - cells), before_it, index)
        owners.append(index)
        sources.append(np.clip(cells, chunks[index] * size, (chunks[index] + 1) * size - 1))
    sources = [np.clip(cells, low, high - 1) for cells, (low, high) in zip(sources, (y, x), strict=True)]
    count, stop = 0, time.monotonic() + 4 * budget_s
    for row in range(len(read[0])):
        mine = np.flatnonzero(owners[0] == row)
        for column in range(len(read[1])):
            theirs = np.flatnonzero(owners[1] == column)
            if not len(mine) or not len(theirs) or time.monotonic() > stop:
                continue
            values = _cells(numbers, request, sources[0][mine], sources[1][theirs])
            inside = (sources[0][mine] == wanted[0][mine])[:, None] & (sources[1][theirs] == wanted[1][theirs])
            if not inside.all():
                finite = values[inside & np.isfinite(values)]
                values = np.where(inside, values, finite.mean() if finite.size else np.nan)
            out[np.ix_(mine, theirs)] = values
            count += 1
    return out, count / max(total, 1)


def _read_chunk(numbers: Numbers, request: Request, chunk: tuple[int, int], place: list[int], y: tuple[int, int],
                x: tuple[int, int], wanted: list[np.ndarray]) -> None:  # fmt: skip
    inside = [cells[cells // size == at] for cells, size, at in zip(wanted, chunk, place, strict=True)]
    _cells(numbers, request, inside[0], inside[1])


def _cells(numbers: Numbers, request: Request, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Cells at rows × columns, all within one chunk: the rectangle around them is read."""
    y, x = (int(rows.min()), int(rows.max()) + 1), (int(columns.min()), int(columns.max()) + 1)
    return _plane(numbers, request, y, x)[np.ix_(rows - y[0], columns - x[0])]


def _counts(values: np.ndarray) -> dict[str, int]:
    if values.dtype.kind != "f":
        return {"nan": 0, "inf": 0}
    return {"nan": int(np.isnan(values).sum()), "inf": int(np.isinf(values).sum())}
