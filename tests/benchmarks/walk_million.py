"""From a million nodes to single ones on the Hypergraph page: a real server, a real Chromium, full agreement.

Run from the repository root: ``python -m tests.benchmarks.walk_million [NODES] [PICTURE.png]``. Network records of
NODES hosts are written, served as any EVE file, and looked at in a browser. At each step of the wheel the picture, the
numbers, the table and a file of the rows are held to the records and to each other; times are printed.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright
from scipy.spatial import cKDTree

from engine.events.log import EventLog
from engine.graph_history import GraphHistory
from engine.hypergraph.graph_fold import GraphFold
from engine.ingest import read_eve
from tests.browser.driver import CHROMIUM_ARGUMENTS, Server, Tab, wait_for

SUBNET = 250
"""Hosts of a subnet: the first is the server that all others speak to."""

MINUTES = 900.0
"""Patience for reading, placing and refining, s."""

IMAGE = (
    "(() => { const d = probe.fig().renderers.filter((r) => r.glyph.type === 'Image')[1].data_source.data;"
    "if (!d.image?.length) return null; const r = d.image[0];"
    "return { cells: btoa(Array.from(r.data ?? r, (v) => String.fromCharCode(v)).join('')), shape: r.shape,"
    "x: d.x[0], y: d.y[0], dw: d.dw[0], dh: d.dh[0] } })()"
)
POINTS = "probe.fig().renderers.filter((r) => r.glyph.type === 'Scatter')[1].data_source.data"
TABLE = "probe.models().filter((m) => m.data?.tabs && m.data.active === 'rows').map((m) => m.data.total)[0] ?? -1"
OVERLAP = (
    "() => document.getElementById('picture').dataset.state === 'ok' && !probe.strip().picture.waiting && !probe.busy()"
)


@dataclass(frozen=True)
class Records:
    """What was written: ids of nodes, and the nodes of each hyperedge, three each."""

    ids: list[str]
    edges: NDArray[np.int64]


def host(i: int) -> str:
    """Address of a host."""
    subnet, last = divmod(i, SUBNET)
    return f"10.{subnet >> 8}.{subnet & 255}.{last}"


def write(path: Path, hosts: int) -> Records:
    """Flows of every host to its subnet's server, of a third to the next host, of servers to gateways; some lookups."""
    rng = np.random.default_rng(1)
    servers = np.arange(0, hosts, SUBNET)
    gates = [f"172.16.{k >> 8}.{k & 255}" for k in range(-(-len(servers) // 64))]
    names = [f"site-{k}.example" for k in range(max(hosts // 200, 1))]
    ids = [f"host:{host(i)}" for i in range(hosts)] + [f"host:{gate}" for gate in gates]
    first_name, first_service = len(ids), len(ids) + len(names)
    ids += [f"name:{name}" for name in names] + [f"service:TCP/{port}" for port in (443, 22, 179)]
    edges, k = [], 0
    stamp = '{"timestamp":"2026-01-05T12:%02d:%02d.%06d+0000",'
    with path.open("w") as file:

        def told(src: int, dest: int, third: int, what: str) -> None:
            nonlocal k
            second, micro = divmod(k * 1_000, 1_000_000)
            ends = f'"src_ip":"{ids[src][5:]}","dest_ip":"{ids[dest][5:]}",'
            file.write(stamp % (second // 60 % 60, second % 60, micro) + f'"flow_id":{k + 1},' + ends + what + "}\n")
            edges.append((src, dest, third))
            k += 1

        def flow(src: int, dest: int, service: int, port: int) -> None:
            ports = f'"src_port":{1024 + k % 60_000},"dest_port":{port},'
            what = f'"event_type":"flow","proto":"TCP",{ports}"flow":{{"pkts_toserver":1}}'
            told(src, dest, first_service + service, what)

        ring, asks = rng.random(hosts) < 1 / 3, rng.random(hosts) < 0.1
        for i in range(hosts):
            server = i // SUBNET * SUBNET
            after = server + (i - server + 1) % min(SUBNET, hosts - server)
            if i != server:
                flow(i, server, 0, 443)
            if ring[i] and after != i:
                flow(i, after, 1, 22)
            if asks[i]:
                name = int(rng.integers(len(names)))
                what = (
                    f'"event_type":"dns","proto":"UDP","dest_port":53,"dns":{{"type":"query","rrname":"{names[name]}"}}'
                )
                told(i, hosts + server // SUBNET // 64, first_name + name, what)
        for place, server in enumerate(servers.tolist()):
            flow(server, hosts + place // 64, 2, 179)
        for gate in range(1, len(gates)):
            flow(hosts + gate, hosts, 2, 179)
    return Records(ids, np.array(edges))


def take_in(folder: Path, nodes: int, records: Records) -> None:
    """What a station makes of the file: its log and a saved graph, for the server to start from."""
    data = folder / "data"
    events, _ = read_eve(folder / "eve.json")
    assert events.num_rows == len(records.edges), "every line is an event"
    data.mkdir()
    with EventLog(data / "events.duckdb") as log:
        for first in range(0, events.num_rows, 50_000):
            log.append(events.slice(first, 50_000))
        fold = GraphFold(nodes, 5 * nodes)
        history = GraphHistory(log, data / "graph", fold)
        for table in log.stream(0):
            fold.apply(table)
        history.offer(fold, after=1, wait=True)
        history.close()


def link(tab: Tab) -> str:
    """What the page would copy as a link."""
    return str(tab.ask("document.documentElement.dataset.query"))


def rows(tab: Tab) -> pa.Table:
    """The rows in view, or selected, as a file."""
    query, at = link(tab), tab.ask("document.documentElement.dataset.at")
    with urllib.request.urlopen(f"{tab.origin}/take/hypergraph.parquet?{query}&at={at}") as answer:
        return pq.read_table(io.BytesIO(answer.read()))


def numbers(tab: Tab) -> list[int]:
    """Nodes in view, nodes, hyperedges in view, hyperedges, as the caption says."""
    try:
        caption = tab.caption
    except PlaywrightError:
        return [0, 0, 0, 0]  # it has lost the server on a busy machine, and comes back by itself
    found = re.search(r"([\d,]+) of ([\d,]+) nodes, ([\d,]+) of ([\d,]+) hyperedges", caption)
    return [int(n.replace(",", "")) for n in found.groups()] if found else [0, 0, 0, 0]


def image(tab: Tab) -> tuple[NDArray[np.uint8], float, float, float] | None:
    """Levels of the raster of nodes, west, south and cell size; None where none is drawn."""
    import base64

    d: dict[str, Any] | None = tab.ask(IMAGE)
    if d is None:
        return None
    cells = np.frombuffer(base64.b64decode(d["cells"]), np.uint8).reshape(d["shape"])
    return cells, d["x"], d["y"], d["dw"] / cells.shape[1]


def settled(tab: Tab) -> None:
    """Wait until the picture of the view that is wanted is there."""
    tab.until(OVERLAP, timeout_s=MINUTES)


@dataclass
class Walk:
    """All that the page is held to."""

    tab: Tab
    records: Records
    table: pa.Table

    def __post_init__(self) -> None:
        place = {name: i for i, name in enumerate(self.records.ids)}
        self.names = np.array(self.table["id"].to_pylist(), dtype=object)
        self.row = np.array([place[name] for name in self.names])
        self.at = {name: i for i, name in enumerate(self.names)}
        self.x, self.y = self.table["x"].to_numpy(), self.table["y"].to_numpy()

    def agree(self) -> str:
        """Hold picture, numbers, table and file to the records; what is drawn."""
        tab = self.tab
        settled(tab)
        seen, nodes, edges_seen, edges = numbers(tab)
        assert (nodes, edges) == (len(self.records.ids), len(self.records.edges)), (nodes, edges)
        file = rows(tab)
        ids = set(file["id"].to_pylist())
        assert file.num_rows == len(ids) == seen, (file.num_rows, seen)
        tab.until(f"(n) => ({TABLE}) === n", seen)
        inside = np.zeros(len(self.names), bool)
        inside[[self.at[name] for name in ids]] = True
        known = np.zeros(nodes, bool)
        known[self.row[inside]] = True
        assert int(known[self.records.edges].any(axis=1).sum()) == edges_seen, "hyperedges with a node in view"
        raster = image(tab)
        if raster is None:
            assert sorted(tab.ask(f"{POINTS}.id")) == sorted(ids), "one dot for each node in view"
            return "single nodes"
        levels, west, south, cell = raster
        i = np.floor(self.x / cell).astype(int) - round(west / cell)
        j = np.floor(self.y / cell).astype(int) - round(south / cell)
        ny, nx = levels.shape
        within = (i >= 0) & (j >= 0) & (i < nx) & (j < ny)
        assert (within == inside).all(), "rows are the nodes whose cells are in the picture"
        assert (levels[j[within], i[within]] > 0).all(), "where a node is, there is colour"
        lit = np.argwhere(levels > 0)
        away, _ = cKDTree(np.column_stack([j[within], i[within]])).query(lit)
        assert away.max() <= 2.5, "where there is colour, a node is: two cells are the size of a dot"
        return f"{len(lit)} cells lit"

    def select(self) -> int:
        """Draw a box over a part of the picture, and hold the rows selected to the pixels inside; how many they are."""
        tab = self.tab
        frame = tab.ask("probe.frame()")
        left, top = frame["x"] + 0.3 * frame["width"], frame["y"] + 0.25 * frame["height"]
        tab.page.keyboard.down("Shift")
        tab.page.mouse.move(left, top)
        tab.page.mouse.down()
        tab.page.mouse.move(left + 0.4 * frame["width"], top + 0.5 * frame["height"], steps=6)
        tab.page.mouse.up()
        tab.page.keyboard.up("Shift")
        chosen = "new URLSearchParams(document.documentElement.dataset.query).get('region')"
        tab.until(f"() => !({chosen}).startsWith('none')")
        settled(tab)
        _, step, corners = str(tab.ask(chosen)).split(":")
        west, south, east, north = (int(v) for v in corners.split(","))
        cell = 2 ** (int(step) / 2)
        i, j = np.floor(self.x / cell), np.floor(self.y / cell)
        inside = (i >= west) & (i < east) & (j >= south) & (j < north)
        file = rows(tab)
        assert set(file["id"].to_pylist()) == set(self.names[inside]), "exactly the rows whose pixels are inside"
        assert file.num_rows == int(inside.sum())
        tab.until(f"(n) => ({TABLE}) === n", file.num_rows)
        tab.page.keyboard.press("Escape")
        tab.until(f"() => ({chosen}).startsWith('none')")
        settled(tab)
        return file.num_rows


def wheel(tab: Tab, x: float, y: float, steps: int) -> float:
    """Turn the wheel over a place of the graph; s until the picture of the new view stands."""
    tab.page.mouse.move(*tab.ask("([x, y]) => probe.pixel(x, y)", [x, y]))
    before = tab.ask("probe.range()")
    for _ in range(steps):
        tab.page.mouse.wheel(0, -240)
        tab.page.wait_for_timeout(60)
    tab.until("(was) => JSON.stringify(probe.range()) !== JSON.stringify(was)", before)
    started = time.monotonic()
    tab.page.wait_for_timeout(250)  # the page waits for the wheel to rest before it asks
    settled(tab)
    return time.monotonic() - started


def main(hosts: int, picture: Path | None) -> None:
    """Write, serve, look, print."""
    folder = Path(tempfile.mkdtemp(prefix="walk-"))
    server = None
    try:
        started = time.monotonic()
        records = write(folder / "eve.json", hosts)
        print(f"{len(records.ids):,} nodes, {len(records.edges):,} hyperedges, {records.edges.size:,} incidences; "
              f"{(folder / 'eve.json').stat().st_size / 1e6:.0f} MB written in {time.monotonic() - started:.0f} s",
              flush=True)  # fmt: skip
        started = time.monotonic()
        take_in(folder, hosts + hosts // 5, records)
        print(f"read, logged, folded and saved in {time.monotonic() - started:.0f} s", flush=True)
        started = time.monotonic()
        server = Server(folder, FEED="none", REDIS_URL="", GRAPH_NODES=str(hosts + hosts // 5)).start()
        print(f"the server is ready with all of it in {time.monotonic() - started:.0f} s", flush=True)
        started = time.monotonic()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium") or "chromium", args=CHROMIUM_ARGUMENTS
            )
            tab = Tab(browser, server.url).open("/hypergraph?table=rows")
            tab.page.set_default_timeout(1e3 * MINUTES)
            walk_down(tab, records, started, picture)
            tab.close()
            browser.close()
        assert server.failures() == []
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def walk_down(tab: Tab, records: Records, started: float, picture: Path | None) -> None:
    """From all nodes to single ones."""

    def since() -> str:
        return f"{time.monotonic() - started:.0f} s after the page was asked for"

    total = len(records.ids)
    wait_for(lambda: numbers(tab)[1] > 0, "the first numbers", MINUTES)
    print(f"nodes are counted {since()}", flush=True)
    wait_for(lambda: numbers(tab)[1] == total and numbers(tab)[3] == len(records.edges), "all records read", MINUTES)
    print(f"all records are in the graph {since()}", flush=True)
    wait_for(lambda: numbers(tab)[0] > 0.5 * total, "first places of most nodes", MINUTES)
    print(f"most nodes have a place {since()}: {tab.caption}", flush=True)
    calm = lambda: numbers(tab)[0] == total and not re.search("placed|refined", tab.caption)  # noqa: E731
    wait_for(calm, "the layout to stand", MINUTES)
    print(f"the layout stands {since()}", flush=True)
    tab.ask("for (const hint of ['pan', 'scrub', 'select']) scythe.used(hint)")
    tab.page.locator("#picture").focus()
    tab.page.keyboard.press("Space")
    tab.until("() => probe.strip().mode === 'paused'")
    at = time.monotonic()
    settled(tab)
    wait_for(lambda: numbers(tab)[0] == total, "the moment that was stopped at", MINUTES)
    print(f"paused: the same graph from the log in {time.monotonic() - at:.1f} s", flush=True)
    walk = Walk(tab, records, rows(tab))
    assert walk.table.num_rows == total and set(walk.names) == set(records.ids), "every node is a row"
    if picture is not None:
        tab.pixels().save(picture, optimize=True)
    # Where a typical host is, of the half that is nearest to its neighbours.
    target = int(np.flatnonzero(walk.names == f"host:{host(3 * SUBNET + 7)}")[0])
    x, y = float(walk.x[target]), float(walk.y[target])
    took = 0.0
    while True:
        drawn = walk.agree()
        seen = numbers(tab)[0]
        chosen = walk.select()
        print(f"{seen:>9,} nodes in view: picture in {took:4.1f} s; {drawn}; a box of {chosen:,} rows", flush=True)
        if drawn == "single nodes" and seen < 100:
            break
        took = wheel(tab, x, y, 3)
    assert walk.names[target] in tab.ask(f"{POINTS}.id"), "the host that was aimed at"
    tab.assert_quiet()


if __name__ == "__main__":
    numbers_given = [a for a in sys.argv[1:] if a.isdigit()]
    pictures = [Path(a) for a in sys.argv[1:] if a.endswith(".png")]
    main(int(numbers_given[0]) if numbers_given else 1_000_000, pictures[0] if pictures else None)
