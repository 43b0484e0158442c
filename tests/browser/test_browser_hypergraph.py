"""The Hypergraph page in a real browser: from many to one, what is selected, growth, the past, and hostile names.

Everything on the screen is held to rows fetched as files, and these to the records that were handed in.
"""

from __future__ import annotations

import io
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from matplotlib.path import Path as Polygon

from tests.browser.driver import Server, Tab, wait_for
from tests.browser.network import BREAKER, IMAGE, SCRIPT, START, communities, flow, hostile, write

pytestmark = pytest.mark.browser

COMMUNITIES, HOSTS, BROKEN = 60, 40, 3
NODES = COMMUNITIES * (HOSTS + 1) + 1 + 3 + 2 + 5
"""Hosts of communities and their servers, the resolver, ports; hosts, names, agent and rule of the hostile records."""

IMAGES = "probe.fig().renderers.filter((r) => r.glyph.type === 'Image')"
POINTS = "probe.fig().renderers.filter((r) => r.glyph.type === 'Scatter')[1].data_source.data"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("hypergraph"), FEED="none", REDIS_URL="").start()
    yield server
    server.stop()
    assert server.failures() == []


@pytest.fixture(scope="module")
def page(browser, server) -> Iterator[Tab]:
    """One tab for all: it begins with nothing and has the whole graph from the first test on."""
    tab = Tab(browser, server.url).open("/hypergraph")
    yield tab
    tab.close()


def state(tab: Tab) -> str:
    return str(tab.ask("document.getElementById('picture').dataset.state ?? ''"))


def numbers(tab: Tab) -> list[int]:
    """Nodes in view, nodes, hyperedges in view, hyperedges, as the caption says."""
    found = re.search(r"([\d,]+) of ([\d,]+) nodes, ([\d,]+) of ([\d,]+) hyperedges", tab.caption)
    return [int(n.replace(",", "")) for n in found.groups()] if found else [0, 0, 0, 0]


def link(tab: Tab, **other: str) -> str:
    query = dict(pair.split("=", 1) for pair in str(tab.ask("document.documentElement.dataset.query")).split("&"))
    return "&".join(f"{k}={v}" for k, v in {**query, **other}.items())


def rows(tab: Tab, **other: str) -> pa.Table:
    """The table of the view as a file; `other` replaces parts of the link."""
    at = tab.ask("document.documentElement.dataset.at")
    with urllib.request.urlopen(f"{tab.origin}/take/hypergraph.parquet?{link(tab, **other)}&at={at}") as answer:
        return pq.read_table(io.BytesIO(answer.read()))


def image(tab: Tab, which: int) -> tuple[np.ndarray, float, float, float] | None:
    """Levels of a raster (0 lines, 1 nodes), west, south and cell size; None where none is drawn."""
    d = tab.ask(
        f"(() => {{ const d = {IMAGES}[{which}].data_source.data; if (!d.image?.length) return null;"
        "const r = d.image[0]; return { bytes: Array.from(r.data ?? r), shape: r.shape, x: d.x[0], y: d.y[0],"
        "dw: d.dw[0] } })()"
    )
    return None if d is None else (np.array(d["bytes"]).reshape(d["shape"]), d["x"], d["y"], d["dw"] / d["shape"][1])


def settled(tab: Tab) -> None:
    """Wait until the picture of the view that is wanted is there."""
    tab.until("() => { const s = probe.strip(); return s && document.getElementById('picture').dataset.state === 'ok'"
              " && !s.picture.waiting && !probe.busy() }")  # fmt: skip


def wheel(tab: Tab, x: float, y: float, steps: int) -> None:
    tab.page.mouse.move(x, y)
    for _ in range(abs(steps)):
        tab.page.mouse.wheel(0, -240 if steps > 0 else 240)
        tab.page.wait_for_timeout(60)
    tab.page.wait_for_timeout(400)
    settled(tab)


def drag(tab: Tab, corners: list[tuple[float, float]]) -> None:
    """Shift and drag through corners, pixels."""
    tab.page.keyboard.down("Shift")
    tab.page.mouse.move(*corners[0])
    tab.page.mouse.down()
    for corner in corners[1:]:
        tab.page.mouse.move(*corner, steps=6)
    tab.page.mouse.up()
    tab.page.keyboard.up("Shift")
    tab.until("() => !(new URLSearchParams(document.documentElement.dataset.query)).get('region').startsWith('none')")
    settled(tab)


def accounted(tab: Tab) -> dict[str, int]:
    """What the page says became of the file handed in, by line."""
    tab.page.get_by_text("records read").wait_for()
    told = tab.ask(
        "(() => { const all = (n) => [...n.querySelectorAll('*')].flatMap((e) => e.shadowRoot ? all(e.shadowRoot) :"
        "e.tagName === 'DT' ? [[e.textContent, e.nextElementSibling.textContent]] : []);"
        "return Object.fromEntries(all(document.getElementById('controls'))) })()"
    )
    return {name: int(re.sub(r"\D", "", n)) for name, n in told.items()}


def packets_in(path: Path) -> int:
    """Packets of a capture, counted along its record headers (libpcap's format, little-endian)."""
    data, at, count = path.read_bytes(), 24, 0
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    while at < len(data):
        at, count = at + 16 + int.from_bytes(data[at + 8 : at + 12], "little"), count + 1
    return count


def test_a_file_handed_in_is_accounted_for_and_becomes_the_graph(page, tmp_path):
    page.until("() => document.getElementById('picture').dataset.state === 'empty'")
    assert "Hand in a file" in page.page.locator("#veil p").inner_text()
    page.picture("hypergraph-empty")
    page.ask("for (const hint of ['pan', 'scrub', 'select']) scythe.used(hint)")
    records = communities(COMMUNITIES, HOSTS) + hostile()
    file = write(tmp_path / f"{IMAGE.replace('/', '')}.json", records, broken=BROKEN)
    page.page.locator("input[type=file]").set_input_files(file)
    count = accounted(page)
    assert count["records read"] == len(records) + BROKEN
    assert count["taken over"] == count["events"] == len(records)
    assert sum(n for name, n in count.items() if name.startswith("refused")) == BROKEN
    wait_for(lambda: numbers(page)[1] == NODES, f"{NODES} nodes in the caption")
    wait_for(lambda: numbers(page)[0] == NODES, "all of them in view")
    settled(page)


def test_picture_numbers_and_rows_agree_from_many_to_few(page):
    everything = rows(page)
    assert everything.num_rows == NODES == numbers(page)[0]
    hosts = {i for i in everything["id"].to_pylist() if i.startswith("host:10.0.0.")}
    assert hosts == {f"host:10.0.0.{k}" for k in [*range(HOSTS), 250]}, "each host of a community is a row"

    levels, west, south, cell = image(page, 1)
    column = np.floor(everything["x"].to_numpy() / cell).astype(int) - round(west / cell)
    row = np.floor(everything["y"].to_numpy() / cell).astype(int) - round(south / cell)
    assert (levels[row, column] > 0).all(), "where a node is, there is colour"
    lit = np.argwhere(levels > 0)
    away = [np.hypot(row - j, column - i).min() for j, i in lit[:: max(len(lit) // 400, 1)]]
    assert max(away) <= 2.5, "where there is colour, a node is: two cells are the size of a dot"

    # Into the thick of it, until single nodes are drawn.
    x, y = page.ask("([x, y]) => probe.pixel(x, y)", [*np.median([everything["x"], everything["y"]], axis=1)])
    page.picture("hypergraph-many")
    for _ in range(14):
        if page.ask(f"{POINTS}.x.length") and image(page, 1) is None and numbers(page)[0] < 100:
            break
        wheel(page, x, y, 2)
    wait_for(lambda: page.ask(f"{POINTS}.x.length") == numbers(page)[0], "one dot for each node in view")
    few = rows(page)
    assert 0 < few.num_rows == numbers(page)[0] < 100
    assert sorted(few["id"].to_pylist()) == sorted(page.ask(f"{POINTS}.id"))
    page.page.locator("[data-tab=rows]").click()
    shown = "(n) => probe.models().some((m) => m.data?.tabs && m.data.active === 'rows' && m.data.rows.length === n)"
    page.until(shown, few.num_rows)
    page.page.locator(".tr").first.wait_for()
    page.picture("hypergraph-few")
    page.page.locator("[data-tab=rows]").click()
    page.page.mouse.dblclick(x, y)
    wait_for(lambda: numbers(page)[0] == NODES, "the whole graph in view again")
    settled(page)


def test_a_selection_holds_exactly_the_rows_whose_pixels_are_inside(page):
    # On a slow machine the double click before was a click as well, and that on a node.
    page.page.locator("#picture").focus()
    page.page.keyboard.press("Escape")
    page.until("() => !new URLSearchParams(document.documentElement.dataset.query).get('select')")
    everything = rows(page, region="none")
    frame = page.ask("probe.frame()")
    left, top = frame["x"] + 0.3 * frame["width"], frame["y"] + 0.3 * frame["height"]
    right, bottom = left + 0.3 * frame["width"], top + 0.35 * frame["height"]
    drag(page, [(left, top), (right, bottom)])
    _, step, corners = link(page).split("region=")[1].split("&")[0].split(":")
    cell = 2 ** (int(step) / 2)
    west, south, east, north = (int(v) for v in corners.split(","))
    x, y = everything["x"].to_numpy(), everything["y"].to_numpy()
    i, j = np.floor(x / cell), np.floor(y / cell)
    inside = (i >= west) & (i < east) & (j >= south) & (j < north)
    selected = rows(page)
    assert 10 < selected.num_rows < NODES
    assert set(selected["id"].to_pylist()) == set(np.array(everything["id"].to_pylist())[inside])
    # The outline is what was drawn, to a cell.
    drawn = page.ask("([a, b, c, d]) => [...probe.place(a, b), ...probe.place(c, d)]", [left, bottom, right, top])
    assert np.allclose([west * cell, south * cell, east * cell, north * cell], drawn, atol=cell)
    wait_for(lambda: page.facts()["selected"] == f"{selected.num_rows:,}", "the inspector to count the same")

    page.page.keyboard.press("Escape")
    page.until("() => document.documentElement.dataset.query.includes('region=none')")
    page.checkbox("Select by lasso").check()
    page.page.wait_for_timeout(300)
    drag(page, [(left, top), (right, top + 30), (right - 40, bottom), (left + 60, bottom - 60), (left - 20, bottom)])
    _, step, corners = link(page).split("region=")[1].split("&")[0].split(":")
    steps = np.array([int(v) for v in corners.split(",")]).reshape(-1, 2)
    outline = np.vstack([steps[:1], steps[:1] + steps[1:]]).astype(float)
    cell = 2 ** (int(step) / 2)
    centres = np.column_stack([np.floor(x / cell) + 0.5, np.floor(y / cell) + 0.5])
    closed, names = Polygon(np.vstack([outline, outline[:1]])), np.array(everything["id"].to_pylist())
    # The centre of a cell may lie right on the outline; whichever way Matplotlib turns, ours is in between.
    wider, narrower = (set(names[closed.contains_points(centres, radius=r)]) for r in (1e-6, -1e-6))
    if len(narrower) > len(wider):
        wider, narrower = narrower, wider
    selected = rows(page)
    assert 10 < selected.num_rows < NODES
    assert narrower <= set(selected["id"].to_pylist()) <= wider
    page.page.locator("[data-tab=rows]").click()
    page.page.locator(".tr").nth(3).wait_for()
    page.picture("hypergraph-selection")
    page.page.locator("input[data-filter=degree]").fill("> 2")
    page.page.locator("input[data-filter=degree]").press("Enter")
    want = sum(d > 2 for d in selected["degree"].to_pylist())
    page.until("(n) => probe.models().some((m) => m.data?.tabs && m.data.total === n)", want)
    assert rows(page).num_rows == want, "a file holds what the table shows"


def test_the_past_is_the_same_for_everyone_with_the_link(page, tabs, server, tmp_path):
    page.page.locator("#picture").focus()
    page.page.keyboard.press("Space")
    page.until_word("paused")
    settled(page)
    before, there = rows(page), image(page, 1)
    assert there is not None
    address = link(page)

    # The graph grows meanwhile; who looks at the past sees nothing of it.
    live = Tab(page.page.context.browser, server.url).open("/hypergraph")
    settled(live)
    old = rows(live)
    view = live.ask("probe.range()")
    now = time.time() - START.timestamp()
    more = [flow(now, f"10.0.1.{k}", f"172.16.0.{k}", 8080) for k in range(HOSTS)]
    live.page.locator("input[type=file]").set_input_files(write(tmp_path / "more.json", more))
    wait_for(lambda: numbers(live)[0] > NODES + HOSTS / 2, "new nodes in the picture", 40)
    wait_for(lambda: "not placed" not in live.caption, "all of them placed", 40)
    new = rows(live)
    assert new.num_rows == old.num_rows + HOSTS + 1
    assert live.ask("probe.range()") == view, "the view does not jump"
    was = {i: (x, y) for i, x, y in zip(*(old[c].to_pylist() for c in ("id", "x", "y")), strict=True)}
    moved = [np.hypot(x - was[i][0], y - was[i][1])
             for i, x, y in zip(*(new[c].to_pylist() for c in ("id", "x", "y")), strict=True) if i in was]  # fmt: skip
    assert len(moved) == old.num_rows
    assert np.median(moved) < 250.0, "old nodes barely move: a quarter of an edge length, which is 1000"
    live.close()

    other = tabs(server, f"/hypergraph?{address}")
    settled(other)
    other.until("() => probe.strip().mode === 'paused'")
    pd.testing.assert_frame_equal(rows(other).to_pandas(), before.to_pandas())
    wait_for(lambda: other.caption == page.caption, "the same caption")
    levels, *place = image(other, 1)
    assert place == list(there[1:]) and (levels == there[0]).all()


def test_hostile_names_stay_text(page):
    page.page.keyboard.press("Escape")
    find = page.page.get_by_placeholder("Find a node")
    for text in (IMAGE, SCRIPT, BREAKER[:40]):
        find.fill(text)
        find.press("Enter")
        page.until("(t) => { const all = (n) => [...n.querySelectorAll('*')].flatMap((e) => e.shadowRoot ?"
                   "all(e.shadowRoot) : e.tagName === 'H3' ? [e.textContent] : []);"
                   "return all(document.getElementById('inspector')).some((h) => h.startsWith(t)) }", text)  # fmt: skip
        assert page.page.locator("img[src=x]").count() == 0
    page.page.locator("[data-tab=hot]").click()
    page.page.locator("[data-tab=recent]").click()
    page.page.locator(".tr").first.wait_for()
    box = page.ask("probe.boxes(['#inspector', '#picture'])")
    assert box["#inspector"]["width"] == pytest.approx(280, abs=1), "a long name breaks no layout"
    page.picture("hypergraph-inspector")
    page.page.locator("[data-do=theme]").click()
    page.until("() => document.documentElement.dataset.theme === 'dark' && !probe.busy()")
    page.page.locator("[data-tab=recent]").click()
    colours = """() => { const find = (n, s) => n.querySelector(s) ?? [...n.querySelectorAll('*')].reduce(
        (hit, e) => hit ?? (e.shadowRoot && find(e.shadowRoot, s)), null)
      const parts = ['.kinds .label', '.graph dd', '.graph h3', '.upload dd']
      return parts.map((part) => getComputedStyle(find(document, part)).color) }"""
    wait_for(lambda: set(page.ask(colours)) == {"rgb(227, 234, 239)"}, "all text in the colour of the dark theme")
    page.picture("hypergraph-dark")
    page.assert_quiet()


def test_a_real_capture_handed_in_while_the_page_loads_is_accounted_for_packet_by_packet(tabs, server, real_data):
    capture = real_data("net/pcap/suricata-tls-subjectaltname.pcap")
    assert capture.stat().st_size > 1 << 20, "more than one piece: each waits for the answer to the one before"
    tab = tabs(server, None)
    held = tab.slow_to_load()
    tab.open("/hypergraph")
    wait_for(lambda: tab.ask("1") and held, "the page to say that it has loaded")
    tab.page.locator("input[type=file]").set_input_files(capture)
    # A file as large as a piece is read by then, and the first piece on its way.
    tab.ask("() => new Promise((done) => { const file = new FileReader(); file.onload = () => done(1);"
            "file.readAsDataURL(new Blob([new Uint8Array(1 << 20)])) })")  # fmt: skip
    held.pop()()
    count = accounted(tab)
    refused = sum(n for name, n in count.items() if name.startswith("refused"))
    assert count["records read"] == packets_in(capture) == count["taken over"] + refused
    assert count["taken over"] > 0 and count["events"] > 0


def test_what_is_selected_goes_along_to_other_pages(tabs, server):
    tab = tabs(server, "/hypergraph?select=4b1805")
    selected = "() => (new URLSearchParams(document.documentElement.dataset.query ?? '')).get('select')"
    assert tab.until(selected) == "emitter:4b1805", "the graph knows an emitter by kind and identity"
    tab.until("() => probe.ready()")
    tab.page.locator("nav a", has_text="Field").click()
    tab.page.wait_for_url("**/field?*select=4b1805*")
    assert tab.until(selected) == "4b1805"
    tab.until("() => probe.ready()")
