"""Worker processes of a hunt: kept alive, watched, replaced when they die or hang.

Each is a fresh Python (``python -m engine.runs.worker``), neither forked, because GNU OpenMP does not survive a fork,
nor made by `multiprocessing`, because that runs the caller's main script again. This module must not know of hunts,
ledgers or samplers: it takes orders and gives back how each one ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

START_TIMEOUT_S = 120.0
"""How long a worker may take to import what it needs; on a busy machine that is seconds."""

# A worker that cannot start says so each time; one that is killed may have been unlucky.
_START_FAILURES, _START_KILLS = 3, 20
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


class WorkerStartError(RuntimeError):
    """Workers do not start at all; the message has what they said."""


@dataclass(frozen=True)
class Order:
    """A run to be done.

    Parameters
    ----------
    run_id : str
    params : mapping
    """

    run_id: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Began:
    """An order has been given to a worker; `attempt` counts from 1."""

    run_id: str
    attempt: int


@dataclass(frozen=True)
class Ended:
    """An order has ended.

    Parameters
    ----------
    run_id : str
    answer : mapping
        What `engine.runs.worker.perform` returned, or ``{"error": reason}``.
    seconds : float
    attempts : int
    """

    run_id: str
    answer: Mapping[str, Any]
    seconds: float
    attempts: int


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    errors: IO[bytes]
    started: float
    ready: bool = False
    order: Order | None = None
    given: float = 0.0


@dataclass
class _Waiting:
    order: Order
    attempts: int = 0
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PoolOptions:
    """How workers are kept.

    Parameters
    ----------
    workers : int
        Processes, at least 1.
    draws : int
        Of each null test.
    timeout_s : float
        A run that takes longer has its worker killed.
    retries : int
        How often a run is tried again after its worker died or was killed for being too slow. What a run itself
        raises is not tried again: it would raise again.

    Raises
    ------
    ValueError
        A number out of range.
    """

    workers: int
    draws: int = 199
    timeout_s: float = 600.0
    retries: int = 2

    def __post_init__(self) -> None:
        for name, low in (("workers", 1), ("draws", 1), ("retries", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from {low}")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s is {self.timeout_s!r}; it must be above 0")


class WorkerPool:
    """Processes that do runs in a folder. To be used from one thread, the one that made it, and closed by it.

    Parameters
    ----------
    folder : path
        Where artifacts and provenance go.
    options : PoolOptions
        The processes start at once and on their own time.
    """

    def __init__(self, folder: str | os.PathLike[str], options: PoolOptions) -> None:
        self._folder, self._options = str(Path(folder).resolve()), options
        self._waiting: deque[_Waiting] = deque()
        self._given: dict[str, _Waiting] = {}
        self._heard: queue.SimpleQueue[tuple[_Worker, str | None]] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._fill()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.process.pid for worker in self._workers]

    @property
    def busy(self) -> int:
        """Orders that are in a worker."""
        return sum(worker.order is not None for worker in self._workers)

    @property
    def waiting(self) -> int:
        """Orders that no worker has taken yet."""
        return len(self._waiting)

    def submit(self, order: Order) -> None:
        """Put an order into the queue.

        Parameters
        ----------
        order : Order
            With another `run_id` than all that have not ended.
        """
        self._waiting.append(_Waiting(order))

    def withdraw(self) -> list[Order]:
        """Take back what no worker has taken yet.

        Returns
        -------
        list of Order
        """
        orders = [entry.order for entry in self._waiting]
        self._waiting.clear()
        return orders

    def poll(self, timeout_s: float) -> list[Began | Ended]:
        """Hand out orders, wait for something to happen, and say what did.

        Parameters
        ----------
        timeout_s : float
            The longest wait.

        Returns
        -------
        list of Began or Ended
            Empty if nothing happened.

        Raises
        ------
        WorkerStartError
            Workers die one after the other before they are ready.
        """
        happened: list[Began | Ended] = [*self._hand_out()]
        # Looked at twice a second for who takes too long, at once for who answers.
        wait = 0.0 if happened else min(timeout_s, 0.5)
        while True:
            try:
                worker, line = self._heard.get(timeout=wait) if wait else self._heard.get_nowait()
            except queue.Empty:
                break
            happened += self._take(worker, line)
            wait = 0.0
        self._kill_slow()
        return happened + self._hand_out()

    def close(self) -> None:
        """Kill all workers, at once, whatever they are doing, and wait until they are gone."""
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
        for worker in self._workers:
            self._bury(worker)
        self._workers.clear()

    def __enter__(self) -> WorkerPool:
        """The pool itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _fill(self) -> None:
        while len(self._workers) < self._options.workers:
            self._workers.append(self._start())

    def _start(self) -> _Worker:
        root = str(Path(__file__).parents[2])
        environment = os.environ | _ONE_THREAD
        environment["PYTHONPATH"] = os.pathsep.join([root, *(path for path in sys.path if path and path != root)])
        errors = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as its worker
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.runs.worker", str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env=environment, text=True, encoding="utf-8", bufsize=1,
        )  # fmt: skip
        worker = _Worker(process, errors, time.monotonic())
        threading.Thread(target=self._hear, args=(worker,), name="hunt-worker", daemon=True).start()
        return worker

    def _hear(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        with contextlib.suppress(OSError, ValueError):  # a pipe that is closed under the reader
            for line in worker.process.stdout:
                self._heard.put((worker, line))
        self._heard.put((worker, None))

    def _hand_out(self) -> list[Began | Ended]:
        given: list[Began | Ended] = []
        for worker in self._workers:
            if worker.ready and worker.order is None and self._waiting:
                entry = self._waiting.popleft()
                entry.attempts += 1
                order = {"run_id": entry.order.run_id, "params": dict(entry.order.params), "folder": self._folder}
                worker.order, worker.given = entry.order, time.monotonic()
                self._given[entry.order.run_id] = entry
                assert worker.process.stdin is not None
                with contextlib.suppress(OSError):  # a worker that has just died is noticed by its reader
                    worker.process.stdin.write(json.dumps({**order, "draws": self._options.draws}) + "\n")
                    worker.process.stdin.flush()
                given.append(Began(entry.order.run_id, entry.attempts))
        return given

    def _take(self, worker: _Worker, line: str | None) -> list[Began | Ended]:
        if worker not in self._workers:
            return []
        if line is None:
            return self._dead(worker)
        try:
            answer = json.loads(line)
        except ValueError:  # the last line of a worker that was killed as it wrote
            return []
        if "ready" in answer:
            worker.ready, self._failed_starts = True, 0
            return []
        if worker.order is None or answer.get("run_id") != worker.order.run_id:
            return []
        entry = self._given.pop(worker.order.run_id)
        worker.order = None
        return [Ended(entry.order.run_id, answer, float(answer["seconds"]), entry.attempts)]

    def _dead(self, worker: _Worker) -> list[Began | Ended]:
        self._workers.remove(worker)
        reason = self._bury(worker)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= (_START_KILLS if worker.process.returncode < 0 else _START_FAILURES):
                raise WorkerStartError(f"{self._failed_starts} workers in a row died before they were ready: {reason}")
        self._fill()
        if worker.order is None:
            return []
        entry = self._given.pop(worker.order.run_id)
        entry.reasons.append(reason)
        if entry.attempts <= self._options.retries:
            self._waiting.appendleft(entry)
            return []
        tried = f"tried {entry.attempts} times: " if entry.attempts > 1 else ""
        seconds = time.monotonic() - worker.given
        return [Ended(entry.order.run_id, {"error": tried + "; ".join(entry.reasons)}, seconds, entry.attempts)]

    def _kill_slow(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            late = worker.order is not None and now - worker.given > self._options.timeout_s
            stuck = not worker.ready and now - worker.started > START_TIMEOUT_S
            if late or stuck:
                # Its reader notices the end; a reason of its own says why it ended.
                worker.errors.seek(0, os.SEEK_END)
                worker.errors.write(
                    f"\nno answer for {self._options.timeout_s if late else START_TIMEOUT_S:g} s".encode()
                )
                with contextlib.suppress(ProcessLookupError):
                    worker.process.kill()

    def _bury(self, worker: _Worker) -> str:
        """Wait for a worker's end, remove what it left half-written, and say how it ended."""
        code = worker.process.wait()
        for pipe in (worker.process.stdin, worker.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        for left in Path(self._folder).glob(f".*.{worker.process.pid}.*.part"):
            left.unlink(missing_ok=True)
        worker.errors.seek(max(0, worker.errors.seek(0, os.SEEK_END) - 2000))
        said = worker.errors.read().decode(errors="replace").strip().splitlines()
        worker.errors.close()
        name = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return f"its worker was {name}" + (f" ({said[-1]})" if said else "")
