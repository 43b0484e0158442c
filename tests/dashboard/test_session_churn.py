"""Sessions share frames while they live, half-open ones get nothing, and all leave nothing behind."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.benchmarks.bench_viewers import metrics, open_viewers, served


@pytest.mark.usefixtures("sample_at_hand")
def test_viewers_share_one_frame_and_leave_nothing_behind():
    async def scene(base: str) -> None:
        ready = await open_viewers(base, 10)
        half = await open_viewers(base, 4, ready=False)
        await asyncio.sleep(4.0)
        now = metrics(base)
        assert now["scythe_sessions"] == 10, "only those whose page has loaded are rung"
        assert now["scythe_frames_watchers"] == 14
        assert now["scythe_frames_specs"] == 1, "equal views share one frame"
        assert all(len(v.arrivals) >= 2 for v in ready)
        assert all(not v.arrivals for v in half), "a client that never loads gets no patch"
        for viewer in ready + half:
            viewer.close()
        deadline = time.monotonic() + 90.0
        left = ("scythe_sessions", "scythe_frames_watchers", "scythe_documents", "scythe_sessions_in_memory")
        while any(metrics(base)[name] for name in left):
            assert time.monotonic() < deadline, {name: metrics(base)[name] for name in left}
            await asyncio.sleep(1.0)

    with served() as (base, _, _):
        asyncio.run(scene(base))


@pytest.fixture
def sample_at_hand(real_data) -> None:
    """The served page plays the recorded sample."""
    real_data("tracks/switzerland.json.gz")
