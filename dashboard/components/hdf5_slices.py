"""Which cut through a dataset of many dimensions is shown: two of them make the picture, the others have sliders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from dashboard.components.widget_style import styled
from engine.hdf5 import Dataset

_PARTS = {"Magnitude": "value", "Phase": "phase", "Real part": "real", "Imaginary part": "imaginary"}
_NUMBERS = ("integer", "float", "complex", "enum", "bitfield")


class SliceControls(pn.viewable.Viewer):
    """Axes, places along the other dimensions, part of a complex number, member of a compound.

    Parameters
    ----------
    changed : callable () -> None
        Called when the viewer has chosen another cut.
    """

    def __init__(self, changed: Callable[[], None], **params: Any) -> None:
        super().__init__(**params)
        self._changed, self._quiet = changed, False
        self._layout = pn.FlexBox(margin=0, sizing_mode="stretch_width", gap="0 10px")
        self.dataset: Dataset | None = None
        self.rows: Any = None
        self.columns: Any = None
        self.part: Any = None
        self.member: Any = None
        self.places: dict[int, Any] = {}

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    @property
    def axes(self) -> tuple[int, ...]:
        """Dimensions of the picture, rows first; one of a line."""
        if self.dataset is None or self.columns is None:
            return ()
        rows = self.rows.value if self.rows is not None else None
        return (self.columns.value,) if rows is None or rows == self.columns.value else (rows, self.columns.value)

    @property
    def slices(self) -> list[int]:
        """Place along each dimension; what stands at the axes is 0."""
        shape = (self.dataset.shape if self.dataset else None) or ()
        return [int(self.places[axis].value) if axis in self.places else 0 for axis in range(len(shape))]

    @property
    def how(self) -> dict[str, str]:
        """Part and member for `Dataset.view`."""
        return {"part": self.part.value if self.part is not None else "value",
                "member": self.member.value if self.member is not None else ""}  # fmt: skip

    def set_dataset(self, dataset: Dataset | None) -> None:
        """Controls for a dataset; a cut that fits it, too, is kept."""
        kept = (self.slices, self.axes, self.how)
        same = self.dataset is not None and dataset is not None and _alike(self.dataset, dataset)
        self.dataset = dataset
        if same:
            for axis, slider in self.places.items():
                slider.end = max((dataset.shape or (1,))[axis] - 1, 1) if dataset is not None else 1
            return
        self.rows = self.columns = self.part = self.member = None
        self.places = {}
        if dataset is None or not dataset.pictured:
            self._layout[:] = []
            return
        self._build(dataset, kept[2])

    def _build(self, dataset: Dataset, how: dict[str, str]) -> None:
        shape = dataset.shape or ()
        axes = dataset.conventions.get("axes") or []
        names = [axes[axis]["name"] if axis < len(axes) else f"dim_{axis}" for axis in range(len(shape))]
        labels = {f"{axis}: {name[:30]} ({shape[axis]})": axis for axis, name in enumerate(names)}
        # Columns and rows: the last two dimensions of more than one cell.
        long = [axis for axis, n in enumerate(shape) if n > 1] or [len(shape) - 1]
        if len(shape) > 1:
            rest = [axis for axis in range(len(shape)) if axis != long[-1]]
            row: int | None = long[-2] if len(long) > 1 else rest[-1]
            self.columns = self._add(pn.widgets.Select(label="Across", options=labels, value=long[-1], width=150))
            self.rows = self._add(
                pn.widgets.Select(label="Up", options={**labels, "nothing: a line": None}, value=row, width=150)
            )
        else:
            self.columns = pn.widgets.Select(label="Across", options=labels, value=0)
        members = [f["name"] for f in dataset.info["fields"] if f["class"] in _NUMBERS[:3]]
        if members:
            self.member = self._add(pn.widgets.Select(label="Member", options=members, value=members[0], width=130))
        if dataset.type_class == "complex":
            value = how["part"] if how["part"] in _PARTS.values() else "value"
            self.part = self._add(pn.widgets.Select(label="Part", options=_PARTS, value=value, width=130))
        self._sliders()

    def _add(self, widget: Any) -> Any:
        width = widget.width
        styled(widget).param.update(sizing_mode="fixed", width=width)
        widget.param.watch(self._chosen, "value")
        return widget

    def _sliders(self) -> None:
        assert self.dataset is not None
        shape = self.dataset.shape or ()
        kept, self.places = self.places, {}
        axes = self.dataset.conventions.get("axes") or []
        for axis, size in enumerate(shape):
            if axis in self.axes or size < 2:
                continue
            name = axes[axis]["name"] if axis < len(axes) else f"dim_{axis}"
            slider = kept.get(axis)
            if slider is None:
                slider = styled(pn.widgets.IntSlider(label=f"{axis}: {name[:30]}", start=0, end=size - 1, value=0))
                slider.param.update(sizing_mode="fixed", width=170)
                slider.param.watch(self._moved, "value")
            self.places[axis] = slider
        chosen = (self.columns if len(shape) > 1 else None, self.rows, self.member, self.part)
        shown = [widget for widget in chosen if widget is not None]
        self._layout[:] = [*shown, *self.places.values()]

    def _chosen(self, *_: Any) -> None:
        if self._quiet:
            return
        self._sliders()
        self._changed()

    def _moved(self, *_: Any) -> None:
        if not self._quiet:
            self._changed()


def _alike(one: Dataset, other: Dataset) -> bool:
    """Whether the same controls fit: the same dimensions (the first may have grown), axes and kind of numbers."""

    def names(dataset: Dataset) -> list[str]:
        return [axis["name"] for axis in dataset.conventions.get("axes") or []]

    a, b = one.shape or (), other.shape or ()
    return (one.pictured and other.pictured and len(a) == len(b) and a[1:] == b[1:] and names(one) == names(other)
            and one.type_class == other.type_class and one.info["fields"] == other.info["fields"]
            and (one.path == other.path or a == b))  # fmt: skip
