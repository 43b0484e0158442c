"""What is known of an object of a file, as escaped HTML: shape, type, storage, filters, attributes, and values as text.

Every text comes from a file that anyone may have written, and goes through `html.escape`.
"""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from engine.hdf5 import Attribute, Dataset, Node, Tree

MAX_TEXT = 400
"""Characters of one value that are shown."""


def node_html(tree: Tree, node: Node) -> str:
    """Everything about one object but its values."""
    title = node.path if node.path != "/" else tree.path.name
    parts = [f"<h3>{escape(title)}</h3>"]
    parts += [f'<p class="warn">{escape(note)}</p>' for note in dict.fromkeys([*tree.notes, *node.notes])]
    rows: list[tuple[str, str, str]] = []
    if isinstance(node, Dataset):
        if node.problem:
            parts.append(f'<p class="warn">{escape(node.problem)}</p>')
        rows += _dataset_rows(node)
    elif node.kind == "group":
        rows.append(("members", f"{node.info['count']}", "Groups, datasets and links in this group."))
    else:
        rows.append(("type", str(node.info.get("type", "")), "A type that datasets of the file share."))
    if "file" in node.info:
        rows.append(("lies in", str(node.info["file"]), "An external link leads to this other file."))
    if node.path == "/":
        size = tree.info["size"]
        rows.append(("file", f"{_bytes(size)}, superblock version {tree.info['superblock']}", "Size of the file."))
    parts.append("<dl>" + "".join(_row(*row) for row in rows) + "</dl>")
    attributes = node.attributes
    parts.append(f"<h4>Attributes{'' if attributes else ': none'}</h4>")
    if attributes:
        parts.append("<dl>" + "".join(_attribute(a) for a in attributes) + "</dl>")
    return "".join(parts)


def _dataset_rows(dataset: Dataset) -> list[tuple[str, str, str]]:
    shape = dataset.shape
    said = "none: a null space" if shape is None else "one value" if shape == () else " × ".join(map(str, shape))
    rows = [("shape", said, "Cells along each dimension, the last one running fastest."),
            ("type", dataset.type, "As stored in the file.")]  # fmt: skip
    limits = dataset.info.get("maxshape")
    if shape and limits and list(limits) != list(shape):
        grown = " × ".join("∞" if n is None else str(n) for n in limits)
        rows.append(("may grow to", grown, "Greatest shape."))
    layout = dataset.info["layout"]
    if dataset.chunks:
        layout = f"chunks of {' × '.join(map(str, dataset.chunks))}"
    rows.append(("stored as", str(layout), "How the values lie in the file."))
    for entry in dataset.filters:
        options = ", ".join(map(str, entry["options"]))
        known = "" if entry["installed"] else " · not installed"
        rows.append(("filter", f"{entry['name']} (id {entry['id']}){f' [{options}]' if options else ''}{known}",
                     "Applied to each chunk when it was written, in this order."))  # fmt: skip
    stored = dataset.info.get("stored")
    if stored is not None and shape is not None:
        whole = dataset.info["itemsize"] * _product(shape)
        ratio = f" of {_bytes(whole)}" if whole and stored != whole else ""
        rows.append(("size", f"{_bytes(stored)}{ratio}", "Bytes in the file, and of the values themselves."))
    if dataset.info.get("fill") is not None:
        rows.append(("fill value", _text(dataset.info["fill"]), "Shown where nothing was written."))
    said_of = dataset.conventions
    if said_of.get("units"):
        rows.append(("units", said_of["units"], "As the file says."))
    names = [axis["name"] + (f" ({axis['units']})" if axis.get("units") else "") for axis in said_of.get("axes", [])]
    if names and not all(name.startswith("dim_") for name in names):
        rows.append(("axes", ", ".join(names), "From dimension scales (NetCDF), NeXus, openPMD or plain attributes."))
    if said_of.get("scale", 1.0) != 1.0 or said_of.get("offset", 0.0) != 0.0:
        rows.append(("shown as", f"stored × {said_of['scale']:g} + {said_of['offset']:g}",
                     "scale_factor and add_offset of the file."))  # fmt: skip
    return rows


def table_html(frame: pd.DataFrame, start: int) -> str:
    """A page of values as a table."""
    total = frame.attrs.get("total", len(frame))
    head = "".join(f"<th>{escape(str(name))}</th>" for name in frame.columns)
    body = []
    for place, row in zip(frame.index, frame.itertuples(index=False), strict=True):
        cells = "".join(f"<td>{escape(_text(value))}</td>" for value in row)
        body.append(f"<tr><th>{place}</th>{cells}</tr>")
    last = start + len(frame)
    said = f"<p>{start} to {last - 1} of {total}</p>" if total > len(frame) else ""
    return f"{said}<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _attribute(attribute: Attribute) -> str:
    said = f"cannot be read: {attribute.problem}" if attribute.problem else _text(attribute.value)
    return _row(attribute.name, said, f"{attribute.type}{_shape(attribute.shape)}")


def _shape(shape: tuple[int, ...] | None) -> str:
    return "" if not shape else f", {' × '.join(map(str, shape))}"


def _row(name: str, value: str, definition: str) -> str:
    return f'<dt title="{escape(definition)}">{escape(name)}</dt><dd>{escape(value)}</dd>'


def _text(value: Any) -> str:
    if value is None:
        return "nothing (null space)"
    if isinstance(value, float):
        said = f"{value:.10g}"
    elif isinstance(value, list):
        said = ", ".join(_text(entry) for entry in value)
    elif isinstance(value, dict):
        said = ", ".join(f"{key}: {_text(entry)}" for key, entry in value.items())
    else:
        said = str(value)
    return said if len(said) <= MAX_TEXT else said[:MAX_TEXT] + " …"


def _product(shape: tuple[int, ...]) -> int:
    out = 1
    for n in shape:
        out *= n
    return out


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1024
    raise AssertionError
