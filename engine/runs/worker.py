"""A worker process: takes parameters of runs from its standard input, one JSON object a line, and answers likewise.

Started by `engine.runs.workers` as ``python -m engine.runs.worker``. It simulates, writes the artifact and the
provenance, measures, and says what came out. It lives no longer than its parent, and must not know of hunts.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from engine.runs.artifact import (
    ArtifactMissing,
    ArtifactUnreadable,
    artifact_name,
    code_version,
    read_artifact,
    write_artifact,
)
from engine.runs.identity import run_id
from engine.runs.params import RunParams
from engine.runs.solver import simulate
from engine.runs.validator import validate, write_provenance


def perform(params: dict[str, Any], folder: str | os.PathLike[str], draws: int) -> dict[str, Any]:
    """Do a run: simulate, write, measure. An artifact of this very run by this very solver is taken as it is.

    Parameters
    ----------
    params : mapping
        Of `RunParams`.
    folder : path
        An existing folder.
    draws : int
        Of each null test.

    Returns
    -------
    dict
        `artifact` (file name), `artifact_status`, `reason`, `metrics`, `simulated` (False if the artifact was there).

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     perform({"N_grid": 8, "T_steps": 1}, folder, draws=1)["artifact_status"]
    'ok'
    """
    run = RunParams.of(params)
    path = Path(folder) / artifact_name(run_id(run))
    there = _is_whole(path)
    if not there:
        write_artifact(simulate(run), folder)
    report = validate(path, draws=draws)
    write_provenance(report, folder)
    return {
        "artifact": path.name, "artifact_status": report["status"], "reason": report["reason"],
        "metrics": report["metrics"], "simulated": not there,
    }  # fmt: skip


def serve(orders: TextIO, answers: TextIO, parent: int) -> None:
    """Answer orders until there are no more.

    Parameters
    ----------
    orders, answers : text file
    parent : int
        Process id; when it is no longer this process's parent, the process ends.
    """
    _say(answers, {"ready": os.getpid()})
    lines: list[str] = []
    arrived = threading.Condition()
    # A thread of its own reads, so that the end of the parent is noticed in the middle of a run.
    threading.Thread(target=_listen, args=(orders, lines, arrived), daemon=True).start()
    while True:
        with arrived:
            while not lines:
                arrived.wait()
            order = json.loads(lines.pop(0))
        if os.name == "posix" and os.getppid() != parent:
            os._exit(1)
        started = time.monotonic()
        try:
            answer = perform(order["params"], order["folder"], order["draws"])
        except Exception as error:  # whatever it was, it is this run that failed and not the worker
            answer = {"error": f"{type(error).__name__}: {error}"}
        _say(answers, {"run_id": order["run_id"], "seconds": time.monotonic() - started, **answer})


def _is_whole(path: Path) -> bool:
    try:
        return bool(read_artifact(path).attrs["code_version"] == code_version())
    except (ArtifactMissing, ArtifactUnreadable):
        return False


def _listen(orders: TextIO, lines: list[str], arrived: threading.Condition) -> None:
    for line in orders:
        with arrived:
            lines.append(line)
            arrived.notify()
    os._exit(0)  # the parent has closed the pipe, or is gone: artifacts are written whole or not at all


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _die_with_parent(parent: int) -> None:
    """On Linux also when this process is stopped or hangs in a library: the kernel then kills it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)


def main() -> None:
    """Serve the process that started this one; its id is the first argument."""
    parent = int(sys.argv[1])
    _die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, answers, parent)


if __name__ == "__main__":
    main()
