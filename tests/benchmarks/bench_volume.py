"""Volumes: time against the arithmetic limit of brute force, bytes of an update, pictures per second in Chromium.

python -m tests.benchmarks.bench_volume            # engine: time and bytes
python -m tests.benchmarks.bench_volume URL        # and the page of a server that runs, e.g. http://localhost:5006
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from numba import njit, prange

from engine.events.schema import FIX, event_table
from engine.frames.volume_frame import compute_volume_frame
from engine.frames.volume_spec import DETAILS, VolumeSpec
from engine.geo import geodetic_to_ecef
from engine.rf import power_volume, volume_grid
from engine.rf.tracks import TrackFold

BOX = (5.2, 45.2, 11.2, 48.4)
EMITTERS = 1_000


@njit(parallel=True, fastmath=True, cache=False)
def limit(out, px, py, pz, ex, ey, ez, gain):  # type: ignore[no-untyped-def]
    """The least that brute force must do: per pair three differences, three products, one division, float32."""
    for i in prange(px.size):
        total = np.float32(0)
        for k in range(ex.size):
            dx, dy, dz = px[i] - ex[k], py[i] - ey[k], pz[i] - ez[k]
            total += gain[k] / (dx * dx + dy * dy + dz * dz + np.float32(1e-3))
        out[i] = total


def best(run, times: int = 5) -> float:  # type: ignore[no-untyped-def]
    """Shortest of several runs, s."""
    run()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return min(taken)


def against_the_limit() -> None:
    """128 x 128 x 32 cells and 1 000 emitters, in one run."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({
        "lat": rng.uniform(45.4, 48.2, EMITTERS), "lon": rng.uniform(5.4, 11.0, EMITTERS),
        "alt_m": rng.uniform(500.0, 12_000.0, EMITTERS), "eirp_dbm": rng.uniform(40, 57, EMITTERS), "freq_hz": 1.09e9,
    })  # fmt: skip
    grid = volume_grid(*BOX, 128, 32)
    alt = np.broadcast_to(grid.level_alt_m[:, None, None], grid.array_shape)
    lat, lon = np.broadcast_to(grid.lat[None, :, None], alt.shape), np.broadcast_to(grid.lon[None, None, :], alt.shape)
    points = [(v / 1e3).astype(np.float32).ravel() for v in geodetic_to_ecef(lat, lon, alt)]
    senders = [
        (v / 1e3).astype(np.float32) for v in geodetic_to_ecef(*(table[c].to_numpy() for c in ("lat", "lon", "alt_m")))
    ]
    middle = [float(p.mean()) for p in points]
    points = [p - np.float32(m) for p, m in zip(points, middle, strict=True)]
    senders = [p - np.float32(m) for p, m in zip(senders, middle, strict=True)]
    out, gain = np.empty(points[0].size, np.float32), np.ones(EMITTERS, np.float32)
    least = best(lambda: limit(out, *points, *senders, gain))
    print(f"arithmetic limit of brute force, 128 x 128 x 32, N = {EMITTERS}: {1e3 * least:.0f} ms")
    for method in ("auto", "direct"):
        ours = best(lambda method=method: power_volume(table, grid, method=method, horizon=False))
        print(f"power_volume, method {method}, without horizon: {1e3 * ours:.0f} ms, {ours / least:.2f} x the limit")
    ours = best(lambda: power_volume(table, grid))
    print(f"power_volume, method auto, with horizon: {1e3 * ours:.0f} ms, {ours / least:.2f} x the limit")


def bytes_of_an_update() -> None:
    """Both volumes, deflated: whole, and what changes in a second while 100 aircraft fly."""
    n = 100
    rng = np.random.default_rng(4)
    lat0, lon0, track = rng.uniform(45.5, 48.0, n), rng.uniform(5.6, 10.8, n), rng.uniform(0, 360, n)
    fold = TrackFold()
    for k in range(5):
        far = 230.0 * k / 111_320
        fold.apply(event_table(
            np.full(n, (1_000 + k) * 1_000_000), FIX, [f"a{i}" for i in range(n)], "bench",
            lat=lat0 + far * np.cos(np.radians(track)), lon=lon0 + 1.45 * far * np.sin(np.radians(track)),
            alt_m=np.linspace(1_000, 11_500, n),
            payload=[f'{{"speed_m_s": 230.0, "track_deg": {t}, "vertical_rate_m_s": 0.0}}' for t in track],
        ))  # fmt: skip
    for detail in DETAILS:
        spec = VolumeSpec(*BOX, detail=detail, low_dbm=-75.0, high_dbm=-40.0)
        old, new = (compute_volume_frame(spec, t, fold.snapshot(t)) for t in (1_004.5, 1_005.5))
        raw, whole, change = old.levels.nbytes, len(old.packed()), len(new.packed(old))
        print(f"{detail:>7}: {raw:8d} B raw, {whole:7d} whole, {change:7d} in 1 s ({100 * change / raw:.0f} %) "
              f"±{old.quantisation_db:.2f} dB, computed in {new.compute_ms:.0f} ms")  # fmt: skip


def pictures_per_second(url: str) -> None:
    """Turn the volume by hand for five seconds in a headless Chromium while the scene moves."""
    from playwright.sync_api import sync_playwright

    from tests.browser.driver import CHROMIUM_ARGUMENTS, PROBE

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(PROBE)
        for detail in ("64x16", "128x32"):
            page.goto(f"{url}/volume?detail={detail}")
            page.wait_for_function("Number(probe.deep('.volume')[0]?.dataset.updates) > 1", timeout=60_000)
            box = page.locator(".volume").bounding_box()
            assert box is not None
            page.mouse.move(box["x"] + 200, box["y"] + 150)
            page.mouse.down()
            for warm in range(20):
                page.mouse.move(box["x"] + 200 + 3 * warm, box["y"] + 150)
                page.wait_for_timeout(50)
            count = "Number(probe.deep('.volume')[0].dataset.pictures)"
            before, started, step = page.evaluate(count), time.perf_counter(), 0
            while time.perf_counter() - started < 5.0:
                step += 1
                page.mouse.move(box["x"] + 260 + 120 * np.sin(step / 20), box["y"] + 150)
                page.wait_for_timeout(15)
            rate = (page.evaluate(count) - before) / (time.perf_counter() - started)
            page.mouse.up()
            page.wait_for_timeout(2_000)
            data = page.evaluate("({...probe.deep('.volume')[0].dataset})")
            print(f"{detail}: {rate:.1f} pictures/s while turned and moving; at rest {data['ms']} ms a picture, "
                  f"last update {int(data['bytes'])} B")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    against_the_limit()
    bytes_of_an_update()
    for address in sys.argv[1:]:
        pictures_per_second(address)
