"""The frame board: each wanted frame is computed once, newer wishes replace older ones, errors are shown."""

import threading
import time
from dataclasses import dataclass

import pytest

from engine.frames.board import PAST_FRAMES_KEPT, FrameBoard


@dataclass(frozen=True)
class Wish:
    name: str
    moment_s: float | None = None


def wait_for(condition, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


class Recorder:
    def __init__(self):
        self.calls = []
        self.gate, self.held = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, spec, moment_s):
        if not self.gate.is_set():
            self.held.set()
            self.gate.wait(60)
        self.calls.append((spec, moment_s))
        if spec.name == "bad":
            raise ArithmeticError("no such field")
        return (spec, moment_s)


@pytest.fixture(autouse=True, params=[False, True], ids=["one worker", "a worker for wishes"])
def prompt(request, monkeypatch):
    monkeypatch.setattr(FrameBoard.__init__, "__kwdefaults__", {"prompt": request.param})
    return request.param


def board_with(compute, tick_s=0.05):
    board = FrameBoard(compute, tick_s=tick_s)
    board.start()
    return board


def test_forty_viewers_of_one_live_view_cost_one_computation_per_tick():
    compute = Recorder()
    board = board_with(compute)
    try:
        watches = [board.watch(Wish("a"), lambda: None) for _ in range(40)]
        wait_for(lambda: board.ticks >= 10)
        wait_for(lambda: all(w.frame is not None for w in watches))
        calls = len(compute.calls)  # before the ticks: they go on
        assert calls <= board.ticks + 3
        wait_for(lambda: len({id(w.frame) for w in watches}) == 1)
    finally:
        board.stop()


def test_a_past_moment_is_computed_once_and_shared():
    compute = Recorder()
    board = board_with(compute)
    try:
        first = board.watch(Wish("a", 100.0), lambda: None)
        wait_for(lambda: first.frame is not None)
        second = board.watch(Wish("a", 100.0), lambda: None)
        assert second.frame is first.frame
        ticks = board.ticks
        wait_for(lambda: board.ticks > ticks + 3)
        assert compute.calls == [(Wish("a", 100.0), 100.0)]
    finally:
        board.stop()


def test_a_newer_wish_replaces_an_older_one_that_nobody_waits_for():
    compute = Recorder()
    board = board_with(compute, tick_s=60.0)
    try:
        wait_for(lambda: board.ticks >= 1)
        compute.gate.clear()
        watch = board.watch(Wish("slow", 1.0), lambda: None)
        assert compute.held.wait(60)
        for i in range(20):
            watch.request(Wish(f"dragged {i}", 2.0))
        compute.gate.set()
        wait_for(lambda: watch.frame_spec == Wish("dragged 19", 2.0))
        assert [spec.name for spec, _ in compute.calls] == ["slow", "dragged 19"]
    finally:
        board.stop()


def test_what_a_moving_hand_asked_for_does_not_pile_up(prompt):
    compute = Recorder()
    board = board_with(compute, tick_s=60.0)
    try:
        rung = []
        watch = board.watch(Wish("at rest"), lambda: rung.append(watch.frame_spec))
        wait_for(lambda: watch.frame_spec == Wish("at rest"))
        wait_for(lambda: board.ticks == 1)  # the next is a minute away
        compute.gate.clear()
        watch.request(Wish("moved 0"))
        assert compute.held.wait(60)
        for step in range(1, 200):
            watch.request(Wish(f"moved {step}"))
        compute.gate.set()
        wait_for(lambda: not watch.waiting)
        assert [spec.name for spec, _ in compute.calls] == ["at rest", "moved 0", "moved 199"]
        assert watch.frame_spec == watch.spec == Wish("moved 199")
        assert Wish("moved 0") not in rung, "a picture that nobody waits for any more is not shown"
    finally:
        compute.gate.set()
        board.stop()


@pytest.mark.parametrize("prompt", [True], indirect=True, ids=["a worker for wishes"])
def test_a_tick_leaves_a_wish_to_the_worker_beside_it():
    asked, gate = [], threading.Event()

    def compute(spec, moment_s):
        asked.append(spec.name)
        if spec.name == "moved":
            gate.wait(60)
        return (spec, moment_s)

    board = board_with(compute)
    try:
        still, watch = board.watch(Wish("still"), lambda: None), board.watch(Wish("still"), lambda: None)
        wait_for(lambda: watch.frame is not None and still.frame is not None)
        watch.request(Wish("moved"))
        wait_for(lambda: "moved" in asked)
        ticks = board.ticks
        wait_for(lambda: board.ticks > ticks + 3)
        assert asked.count("moved") == 1
        gate.set()
        wait_for(lambda: not watch.waiting)
        wait_for(lambda: asked.count("moved") >= 3)  # from then on the ticks make it
    finally:
        gate.set()
        board.stop()


@pytest.mark.parametrize("prompt", [True], indirect=True, ids=["a worker for wishes"])
def test_what_a_moving_hand_saw_last_is_made_of_the_new_moment_too_and_only_then_is_that_shown():
    calls, gate = [], threading.Event()

    def compute(spec, moment_s):
        calls.append((spec.name, moment_s))
        if spec.name.startswith("moved"):
            gate.wait(60)
        return (spec, moment_s)

    board = board_with(compute)
    try:
        watch = board.watch(Wish("at rest"), lambda: None)
        wait_for(lambda: watch.frame is not None)
        watch.request(Wish("moved"))
        wait_for(lambda: "moved" in [name for name, _ in calls])
        ticks, shown_s = board.ticks, watch.frame[1]
        wait_for(lambda: board.ticks > ticks + 3)
        assert watch.frame[1] == shown_s, "what is only made for its cells is not drawn"
        rested = {moment for name, moment in calls if name == "at rest"}
        assert len(rested) >= 4
        gate.set()
        watch.request(Wish("moved again"))
        wait_for(lambda: watch.frame_spec == Wish("moved again"))
        first = next(moment for name, moment in calls if name == "moved again")
        assert first in {moment for name, moment in calls if name == "at rest"}
    finally:
        gate.set()
        board.stop()


def test_what_nobody_waits_for_any_more_is_left_half_done(prompt):
    steps, gate, begun = [], threading.Event(), threading.Event()

    def compute(spec, moment_s):
        for step in range(3):
            steps.append((spec.name, step))
            if spec.name == "moved" and step == 0:
                begun.set()
                gate.wait(60)
            board.go_on()
        return (spec, moment_s)

    board = board_with(compute, tick_s=60.0)
    try:
        board.go_on()  # asked by somebody who computes for no watcher
        watch = board.watch(Wish("at rest"), lambda: None)
        wait_for(lambda: watch.frame is not None)
        wait_for(lambda: board.ticks == 1)
        watch.request(Wish("moved"))
        assert begun.wait(60)
        watch.request(Wish("moved again"))
        gate.set()
        wait_for(lambda: not watch.waiting)
        assert [step for name, step in steps if name == "moved"] == [0]
        assert [step for name, step in steps if name == "moved again"] == [0, 1, 2]
        assert board.failed == 0 and watch.error is None
        assert board.frame(Wish("nobody's", 5.0)) == (Wish("nobody's", 5.0), 5.0)
    finally:
        gate.set()
        board.stop()


def test_a_failing_frame_keeps_the_old_picture_says_why_and_harms_no_other():
    compute = Recorder()
    board = board_with(compute)
    try:
        good, other = board.watch(Wish("a"), lambda: None), board.watch(Wish("b"), lambda: None)
        wait_for(lambda: good.frame is not None and other.frame is not None)
        old = good.frame
        good.request(Wish("bad"))
        wait_for(lambda: good.error is not None)
        assert good.error == "ArithmeticError: no such field"
        assert good.frame[0] == old[0]
        before = other.frame
        wait_for(lambda: other.frame is not before)
        assert board.stats()["failed"] >= 1
    finally:
        board.stop()


def test_past_frames_are_bounded_and_closed_watchers_forgotten():
    compute = Recorder()
    board = board_with(compute, tick_s=60.0)
    try:
        watch = board.watch(Wish("a", 0.0), lambda: None)
        for i in range(PAST_FRAMES_KEPT + 20):
            watch.request(Wish("a", float(i)))
            wait_for(lambda i=i: watch.frame_spec == Wish("a", float(i)))
        assert board.stats()["past_frames"] == PAST_FRAMES_KEPT
        watch.close()
        assert board.stats()["watchers"] == 0
    finally:
        board.stop()


def test_every_watcher_is_woken_each_tick_even_when_its_frame_stands():
    wakes = []
    board = board_with(Recorder())
    try:
        board.watch(Wish("a", 5.0), lambda: wakes.append(1))
        wait_for(lambda: len(wakes) >= 5)
    finally:
        board.stop()


def test_many_who_scrub_the_past_do_not_hold_up_the_live_picture():
    def compute(spec, moment_s):
        time.sleep(0.02 if spec.moment_s is not None else 0.0)
        return (spec, moment_s)

    board = board_with(compute, tick_s=0.1)
    try:
        wakes = []
        live = board.watch(Wish("live"), lambda: wakes.append(time.monotonic()))
        scrubbers = [board.watch(Wish("past", float(i)), lambda: None) for i in range(30)]
        start_ticks, step = board.ticks, 0

        def goes_on():
            nonlocal step
            step += 1
            for i, watch in enumerate(scrubbers):
                watch.request(Wish("past", 1000.0 * step + i))
            return board.ticks - start_ticks >= 4 and live.frame is not None

        # Thirty frames of 20 ms are asked for again and again, every 5 ms; the clock must still tick.
        wait_for(goes_on)
    finally:
        board.stop()


def test_all_can_be_rung_while_a_frame_takes_long():
    compute = Recorder()
    board = board_with(compute)
    wakes = []
    try:
        board.watch(Wish("a"), lambda: wakes.append(1))
        wait_for(lambda: board.ticks >= 1)
        compute.gate.clear()
        assert compute.held.wait(60)
        before, ticks = len(wakes), board.ticks
        board.wake_all()
        assert len(wakes) == before + 1
        assert board.ticks == ticks
    finally:
        compute.gate.set()
        board.stop()


def test_a_wish_is_answered_while_a_tick_is_under_way(prompt):
    hold, held, gate = threading.Event(), threading.Event(), threading.Event()

    def compute(spec, moment_s):
        if spec.name == "slow" and hold.is_set():
            held.set()
            gate.wait(60)
        return (spec, moment_s)

    board = board_with(compute)
    try:
        slow = board.watch(Wish("slow"), lambda: None)
        wait_for(lambda: slow.frame is not None)
        hold.set()  # from now on only ticks make it
        assert held.wait(60)
        moved = board.watch(Wish("moved"), lambda: None)
        if prompt:
            wait_for(lambda: moved.frame_spec == Wish("moved"))
            assert not gate.is_set()
        gate.set()
        wait_for(lambda: moved.frame_spec == Wish("moved"))
    finally:
        gate.set()
        board.stop()
