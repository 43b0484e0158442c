"""A reader process: takes requests on its input, answers on its output, keeps nothing in between.

Started by `engine.hdf5.readers`. It may be killed at any moment, and may crash: it is here so that nothing else does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from typing import Any, BinaryIO

from engine.hdf5 import wire

MEMORY_BYTES = 3 << 30
"""Private memory of a reader; a file that asks for more gets an error."""


def answer(request: dict[str, Any]) -> Any:
    """Answer of one request; see the functions that it names."""
    from engine.hdf5 import requests

    arguments = {key: value for key, value in request.items() if key not in ("do", "timeout_s")}
    if request["do"] not in requests.REQUESTS:
        raise ValueError(f"there is no request {request['do']!r}; there are {', '.join(requests.REQUESTS)}")
    return requests.REQUESTS[request["do"]](**arguments)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    from engine.hdf5.errors import Hdf5Error, Unreadable

    def read(count: int) -> bytes:
        content = requests.read(count)
        if len(content) < count:
            raise SystemExit(0)
        return content

    while True:
        request = wire.unpack(read)
        # Ends this process from outside Python if the library never comes back and nobody is there to end it.
        signal.setitimer(signal.ITIMER_REAL, float(request.get("timeout_s", 60.0)) + 5.0)
        try:
            said: dict[str, Any] = {"answer": answer(request)}
        except Hdf5Error as error:
            said = {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            said = {"error": Unreadable.__name__, "message": "reading it would take more memory than a reader may have"}
        except Exception as error:
            said = {"error": Unreadable.__name__, "message": f"{str(error)[:500] or type(error).__name__}"}
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        try:
            parts = wire.pack(said)
        except (TypeError, ValueError, MemoryError) as error:
            parts = wire.pack({"error": Unreadable.__name__, "message": f"what was read cannot be told: {error}"})
        for part in parts:
            answers.write(part)
        answers.flush()


def _confine(nice: int) -> None:
    """Little memory, no core dumps, and no folder to find things in by relative names."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    # libhdf5 looks for other files beside the working folder, too: this one is empty, and gone.
    nowhere = tempfile.mkdtemp()
    os.chdir(nowhere)
    with contextlib.suppress(OSError):
        shutil.rmtree(nowhere)
    if nice:
        os.nice(nice)


def main() -> None:
    """Serve on standard input and output; what libraries print goes nowhere."""
    import engine.hdf5.requests  # noqa: F401 - before the memory and the folders are taken away

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _confine(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
