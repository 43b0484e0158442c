"""Measured fields as people use them: numbers are the engine's, the maps are linked, what is selected is shared."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from engine.frames.measured_fold import MeasurementFold
from engine.frames.measured_frame import MeasuredFrame, MeasuredSpec, compute_measured
from engine.ingest import read_rssi
from tests.browser.driver import Server, Tab, wait_for

pytestmark = pytest.mark.browser

PAGE = str(Path(__file__).parent / "pages" / "measured.py")
ROOF, MAST = "roof <b>1</b>", "mast"

# The maps by their names, as BokehJS has them.
LOOK = """
(() => {
  const figs = () => Object.fromEntries(probe.models().filter((m) => m.type === "Figure" && m.tags.length).map((m) => [m.tags[0], m]))
  const view = (name) => Bokeh.index.find_one_by_id(figs()[name].id)
  const corner = (name) => { const v = view(name), r = (v.canvas_view ?? v).el.getBoundingClientRect(); return [v, r] }
  const glyph = (name, type) => figs()[name].renderers.find((r) => r.glyph.type === type)
  window.look = {
    image: (name) => { const d = glyph(name, "Image").data_source.data; return d.image?.length ? Array.from(d.image[0].data ?? d.image[0]) : [] },
    points: (field) => Array.from(glyph("measured", "Scatter").data_source.data[field] ?? []),
    pixel: (name, x, y) => { const [v, r] = corner(name); return [r.left + v.frame.x_scale.compute(x), r.top + v.frame.y_scale.compute(y)] },
    labels: () => Object.fromEntries(Object.entries(figs()).map(([n, f]) => [n, f.center.find((a) => a.type === "Label").text])),
    scale: (name) => { const b = figs()[name].above.find((a) => a.type === "ColorBar"); return [b.color_mapper.low, b.color_mapper.high] },
    title: (name) => figs()[name].title.text,
    range: (name) => { const f = figs()[name]; return [f.x_range.start, f.y_range.start, f.x_range.end, f.y_range.end] },
    square: (name) => { const f = figs()[name]; return (f.x_range.end - f.x_range.start) / f.inner_width / ((f.y_range.end - f.y_range.start) / f.inner_height) },
    seen: () => Object.keys(figs()).filter((n) => { const v = view(n); return v && v.el.getBoundingClientRect().width > 50 }),
    scores: () => probe.deep("table tr").slice(1).map((tr) => [...tr.cells].map((td) => td.textContent)),
    state: () => document.getElementById("picture").dataset.state,
  }
})()
"""  # noqa: E501


def campaign(seed: int, n: int = 150, receivers: tuple[str, ...] = (ROOF, MAST)) -> pd.DataFrame:
    """A walk heard by some receivers: exponent 3, 5 dB of shadowing."""
    rng = np.random.default_rng(seed)
    parts = []
    for k, receiver in enumerate(receivers):
        lat, lon = 40.765 + rng.uniform(-0.006, 0.006, n), -111.845 + rng.uniform(-0.008, 0.008, n)
        metres = np.hypot((lat - 40.765) * 111_050.0, (lon + 111.845) * 84_420.0)
        parts.append(pd.DataFrame({
            "time": pd.date_range("2022-04-25", periods=n, freq="s", tz="UTC"), "lat": lat, "lon": lon,
            "rssi_dbm": 10.0 - 30.0 * np.log10(metres) + rng.normal(0.0, 5.0, n) - k, "receiver": receiver,
            "receiver_lat": 40.765, "receiver_lon": -111.845, "transmitter": "van", "freq_hz": 462.7e6,
        }))  # fmt: skip
    return pd.concat(parts).iloc[: -1 if len(receivers) > 1 else None]  # the first one has most


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("walk") / "walk.csv"
    campaign(1).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, walk: Path, real_data) -> Iterator[Server]:
    """A dashboard that takes the walk in as it takes in everything."""
    real_data("rssi/single_tx.csv")
    server = Server(tmp_path_factory.mktemp("measured"), [PAGE], FEED=f"once:{walk}", REDIS_URL="").start()
    yield server
    server.stop()
    assert server.failures() == []


@pytest.fixture(scope="module")
def frame(walk: Path) -> MeasuredFrame:
    """What the engine makes of the walk, here in the test."""
    fold = MeasurementFold()
    fold.apply(read_rssi(walk, "walk")[0])
    return compute_measured(MeasuredSpec("walk", "van", ROOF, 1), fold.rows("walk", "van", ROOF))


def opened(tabs, server: Server, query: str = "") -> Tab:
    tab = tabs(server, f"/measured{query}")
    tab.ask(LOOK)
    return tab


def whole(tab: Tab) -> Tab:
    """Wait until fields and scores are there."""
    tab.until("() => look.state() === 'ok' && look.scores().length === 5 && look.image('uncertainty').length > 0")
    return tab


def figure(text: str) -> float:
    """The first number of a text of the page."""
    return float(re.findall(r"[+−]?\d+(?:\.\d+)?", text.replace(" ", ""))[0].replace("−", "-"))


def test_numbers_are_the_engines_maps_are_linked_and_a_link_brings_another_to_the_same_view(tabs, served, frame):
    tab = whole(opened(tabs, served))
    facts = tab.facts()
    assert facts["exponent"].startswith(f"{frame.law.exponent:.2f} ({frame.intervals['exponent'][0]:.2f} to ")
    assert figure(facts["shadowing σ"]) == round(frame.law.sigma_db, 1)
    assert facts["measurements"] == str(len(frame.points)) == "150"
    scores = frame.scores(1.5, 15.0)
    want = [(f"{r.rmse_db:.2f}", f"{100 * r.inside_90:.1f} %") for r in scores[scores["records"] == "all"].itertuples()]
    assert [(row[1], row[3]) for row in tab.ask("look.scores()")] == want

    # Fields cell by cell, one scale for measured and modelled, a residual scale with its zero in the middle.
    np.testing.assert_allclose(tab.ask("look.image('modelled')"), frame.field["rssi_db"].values.ravel(), atol=1e-4)
    np.testing.assert_allclose(tab.ask("look.image('uncertainty')"), frame.field["sigma_db"].values.ravel(), atol=1e-4)
    assert tab.ask("look.scale('measured')") == tab.ask("look.scale('modelled')") == list(frame.limits_db())
    low, high = tab.ask("look.scale('residual')")
    assert low == -high < 0
    table = frame.table("kriged", 1.5, 15.0)
    np.testing.assert_allclose(tab.ask("look.points('residual')"), table["residual_db"], atol=1e-4)

    # The value at the pointer, in every map at once.
    ny, nx = frame.grid.shape
    row, column = ny // 3, nx // 3
    x, y = float(frame.grid.x_m[column]), float(frame.grid.y_m[row])
    tab.page.mouse.move(*tab.ask("([x, y]) => look.pixel('measured', x, y)", [x, y]))
    said = f"{float(frame.field['rssi_db'][row, column]):.1f} dB".replace("-", "−")
    tab.until("(said) => look.labels().modelled === said", said)
    assert figure(tab.ask("look.labels().uncertainty")) == round(float(frame.field["sigma_db"][row, column]), 1)

    # A point that was clicked, in the residual map.
    alone = _lonely(frame)
    x, y = (tab.ask(f"look.points('{axis}')")[alone] for axis in "xy")
    tab.page.mouse.click(*tab.ask("([x, y]) => look.pixel('residual', x, y)", [x, y]))
    tab.until("() => 'residual' in probe.facts()")
    facts, point = tab.facts(), table.iloc[alone]
    for name, value in (("measured", point["rssi_db"]), ("modelled", point["modelled_db"]),
                        ("residual", point["residual_db"]), ("sigma", point["sigma_db"])):  # fmt: skip
        assert figure(facts[name]) == pytest.approx(value, abs=0.0501), name
    assert figure(facts["distance"]) == pytest.approx(point["distance_m"], abs=0.51) and facts["receiver"] == ROOF

    # Zoomed in one map, all are; metres stay square.
    before = tab.ask("look.range('measured')")
    tab.page.mouse.move(*tab.ask("([x, y]) => look.pixel('measured', x, y)", [x, y]))
    tab.page.mouse.wheel(0, -500)
    tab.until("([a, b]) => { const r = look.range('uncertainty'); return r[2] - r[0] < 0.9 * (b - a) }",
              [before[0], before[2]])  # fmt: skip
    assert tab.ask("look.range('measured')") == tab.ask("look.range('residual')")
    assert tab.ask("look.square('residual')") == pytest.approx(1.0, abs=0.02)
    tab.until("() => document.documentElement.dataset.query?.includes('area=-111')")

    # The link brings another to the same: place, point, model; and computes nothing anew.
    tab.page.get_by_label("Modelled by").select_option(label="Two rays over ground")
    tab.until("() => look.title('modelled').includes('two rays')")
    np.testing.assert_allclose(
        wait_for(lambda: tab.ask("look.image('modelled')"), "two rays"), frame.modelled("two_ray", 1.5, 15.0).ravel(),
        atol=1e-4,
    )  # fmt: skip
    tab.until("() => document.documentElement.dataset.query?.includes('law=two_ray')")
    other = whole(opened(tabs, served, "?" + tab.ask("document.documentElement.dataset.query")))
    other.until("() => probe.facts().residual !== undefined")
    assert other.facts()["modelled"] == tab.facts()["modelled"]
    mine, theirs = (np.array(t.ask("look.range('measured')")) for t in (tab, other))
    np.testing.assert_allclose(theirs, mine, atol=0.02 * (mine[2] - mine[0]))

    # One map alone, as large as there is room.
    other.page.get_by_label("Maps").select_option(label="Residual")
    other.until("() => look.seen().join() === 'residual'")
    other.page.locator("#picture").focus()
    other.page.keyboard.press("Escape")
    other.until("() => probe.facts().residual === undefined")
    assert "<b>" not in str(other.ask("[...probe.deep('dd')].map((e) => e.innerHTML)"))


def test_more_is_handed_in_cancelled_and_taken_along(tabs, served, tmp_path):
    tab = opened(tabs, served, "?campaign=POWDER FRS 2022&mgrid=160&block=100")
    tab.page.get_by_role("button", name="Cancel").click()
    tab.page.get_by_role("button", name="Compute again").wait_for()
    assert tab.ask("probe.deep('pre').some((e) => e.textContent.startsWith('Cancelled'))")

    # A file that is handed in: accounted for, and the campaign heard last is there to choose.
    path = tmp_path / "second.csv"
    campaign(2, 80, ("hill",)).to_csv(path, index=False)
    path.write_text(path.read_text() + "2022-04-25,91,0,-70,hill,40.7,-111.8,van,1\n")
    tab.page.locator("input[type=file]").set_input_files(str(path))
    tab.until("() => probe.deep('dt').some((e) => e.textContent === 'refused: lat_out_of_range')")
    name = "upload second.csv"
    tab.until("(name) => [...probe.deep('option')].some((o) => o.textContent === name)", name)
    tab.page.get_by_label("Campaign").select_option(label=name)
    whole(tab)
    assert tab.facts()["measurements"] == "80" and "hill" in tab.caption

    # Taken along: points, fields with units, a page that needs no server.
    points = pd.read_csv(tab.download("CSV").path())
    assert len(points) == 80 and points["residual_db"].notna().all()
    with xr.open_dataset(io.BytesIO(Path(tab.download("NetCDF").path()).read_bytes()), engine="h5netcdf") as fields:
        assert fields["sigma_db"].attrs["units"] == "dB" and fields.sizes["point"] == 80
        rmse = float(np.sqrt(np.mean((points["rssi_db"] - points["modelled_db"]) ** 2)))
        assert fields.attrs["rmse_db_kriged"] == pytest.approx(rmse, rel=1e-6)
    html = Path(tab.download("HTML").path())
    alone = tabs("file://" + str(html.rename(html.with_suffix(".html"))), "", offline=True)
    alone.until(
        "() => Bokeh.documents.length && [...Bokeh.documents[0]._all_models.values()].some((m) => m.type === 'Image')"
    )
    assert tab.download("PNG").suggested_filename == "measured.png"

    # What is not there is said, with what to choose.
    gone = opened(tabs, served, "?rx=nobody")
    gone.until("() => look.state() === 'empty'")
    assert "nobody is not among the measurements" in gone.page.locator("#veil").inner_text()
    gone.page.get_by_label("Receiver (measurements)").select_option(label="hill (80)")
    whole(gone)


def test_pictures_for_the_documentation(tabs, served):
    from tests.browser.driver import PICTURES

    if PICTURES is None:
        pytest.skip("only when screenshots are asked for")
    for theme in ("light", "dark"):
        query = f"?campaign=POWDER FRS 2022&rx=garage-nuc2-b210&select=measurement:2100&theme={theme}"
        tab = tabs(served, f"/locate{query}&mode=rssi")
        tab.ask(LOOK)
        whole(tab).ask("['pan', 'pick', 'scrub'].forEach((name) => scythe.used(name))")
        tab.page.wait_for_timeout(500)
        tab.picture(f"measured-{theme}")


def _lonely(frame: MeasuredFrame) -> int:
    """Number of the point farthest from all others: a click on it can mean no other."""
    east, north = frame.points["lon"].to_numpy() * 84_420.0, frame.points["lat"].to_numpy() * 111_050.0
    apart = np.hypot(east[:, None] - east, north[:, None] - north)
    np.fill_diagonal(apart, np.inf)
    return int(apart.min(axis=1).argmax())
