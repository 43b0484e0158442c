"""What one session of the Runs page looks at: which runs, how they are listed, and how an open run is drawn.

Everything in it can be shared by a link. It knows nothing of widgets, files or hunts.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import param

from dashboard import words
from dashboard.state import PageState
from dashboard.words import Word

LOOKS = {"Scatter": "scatter", "Parallel": "parallel", "Wall": "wall", "Run": "run", "Files": "files"}
"""What the large picture shows, by label."""

COMPARISONS = {"Side by side": "side", "Difference": "difference", "Flicker": "flicker"}
"""How runs are compared, by label."""

SCALES = {"Linear": "linear", "Logarithmic": "logarithmic", "Equalised": "equalised"}
"""How values become colours, by label."""

LIMITS = {"Own to each run": "own", "Shared by those shown": "shared", "Fixed": "fixed"}
"""Where the colour limits come from, by label."""

MAX_COMPARED = 3
"""Runs beside the selected one at most."""

FOLLOW = {"Nothing": "nothing", "The newest run": "newest", "The best run": "best"}
"""What is opened by itself while a hunt goes on, by label."""

_IDENTITY = re.compile(r"[0-9a-f]{40}")


def _others() -> Word:
    """Identities of the runs compared with, between commas; ``none`` for none."""

    def read(text: str, state: Any) -> dict[str, Any]:
        names = [] if text == "none" else text.split(",")
        if len(names) > MAX_COMPARED or not all(_IDENTITY.fullmatch(name) for name in names):
            raise ValueError(f"up to {MAX_COMPARED} run ids of 40 hexadecimal digits are needed, none is compared")
        return {"others": names}

    return Word(lambda state: ",".join(state.others) or "none", read)


def _hunt() -> Word:
    """The hunt whose runs are listed, by id; ``all`` for every run in the folder."""

    def read(text: str, state: Any) -> dict[str, Any]:
        if text != "all" and not _IDENTITY.fullmatch(text):
            raise ValueError("'all' or a hunt's id of 40 hexadecimal digits is needed, all runs are listed")
        return {"hunt": "" if text == "all" else text}

    return Word(lambda state: state.hunt or "all", read)


def _box() -> Word:
    """Part of the grid in view as ``left,bottom,right,top`` in cells; ``all`` for the whole of it."""

    def read(text: str, state: Any) -> dict[str, Any]:
        if text == "all":
            return {"zoom": None}
        needed = "'all' or left,bottom,right,top in cells is needed, all is shown"
        left, bottom, right, top = words.numbers(text, 4, needed)
        if not (left < right and bottom < top):
            raise ValueError(needed)
        return {"zoom": (left, bottom, right, top)}

    return Word(lambda state: "all" if state.zoom is None else ",".join(f"{v:.6g}" for v in state.zoom), read)


def _cut() -> Word:
    """The cell that the cross-sections go through as ``row,column``; ``none`` for none."""

    def read(text: str, state: Any) -> dict[str, Any]:
        if text == "none":
            return {"cut": None}
        row, column = words.numbers(text, 2, "'none' or row,column of a cell is needed, none is cut")
        return {"cut": (int(row), int(column))}

    return Word(lambda state: "none" if state.cut is None else ",".join(str(v) for v in state.cut), read)


def _fixed() -> Word:
    """Fixed colour limits ``low,high``, any two numbers with low < high."""

    def read(text: str, state: Any) -> dict[str, Any]:
        needed = f"two numbers low,high are needed, {state.fixed[0]:g},{state.fixed[1]:g} is used"
        low, high = words.numbers(text, 2, needed)
        if not low < high:
            raise ValueError(needed)
        return {"fixed": (low, high)}

    return Word(lambda state: ",".join(f"{v:.6g}" for v in state.fixed), read)


class RunsState(PageState):
    """What one session of the Runs page looks at; `selected` is the run that is open.

    Examples
    --------
    >>> RunsState(look="wall").look
    'wall'
    """

    look: Any = param.Selector(default="scatter", objects=LOOKS, label="Picture", doc="What the large picture shows.")
    hunt = param.String("", label="Runs of", doc="Hunt whose runs are listed, by id; empty for all runs.")
    follow: Any = param.Selector(
        default="nothing", objects=FOLLOW, label="Open by itself", doc="Which run is opened while a hunt goes on."
    )
    others = param.List(default=[], item_type=str, doc="Runs compared with the selected one, by id.")
    compare: Any = param.Selector(
        default="side", objects=COMPARISONS, label="Comparison", doc="Selected run and the others: how."
    )
    where = param.String("", label="Filter", doc="Conditions on runs, such as: log_prime_sse < 5, kappa > 0.2")
    order = param.String("-finished_s", doc="Column that rows are sorted by, with a minus in front from high to low.")
    differing = param.Boolean(
        True, label="Only differing parameters", doc="Hide parameters that are the same in all runs listed."
    )
    x = param.String("kappa", label="Across", doc="Metric or parameter drawn across.")
    y = param.String("fitness", label="Up", doc="Metric or parameter drawn upwards.")
    colour = param.String("log_prime_sse", label="Colour", doc="Metric or parameter that colours a run.")
    dataset = param.String("final_rho", label="Dataset", doc="Grid of the run that is shown.")
    frame = param.Integer(0, bounds=(0, 10**9), label="Frame", doc="Frame of the history, where it is stored.")
    scale: Any = param.Selector(default="linear", objects=SCALES, label="Scale", doc="How values become colours.")
    limits: Any = param.Selector(
        default="own", objects=LIMITS, label="Colour limits", doc="Where the colour limits come from."
    )
    fixed = param.NumericTuple((0.0, 1.0), length=2, label="Low and high", doc="Colour limits when they are fixed.")
    zoom = param.Tuple(default=None, length=4, allow_None=True, doc="Part of the grid in view, in cells; None is all.")
    cut = param.Tuple(default=None, length=2, allow_None=True, doc="Row and column of the cross-sections.")
    file = param.String("", label="File", doc="File that is explored, as its name within the allowed folders.")
    node = param.String("/", label="Dataset", doc="Path of what is shown inside the explored file.")
    slices = param.String("", label="Slice", doc="Which plane of an n-D dataset is shown, e.g. 0,:,:")

    WORDS: ClassVar[dict[str, Word]] = {
        "look": words.choice("look"),
        "hunt": _hunt(),
        "follow": words.choice("follow"),
        "with": _others(),
        "compare": words.choice("compare"),
        "where": words.text("where", "a filter", "all runs are listed"),
        "order": words.text("order", "a column", "the newest come first"),
        "differing": words.flag("differing"),
        "x": words.text("x", "a column", "the usual one is used"),
        "y": words.text("y", "a column", "the usual one is used"),
        "colour": words.text("colour", "a column", "the usual one is used"),
        "data": words.text("dataset", "a dataset", "final_rho is shown"),
        "frame": words.number("frame"),
        "scale": words.choice("scale"),
        "limits": words.choice("limits"),
        "fixed": _fixed(),
        "zoom": _box(),
        "cut": _cut(),
        "file": words.text("file", "a file name", "none is open"),
        "node": words.text("node", "a path", "the root is shown"),
        "slices": words.text("slices", "a slice", "the usual one is shown"),
    }
