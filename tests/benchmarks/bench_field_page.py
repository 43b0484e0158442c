"""Panning and zooming the Field page with 10 000 moving emitters, in a real Chromium: ``make bench``, or

``python -m tests.benchmarks.bench_field_page [EMITTERS]``. The emitters are invented (`data.synthetic`). A gesture is a
drag by some third of the view, or turns of the wheel; its time is that from the last change of the view to the frame
of the browser after the picture of that view was handed to the canvas: it holds the wish, the wire, the wait for the
worker, the computation, the patch and the painting. The last line says whether wishes piled up while a hand moved.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from data.synthetic import air_picture
from tests.browser.driver import CHROMIUM_ARGUMENTS, Server, Tab, wait_for

EMITTERS, GESTURES = 10_000, 24

WATCH = """() => {
  const fig = probe.fig(), m = { moved: 0, seen: 0, samples: [], wishes: 0, pictures: 0 }
  window.panned = m
  const view = () => [fig.x_range.start, fig.y_range.start, fig.x_range.end, fig.y_range.end]
  for (const r of [fig.x_range, fig.y_range]) r.change.connect(() => { m.moved = performance.now() })
  const fits = () => {
    const [w, s, e, n] = view(), l = probe.layer('field')
    return l.west <= w + 1 && l.south <= s + 1 && l.east >= e - 1 && l.north >= n - 1 && l.east - l.west < 1.6 * (e - w)
  }
  const viewport = probe.models().find((x) => x.data?.v && (x.data.v.length >= 6))
  const answered = probe.models().find((x) => x.data?.n?.length === 1 && Object.keys(x.data).length === 1)
  // The picture is there when the page has been told so of this very view, and the field covers it, no coarser.
  const there = () => {
    const v = viewport.data.v
    return view().every((x, i) => Math.abs(x - v[i]) < 1e-6 * (1 + Math.abs(x))) && answered.data.n[0] >= v[6] && fits()
  }
  const look = () => {
    const moved = m.moved
    if (moved === m.seen || !there()) return
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (m.moved !== moved || m.seen === moved) return
      m.seen = moved
      m.samples.push(performance.now() - moved)
    }))
  }
  const source = probe.fig().renderers.filter((r) => r.glyph.type === 'Image')[0].data_source
  source.properties.data.change.connect(() => { m.pictures += 1; look() })
  answered.properties.data.change.connect(look)
  viewport.properties.data.change.connect(() => { m.wishes += 1 })
}"""


def main(n: int = EMITTERS) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        tracks = Path(folder) / "invented.parquet"
        air_picture(seed=1, n=n, duration_s=600.0, step_s=10.0).to_parquet(tracks)
        started = time.monotonic()
        server = Server(Path(folder), FEED=str(tracks), BACKFILL_S="300", REDIS_URL="")
        try:
            server.start()
            print(f"{n} emitters, ready after {time.monotonic() - started:.0f} s")
            wait_for(lambda: server.metric("frames_last_tick_ms") > 0, "a tick", 60)
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
                _browse(Tab(browser, server.url), server)
                browser.close()
            print("failures:", server.failures() or "none")
        finally:
            server.stop()


def _browse(tab: Tab, server: Server) -> None:
    tab.open()
    # Of ten thousand there are no markers to wait for.
    tab.until("() => probe.ready() && !probe.busy() && document.getElementById('picture').dataset.state === 'ok'")
    tab.ask(WATCH)
    tab.page.wait_for_timeout(3_000)
    frame = tab.ask("probe.frame()")
    middle = (frame["x"] + frame["width"] / 2, frame["y"] + 30)
    for name, gesture in (("pan", _pan), ("zoom", _zoom)):
        samples = []
        for k in range(GESTURES + 2):
            had = len(tab.ask("window.panned.samples"))
            gesture(tab, middle, k)
            try:
                tab.until("(had) => window.panned.samples.length > had", had, timeout_s=5)
            except AssertionError:
                print(f"  {name} {k}: no picture of its own")
                continue
            if k >= 2:
                samples.append(tab.ask("window.panned.samples.at(-1)"))
            tab.page.wait_for_timeout(150 + 97 * (k % 7))
        samples.sort()
        print(
            f"{name}: {len(samples)} gestures, median {statistics.median(samples):.0f} ms, "
            f"90 % {samples[int(0.9 * (len(samples) - 1))]:.0f} ms, worst {samples[-1]:.0f} ms; "
            f"tick {server.metric('frames_last_tick_ms'):.0f} ms"
        )
    before: dict[str, Any] = tab.ask("({...window.panned})")
    computed = server.metric("frames_computed")
    started = time.monotonic()
    tab.page.mouse.move(*middle)
    tab.page.mouse.down()
    for k in range(200):
        tab.page.mouse.move(middle[0] + 150 * ((k % 40) / 20 - 1), middle[1] + k)
        tab.page.wait_for_timeout(15)
    tab.page.mouse.up()
    took = time.monotonic() - started
    tab.until("(had) => window.panned.samples.length > had", len(before["samples"]))
    after = tab.ask("({...window.panned})")
    print(
        f"a hand that moves for {took:.1f} s: {after['wishes'] - before['wishes']} wishes, "
        f"{after['pictures'] - before['pictures']} pictures, "
        f"{server.metric('frames_computed') - computed:.0f} computed; after the last move {after['samples'][-1]:.0f} ms"
    )


def _pan(tab: Tab, middle: tuple[float, float], k: int) -> None:
    x, y = middle
    by = 260 if k % 2 == 0 else -260
    tab.page.mouse.move(x - by / 2, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + by / 2, y, steps=10)
    tab.page.mouse.up()


def _zoom(tab: Tab, middle: tuple[float, float], k: int) -> None:
    tab.page.mouse.move(middle[0], middle[1] + 200)
    for _ in range(3):  # Bokeh's wheel is not its own inverse: 0.8 in and 1.25 out are
        tab.page.mouse.wheel(0, -120 if k % 2 == 0 else 150)


def test_field_page() -> None:
    """Entry for ``make bench``."""
    main()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else EMITTERS)
