"""Layouts: an ordinary laptop, a narrow window, a wall display, a link with mistakes, and the keyboard."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.browser.driver import Tab, wait_for

pytestmark = pytest.mark.browser

PARTS = ("header.bar", "#controls", "#picture", "#inspector", "footer")


def overlaps(a: dict, b: dict) -> bool:
    apart = (
        a["x"] + a["width"] <= b["x"] + 0.5 or b["x"] + b["width"] <= a["x"] + 0.5
        or a["y"] + a["height"] <= b["y"] + 0.5 or b["y"] + b["height"] <= a["y"] + 0.5
    )  # fmt: skip
    return not apart


def assert_apart(tab: Tab, selectors: list[str]) -> None:
    boxes = {s: b for s, b in tab.ask("(selectors) => probe.boxes(selectors)", selectors).items() if b["width"] > 0}
    for one, other in combinations(boxes, 2):
        assert not overlaps(boxes[one], boxes[other]), f"{one} {boxes[one]} overlaps {other} {boxes[other]}"


def inside_window(tab: Tab, selectors: list[str]) -> None:
    size = tab.page.viewport_size
    for name, box in tab.ask("(selectors) => probe.boxes(selectors)", selectors).items():
        assert box["x"] >= -0.5 and box["x"] + box["width"] <= size["width"] + 0.5, f"{name} is cut off: {box}"


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (1024, 768)])
def test_everything_fits_side_by_side(tabs, sample, size):
    tab = tabs(sample, size=size).drawn()
    tab.until_word("live")
    assert tab.ask("document.documentElement.scrollWidth") <= size[0]
    assert tab.ask("document.documentElement.scrollHeight") <= size[1]
    assert_apart(tab, list(PARTS))
    strip = [".state", ".time", ".spine"]
    assert_apart(tab, strip)
    inside_window(tab, [*PARTS, *strip, ".moment", ".seq", ".live"])
    parts = ["#controls", "#inspector", "header.bar", ".strip", ".state .why", ".time"]
    assert tab.ask("(s) => probe.clipped(s)", parts) == []
    map_, picture = tab.ask("probe.frame()"), tab.ask("probe.boxes(['#picture'])")["#picture"]
    assert map_["width"] > 0.7 * picture["width"] and map_["height"] > 0.7 * picture["height"]
    assert picture["width"] * picture["height"] > 0.4 * size[0] * size[1], "the picture is the largest thing"


def test_tools_stand_apart(laptop):
    tab = laptop
    names = ["Copy link", "PNG", "NetCDF", "HTML", "Python", "◐"]
    boxes = [tab.page.get_by_text(name, exact=True).bounding_box() for name in names]
    assert all(not overlaps(a, b) for a, b in combinations(boxes, 2))
    assert boxes[-1]["x"] + boxes[-1]["width"] <= 1280


def test_at_touch_size_the_picture_comes_first_and_all_can_be_reached(tabs, sample):
    tab = tabs(sample, size=(760, 1000)).drawn()
    assert tab.ask("document.documentElement.scrollWidth") <= 760
    assert_apart(tab, list(PARTS[:-1]))  # the strip stays at the foot of the window while the rest scrolls
    boxes = tab.ask("(s) => probe.boxes(s)", list(PARTS))
    assert boxes["footer"]["y"] + boxes["footer"]["height"] == pytest.approx(1000, abs=1)
    assert boxes["#picture"]["y"] < boxes["#controls"]["y"] < boxes["#inspector"]["y"]
    assert boxes["#picture"]["height"] >= 0.5 * 1000
    inside_window(tab, [*PARTS, ".time", ".toggle", ".live", ".moment"])
    tab.picture("field-narrow")
    tab.page.locator("footer").scroll_into_view_if_needed()
    tab.page.locator(".toggle").click()
    tab.until_word("paused")
    tab.checkbox("Trails").uncheck()
    tab.until("() => !probe.layer('trails').visible")


def test_kiosk_leaves_the_picture_and_the_strip(tabs, sample):
    tab = tabs(sample, "/field?kiosk=1").drawn()
    for hidden in ("header.bar", "#controls", "#inspector"):
        assert not tab.page.locator(hidden).is_visible()
    boxes = tab.ask("(s) => probe.boxes(s)", ["#picture", "footer"])
    assert boxes["#picture"]["width"] == 1280 and boxes["#picture"]["y"] == 0
    assert boxes["footer"]["y"] + boxes["footer"]["height"] <= 800.5
    tab.until_word("live")


def test_keys_pause_step_and_go_back_to_live(laptop):
    tab = laptop
    tab.until_word("live")
    tab.page.keyboard.press("Space")
    tab.until_word("paused")
    first = tab.ask("probe.strip().moment_s")
    tab.page.keyboard.press("ArrowLeft")
    tab.until("(s) => Math.abs(probe.strip().moment_s - (s - 10)) < 0.05", first)
    tab.page.keyboard.press("ArrowRight")
    tab.until("(s) => Math.abs(probe.strip().moment_s - s) < 0.05", first)
    tab.page.keyboard.press("Space")
    tab.until_word("live")
    tab.page.keyboard.press("ArrowLeft")
    tab.until_word("paused")
    assert 9 < tab.ask("Date.now() / 1000 - probe.strip().moment_s") < 15


def test_the_list_of_keys_opens_and_closes(laptop):
    tab = laptop
    tab.page.keyboard.press("?")
    box = tab.page.locator("dialog.keys")
    box.get_by_text("copy link to this view").wait_for()
    tab.page.keyboard.press("Escape")
    box.wait_for(state="hidden")


def test_keys_typed_into_a_field_are_only_text(laptop):
    tab = laptop
    find = tab.page.get_by_placeholder("Find an emitter: id or call sign")
    find.focus()
    tab.page.keyboard.type("l c?")
    assert find.input_value() == "l c?"
    # Not paused, that is; a sample with a gap of two seconds between fixes is rightly called stale.
    assert tab.word in ("live", "stale") and not tab.page.locator("dialog.keys").is_visible()


def test_controls_fold_away_and_the_picture_grows(laptop):
    tab = laptop
    before = tab.ask("probe.frame().width")
    tab.page.keyboard.press("c")
    tab.until("(w) => probe.frame().width > w + 200", before)
    assert not tab.page.locator("#controls").is_visible()
    tab.page.keyboard.press("c")
    tab.until("(w) => Math.abs(probe.frame().width - w) < 3", before)


def test_a_bad_link_names_the_bad_parts_and_draws_all_the_same(tabs, sample):
    tab = tabs(sample, "/field?height=tall&view=1,2&ahead=30")
    toast = tab.page.locator(".toast")
    toast.wait_for()
    said = toast.inner_text()
    assert "height is 'tall'" in said and "view is '1,2'" in said
    tab.drawn()
    assert "height=10&" in tab.address and "ahead=30&" in tab.address


def test_the_window_and_its_icon_tell_page_and_state(laptop):
    tab = laptop
    tab.until_word("live")
    assert "Field" in tab.page.title()
    live = wait_for(lambda: tab.page.locator("#favicon").get_attribute("href"), "an icon")
    tab.page.keyboard.press("Space")
    tab.until_word("paused")
    assert tab.page.locator("#favicon").get_attribute("href") != live
