"""Time and links: the past is the same past for everybody, and a link says all of a view."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.browser.driver import Tab, wait_for

pytestmark = pytest.mark.browser


def positions(tab: Tab) -> dict[str, tuple[float, float]]:
    return {e["id"]: (e["x"], e["y"]) for e in tab.ask("probe.emitters()")}


def distances_m(one: dict, other: dict) -> np.ndarray:
    both = sorted(one.keys() & other.keys())
    return np.array([math.dist(one[i], other[i]) for i in both])


def clipboard(tab: Tab) -> str:
    return str(tab.ask("navigator.clipboard.readText()"))


def test_the_slider_goes_back_and_the_button_returns_to_live(laptop, sample):
    tab = laptop
    tab.until("() => probe.strip().span.length === 2 && probe.strip().density.some((n) => n > 0)")
    live = positions(tab)
    track = tab.page.get_by_label("Moment shown").bounding_box()
    tab.page.mouse.click(track["x"] + 0.4 * track["width"], track["y"] + track["height"] / 2)
    tab.until_word("paused")
    start, end = tab.ask("probe.strip().span")
    moment = tab.ask("probe.strip().moment_s")
    assert (moment - start) / (end - start) == pytest.approx(0.4, abs=0.05)
    tab.still()
    past = positions(tab)
    assert len(past) > 5
    said = tab.page.locator(".moment").inner_text()
    assert said == datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    moved = distances_m(live, past)
    assert not len(moved) or np.median(moved) > 10_000, "ten minutes ago aircraft were elsewhere"
    assert past.keys() != live.keys() or len(moved), "or were not there at all"
    # A paused picture stands still.
    caption = tab.caption
    ticks = sample.metric("frames_ticks")
    wait_for(lambda: sample.metric("frames_ticks") > ticks + 2, "two ticks")
    assert tab.caption == caption and positions(tab) == past
    tab.page.locator(".live").click()
    tab.until_word("live")
    tab.until("() => Date.now() / 1000 - probe.captionSecond() < 5")


def test_the_past_is_what_it_was_when_it_was_live(laptop, tabs, sample):
    tab = laptop
    tab.until_word("live")
    # The moment of the picture itself: the strip may know of a newer one already.
    seen, moment = tab.ask(
        "(() => { const p = probe.strip().picture;"
        " return [probe.emitters(), Number(p instanceof Map ? p.get('at') : p.at)] })()"
    )
    live = {e["id"]: (e["x"], e["y"]) for e in seen}
    wait_for(lambda: tab.ask("Date.now() / 1000") > moment + 6, "some time to pass")
    moved = distances_m(live, positions(tab))
    when = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    back = tabs(sample, f"/field?t={when}").still()
    then = positions(back)
    # Nearly every emitter; a fix may have been on its way just then.
    assert len(live.keys() ^ then.keys()) <= 0.1 * len(live) + 1
    assert np.quantile(distances_m(live, then), 0.8) < 200 < np.median(moved)


def test_a_picture_that_is_there_before_the_page_has_loaded_is_shown(tabs, sample):
    when = datetime.fromtimestamp(sample_time(sample) - 45.25, UTC).isoformat().replace("+00:00", "Z")
    tab = tabs(sample, None)
    held = tab.slow_to_load()
    tab.open(f"/field?t={when}")
    wait_for(lambda: tab.ask("1") and held, "the page to say that it has loaded")
    tab.page.wait_for_timeout(1_500)
    # The page reports its view anew, while the picture of it is there.
    tab.page.set_viewport_size({"width": 1280, "height": 796})
    tab.page.wait_for_timeout(1_500)
    held.pop()()
    tab.still()


def test_a_replay_runs_through_the_past_at_its_speed(tabs, sample):
    start = sample_time(sample) - 600
    when = datetime.fromtimestamp(start, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    tab = tabs(sample, f"/field?t={when}&play=1&speed=20").drawn()
    tab.until_word("replaying")
    first, at = tab.ask("[probe.captionSecond(), performance.now() / 1000]")
    tab.until("(s) => probe.captionSecond() > s + 60", first)
    last, later = tab.ask("[probe.captionSecond(), performance.now() / 1000]")
    assert (last - first) / (later - at) == pytest.approx(20, rel=0.4)
    tab.page.locator(".toggle").click()
    tab.until_word("paused")


def sample_time(server) -> float:
    return server.metric("newest_s")


def test_a_copied_link_shows_the_same_to_somebody_else(tabs, sample):
    view = "view=6.5,46,9,47.6&limits=-85,-50&ahead=30&layers=field,forecast,emitters&theme=dark"
    mine = tabs(sample, f"/field?{view}").drawn().pause()
    chosen = mine.ask("probe.emitters()[0]")
    find = mine.page.get_by_placeholder("Find an emitter: id or call sign")
    find.fill(chosen["id"])
    find.press("Enter")
    mine.until("(id) => probe.selected().includes(id)", chosen["id"])
    mine.page.locator("#picture").focus()
    mine.page.keyboard.press("l")
    mine.page.locator(".toast").get_by_text("copied").wait_for()
    link = clipboard(mine)
    assert link.startswith(sample.url + "/field?")

    yours = tabs(sample, link.removeprefix(sample.url)).still()
    yours.until("(id) => probe.selected().includes(id)", chosen["id"])
    mine.still()
    assert yours.ask("probe.range()") == pytest.approx(mine.ask("probe.range()"), rel=1e-6)
    for thing in (
        "probe.emitters()",
        "probe.bars()",
        "probe.layer('field', true)",
        "probe.layer('forecast', true)",
        "probe.layer('trails').visible",
        "probe.background()",
        "document.documentElement.dataset.theme",
    ):
        assert yours.ask(thing) == mine.ask(thing), thing
    assert yours.caption == mine.caption
    assert yours.word == "paused"


def test_the_button_copies_the_same_link_as_the_address_bar(laptop):
    tab = laptop
    tab.page.get_by_text("Copy link", exact=True).click()
    tab.page.locator(".toast").get_by_text("copied").wait_for()
    assert clipboard(tab) == tab.address


def test_a_link_in_a_smaller_window_still_shows_the_whole_place(tabs, sample):
    wide = tabs(sample, "/field?view=6.5,46,9,47.6").drawn()
    small = tabs(sample, "/field?" + wide.address.split("?")[1], size=(1000, 640)).drawn()
    west, south, east, north = wide.ask("probe.range()")
    w, s, e, n = small.ask("probe.range()")
    assert w <= west + 1 and s <= south + 1 and e >= east - 1 and n >= north - 1


def test_a_reload_comes_back_to_the_same_view(tabs, sample):
    tab = tabs(sample).drawn()
    wide, frame = tab.ask("[probe.range(), probe.frame()]")
    # A little, and in the middle: half of the place may be without an aircraft for minutes.
    tab.page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    tab.page.mouse.wheel(0, -120)
    tab.until("(wide) => probe.range()[2] - probe.range()[0] < 0.9 * wide", wide[2] - wide[0])
    zoomed = wait_for(lambda: settled(tab), "the view to rest")
    tab.page.reload()
    tab.drawn()
    assert tab.ask("probe.range()") == pytest.approx(zoomed, abs=5)


def settled(tab: Tab) -> list[float] | None:
    """The view, once the address bar has it."""
    west = float(tab.page.url.split("view=")[1].split(",")[0])
    view = tab.ask("probe.range()")
    return view if abs(west - view[0] / 6_378_137 * 57.29577951) < 1e-4 and tab.ask("probe.drawn()") else None
