"""Many cells to one: means, extremes and counts of what is no number. Plain arrays in, plain arrays out."""

from __future__ import annotations

import numpy as np

COUNTS = ("nan", "inf")


def block_reduce(block: np.ndarray, steps: tuple[int, int], extremes: bool = False) -> dict[str, np.ndarray]:
    """Means over blocks of cells.

    Parameters
    ----------
    block : ndarray, (ny, nx)
        The last block along an axis may be cut short.
    steps : (int, int)
        Cells of a block along y and x.
    extremes : bool
        Also the least and greatest of each block.

    Returns
    -------
    dict of str to ndarray, (⌈ny/steps[0]⌉, ⌈nx/steps[1]⌉)
        ``mean`` (float32 or float64) of the finite cells, NaN where there is none; ``nan`` and ``inf``, how many cells
        are not a number or infinite (int64), left out if there is none; ``min`` and ``max`` of the finite cells.

    Examples
    --------
    >>> block_reduce(np.arange(16.0).reshape(4, 4), (2, 2))["mean"]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    out_type = np.dtype("f8") if block.dtype.itemsize > 4 else np.dtype("f4")
    sizes = [block_sizes(n, step) for n, step in zip(block.shape, steps, strict=True)]
    cells = np.multiply.outer(*sizes)
    with np.errstate(invalid="ignore", over="ignore"):
        total = _sum(block, steps)
    out: dict[str, np.ndarray] = {}
    if block.dtype.kind == "f" and not np.isfinite(total).all():
        finite = np.isfinite(block)
        nan = np.isnan(block)
        counts = {"nan": _sum(nan, steps), "inf": _sum(~finite & ~nan, steps)}
        out |= {name: count.astype("i8") for name, count in counts.items()}
        cells = _sum(finite, steps)
        total = _sum(np.where(finite, block, 0), steps)
        if extremes:
            low, high = np.where(finite, block, np.inf), np.where(finite, block, -np.inf)
            out["min"], out["max"] = _extreme(low, steps, np.minimum), _extreme(high, steps, np.maximum)
            for name in ("min", "max"):
                out[name][cells == 0] = np.nan
    elif extremes:
        out["min"], out["max"] = _extreme(block, steps, np.minimum), _extreme(block, steps, np.maximum)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        out["mean"] = (total / cells).astype(out_type)
    return out


def combine(level: dict[str, np.ndarray], cells: np.ndarray, steps: tuple[int, int]) -> dict[str, np.ndarray]:
    """A coarser level from a finer one: means weighted by how many finite cells each stands for.

    Parameters
    ----------
    level : dict of str to ndarray, (ny, nx)
        As of `block_reduce`.
    cells : ndarray, (ny, nx)
        How many cells of the dataset each cell of the level stands for.
    steps : (int, int)
        Cells of the finer level in one of the coarser.
    """
    counts = {name: _sum(level[name], steps) for name in COUNTS if name in level}
    weight = cells - sum(level[name] for name in counts) if counts else cells
    total = _sum(np.where(weight > 0, level["mean"], 0) * weight, steps)
    out: dict[str, np.ndarray] = {name: count.astype("i8") for name, count in counts.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        out["mean"] = (total / _sum(weight, steps)).astype(level["mean"].dtype)
    for name, rule in (("min", np.fmin), ("max", np.fmax)):
        if name in level:
            out[name] = _extreme(level[name], steps, rule)
    return out


def step_for(side: tuple[int, int], pixels: int) -> int:
    """Cells in a pixel: the least power of two with which a side fits into so many.

    Blocks are counted from cell 0, so that one more than size/step may be cut.

    Examples
    --------
    >>> step_for((0, 1000), 500), step_for((0, 300), 500)
    (4, 1)
    """
    step = 1
    while -(-(side[1] - side[0]) // step) + (step > 1) > max(pixels, 2):
        step *= 2
    return step


def block_sizes(n: int, step: int) -> np.ndarray:
    """Cells in each block along a side of n cells; the last may be cut short."""
    sizes = np.full(-(-n // step), step, dtype="i8")
    if n % step:
        sizes[-1] = n % step
    return sizes


def _sum(block: np.ndarray, steps: tuple[int, int]) -> np.ndarray:
    """Sums over blocks in float64: along y first, where whole rows are added at a time."""
    ny, nx = block.shape
    sy, sx = steps
    out: np.ndarray = block
    if sy > 1:
        whole = ny - ny % sy
        parts = [block[:whole].reshape(whole // sy, sy, nx).sum(axis=1, dtype="f8")] if whole else []
        if ny % sy:
            parts.append(block[whole:].sum(axis=0, dtype="f8")[None])
        out = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if sx > 1:
        whole = nx - nx % sx
        parts = [out[:, :whole].reshape(len(out), whole // sx, sx).sum(axis=2, dtype="f8")] if whole else []
        if nx % sx:
            parts.append(out[:, whole:].sum(axis=1, dtype="f8")[:, None])
        out = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return out.astype("f8", copy=False)


def _extreme(block: np.ndarray, steps: tuple[int, int], rule: np.ufunc) -> np.ndarray:
    for axis in (0, 1):
        if steps[axis] > 1:
            block = rule.reduceat(block, np.arange(0, block.shape[axis], steps[axis]), axis=axis)
    return block.copy() if steps == (1, 1) else block
