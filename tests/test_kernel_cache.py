"""Compiled kernels never outlive the sources they were made of, those of other files included."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from engine import _kernel_cache
from engine._kernel_cache import FOLDER, VARIABLE, keep_kernels_apart, source_state

INNER = """
from numba import njit

@njit(cache=True)
def inner(x):
    return x + {}
"""
OUTER = """
from numba import njit
from pack.inner import inner

@njit(cache=True)
def outer(x):
    return 10 * inner(x)
"""
START = """
from pathlib import Path
from pack._kernel_cache import keep_kernels_apart

keep_kernels_apart(Path(__file__).parent)
"""
ASK = "from pack.outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"


def ask(folder: Path) -> list[int]:
    """What the kernel says in a process of its own, and how often it was not compiled for that."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    said = subprocess.run(
        [sys.executable, "-c", ASK], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return [int(word) for word in said.stdout.split()]


def test_a_kernel_is_compiled_again_when_one_that_it_calls_has_changed(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    shutil.copy(_kernel_cache.__file__, pack)  # as `engine` itself it would speak of the engine's sources
    (pack / "__init__.py").write_text(START)
    (pack / "inner.py").write_text(INNER.format(1))
    (pack / "outer.py").write_text(OUTER)
    assert ask(tmp_path) == [20, 0]
    assert ask(tmp_path) == [20, 1]
    (pack / "inner.py").write_text(INNER.format(32))
    assert ask(tmp_path) == [330, 0]
    assert len(list((pack / "__pycache__").glob(f"{FOLDER}*"))) == 1


def test_a_folder_that_the_user_chose_is_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, "/somewhere")
    assert keep_kernels_apart(tmp_path) is None
    assert os.environ[VARIABLE] == "/somewhere" and not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_numba_does_as_usual(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "__pycache__").write_text("in the way")
    assert keep_kernels_apart(tmp_path) is None
    assert VARIABLE not in os.environ


def test_the_state_of_sources_is_that_of_their_names_sizes_and_times(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    first = source_state(tmp_path)
    assert source_state(tmp_path) == first
    (tmp_path / "note.txt").write_text("1")
    assert source_state(tmp_path) == first
    (tmp_path / "b.py").write_text("1")
    second = source_state(tmp_path)
    os.utime(tmp_path / "b.py", (1, 1))
    assert len({first, second, source_state(tmp_path)}) == 3
