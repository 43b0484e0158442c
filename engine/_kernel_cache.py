"""Where compiled kernels are kept: a folder of their own for every state of the sources.

Numba compiles a kernel again when the file it stands in has changed, not when a kernel of another
file that it calls has: after an update, callers would go on with the old one inside, and nobody would
see it. Must be used before Numba is imported.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

FOLDER = "kernels-"
VARIABLE = "NUMBA_CACHE_DIR"


def source_state(root: Path) -> str:
    """What tells one state of the Python files under `root` from another: names, sizes, times of change."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        stat = path.stat()
        digest.update(f"{path.relative_to(root)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def keep_kernels_apart(root: Path) -> Path | None:
    """Have Numba keep the kernels of the package at `root` beside it, apart from those of other sources.

    Returns
    -------
    Path or None
        The folder; None where the user has chosen one, or none can be written here: Numba then does as usual.
    """
    if os.environ.get(VARIABLE):
        return None
    parent = root / "__pycache__"
    folder = parent / f"{FOLDER}{source_state(root)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    for old in parent.glob(f"{FOLDER}*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    os.environ[VARIABLE] = str(folder)
    return folder
