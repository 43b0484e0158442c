"""A foreign file in a real browser: walked, zoomed down to its cells, values read off, followed, handed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.browser.driver import Server, wait_for

pytestmark = pytest.mark.browser

PAGE = str(Path(__file__).parent / "pages" / "hdf5.py")

# Models of the page by their BokehJS types; the picture is the figure with an image.
LOOK = """
(() => {
  const models = () => window.Bokeh?.documents?.length ? [...Bokeh.documents[0]._all_models.values()] : []
  const fig = () => models().find((m) => m.type === "Figure" && m.renderers.some((r) => r.glyph?.type === "Image"))
  const view = () => Bokeh.index.find_one_by_id(fig().id)
  const detail = () => fig().renderers.filter((r) => r.glyph.type === "Image")[1].data_source.data
  const below = (el) => [el, ...(el.shadowRoot ? all(el.shadowRoot) : [])]
  const all = (root) => [...root.querySelectorAll("*")].flatMap(below)
  window.look = {
    ready: () => Boolean(fig() && view() && detail().image?.length && fig().inner_width > 10),
    shape: () => { const v = detail().value?.[0]; return v ? v.shape : [0, 0] },
    place: () => { const d = detail(); return [d.x[0], d.y[0], d.dw[0], d.dh[0]] },
    range: () => [fig().x_range.start, fig().y_range.start, fig().x_range.end, fig().y_range.end],
    pixel: (x, y) => { const v = view(), r = (v.canvas_view ?? v).el.getBoundingClientRect()
      return [r.left + v.frame.x_scale.compute(x), r.top + v.frame.y_scale.compute(y)] },
    texts: (selector) => all(document).filter((el) => el.matches(selector)).map((el) => el.textContent),
    legend: () => models().find((m) => m.type === "ColorBar").title.text,
    shown: () => all(document).filter((el) => el.matches(".row")).map((el) => el.dataset.path),
  }
})()
"""


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    y, x = np.mgrid[0:1500, 0:2000]
    values = np.sin(x / 90) * np.cos(y / 120) + 0.05 * np.random.default_rng(1).normal(size=x.shape)
    values[700:720, 900:940] = np.nan
    values[760, 1000] = np.inf
    return values


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, field: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("files")
    with h5py.File(folder / "antenna.h5", "w", libver="latest") as file:
        data = file.create_dataset("scan/field", data=field, chunks=(128, 128), compression="gzip", compression_opts=1)
        data.attrs.update(units="V/m", long_name="electric field")
        data.attrs["<b>odd</b>"] = "<img src=x onerror=alert(1)>"
        file["scan/phase"] = np.exp(1j * np.mgrid[0:300, 0:300].sum(0) / 30)
        file["scan/cube"] = np.random.default_rng(0).normal(size=(6, 40, 50)).cumsum(2)
        file["notes"] = ["calibrated <i>twice</i>", "windy"]
        file["gone"] = h5py.ExternalLink("../elsewhere.h5", "/a")
    with h5py.File(folder / "live.h5", "w", libver="latest") as file:
        file.create_dataset("a", data=np.zeros((40, 50)), chunks=(10, 50), maxshape=(None, 50))
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("explorer"), [PAGE, str(folder)]).start()
    yield server
    server.stop()
    assert server.failures() == []


def opened(tabs, served, address):
    tab = tabs(served, f"/hdf5?{address}")
    tab.ask(LOOK)
    return tab


def told_at(tab, x, y, words):
    """What the pointer tells at a place, as soon as it has these words."""
    nudge = [0]

    def told():
        left, top = tab.ask("([x, y]) => look.pixel(x, y)", [x, y])
        nudge[0] = 1 - nudge[0]
        tab.page.mouse.move(left + nudge[0], top)
        return next((text for text in tab.ask("look.texts('.bk-tooltip-content')") if words in text), None)

    return wait_for(told, f"{words} at the pointer")


def caption(tab, words):
    tab.page.get_by_text(words).first.wait_for()


def test_a_foreign_file_is_walked_and_zoomed_down_to_exact_cells(tabs, served, field):
    tab = opened(tabs, served, "file=antenna.h5")
    tab.page.locator(".row", has_text="scan").locator(".twist").click()
    tab.page.locator(".row", has_text="field").click()
    tab.until("() => look.ready()")
    caption(tab, "means of")
    tab.page.get_by_text("1500 × 2000").first.wait_for()
    assert "V/m" in tab.ask("look.texts('dd')")
    assert "<b>odd</b>" in tab.ask("look.texts('dt')"), "names from files are text"
    tab.page.mouse.move(5, 780)
    tab.picture("hdf5-explorer")
    # Towards the block of NaN, until every cell is itself.
    left, top = tab.ask("look.pixel(936, 716)")
    tab.page.mouse.move(left, top)
    for _ in range(60):
        if tab.ask("(() => { const r = look.range(); return r[2] - r[0] < 40 })()"):
            break
        left, top = tab.ask("look.pixel(936, 716)")
        tab.page.mouse.move(left, top)
        tab.page.mouse.wheel(0, -240)
        tab.page.wait_for_timeout(60)
    caption(tab, "every cell as it is")
    tab.until("() => { const [ny, nx] = look.shape(); return ny > 3 && ny * nx <= 65536 }")
    # A cell beside the block: its number is the one in the file, to the last digit.
    row, column = 718, 942
    said = told_at(tab, column, row, repr(float(field[row, column])))
    assert f"{row}, {column}" in said
    told_at(tab, 935, 716, "NaN")
    left, top = tab.ask("look.pixel(935, 716)")
    tab.page.mouse.click(left, top)
    caption(tab, "NaN (grey)")
    before = tab.settled("look.range()")
    tab.picture("hdf5-cells")
    tab.page.locator("select").filter(has_text="Histogram-equalised").select_option("Histogram-equalised")
    assert tab.settled("look.range()") == pytest.approx(before, abs=1.0), "zoom outlives the scale"


def test_cuts_phases_text_and_links_in_the_dark(tabs, served):
    tab = opened(tabs, served, "file=antenna.h5&path=/scan/cube&theme=dark")
    tab.until("() => look.ready()")
    assert tab.until("() => look.shape()[0] === 40 && look.shape()[1] === 50")
    tab.page.locator(".row", has_text="phase").click()
    tab.until("() => look.shape()[0] === 300")
    tab.page.locator("select").filter(has_text="Imaginary part").select_option("Phase")
    tab.until("() => look.legend().startsWith('phase of')")
    caption(tab, "every cell as it is")
    tab.settled("look.place()")
    tab.picture("hdf5-phase-dark")
    assert sum(tab.pixels().getpixel((1000, 780))) < 200
    tab.page.locator(".row", has_text="notes").click()
    caption(tab, "calibrated <i>twice</i>")
    tab.page.locator(".row", has_text="gone").click()
    caption(tab, "outside the allowed folders")


def test_a_file_that_grows_is_followed_and_the_view_stays(tabs, served, folder):
    tab = opened(tabs, served, "file=live.h5&path=/a")
    tab.until("() => look.ready()")
    tab.until("() => look.shape()[0] === 40")
    whole = tab.ask("look.range()")
    left, top = tab.ask("look.pixel(10, 10)")
    tab.page.mouse.move(left, top)
    tab.page.mouse.wheel(0, -480)
    tab.until("(whole) => look.range()[2] - look.range()[0] < 0.99 * (whole[2] - whole[0])", whole)
    before = tab.settled("look.range()")
    with h5py.File(folder / "live.h5", "r+", libver="latest", locking=True) as file:
        file["a"].resize((60, 50))
        file["a"][...] = 7.5
    tab.page.get_by_text("60 × 50").first.wait_for()
    tab.until("() => { const v = look.ready() && Bokeh.documents[0] && look.shape()[0] > 0; return v }")
    assert "7.5" in told_at(tab, 10, 10, "7.5")
    assert tab.ask("look.range()") == pytest.approx(before, abs=0.5)


def test_a_file_of_the_viewers_own_is_handed_in(tabs, served, tmp_path):
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["big"] = np.random.default_rng(0).normal(size=(600, 400))
    tab = opened(tabs, served, "")
    tab.page.locator("input[type=file]").set_input_files(tmp_path / "mine.h5")
    tab.page.locator(".row", has_text="big").click()
    tab.until("() => look.ready()")
    with open(tmp_path / "large.h5", "wb") as file:
        file.truncate(9 << 20)
    tab.page.locator("input[type=file]").set_input_files(tmp_path / "large.h5")
    caption(tab, "too large: at most 8 MiB")
