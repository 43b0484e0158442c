"""What a page says of its picture is said of the picture that is drawn, whenever the next one comes."""

from __future__ import annotations

import time

import pytest

from dashboard.components.drift_view import DriftView
from dashboard.components.field_view import FieldView
from dashboard.components.graph_view import GraphView
from dashboard.components.locate_view import LocateView
from dashboard.components.volume_view import VolumeView
from engine.config import Settings
from engine.station import Station


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    with Station(settings=Settings(data_dir=tmp_path_factory.mktemp("page"), feed="synthetic")) as running:
        yield running


def until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


def watches_of(view):
    return [view.volume_watch, view.planes_watch] if isinstance(view, VolumeView) else [view.watch]


@pytest.fixture
def view(station, page):
    """A view that has its first frames."""
    view = page(station)
    view.pull()
    until(lambda: all(watch.frame is not None for watch in watches_of(view)))
    yield view
    view.close()


# Monitors speak once a minute: too rarely to wait for here.
@pytest.mark.parametrize("page", [FieldView, VolumeView, GraphView, LocateView])
def test_a_frame_that_comes_while_one_is_drawn_is_not_spoken_of(view):
    watches, draw = watches_of(view), view.draw

    def others_than(frames):
        return all(watch.frame is not frame for watch, frame in zip(watches, frames, strict=True))

    drawn = []

    def draw_and_dawdle():
        draw()
        drawn.extend(watch.frame for watch in watches)
        until(lambda: others_than(drawn))

    # Right after a frame has come there is a second until the next.
    before = [watch.frame for watch in watches]
    until(lambda: others_than(before))
    view.draw = draw_and_dawdle
    view.pull()
    said = view.strip.picture
    if "at" in said:
        assert said["at"] == f"{drawn[0].moment_s:.2f}"
    else:  # nothing was heard: there is no picture, but a caption
        assert f"seq {drawn[0].seq} " in said["caption"]


@pytest.mark.parametrize("page", [FieldView, VolumeView, GraphView, LocateView, DriftView])
def test_who_waits_while_the_picture_comes_waits_until_it_is_drawn(view):
    watches, draw, moment_s = watches_of(view), view.draw, time.time() - 5.0

    def draw_and_dawdle():
        draw()
        until(lambda: not any(watch.waiting for watch in watches))

    view.draw = draw_and_dawdle
    view.seek(moment_s)
    assert view.strip.mode == "paused" and view.strip.picture["waiting"]
    for _ in range(5):  # a graph is fitted when it is drawn, and so asked for once more
        view.pull()
    assert not view.strip.picture["waiting"]
    assert all(abs(watch.frame.moment_s - moment_s) < 1.0 for watch in watches)
