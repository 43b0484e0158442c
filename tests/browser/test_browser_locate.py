"""The Locate page as people use it: arrivals come in, a fix is looked into, a sensor switched off, a link given."""

from __future__ import annotations

import math

import pytest

from tests.browser.driver import Server, Tab, wait_for

pytestmark = pytest.mark.browser

SOURCE = """(name) => probe.fig().renderers.map((r) => r.data_source.data).find((d) => name in d)"""
FIXES = f"""() => {{ const d = ({SOURCE})('entity'); return d.entity.map((e, i) => [e, d.x[i], d.y[i]]) }}"""
LINES = f"""() => {{ const d = ({SOURCE})('pair')
    return d.pair.map((p, i) => [p, Array.from(d.xs[i]), Array.from(d.ys[i])]) }}"""
RING = """() => { const d = probe.fig().renderers.find((r) => r.glyph.type === 'Patches').data_source.data
    return [Array.from(d.xs[0]), Array.from(d.ys[0])] }"""
FIELD = """() => { const r = probe.fig().renderers.find((r) => r.glyph.type === 'Image'), d = r.data_source.data
    return d.image.length ? Array.from(d.image[0].data ?? d.image[0]) : [] }"""

FIRST_SENSOR = """() => probe.deep('table').find((t) => t.rows[0]?.cells[2]?.textContent === 'after first')
    .rows[1].cells[0].textContent"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory, real_data):
    """A dashboard that plays recorded arrival times."""
    real_data("tdoa/sensors.csv")
    server = Server(tmp_path_factory.mktemp("locate"), FEED="tdoa", REDIS_URL="").start()
    yield server
    server.stop()
    assert server.failures() == []


def open_locate(tabs, server: Server, query: str = "") -> Tab:
    tab = tabs(server, f"/locate{query}")
    tab.until("() => document.getElementById('picture').dataset.state === 'ok' && probe.fig()")
    tab.until(f"() => ({FIXES})().length > 20 && ({FIELD})().length > 0")
    return tab


def test_arrivals_become_fixes_that_can_be_looked_into_switched_and_shared(tabs, desk):
    tab = open_locate(tabs, desk)
    tab.picture("locate-overview")

    # Live: what is heard is located and counted, without anyone doing anything.
    messages = int(tab.facts()["messages"])
    assert float(tab.facts()["in 90 %"].split()[0]) > 75
    sequence = tab.ask("probe.strip().status.seq ?? probe.strip().status.get('seq')")
    tab.until("(old) => Number(probe.strip().status.seq ?? probe.strip().status.get('seq')) > old", sequence)
    assert messages > 100

    # A fix of the list: its hyperbolas pass it, its ellipse is around it, residuals sum to nothing.
    tab.page.locator(".feed tbody tr").first.click()
    tab.until(f"() => ({LINES})().length >= 3 && 'position' in probe.facts()")
    tab.page.locator("#picture").focus()
    tab.page.keyboard.press("Space")
    tab.until_word("paused")
    tab.until(f"() => probe.atMoment() && ({LINES})().length >= 3")
    facts = tab.facts()
    assert facts["position"] == "ok" and facts["90 % ellipse"].startswith("±")
    lat, lon = (float(facts[name].rstrip("°")) for name in ("latitude", "longitude"))
    x = 6378137.0 * math.radians(lon)
    y = 6378137.0 * math.asinh(math.tan(math.radians(lat)))
    lines = tab.ask(LINES)
    assert len(lines) == int(facts["sensors"]) - 1
    for pair, xs, ys in lines:
        nearest = min(math.hypot(a - x, b - y) for a, b in zip(xs, ys, strict=True) if a == a and a is not None)
        assert nearest * math.cos(math.radians(lat)) < 2_000, pair
    ring_x, ring_y = tab.ask(RING)
    assert min(ring_x) < x < max(ring_x) and min(ring_y) < y < max(ring_y)
    tab.picture("locate-light")

    # A sensor less: fewer arrivals for this fix, another field; the boxes and the link say so.
    field = tab.ask(FIELD)
    name = tab.ask(FIRST_SENSOR)
    box = tab.page.get_by_label(name, exact=True)
    box.uncheck()
    tab.until("(name) => new URLSearchParams(location.search).get('off') === name", name)
    fewer = str(int(facts["sensors"]) - 1)
    tab.until("(n) => probe.facts().sensors === n", fewer)
    wait_for(lambda: tab.ask(FIELD) != field, "the field without that sensor")

    # The link shows the same to somebody else.
    there, address = tab.facts(), tab.address
    other = open_locate(tabs, desk, "?" + address.partition("?")[2])
    other.until("(n) => probe.facts().sensors === n", fewer)
    same = ("position", "sensors", "latitude", "longitude", "90 % ellipse", "GDOP", "distance")
    assert {k: other.facts().get(k) for k in same} == {k: there.get(k) for k in same}
    assert not other.page.get_by_label(name, exact=True).is_checked()
    other.page.get_by_role("button", name="Light or dark").click()
    other.until("() => document.documentElement.dataset.theme === 'dark' && probe.strip().theme === 'dark'")
    other.picture("locate-dark")

    # Taken along: the file has the fix that is on the screen.
    text = other.download("CSV").path().read_text()
    assert any(facts["latitude"][:6] in line or there.get("latitude", "?")[:6] in line for line in text.splitlines())

    # Back to live, nothing selected; by received power the same page shows measured fields.
    tab.page.get_by_role("button", name="Received power").click()
    tab.until("() => new URLSearchParams(location.search).get('mode') === 'rssi'")
    tab.page.get_by_role("button", name="Arrival times").click()
    tab.until(f"() => new URLSearchParams(location.search).get('mode') === 'tdoa' && ({FIXES})().length > 20")


def test_without_any_sensor_the_page_says_what_to_do(tabs, idle):
    tab = tabs(idle, "/locate")
    tab.until("() => document.getElementById('picture').dataset.state === 'empty'")
    assert "FEED=tdoa" in tab.ask("document.getElementById('veil').textContent")
