"""Records that hold arrays or tables are compared by which they are: compared by value they would raise."""

from __future__ import annotations

import dataclasses
import importlib
import re

import pytest

from tests.test_docstrings import modules_with

UNCOMPARABLE = re.compile(r"\b(NDArray|ndarray|Array|DataFrame|Series|Dataset|DataArray)\b")


@pytest.mark.parametrize("module", modules_with("@dataclass"))
def test_no_record_with_arrays_is_compared_by_value(module: str) -> None:
    wrong = [
        f"{kind.__name__}.{field.name}"
        for kind in vars(importlib.import_module(module)).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module
        if kind.__dataclass_params__.eq  # type: ignore[attr-defined]
        for field in dataclasses.fields(kind)
        if UNCOMPARABLE.search(str(field.type))
    ]
    assert wrong == [], "write @dataclass(eq=False)"
