"""Layouts off the loop: the newest wish counts, results have versions, cancelling is quick, errors are told."""

import logging
import threading
import time

import numpy as np
import pytest

from engine.hypergraph import Layout
from engine.layout_worker import LayoutWorker


@pytest.fixture
def worker():
    worker = LayoutWorker()
    worker.start()
    yield worker
    worker.stop()
    assert not worker._thread.is_alive()


def test_the_newest_request_replaces_the_one_that_waits(worker):
    begun, go, ran = threading.Event(), threading.Event(), []

    def first(*, progress, cancel):
        begun.set()
        assert go.wait(60.0)
        return "first"

    def job(name):
        return lambda progress, cancel: ran.append(name) or name

    worker.request(first)
    assert begun.wait(60.0)
    for name in ("second", "third", "fourth"):
        worker.request(job(name))
    assert worker.state.busy and worker.state.waiting and worker.state.result is None
    assert not worker.wait(0.01)
    go.set()
    assert worker.wait(60.0)
    assert ran == ["fourth"] and worker.state.result == "fourth" and worker.state.version == 2


def test_watchers_are_rung_and_see_progress(worker):
    seen, rung = [], threading.Event()

    def wake():
        seen.append(worker.state)
        rung.set()

    end = worker.watch(wake)

    def job(*, progress, cancel):
        for share in (0.25, 7.0):
            progress(share)
            time.sleep(0.12)
        return 1

    worker.request(job)
    assert worker.wait(60.0) and rung.wait(60.0)
    time.sleep(0.05)
    assert {state.progress for state in seen} >= {0.25, 1.0} and seen[-1].version == 1 and not seen[-1].busy
    end()
    count = len(seen)
    worker.request(lambda progress, cancel: 2)
    assert worker.wait(60.0)
    assert len(seen) == count and worker.state.version == 2


def test_a_real_layout_is_cancelled_and_the_next_one_runs(worker):
    rng = np.random.default_rng(0)
    node, edge = rng.integers(0, 40_000, 200_000), np.arange(200_000) // 5
    layout, moving = Layout(), threading.Event()
    worker.watch(lambda: moving.set() if worker.state.progress > 0.0 else None)
    worker.request(lambda progress, cancel: layout.update(range(40_000), node, edge, progress=progress, cancel=cancel))
    assert moving.wait(240.0)  # kernels may have to be compiled first
    worker.cancel()
    assert worker.wait(60.0)
    assert worker.state.result is None and worker.state.version == 0 and worker.state.error is None
    worker.request(lambda progress, cancel: layout.update(range(2), [0, 1], [0, 0], progress=progress, cancel=cancel))
    assert worker.wait(60.0)
    assert worker.state.version == 1 and worker.state.result.attrs["version"] == 1


def test_an_error_is_told_and_the_last_result_stays(worker, caplog):
    worker.request(lambda progress, cancel: "good")
    assert worker.wait(60.0)

    def bad(*, progress, cancel):
        raise ValueError("no such node")

    with caplog.at_level(logging.CRITICAL):
        worker.request(bad)
        assert worker.wait(60.0)
    assert worker.state.error == "ValueError: no such node" and worker.state.result == "good"
    worker.request(lambda progress, cancel: "better")
    assert worker.wait(60.0)
    assert worker.state.error is None and worker.state.version == 2


def test_a_stopped_worker_takes_nothing():
    worker = LayoutWorker()
    worker.start()
    begun = threading.Event()

    def until_cancelled(*, progress, cancel):
        begun.set()
        while not cancel():
            time.sleep(0.005)
        raise RuntimeError("stopped half way")

    worker.request(until_cancelled)
    assert begun.wait(60.0)
    worker.stop()
    assert not worker._thread.is_alive() and worker.state.error is None
    with pytest.raises(RuntimeError, match="stopped"):
        worker.request(until_cancelled)
    with pytest.raises(RuntimeError, match="started once"):
        worker.start()
