"""Reader processes: everything that touches libhdf5 on a foreign file happens in one of these.

A crash, an endless loop or too much memory costs the one request (docs/decisions/hdf5-reader-process.md). A request
names the file and all it needs; nothing is kept open in between, so any reader answers any request.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from engine.hdf5 import errors, wire

DEFAULT_TIMEOUT_S = 20.0
START_S = 60.0
"""A reader has to be there after this long, s."""


class Readers:
    """A few processes that read HDF5 files, started when first needed and replaced when they die.

    Parameters
    ----------
    count : int
        How many requests may run at once.
    nice : int
        Added to their niceness, for work in the background.
    timeout_s : float
        After this long a reader is ended, where a request does not say otherwise, s.

    Examples
    --------
    >>> readers = Readers(1)
    >>> readers.call("ping")
    {'pong': True}
    >>> readers.close()
    """

    def __init__(self, count: int = 2, nice: int = 0, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._idle: queue.LifoQueue[_Reader | None] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(None)
        self._nice, self._timeout_s = nice, timeout_s
        self.crashes = 0
        atexit.register(self.close)

    def call(self, do: str, timeout_s: float | None = None, **arguments: Any) -> Any:
        """Answer of a reader.

        Parameters
        ----------
        do : str
            Name of a request, see `engine.hdf5.worker`.
        timeout_s : float, optional
            After this long the reader is ended, s.
        **arguments
            Of the request.

        Raises
        ------
        Hdf5Error
            Whatever kept the reader from answering, of the kind that fits.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        reader = self._idle.get()
        try:
            if reader is not None and not reader.alive():
                reader.end()
                reader = None
            if reader is None:
                reader = _Reader(self._nice)
            answer = reader.ask({"do": do, "timeout_s": timeout_s, **arguments}, timeout_s)
        except (errors.ReaderCrashed, errors.ReaderTimeout) as error:
            self.crashes += 1
            if reader is not None:
                reader.end()
            reader = None
            place = ", ".join(str(arguments[key]) for key in ("file", "path") if key in arguments)
            raise type(error)(f"{place}: {error}") from None
        except BaseException:
            # Whatever came in between, the answer still to come would be taken for that of the next request.
            if reader is not None:
                reader.end()
            reader = None
            raise
        finally:
            self._idle.put(reader)
        if "error" in answer:
            raise errors.KINDS.get(answer["error"], errors.Hdf5Error)(answer["message"])
        return answer["answer"]

    def close(self) -> None:
        """End the readers that are idle; the next request starts new ones."""
        idle = []
        with contextlib.suppress(queue.Empty):
            while True:
                idle.append(self._idle.get_nowait())
        for reader in idle:
            if reader is not None:
                reader.end()
            self._idle.put(None)


class _Reader:
    def __init__(self, nice: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HDF5_")}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        # One thread each: there are several readers, and decompression must not take the machine.
        environment |= {"BLOSC_NTHREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engine.hdf5.worker", str(nice)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        # Starting is not part of any request's time: on a busy machine it takes longer than most of them.
        try:
            self.ask({"do": "ping"}, START_S)
        except BaseException:
            self.end()
            raise

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout_s: float) -> Any:
        end = time.monotonic() + timeout_s
        descriptor = self._answers.fileno()

        def read(count: int) -> bytes:
            parts, missing = [], count
            while missing:
                left = end - time.monotonic()
                if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                    raise errors.ReaderTimeout(f"the HDF5 library did not answer within {timeout_s:g} s")
                part = os.read(descriptor, min(missing, 1 << 20))
                if not part:
                    raise errors.ReaderCrashed(self._cause())
                parts.append(part)
                missing -= len(part)
            return b"".join(parts)

        try:
            for part in wire.pack(request):
                self._requests.write(part)
            return wire.unpack(read)
        except BrokenPipeError:
            raise errors.ReaderCrashed(self._cause()) from None
        except wire.Garbled as error:
            raise errors.ReaderCrashed(f"the reader answered nonsense ({error})") from None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()

    def _cause(self) -> str:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the reader closed its answers"
        if status == -signal.SIGALRM:
            return "the HDF5 library did not come back"
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return f"the HDF5 library crashed ({name}); the file is most likely damaged"


_shared: Readers | None = None
_lock = threading.Lock()


def shared_readers() -> Readers:
    """The readers of this process, for all who look at files."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = Readers()
        return _shared
