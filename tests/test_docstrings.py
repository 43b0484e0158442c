"""Every public name says what it is, and every example in a docstring runs."""

from __future__ import annotations

import ast
import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("engine", "dashboard", "data") for path in (ROOT / room).rglob("*.py"))

# Scripts that panel serves or a shell runs do their work when imported.
SCRIPTS = ("dashboard.pages.", "dashboard.__main__", "dashboard.setup", "data.build_land")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def public_definitions(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Public functions, classes and methods; not functions within functions."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            # A setter or an overload is documented where the name is first defined.
            decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
            if not decorators & {"setter", "deleter", "overload"}:
                yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [f"{path.relative_to(ROOT)}:{node.lineno} {node.name}" for node in public_definitions(tree)
              if not ast.get_docstring(node)]  # fmt: skip
    if tree.body and not ast.get_docstring(tree):
        silent.insert(0, f"{path.relative_to(ROOT)}:1 the module")
    assert silent == []


def modules_with(words: str) -> list[str]:
    """Names of the modules that can be imported and whose source holds some words."""
    holding = [module_name(path) for path in SOURCES if words in path.read_text(encoding="utf-8")]
    return [name for name in holding if not name.startswith(SCRIPTS)]


@pytest.mark.parametrize("module", modules_with(">>>"))
def test_examples_in_docstrings_run(module: str) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for example in doctest.DocTestFinder().find(importlib.import_module(module)):
        runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
