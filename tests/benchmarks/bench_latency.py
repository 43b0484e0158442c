"""Cold start, page load and publish-to-screen latency, with a real Chromium on the served Field page.

*Publish to screen* is the time from the newest event's own time to the browser having painted the frame
that holds it: it includes the queue, the log's commit, the bus, the fold, the wait for the frame clock's
next tick (up to a second), the frame, the wire and the painting.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile

from playwright.sync_api import sync_playwright

from tests.benchmarks.bench_viewers import served

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

PAINTED = "() => document.getElementById('picture')?.dataset.state === 'ok'"

LISTEN = """() => {
  const all = Bokeh.documents[0]._all_models ?? new Map()
  const strip = [...all.values()].find((m) => m.data?.status !== undefined || m.status !== undefined)
  const model = strip.data ?? strip
  window.latencies = []
  model.properties.status.change.connect(() => {
    const s = model.status
    if (!s.newest_s || s.newest_s === window.last) return
    window.last = s.newest_s
    requestAnimationFrame(() => requestAnimationFrame(() => window.latencies.push(Date.now() / 1000 - s.newest_s)))
  })
}"""


def main() -> None:
    """Measure and print."""
    for what in ("cold (no compiled kernels)", "warm (kernels compiled before)"):
        with tempfile.TemporaryDirectory() as cache, served(cache if what.startswith("cold") else None) as (base, _, s):
            print(f"{what}: ready after {s:.1f} s")
            if what.startswith("cold"):
                continue
            _browse(base)


def _browse(base: str) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        loads = []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            started = page.evaluate("() => Date.now()")
            page.goto(f"{base}/field")
            page.wait_for_function(PAINTED)
            loads.append((page.evaluate("() => Date.now()") - started) / 1e3)
            page.close()
        print(f"page load to picture, warm: median {statistics.median(loads):.2f} s, worst {max(loads):.2f} s")
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{base}/field")
        page.wait_for_function(PAINTED)
        page.evaluate(LISTEN)
        page.wait_for_timeout(60_000)
        seen = sorted(page.evaluate("() => window.latencies"))
        print(
            f"publish to screen, {len(seen)} ticks: median {statistics.median(seen):.2f} s, "
            f"95 % {seen[int(0.95 * (len(seen) - 1))]:.2f} s, fastest {seen[0]:.2f} s"
        )
        browser.close()


def test_latency() -> None:
    """Entry for ``make bench``."""
    main()


if __name__ == "__main__":
    main()
