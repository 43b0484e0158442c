"""Sessions share frames while they live, half-open ones get nothing, and all leave nothing behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.benchmarks.bench_viewers import metrics, open_viewers, served

PATIENCE_S = 120.0
LEFT = ("scythe_sessions", "scythe_frames_watchers", "scythe_documents", "scythe_sessions_in_memory")

# The dashboard as it is, but for how soon it looks after sessions that nobody uses any more.
IMPATIENT = """
import sys
from dashboard.__main__ import arguments
from engine.config import Settings
from panel.command import main
words = arguments(Settings.from_environment())
for option, ms in (("--unused-session-lifetime", "1000"), ("--check-unused-sessions", "500")):
    words[words.index(option) + 1] = ms
sys.argv = words
main()
"""


async def until(base: str, condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition(now := metrics(base)):
        assert time.monotonic() < deadline, now
        await asyncio.sleep(0.2)


@pytest.mark.usefixtures("sample_at_hand")
def test_viewers_share_one_frame_and_leave_nothing_behind():
    async def scene(base: str) -> None:
        ready = await open_viewers(base, 6)
        half = await open_viewers(base, 3, ready=False)
        # Only those whose page has loaded are rung; equal views share one frame.
        wanted = {"scythe_sessions": 6, "scythe_frames_watchers": 9, "scythe_frames_specs": 1}
        await until(base, lambda now: all(now[name] == value for name, value in wanted.items()))
        seen = [len(v.arrivals) for v in ready]
        await until(base, lambda _: all(len(v.arrivals) >= n + 2 for v, n in zip(ready, seen, strict=True)))
        assert all(not v.arrivals for v in half), "a client that never loads gets no patch"
        for viewer in ready + half:
            viewer.close()
        await until(base, lambda now: not any(now[name] for name in LEFT))

    with served(command=["-c", IMPATIENT]) as (base, _, _):
        asyncio.run(scene(base))


@pytest.fixture
def sample_at_hand(real_data) -> None:
    """The served page plays the recorded sample."""
    real_data("tracks/switzerland.json.gz")
