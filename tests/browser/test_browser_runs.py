"""The Runs page as researchers use it: hunt, watch, open the best, look at its cells, compare, hand the link on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import h5py
import numpy as np
import pyarrow.parquet
import pytest

from tests.browser.driver import PATIENCE_S, Server, Tab, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RUNS = 36
"""Runs of the hunt that the tests share; each takes some 0.1 s."""

HINTS_FOLLOWED = ";['start', 'step', 'pan'].forEach((hint) => localStorage.setItem(`scythe-hint-${hint}`, '1'))"
PROBE = (Path(__file__).parent / "probe_runs.js").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its data, with a file in it that no run has made."""
    folder = tmp_path_factory.mktemp("runs")
    files = folder / "data" / "files"
    files.mkdir(parents=True)
    with h5py.File(files / "foreign.h5", "w") as file:
        group = file.create_group("entry/detector")
        group.attrs["made by"] = "<b>somebody</b>"
        group["cube"] = np.arange(3 * 20 * 30, dtype=">i4").reshape(3, 20, 30)
        file["entry/names"] = np.array([b"one", b"two"])
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    """A dashboard without any feed and without any run."""
    server = Server(folder, FEED="none", REDIS_URL="").start()
    yield server
    server.stop()
    assert server.failures() == []


def look(tabs, server: Server, link: str = "/runs") -> Tab:
    return ready(tabs(server, None), link)


def ready(tab: Tab, link: str = "/runs") -> Tab:
    tab.context.add_init_script(PROBE + HINTS_FOLLOWED)
    tab.open(link)
    tab.until("() => probe.models().length > 0 && probe.strip() && runs.table()")
    return tab


def stored(server: Server) -> list[dict]:
    with urlopen(f"{server.url}/take/runs.parquet") as answer:
        path = server.folder / "taken.parquet"
        path.write_bytes(answer.read())
    return pyarrow.parquet.read_table(path).to_pylist()


def grid(folder: Path, run: str, name: str = "final_rho") -> np.ndarray:
    with h5py.File(folder / "data" / "runs" / f"rho_history_{run}.h5", "r") as file:
        return file[name][()]


def drawn(tab: Tab, n: int = 0) -> np.ndarray:
    seen = tab.ask("(n) => runs.cells(n)", n)
    return np.array(seen["values"]).reshape(seen["shape"])


@pytest.fixture(scope="module")
def hunted(browser, server: Server) -> Server:
    """The server after its hunt; that a person starts it, and that all see it, is tested on the way."""
    tab, other = Tab(browser, server.url), Tab(browser, server.url)
    try:
        for each in (tab, other):
            ready(each)
        veil = tab.page.locator("#veil")
        veil.wait_for()
        assert "No run yet" in veil.inner_text() and "New hunt" in veil.inner_text()
        tab.picture("runs-empty")
        button = lambda name: tab.page.get_by_role("button", name=name, exact=True)  # noqa: E731
        button("New hunt …").click()
        for label, value in (
            ("Runs in all", RUNS),
            ("Steps of 0.01", 300),
            ("Keep a frame every … steps (0: none)", 100),
        ):
            box = tab.page.get_by_label(label)
            box.fill(str(value))
            box.press("Enter")
        tab.page.get_by_label("Grid").select_option("32² cells")
        button("Start the hunt").click()
        tab.until("() => runs.table().rows.some((r) => r[1] === 'done')", timeout_s=2 * PATIENCE_S)
        other.until("() => runs.table().rows.some((r) => r[1] === 'done')")
        button("Pause hunt").click()
        button("Go on").wait_for()
        tab.page.get_by_text(re.compile("paus")).first.wait_for()
        other.page.get_by_text(re.compile("paus")).first.wait_for()
        button("Go on").click()
        done = f"() => runs.table().total >= {RUNS} && runs.rows().every((r) => r.state === 'done')"
        tab.until(done, timeout_s=3 * PATIENCE_S)
        tab.page.get_by_text("finished").first.wait_for()
        tab.picture("runs-scatter")
    finally:
        tab.close()
        other.close()
    return server


def test_the_best_run_opens_and_its_cells_are_those_of_the_file(hunted, tabs, folder):
    tab = look(tabs, hunted)
    tab.page.get_by_role("button", name="fitness", exact=True).click()
    best = max((run for run in stored(hunted) if run["fitness"] is not None), key=lambda run: run["fitness"])
    tab.until("(id) => runs.rows()[0].run_id === id", best["run_id"])
    assert runs_fitness(tab) == sorted(runs_fitness(tab), reverse=True)
    tab.page.get_by_text(best["run_id"][:10]).first.dblclick()
    tab.until("() => runs.state() === 'ok' && runs.pictures().length === 1 && runs.cells(0)")
    rho = grid(folder, best["run_id"])
    tab.until("() => runs.cells(0).shape[0] === 32 && runs.cells(0).shape[1] === 32")
    np.testing.assert_array_equal(drawn(tab), rho)

    # Down to single cells: the wheel zooms, the pointer reads the number that is in the file.
    row, column = 20, 11
    spot = tab.ask("([x, y]) => runs.place(0, x, y)", [column, row])
    tab.page.mouse.move(*spot)
    while tab.ask("runs.range(0)[2] - runs.range(0)[0]") > 12:
        tab.page.mouse.wheel(0, -120)
        tab.page.wait_for_timeout(60)
    tab.until("() => /zoom=[0-9-]/.test(location.search)")
    spot = tab.ask("([x, y]) => runs.place(0, x, y)", [column, row])
    tab.page.mouse.move(spot[0] + 1, spot[1] + 1)
    tab.page.get_by_text(repr(float(rho[row, column])), exact=True).wait_for()
    tab.page.mouse.click(*spot)
    tab.until("() => new URLSearchParams(location.search).get('cut') === '20,11'")
    tab.picture("runs-cells")


def runs_fitness(tab: Tab) -> list[float]:
    return [row["fitness"] for row in tab.ask("runs.rows()")]


def test_two_runs_are_compared_and_the_link_says_it_all(hunted, tabs, folder):
    first, second = (run["run_id"] for run in sorted(stored(hunted), key=lambda run: -run["fitness"])[:2])
    link = (
        f"/runs?look=run&select={second}&with={first}&compare=difference&order=-fitness&zoom=4,4,20,20&scale=equalised"
    )
    tab = look(tabs, hunted, link)
    tab.until("() => runs.pictures().length === 3 && [0, 1, 2].every((n) => runs.cells(n))")
    tab.until("() => runs.range(0)[2] - runs.range(0)[0] < 31")
    a, b = grid(folder, second), grid(folder, first)

    def part(n: int, whole: np.ndarray) -> None:
        seen = tab.ask("(n) => runs.cells(n)", n)
        rows, columns = seen["shape"]
        y, x = round(seen["y"] + 0.5), round(seen["x"] + 0.5)
        np.testing.assert_array_equal(
            np.array(seen["values"]).reshape(rows, columns), whole[y : y + rows, x : x + columns]
        )

    for n, whole in enumerate((a, b, a - b)):
        part(n, whole)
    assert tab.ask("runs.range(0)") == tab.ask("runs.range(1)") == tab.ask("runs.range(2)")
    tab.picture("runs-difference")

    # Stepping to another run keeps zoom, scale and comparison.
    before = tab.ask("runs.range(0)")
    tab.page.locator("#picture").focus()
    tab.page.keyboard.press("ArrowDown")
    third = tab.until("(was) => runs.table().selected !== was && runs.table().selected", second)
    tab.until("(id) => runs.state() === 'ok' && new URLSearchParams(location.search).get('select') === id", third)
    assert tab.ask("runs.range(0)") == pytest.approx(before)
    tab.page.keyboard.press("l")
    tab.until("() => document.querySelector('.toast')")
    copied = str(tab.ask("navigator.clipboard.readText()"))
    again = look(tabs, copied.partition("/runs")[0], "/runs" + copied.partition("/runs")[2])
    again.until("() => runs.pictures().length === 3 && [0, 1, 2].every((n) => runs.cells(n))")
    again.until("(range) => runs.range(0).every((v, i) => Math.abs(v - range[i]) < 0.05)", before)
    tab.until("() => runs.cells(0)")
    for n in range(3):
        wait_for(lambda n=n: np.array_equal(drawn(again, n), drawn(tab, n)), "the same cells in the other browser")
    assert again.ask("runs.table().others") == [first]


def test_a_run_is_measured_again_and_gives_its_stored_numbers(hunted, tabs):
    run = stored(hunted)[0]["run_id"]
    tab = look(tabs, hunted, f"/runs?look=run&select={run}&data=rho_history&frame=1")
    tab.until("() => runs.pictures().length === 1 && runs.cells(0)")
    tab.page.get_by_role("button", name="Measure again").click()
    tab.page.get_by_text("The arrays give the stored numbers").wait_for()
    tab.page.get_by_text("Null distributions").wait_for()
    tab.page.get_by_text("Frame of the history").first.wait_for()
    tab.picture("runs-run")
    dark = look(tabs, hunted, f"/runs?look=wall&theme=dark&order=-fitness&select={run}")
    dark.until("() => probe.models().find((m) => m.data?.tiles)?.data.tiles.every((t) => t[1])")
    dark.picture("runs-wall-dark")
    lines = look(tabs, hunted, f"/runs?look=parallel&select={run}")
    lines.until("() => runs.table().rows.length > 0")
    lines.page.wait_for_timeout(300)
    lines.picture("runs-parallel")


def test_filters_and_the_past_are_said_and_undone(hunted, tabs):
    everything = stored(hunted)
    tab = look(tabs, hunted, "/runs?where=kappa%20%3E%200.4")
    kept = [run for run in everything if run["kappa"] > 0.4]
    tab.until("(n) => runs.table().total === n", len(kept))
    find = tab.page.get_by_label("Filter runs")
    find.fill("kapa > 1")
    find.press("Enter")
    tab.until("() => runs.table().refused.includes('kapa')")
    past = look(tabs, hunted, "/runs?t=2001-01-01T00:00:00Z")
    past.page.get_by_text("No run had ended by then").wait_for()


def test_a_foreign_file_is_walked(hunted, tabs):
    tab = look(tabs, hunted, "/runs?look=files&file=foreign.h5&node=/entry/detector/cube")
    tab.until("() => runs.pictures().length === 1 && runs.cells(0)?.shape[0] === 20")
    np.testing.assert_array_equal(drawn(tab), np.arange(600).reshape(20, 30))
    tab.page.get_by_text("names", exact=True).first.click()
    tab.page.get_by_text("two", exact=False).first.wait_for()
    tab.until("() => new URLSearchParams(location.search).get('node') === '/entry/names'")
    assert tab.page.locator("b", has_text="somebody").count() == 0, "attributes are text"
    tab.page.get_by_text("cube", exact=True).first.click()
    tab.until("() => runs.pictures().length === 1 && runs.cells(0)?.shape[0] === 20")
    tab.picture("runs-files")


def test_a_file_that_is_gone_says_so(hunted, tabs, folder):
    run = sorted(stored(hunted), key=lambda run: run["fitness"])[0]["run_id"]
    tab = look(tabs, hunted, f"/runs?look=run&select={run}")
    tab.until("() => runs.state() === 'ok' && runs.cells(0)")
    (folder / "data" / "runs" / f"rho_history_{run}.h5").unlink()
    veil = tab.page.locator("#veil")
    veil.get_by_text("This run has no picture").wait_for()
    assert "there is no file" in veil.inner_text()
    tab.until("(id) => runs.rows().find((r) => r.run_id === id)?.state === 'missing'", run)
    tab.picture("runs-gone")
