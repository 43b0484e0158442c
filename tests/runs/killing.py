"""Kills a writer with SIGKILL again and again; what it needs is imported once, and each victim is a fork of that.

Importing takes seconds and writing milliseconds: a new interpreter for each kill would test imports.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FORKING = """
import os, sys
sys.path.insert(0, {here!r})

def say(*words):  # in one write, however Python buffers: a kill leaves whole lines
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

{prepare}
for _ in sys.stdin:
    victim = os.fork()
    if victim == 0:
        say("victim", os.getpid())
        work()
    os.waitpid(victim, 0)
    say("killed")
"""


class Killing:
    """Forks a writer and kills it.

    Parameters
    ----------
    parent : Popen
        Runs `_FORKING`.
    seed : int
        Of the moments at which it kills.
    """

    def __init__(self, parent: subprocess.Popen[str], seed: int) -> None:
        self._parent = parent
        self._chance = random.Random(seed)

    def after(self, most_s: float) -> list[str]:
        """Fork, wait for its first line, kill it at most so much later; all lines that it has said."""
        stdin, stdout = self._parent.stdin, self._parent.stdout
        assert stdin is not None and stdout is not None
        stdin.write("\n")
        stdin.flush()
        begun, _, pid = stdout.readline().partition(" ")
        assert begun == "victim", "the writer did not begin"
        said = [stdout.readline().strip()]
        assert said != ["killed"], "the writer ended by itself"
        time.sleep(self._chance.uniform(0.0, most_s))  # any moment will do
        os.kill(int(pid), signal.SIGKILL)
        while (line := stdout.readline()) != "killed\n":
            assert line, "the writers' parent ended"
            said.append(line.strip())
        return said


@contextmanager
def killing(prepare: str, *arguments: str, seed: int = 1) -> Iterator[Killing]:
    """A process that has run `prepare`, Python that defines ``work()``: it writes for ever and ``say``s so."""
    code = _FORKING.format(here=str(Path(__file__).parent), prepare=prepare)
    parent = subprocess.Popen([sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)  # fmt: skip
    with parent:
        try:
            yield Killing(parent, seed)
        finally:
            parent.stdin.close()  # type: ignore[union-attr]
