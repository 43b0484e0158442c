"""The Field page in a real browser: it draws, lives, zooms, selects and obeys its controls."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest

from tests.browser.driver import Tab, wait_for

pytestmark = pytest.mark.browser


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def cell_size(tab: Tab) -> float:
    return float(tab.ask("probe.layer('field').cell"))


def widest(tab: Tab) -> dict:
    """An emitter well inside the view and far from all others, so that a click means it alone."""
    west, south, east, north = tab.ask("probe.range()")
    emitters = tab.ask("probe.emitters()")
    dx, dy = 0.1 * (east - west), 0.1 * (north - south)
    inside = [e for e in emitters if west + dx < e["x"] < east - dx and south + dy < e["y"] < north - dy]

    def room(e: dict) -> float:
        return min((abs(e["x"] - o["x"]) + abs(e["y"] - o["y"]) for o in emitters if o is not e), default=1e9)

    return max(inside, key=room)


def select(tab: Tab) -> dict:
    """Click on an emitter and return it; it flies, so it is looked for anew until the click has met it."""

    def clicked() -> dict | None:
        chosen = widest(tab)
        tab.click_map(chosen["x"], chosen["y"])
        try:
            tab.until("(id) => probe.strip().query.includes(`select=${id}&`)", chosen["id"], timeout_s=3)
        except AssertionError:
            return None
        return chosen

    return wait_for(clicked, "a click on an emitter to select it")


def test_two_tabs_of_one_view_share_one_frame(tabs, odd):
    wait_for(lambda: odd.metric("frames_watchers") == 0, "the sessions of earlier tests to end", 120)
    for _ in range(2):
        tabs(odd).drawn()
    wait_for(lambda: odd.metric("sessions") == 2, "both sessions to be registered")
    assert odd.metric("frames_watchers") == 2
    assert odd.metric("frames_specs") == 1
    ticks, computed = odd.metric("frames_ticks"), odd.metric("frames_computed")
    wait_for(lambda: odd.metric("frames_ticks") >= ticks + 4, "four more ticks")
    # One frame per tick for both of them; reading two numbers one after the other may straddle a tick.
    assert odd.metric("frames_computed") - computed <= odd.metric("frames_ticks") - ticks + 1


def test_it_draws_the_field_with_coast_emitters_and_scale(laptop):
    tab = laptop
    tab.until_word("live")
    field = tab.ask("probe.layer('field', true)")
    assert len(set(field["bytes"])) > 40, "a field of thirty aircraft has many levels"
    assert len(tab.ask("probe.emitters()")) > 5
    assert max(tab.ask("probe.lengths('Line', 'x')")) > 300, "coast and borders"
    assert [(bar["low"], bar["high"]) for bar in tab.ask("probe.bars()")] == [(-80, -55), (-80, -55)]
    assert "dBm" in tab.ask("probe.bars().map(b => b.title).join()")
    tab.picture("field-light")


def test_pixels_have_the_colour_of_the_field_under_them(tabs, sample):
    tab = tabs(sample, "/field?layers=field").drawn()
    tab.pause()
    field, palette = tab.ask("probe.layer('field', true)"), tab.ask("probe.palette('field')")
    screen, frame, (west, south, east, north) = tab.pixels(), tab.ask("probe.frame()"), tab.ask("probe.range()")
    near = total = 0
    for across, up in product(np.linspace(0.1, 0.9, 40), repeat=2):
        x, y = west + across * (east - west), south + up * (north - south)
        column, row = int((x - field["west"]) / field["cell"]), int((y - field["south"]) / field["cell"])
        expected = rgb(palette[field["bytes"][row * field["nx"] + column]])
        spot = (int(frame["x"] + across * frame["width"]), int(frame["y"] + (1 - up) * frame["height"]))
        total += 1
        near += max(abs(a - b) for a, b in zip(expected, screen.getpixel(spot), strict=True)) <= 6
    # Coast, borders and grid lines hide some of the cells.
    assert near / total > 0.85


def test_it_updates_live(laptop):
    tab = laptop
    tab.until_word("live")
    before = {e["id"]: (e["x"], e["y"]) for e in tab.ask("probe.emitters()")}
    seq = tab.ask("probe.strip().status.seq")
    field = tab.ask("probe.layer('field', true).bytes")
    tab.until("(seq) => probe.strip().status.seq > seq + 5", seq)
    tab.until("(second) => probe.captionSecond() > second + 2", tab.ask("probe.captionSecond()"))
    after = {e["id"]: (e["x"], e["y"]) for e in tab.ask("probe.emitters()")}
    both = before.keys() & after.keys()
    assert sum(before[i] != after[i] for i in both) > 0.8 * len(both)
    assert tab.ask("probe.layer('field', true).bytes") != field


def test_zoom_renders_again_at_the_new_resolution_and_stays(tabs, sample):
    tab = tabs(sample).drawn()
    coarse, wide = cell_size(tab), tab.ask("probe.range()")
    somebody = widest(tab)
    tab.page.mouse.move(*tab.ask("([x, y]) => probe.pixel(x, y)", [somebody["x"], somebody["y"]]))
    tab.page.mouse.wheel(0, -600)
    tab.until("(wide) => probe.range()[2] - probe.range()[0] < 0.7 * wide", wide[2] - wide[0])
    tab.until("(cell) => probe.drawn() && probe.layer('field').cell < 0.8 * cell", coarse)
    near = tab.ask("probe.range()")
    share = (near[2] - near[0]) / (wide[2] - wide[0])
    assert cell_size(tab) / coarse == pytest.approx(share, rel=0.5)
    field = tab.ask("probe.layer('field')")
    assert 0.25 * 90_000 < field["nx"] * field["ny"] <= 90_000
    seq = tab.ask("probe.strip().status.seq")
    tab.until("(seq) => probe.strip().status.seq > seq + 5", seq)
    assert tab.ask("probe.range()") == pytest.approx(near, rel=1e-9), "live updates move the view"
    frame = tab.ask("probe.frame()")
    # Twice the click goes back to the whole.
    tab.page.mouse.dblclick(frame["x"] + 30, frame["y"] + 30)
    tab.until("(wide) => Math.abs((probe.range()[2] - probe.range()[0]) / wide - 1) < 0.01", wide[2] - wide[0])
    tab.until("(cell) => probe.drawn() && Math.abs(probe.layer('field').cell / cell - 1) < 0.01", coarse)


def test_a_drag_pans_and_the_new_place_is_drawn(tabs, sample):
    tab = tabs(sample).drawn()
    west = tab.ask("probe.range()[0]")
    frame = tab.ask("probe.frame()")
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + 20
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 200, y, steps=8)
    tab.page.mouse.up()
    moved = tab.until("(west) => west - probe.range()[0] > 1000 && probe.range()[0]", west)
    metres_per_pixel = tab.ask("(probe.range()[2] - probe.range()[0]) / probe.frame().width")
    assert west - moved == pytest.approx(200 * metres_per_pixel, rel=0.05)
    tab.drawn()


def test_a_map_that_comes_back_to_the_very_place_is_told_of_again(tabs, sample):
    tab = tabs(sample).drawn()
    home, frame = tab.ask("probe.range()"), tab.ask("probe.frame()")
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + 20
    reported = "probe.models().find((m) => m.data?.v && m.data.v.length >= 6).data.v"
    told = f"() => probe.range().every((value, i) => value === {reported}[i]) && probe.drawn()"
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 256, y, steps=4)
    tab.page.mouse.up()
    tab.until(told)
    assert tab.ask("probe.range()") != home
    # To the last bit, as a hand now and then does: the numbers are those that the map was fitted to.
    tab.ask("(home) => probe.fig().x_range.setv({ start: home[0], end: home[2] })", home)
    assert tab.ask("probe.range()") == home
    tab.until(told)


def test_metres_are_square(tabs, sample):
    for size in ((1280, 800), (900, 900)):
        tab = tabs(sample, size=size).drawn()
        (x0, y0), (x1, y1) = tab.ask("[probe.pixel(0, 0), probe.pixel(1e5, 1e5)]")
        assert (x1 - x0) == pytest.approx(y0 - y1, rel=0.01)


def test_the_cursor_reads_the_value_under_it(laptop):
    tab = laptop
    tab.pause()
    frame = tab.ask("probe.frame()")
    left, top = round(frame["x"] + 0.3 * frame["width"]), round(frame["y"] + 0.4 * frame["height"])
    tab.page.mouse.move(left - 3, top)
    tab.page.mouse.move(left, top)
    text = wait_for(lambda: tab.page.locator("#readout").inner_text(), "the read-out")
    x, y = tab.ask("([l, t]) => probe.place(l, t)", [left, top])
    field = tab.ask("probe.layer('field', true)")
    column, row = int((x - field["west"]) / field["cell"]), int((y - field["south"]) / field["cell"])
    level = field["bytes"][row * field["nx"] + column]
    said = float(re.search(r"field (-?[\d.]+) dBm", text)[1])
    assert said == pytest.approx(-80 + 25 * (level - 1) / 254, abs=0.06)
    lat, lon = (float(v) for v in re.search(r"([\d.]+)° N\s+([\d.]+)° E", text).groups())
    assert lon == pytest.approx(x / 6_378_137 * 57.29578, abs=1e-3)
    assert 45 < lat < 49


def test_a_click_on_an_emitter_selects_it_and_esc_clears(laptop):
    tab = laptop
    chosen = select(tab)
    inspector = tab.page.locator("#inspector")
    for words in (
        chosen["id"],
        chosen["name"],
        "altitude",
        "EIRP",
        "last fix",
        "90 % ellipse",
        "Prediction error so far",
    ):
        inspector.get_by_text(words).first.wait_for()
    facts = tab.facts()
    assert abs(float(facts["altitude"].removesuffix(" m").replace(",", "")) - chosen["alt_m"]) < 300
    assert float(facts["EIRP"].split(" dBm")[0]) == pytest.approx(chosen["eirp"], abs=0.06)
    assert float(facts["last fix"].removesuffix(" s ago")) < 60
    assert re.fullmatch(r"± [\d.]+ k?m × [\d.]+ k?m", facts["90 % ellipse"])
    # The errors of its own predictions, and of all: a row per horizon each.
    for horizon in ("5 s", "15 s", "60 s"):
        inspector.get_by_role("cell", name=horizon, exact=True).first.wait_for()
    tab.until("() => probe.column('Ellipse', 'width')[0] > 0")
    tab.until("(id) => probe.selected().join() === id", chosen["id"])
    # The inspector is part of the instrument, not of the moment: the selection outlives updates.
    tab.until("(s) => probe.captionSecond() > s + 1", tab.ask("probe.captionSecond()"))
    assert tab.ask("probe.selected()") == [chosen["id"]]
    tab.page.mouse.wheel(0, -250)
    tab.drawn()
    assert tab.ask("probe.selected()") == [chosen["id"]], "nor is it lost in a zoom"
    tab.page.mouse.move(20, 780)
    tab.picture("field-selected")
    tab.page.mouse.dblclick(*tab.ask("[probe.frame().x + 20, probe.frame().y + 20]"))
    tab.page.keyboard.press("Escape")
    tab.until("() => probe.selected().length === 0 && probe.column('Ellipse', 'width').length === 0")
    inspector.get_by_text("Click an emitter").wait_for()
    assert "select=&" in tab.ask("probe.strip().query")


def test_the_find_box_selects_by_call_sign_and_says_when_there_is_none(laptop):
    tab = laptop
    wanted = widest(tab)
    tab.page.locator("#picture").focus()
    tab.page.keyboard.press("/")
    tab.page.keyboard.type(wanted["name"].lower())
    tab.page.keyboard.press("Enter")
    tab.until("(id) => probe.selected().includes(id)", wanted["id"])
    find = tab.page.get_by_placeholder("Find an emitter: id or call sign")
    find.fill("no such thing")
    find.press("Enter")
    tab.page.locator(".toast").get_by_text("no such thing").wait_for()
    assert tab.ask("probe.selected()") == [wanted["id"]], "a search in vain keeps the selection"


def test_layers_can_be_switched_off_and_on_one_by_one(laptop):
    layers = {"Field now": "field", "Predicted field": "forecast", "Trails": "trails"}
    for label, hidden in layers.items():
        laptop.checkbox(label).uncheck()
        laptop.until("(name) => !probe.layer(name).visible", hidden)
        assert all(laptop.ask("(n) => probe.layer(n).visible", name) for name in layers.values() if name != hidden)
        laptop.checkbox(label).check()
        laptop.until("(name) => probe.layer(name).visible && probe.layer(name).nx > 0", hidden)
    laptop.checkbox("Emitters").uncheck()
    laptop.until("() => [...probe.visible('Scatter'), ...probe.visible('Text')].every((v) => !v)")
    laptop.checkbox("Emitters").check()
    laptop.until("() => probe.visible('Scatter').every((v) => v)")


def test_colour_limits_change_the_scale_and_keep_zoom_and_selection(tabs, sample):
    tab = tabs(sample, "/field?view=6.5,46.2,9.5,47.8").drawn()
    chosen, view = select(tab), tab.ask("probe.range()")
    tab.pause()
    before = tab.ask("probe.layer('field', true).bytes")
    tab.page.locator("#controls .noUi-handle-lower").last.focus()
    for _ in range(5):
        tab.page.keyboard.press("ArrowLeft")
    # The handle moves step by step: one look at the page, not several, says whether all colour bars agree.
    tab.until("() => probe.bars().every((bar) => bar.low < -80 && bar.low === probe.bars()[0].low)")
    tab.until("() => probe.drawn()")
    assert wait_for(lambda: tab.ask("probe.layer('field', true).bytes") != before, "the field to be quantised anew")
    assert tab.ask("probe.range()") == pytest.approx(view, rel=1e-9)
    assert tab.ask("probe.selected()") == [chosen["id"]]


def test_the_inverse_square_model_has_its_own_unit(tabs, sample):
    tab = tabs(sample).drawn()
    tab.page.locator("#controls select").first.select_option("Inverse square (unitless)")
    tab.until("() => probe.bars().map((b) => b.title).join().includes('1 m')")
    tab.drawn()


def test_dark_and_light_change_in_place(tabs, sample):
    tab = tabs(sample).drawn()
    view, light = tab.ask("probe.range()"), tab.ask("probe.background()")
    tab.page.get_by_role("button", name="Light or dark").click()
    tab.until("() => document.documentElement.dataset.theme === 'dark'")
    tab.until("(light) => probe.background() !== light", light)
    assert tab.ask("probe.range()") == pytest.approx(view, rel=1e-9)
    assert sum(tab.pixels().getpixel((20, 700))) < 200, "the ground is dark"
    assert "theme=dark" in tab.address
    tab.page.mouse.move(20, 780)
    tab.drawn().picture("field-dark")
    tab.page.get_by_role("button", name="Light or dark").click()
    tab.until("(light) => probe.background() === light", light)


def test_who_dominates_and_the_spectrum_stand_beside_the_map(tabs, sample):
    tab = tabs(sample, "/field?contest=server&groups=source&spectrum=1").drawn()
    tab.until("() => probe.deep('svg[role=img] path').length > 4 && probe.deep('h4').length > 2")
    headings = tab.ask("probe.deep('h4').map((h) => h.textContent)")
    assert {"Dominance in the frame", "Spectrum of the field in view"} <= set(headings)
    shares = tab.ask(
        "probe.deep('table').find((t) => t.textContent.includes('nobody received'))"
        ".innerText.match(/[0-9.]+ %/g).map(parseFloat)"
    )
    assert len(shares) >= 3 and sum(shares) == pytest.approx(100.0, abs=0.1 * len(shares))
    # The link has both, and without them both are gone.
    assert "contest=server" in tab.ask("document.documentElement.dataset.query")
    tab.checkbox("Spectrum of the view").uncheck()
    tab.until("() => !probe.deep('svg[role=img]').length")
    tab.until("() => document.documentElement.dataset.query.includes('spectrum=0')")


TOLD = "probe.deep('h4').find((h) => h.textContent === 'At the place clicked')?.nextElementSibling.textContent"


@pytest.mark.parametrize(("contest", "step_db"), [("ab", 60 / 254), ("margin", 30 / 254)])
def test_the_cursor_reads_who_leads_as_a_click_tells_it(tabs, sample, contest, step_db):
    tab = tabs(sample, f"/field?contest={contest}&groups=ab&a=4b*,40*,44*").drawn()
    tab.pause()
    tab.until("() => probe.deep('h4').some((h) => h.textContent === 'Dominance in the frame')")
    frame, led, told = tab.ask("probe.frame()"), [], None
    for share in (0.2, 0.5, 0.7):
        left, top = round(frame["x"] + share * frame["width"]), round(frame["y"] + share * frame["height"])
        tab.page.wait_for_timeout(600)  # two clicks in a hurry are a double click
        tab.page.mouse.click(left, top)
        tab.until(f"(before) => ({TOLD}) && ({TOLD}) !== before", told)
        told = tab.ask(TOLD)
        who, _, lead = told.rpartition(", by ")
        lead_db = float(lead.removesuffix(" dB"))
        led.append((who, lead_db))
        # Another cell first: a cursor that has not moved reads nothing.
        tab.page.mouse.move(left + 30, top)
        tab.page.mouse.move(left, top)
        said = tab.page.locator("#readout").inner_text().rpartition("dBm")[2].strip()
        if who == "contested":
            assert said.removeprefix("lead ").startswith("contested")
        elif lead_db >= 30.0:
            assert "30 dB or more" in said
        else:
            assert float(re.search(r"([\d.]+) dB$", said)[1]) == pytest.approx(lead_db, abs=0.5 * step_db + 0.06)
            assert contest == "margin" or said.startswith(f"{who} leads by")
    assert len(set(led)) > 1
    if contest == "margin":
        tab.picture("field-margin")
