"""The Drift page as people use it: a drill begun in one browser is seen, located, explained, answered in another."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.sync_api import TimeoutError

from tests.browser.driver import PATIENCE_S, Server, Tab, wait_for

pytestmark = pytest.mark.browser

ROWS = """() => [...probe.deep('.feed tbody tr')].map((tr) => [...tr.cells].map((td) => td.textContent.trim()))"""
CARDS = """() => [...probe.deep('.card')].map((c) => ({ key: c.dataset.key, state: c.className.replace('card ', ''),
    title: c.querySelector('b').textContent, path: c.querySelector('path.line')?.getAttribute('d') ?? '' }))"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory, real_data):
    """A dashboard with recorded air traffic, on which drills are played."""
    real_data("tracks/switzerland.json.gz")
    server = Server(tmp_path_factory.mktemp("desk"), FEED="sample", REDIS_URL="").start()
    yield server
    server.stop()
    assert server.failures() == []


def rows(tab: Tab) -> list[list[str]]:
    return list(tab.ask(ROWS))


def cards(tab: Tab) -> list[dict[str, str]]:
    return list(tab.ask(CARDS))


def open_drift(tabs, server: Server, query: str = "", **how) -> Tab:
    tab = tabs(server, f"/drift{query}", **how)
    tab.until("() => document.getElementById('picture').dataset.state === 'ok'")
    return tab


def test_a_drill_is_seen_located_explained_and_acknowledged_in_another_browser_and_leaves_nothing(tabs, desk):
    # All alerts, those that are cleared as well: on a slow machine the drill may end while it is looked at.
    started, watching = open_drift(tabs, desk, "?alerts=all"), open_drift(tabs, desk, "?alerts=all")
    started.page.get_by_label("Drill", exact=True).select_option(label="EW sweep")
    started.page.get_by_role("button", name="Start the drill").click()
    drill = wait_for(
        lambda: next((row for row in rows(watching) if "drill" in row[6]), None),
        "the drill to be seen",
        3 * PATIENCE_S,
    )
    assert drill[1].startswith(("raised", "cleared")) and "ew_sweep" in drill[3]
    monitor = drill[2]

    # Explained: the evidence has the numbers, the window and the events behind it.
    watching.page.locator(".feed tbody tr", has_text="ew_sweep").first.click()
    watching.until("() => 'drill' in probe.facts()")
    facts = watching.facts()
    assert facts["drill"].startswith("drill:ew_sweep:0")
    assert facts["state"].startswith(("raised", "cleared")) and "events" in facts["rests on"]
    first, last = (int(n) for n in re.findall(r"\d+", facts["seq"]))
    assert 0 < first <= last
    watching.picture("drift-evidence")

    # Located: a mark on the map, in Switzerland where the drill is.
    watching.page.get_by_role("button", name="Map", exact=True).click()
    watching.until("() => probe.fig() && probe.lengths('Scatter', 'x').some((n) => n > 0)")
    watching.picture("drift-map")

    # Acknowledged: the other browser says by whom.
    watching.page.get_by_label("Your name").fill("ana <b>")
    watching.page.get_by_label("Your name").press("Tab")
    watching.page.locator("#inspector").get_by_role("button", name="Acknowledge").click()
    started.until("() => [...probe.deep('.feed .seen')].some((e) => e.textContent === 'seen by ana <b>')")

    # Over, here by a second press: it is cleared, and no emitter of the drill is left on the map of the field.
    cancel = started.page.get_by_role("button", name="Cancel the drill")
    if cancel.count():
        with contextlib.suppress(TimeoutError):  # it has ended by itself just now
            cancel.click(timeout=2_000)
    wait_for(
        lambda: [r for r in rows(started) if "ew_sweep" in r[3] and r[2] == monitor and "drill ended" in r[1]],
        "the drill to be over and its alarm cleared", 3 * PATIENCE_S,
    )  # fmt: skip
    watching.page.get_by_role("button", name="Alerts", exact=True).click()
    watching.page.get_by_label("Alerts", exact=True).select_option(label="Raised")
    watching.until(
        "() => probe.deep('.feed').length && !probe.deep('.feed tbody tr').some((tr) => /drill:/.test(tr.textContent))"
    )
    field = tabs(desk, "/field").drawn()
    assert not [i for i in field.ask("probe.column('Scatter', 'id')") if str(i).startswith("drill:")]

    # The past of it: at the moment it was raised it stands again, and a link shows that to somebody else.
    started.page.locator(".feed tbody tr", has_text="ew_sweep").filter(has_text=monitor).first.click()
    started.page.get_by_role("button", name="Show that moment").click()
    started.until_word("paused")
    wait_for(
        lambda: [r for r in rows(started) if "ew_sweep" in r[3] and r[2] == monitor and r[1] == "raised"],
        "the past, as it stood",
    )
    started.until("() => probe.strip().marks.some((m) => (m.kind ?? m.get('kind')) === 'drill')")
    address = started.address
    other = open_drift(tabs, desk, "?" + address.partition("?")[2])
    wait_for(
        lambda: [r for r in rows(other) if "ew_sweep" in r[3] and r[2] == monitor and r[1] == "raised"], "the same past"
    )
    assert other.facts()["drill"] == facts["drill"]


def test_clusters_and_places_are_listed_with_their_numbers_units_and_definitions(tabs, desk):
    tab = open_drift(tabs, desk, "?list=clusters&window=43200")
    tab.until("() => probe.deep('.feed tbody tr').length")
    titles = {
        title: means
        for title, means in tab.ask("() => [...probe.deep('.feed th .sort')].map((b) => [b.textContent, b.title])")
    }
    assert {"nodes", "entropy, bit", "coherence", "silence pressure", "ASN diversity", "radius, km"} <= set(titles)
    assert "Shannon entropy" in titles["entropy, bit"] and all(titles.values())
    tab.until("() => probe.deep('.feed td.spark path').some((path) => path.getAttribute('d'))")
    tab.picture("drift-clusters")
    assert tab.download("Clusters CSV").path().read_text().startswith("cluster,state,raised,top,value,unit")
    tab.page.get_by_role("button", name="Places", exact=True).click()
    tab.until("() => probe.deep('.feed .none').length || probe.deep('.feed tbody tr').length")


def test_cards_show_every_monitor_and_a_click_says_why(tabs, desk):
    tab = open_drift(tabs, desk)
    found = wait_for(lambda: cards(tab), "cards")
    titles = {card["title"] for card in found}
    assert {"Timing", "Silence", "Kill chain", "Behaviour", "Intent", "Exchange points"} <= titles
    assert {"Reinforcement Gini", "Oscillation"} <= titles
    told = [card for card in found if card["state"] != "insufficient"]
    assert all("NaN" not in card["path"] for card in found)
    key = (told or found)[0]["key"]
    tab.page.locator(f'.card[data-key="{key}"]').focus()
    tab.page.keyboard.press("Enter")
    tab.until("() => 'alarm at' in probe.facts()")
    tab.until("(key) => new URLSearchParams(location.search).get('series') === key", key)
    tab.picture("drift")
    tab.page.get_by_role("button", name="Light or dark").click()
    tab.until("() => document.documentElement.dataset.theme === 'dark'")
    tab.until("() => probe.strip().theme === 'dark'")
    tab.picture("drift-dark")


def test_a_cancelled_drill_is_cleaned_up(tabs, desk):
    tab = open_drift(tabs, desk)
    tab.page.get_by_label("Drill", exact=True).select_option(label="Swarm")
    tab.page.get_by_role("button", name="Start the drill").click()
    field = tabs(desk, "/field").drawn()
    field.until("() => probe.column('Scatter', 'id').some((i) => String(i).startsWith('drill:swarm'))")
    tab.page.get_by_role("button", name="Cancel the drill").click()
    field.until("() => !probe.column('Scatter', 'id').some((i) => String(i).startsWith('drill:swarm'))")
    tab.page.get_by_role("button", name="Start the drill").wait_for()


def test_what_is_taken_along_is_what_is_shown(tabs, desk):
    tab = open_drift(tabs, desk)
    wait_for(lambda: cards(tab), "cards")
    text = tab.download("CSV").path().read_text()
    assert text.startswith("monitor,entity,metric,time,value,unit,threshold,raised,change")
    shown = {card["key"] for card in cards(tab)}
    taken = {"/".join(line.split(",")[:2]) for line in text.splitlines()[1:]}
    assert shown <= taken
    assert tab.download("Alerts CSV").path().read_text().startswith("alert,monitor,entity")


def test_without_any_event_the_page_says_why_it_is_empty(tabs, idle):
    tab = tabs(idle, "/drift")
    tab.until("() => document.getElementById('picture').dataset.state === 'empty'")
    assert "drill" in tab.ask("document.getElementById('veil').textContent")


def test_at_touch_size_and_on_a_wall_everything_can_be_reached(tabs, desk):
    small = open_drift(tabs, desk, size=(414, 896))
    wait_for(lambda: cards(small), "cards")
    assert small.ask("document.documentElement.scrollWidth <= window.innerWidth + 1")
    wall = open_drift(tabs, desk, "?kiosk=1", size=(1920, 1080))
    assert wall.ask("getComputedStyle(document.querySelector('.controls')).display") == "none"
