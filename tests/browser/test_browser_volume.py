"""The Volume page as people use it: it is drawn, cut, asked and shared, and time moves without moving the camera."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from engine.rf import Grid, power_field, sample_field
from tests.browser.driver import Tab, wait_for

pytestmark = pytest.mark.browser

DATA = "({...probe.deep('.volume')[0]?.dataset})"
RASTERS = """() => probe.models().filter((m) => m.type === 'Figure').map((f) =>
    f.renderers.filter((r) => r.glyph.type === 'Image').map((r) => {
    const d = r.data_source.data, image = d.image?.[0]
    const at = { x: d.x?.[0], y: d.y?.[0], dw: d.dw?.[0], dh: d.dh?.[0] }
    return image ? { shape: [...image.shape], ...at, bytes: Array.from(image) } : null
})).sort((a, b) => Math.abs(b[0]?.x ?? 0) - Math.abs(a[0]?.x ?? 0))"""
"""Both layers of the map, then of the section: only the map is far from 0."""
LOW, HIGH = -75.0, -40.0


@pytest.fixture
def volume(tabs, sample):
    def open_volume(query: str = "") -> Tab:
        tab = tabs(sample, f"/volume{query}")
        # One picture is enough: at a past moment, whose data may be there before WebGL is, no other follows.
        tab.until(
            "() => probe.deep('.volume')[0]?.dataset.version && Number(probe.deep('.volume')[0].dataset.pictures) > 0"
        )
        tab.until("() => document.getElementById('picture').dataset.state === 'ok'")
        return tab

    return open_volume


def coloured(tab: Tab) -> tuple[float, float]:
    """Shares of blue and of orange pixels in the rotating volume."""
    picture = np.asarray(tab.pixels(tab.page.locator(".volume"))).astype(int)
    red, blue = picture[..., 0], picture[..., 2]
    return float((blue - red > 12).mean()), float((red - blue > 12).mean())


def taken(tab: Tab) -> dict:
    """What the Python lines of the view compute with: its emitters."""
    text = tab.download("Python").path().read_text().partition("volume = ")[0]
    told: dict = {}
    exec(compile(text, "volume.py", "exec"), told)
    return told


def test_a_volume_is_drawn_cut_and_shared_and_time_does_not_move_its_camera(volume, tabs, sample):
    tab = volume("?line=46.20000,6.20000,47.40000,9.40000&slice=9000&horizon=0")
    # Drawn: now in blue, predicted in orange; nothing was asked of another host (every tab holds that at its end).
    wait_for(lambda: coloured(tab)[0] > 0.02 and coloured(tab)[1] > 0.002, "blue and orange in the volume")
    tab.picture("volume-light")

    # The viewer's hand: drag, then keys; then data comes and the camera stays.
    place = tab.page.locator(".volume").bounding_box()
    tab.page.mouse.move(place["x"] + 300, place["y"] + 150)
    tab.page.mouse.down()
    tab.page.mouse.move(place["x"] + 380, place["y"] + 170, steps=4)
    tab.page.mouse.up()
    tab.page.keyboard.press("+")
    # Both have been drawn, and told: the address has the camera that is on the screen.
    tab.until("""() => {
        const drawn = probe.deep('.volume')[0].dataset.camera.split(',').map(Number)
        const told = new URLSearchParams(location.search).get('camera').split(',').map(Number)
        return drawn[0] !== -20 && drawn[2] < 2.8 && drawn.every((v, i) => Math.abs(v - told[i]) < 2e-4)
    }""")
    turned = tab.ask(DATA)["camera"]
    assert turned != "-20,26,2.85,0.5,0.5,0.32"
    updates = int(tab.ask(DATA)["updates"])
    tab.until("(n) => Number(probe.deep('.volume')[0].dataset.updates) > n + 2", updates)
    data = tab.ask(DATA)
    assert [float(v) for v in data["camera"].split(",")] == pytest.approx(
        [float(v) for v in turned.split(",")], abs=1e-3
    )
    assert int(data["bytes"]) < 2 * 64 * 64 * 16, "only what changed is sent"

    # Paused: what is drawn is what the engine computes with the emitters of that moment.
    tab.page.locator("#picture").focus()
    tab.page.keyboard.press("Space")
    tab.until_word("paused")
    tab.until("() => probe.atMoment()")
    flat, upright = tab.ask(RASTERS)
    emitters: pd.DataFrame = taken(tab)["emitters"]
    ny, nx = flat[0]["shape"]
    radius = 6_378_137.0
    x = flat[0]["x"] + (np.arange(nx) + 0.5) / nx * flat[0]["dw"]
    y = flat[0]["y"] + (np.arange(ny) + 0.5) / ny * flat[0]["dh"]
    lat, lon = np.degrees(np.arctan(np.sinh(y / radius))), np.degrees(x / radius)
    rows, columns = np.meshgrid(np.arange(3, ny, 31), np.arange(5, nx, 29), indexing="ij")
    expected = sample_field(emitters, lat[rows].ravel(), lon[columns].ravel(), 9_000.0, horizon=False)
    assert same(np.array(flat[0]["bytes"]).reshape(ny, nx)[rows, columns].ravel(), expected)
    levels = np.array(flat[0]["bytes"]).reshape(ny, nx)
    r, c = np.unravel_index(np.argmax(np.where(levels < 240, levels, 0)), levels.shape)  # the strongest within limits
    grid = Grid.web_mercator(lon[c] - 0.01, lat[r] - 0.01, lon[c] + 0.01, lat[r] + 0.01, shape=(1, 1), alt_m=9_000.0)
    field = power_field(emitters, grid, horizon=False).power_dbm
    assert same(levels[r : r + 1, c], field.to_numpy().ravel())
    nz, points = upright[0]["shape"]
    section = np.array(upright[0]["bytes"]).reshape(nz, points)
    for column, (end_lat, end_lon) in ((0, (46.2, 6.2)), (points - 1, (47.4, 9.4))):
        heights = np.linspace(0.0, 20_000.0, nz)
        assert same(section[:, column], sample_field(emitters, [end_lat] * nz, [end_lon] * nz, heights, horizon=False))

    # Asked: a click on the slice tells the exact value there.
    tab.click_map(float(x[nx // 2]), float(y[ny // 2]))
    tab.until("() => 'field now' in probe.facts()")
    facts = tab.facts()
    at_lat, at_lon = (float(v) for v in re.findall(r"-?[\d.]+", facts["place"]))
    there = float(sample_field(emitters, [at_lat], [at_lon], 9_000.0, horizon=False)[0])
    assert float(facts["field now"].split()[0]) == pytest.approx(there, abs=0.1)

    # A line drawn by two clicks is the new section.
    tab.page.get_by_role("button", name="Draw a line on the map").click()
    tab.page.get_by_role("button", name="Click where it begins (A)").wait_for()
    tab.click_map(float(x[nx // 4]), float(y[ny // 4]))
    tab.page.get_by_role("button", name="Click where it ends (B)").wait_for()
    tab.click_map(float(x[3 * nx // 4]), float(y[ny // 2]))
    tab.until("() => !new URLSearchParams(location.search).get('line').startsWith('46.20000')")
    tab.until("() => probe.atMoment()")

    # Shared: the link shows the same to somebody else.
    mine = tab.address.partition("?")[2]
    yours = volume("?" + mine)
    yours.until("() => probe.atMoment() && 'field now' in probe.facts()")
    # Both see the same frame, byte for byte and to the last digit.
    assert yours.facts() == tab.facts() | {"last update": yours.facts()["last update"]}
    assert yours.ask(RASTERS) == tab.ask(RASTERS)
    wait_for(lambda: yours.ask(DATA)["version"] == tab.ask(DATA)["version"], "the same volume")
    cameras = [[float(v) for v in one.ask(DATA)["camera"].split(",")] for one in (yours, tab)]
    assert cameras[0] == pytest.approx(cameras[1], abs=1e-3)  # a link says it in four digits
    assert yours.address.partition("?")[2] == mine

    # Dark, by the button; and the picture to take along holds all three.
    tab.page.get_by_role("button", name="Light or dark").click()
    tab.until("() => probe.strip().theme === 'dark'")
    wait_for(lambda: np.asarray(tab.pixels(tab.page.locator(".volume"))).mean() < 70, "a dark volume")
    tab.picture("volume-dark")
    with tab.page.expect_download() as arriving:
        tab.page.get_by_text("PNG", exact=True).click()
    assert arriving.value.suggested_filename == "volume.png" and arriving.value.path().stat().st_size > 20_000


def same(levels: np.ndarray, dbm: np.ndarray) -> bool:
    """Whether bytes say the powers, to half a step and a little for the moment's hundredths."""
    step = (HIGH - LOW) / 254
    inside = (dbm > LOW + step) & (dbm < HIGH - step)
    assert inside.sum() > 0.5 * len(dbm), "the limits hold most of it"
    return bool(np.abs(LOW + (levels[inside] - 1.0) * step - dbm[inside]).max() < 0.5 * step + 0.02)


@pytest.mark.slow  # for the time of a whole run
def test_without_webgl_the_page_says_so_and_slice_and_section_are_there(tabs, sample):
    tab = tabs(sample, None)
    tab.context.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " return /webgl/.test(kind) ? null : get.call(this, kind, ...more) }"
    )
    tab.open("/volume")
    tab.until("() => probe.deep('.told').some((e) => e.textContent.includes('no WebGL'))")
    tab.until("() => document.getElementById('picture').dataset.state === 'ok'")
    wait_for(lambda: all(layer and any(layer["bytes"]) for layer in np.ravel(tab.ask(RASTERS))), "slice and section")


@pytest.mark.slow  # for the time of a whole run
def test_the_page_taken_along_turns_without_a_server(volume, browser, tmp_path):
    tab = volume("?detail=16")
    page = tmp_path / "volume.html"
    tab.download("HTML").save_as(page)
    alone = Tab(browser, f"file://{tmp_path}", offline=True)
    alone.page.goto(page.as_uri())
    alone.until("() => Number(document.querySelector('.volume')?.dataset.pictures) > 0")
    wait_for(lambda: coloured(alone)[0] > 0.005, "the volume in the file")
    alone.close()
