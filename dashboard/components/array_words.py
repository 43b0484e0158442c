"""What is said of a picture of numbers: how it was made, what in it is no number, and each number under the pointer."""

from __future__ import annotations

from html import escape

import xarray as xr

from dashboard.components.array_levels import Scale

NUMBER_JS = """
if (value === Infinity || value === -Infinity || Number.isNaN(value)) return String(value).replace("Infinity", "∞")
let said = String(value)
if (Math.fround(value) === value) for (let n = 1; n <= 9; n++) {
  const short = Number(value.toPrecision(n))
  if (Math.fround(short) === value) { said = String(short); break }
}
return (geometry.data.exact[0] ? "" : "≈ ") + said
"""
"""For a Bokeh hover: the shortest text that gives the same number again; float32 is known by its rounding."""

CELL_JS = """
const at = (v, [first, width]) => Math.floor((v - first) / width + 0.5)
return at(special_vars.y, geometry.data.y) + ", " + at(special_vars.x, geometry.data.x)
"""
"""For a Bokeh hover: row and column of the cell under the pointer."""


def one_line(text: str, colour: str) -> str:
    """HTML of a line of data text that never wraps: what is below or above it would move."""
    style = f"color:{colour};font-size:12px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis"
    return f'<div style="{style}" title="{escape(text)}">{escape(text)}</div>'


def describe(picture: xr.DataArray, scale: Scale) -> str:
    """How a picture was made, and what in it is no number, in one line.

    Examples
    --------
    >>> import numpy as np
    >>> from dashboard.components.array_source import ArraySource
    >>> describe(ArraySource(np.array([[1.0, np.nan]])).view((-9, -9, 9, 9), (9, 9)), Scale())
    'every cell as it is · 1 NaN (grey)'
    """
    a = picture.attrs
    sy, sx = (a["steps"])[-2:]
    parts = {
        "exact": ["every cell as it is"],
        "averaged": [f"means of {sy} × {sx} cells"],
        "sampled": [f"single cells, one of {sy} × {sx}; {100 * a.get('share', 1.0):.2g} % of the chunks in view read"],
    }[a["how"]]
    of = " among the cells read" if a["how"] == "sampled" else ""
    parts += [
        f"{a[key]} {word}{of}" for key, word in (("nan", "NaN (grey)"), ("inf", "infinite (magenta, cyan)")) if a[key]
    ]
    if a.get("damaged"):
        parts.append(f"{a['damaged']} damaged chunks, shown as NaN: {a.get('damage', '')}")
    names = list(a.get("enum", {}).items())
    if names:
        parts.append(", ".join(f"{value} = {name}" for value, name in names[:8]) + (" …" if len(names) > 8 else ""))
    numbers = picture.values
    if scale.kind == "logarithmic" and bool((numbers <= 0).any()):
        parts.append("what is not positive has the lowest colour")
    return " · ".join(parts)
