"""Drives the dashboard as a person would: a server in a process of its own, and tabs in a real Chromium.

It knows the page only by what a browser sees of it (elements, BokehJS models, requests, console). It must not
import the dashboard or the engine.
"""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Download, Locator, Page
from playwright.sync_api import TimeoutError as Unanswered

ROOT = Path(__file__).parents[2]

CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

PATIENCE_S = 60.0
"""How long a condition may take: generous, for machines that do something else besides."""

PICTURES = ROOT / "docs" / "img" if os.environ.get("SCREENSHOTS") else None
"""Where screenshots go; none are kept unless SCREENSHOTS is set."""

PROBE = (Path(__file__).parent / "probe.js").read_text()


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
    """The first true value of a condition; AssertionError naming `what` if it never comes.

    What is not there yet to be looked up (a LookupError) is not true yet.
    """
    end = time.monotonic() + timeout_s
    while True:
        lacking = ""
        try:
            value = condition()
        except LookupError as missing:
            value, lacking = None, f" (in the end: {type(missing).__name__} {missing})"
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout_s:g} s in vain for: {what}{lacking}"
        time.sleep(0.05)


class Server:
    """The dashboard in a process of its own, on a port that it keeps over restarts.

    Parameters
    ----------
    folder : Path
        For its data and its log.
    command : list of str
        What Python runs; ``-m dashboard`` by default.
    environment : str
        Further settings, see `engine.config`.
    """

    def __init__(self, folder: Path, command: list[str] | None = None, **environment: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://localhost:{self.port}"
        self._command = [sys.executable, *(command or ["-m", "dashboard"])]
        self._environment = {**os.environ, "PORT": str(self.port), "DATA_DIR": str(folder / "data"), **environment}
        self._output = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        """Start it and wait until it says that it is ready."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        process = self._process

        def ready() -> bool:
            assert process.poll() is None, f"the server ended with {process.returncode}:\n{self.log()[-3000:]}"
            try:
                return '"ready"' in self.get("/ready")
            except OSError:
                return False

        wait_for(ready, "the server to be ready", 5 * PATIENCE_S)  # it may have kernels to compile
        return self

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def get(self, path: str) -> str:
        """Body of one of its addresses."""
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """One number of `/metrics`."""
        match = re.search(rf"^scythe_{name} (\S+)$", self.get("/metrics"), re.MULTILINE)
        assert match, f"/metrics has no scythe_{name}"
        return float(match[1])

    def log(self) -> str:
        """What it has printed so far."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    def failures(self) -> list[str]:
        """Exceptions in its log; a tab that closes while something is sent to it is none."""
        raised = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*", self.log(), re.MULTILINE)
        return [line for line in raised if not re.search("WebSocketClosedError|StreamClosedError", line)]

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None


class Tab:
    """One page in a browser profile of its own, which remembers everything that went wrong in it.

    Parameters
    ----------
    browser : Browser
    origin : str
        Where the page may talk to, e.g. ``http://localhost:5006``; a request to anywhere else is a fault.
    size : (int, int)
        Of the window, CSS pixels.
    offline : bool
        Cut it off from every network.
    """

    def __init__(
        self, browser: Browser, origin: str, size: tuple[int, int] = (1280, 800), offline: bool = False
    ) -> None:
        self.origin = origin
        self.context: BrowserContext = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, offline=offline, accept_downloads=True
        )
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.context.add_init_script(PROBE)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(1e3 * PATIENCE_S)
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.server_may_be_away = False
        self._clicked = 0.0
        self._listen()

    # -- what it sees ---------------------------------------------------------------------------

    @property
    def word(self) -> str:
        """The state in the bottom strip: live, stale, bus lost …"""
        return self.page.locator(".state .word").inner_text()

    @property
    def why(self) -> str:
        """What the strip adds to the state."""
        return self.page.locator(".state .why").inner_text()

    @property
    def caption(self) -> str:
        """Caption of the picture: model, limits, moment, seq."""
        return str(self.ask("document.getElementById('picture').dataset.caption ?? ''"))

    def ask(self, script: str, argument: Any = None) -> Any:
        """Value of a JavaScript expression in the page; `probe` has what probe.js offers."""
        return self.page.evaluate(script, argument)

    def until(self, script: str, argument: Any = None, timeout_s: float = PATIENCE_S) -> Any:
        """The first true value of a JavaScript expression; what the page shows instead if it never comes."""
        try:
            handle = self.page.wait_for_function(script, arg=argument, timeout=1e3 * timeout_s)
        except Unanswered:
            page, troubles = self.page.evaluate("() => probe.summary()"), self.troubles
            raise AssertionError(f"waited {timeout_s:g} s in vain for: {script}\n{page=}\n{troubles=}") from None
        return handle.json_value()

    def settled(self, script: str) -> Any:
        """Value of a JavaScript expression once it stays what it is, over ten frames of the page."""
        self.ask("() => { window.settling = {} }")
        return self.until(
            f"() => {{ const now = JSON.stringify({script}), was = window.settling; "
            "window.settling = { now, times: was.now === now ? was.times + 1 : 0 }; "
            "return window.settling.times < 10 ? null : JSON.parse(now) }"
        )

    def until_word(self, *words: str, timeout_s: float = PATIENCE_S) -> str:
        """Wait until the strip says one of these."""
        script = "(words) => words.find((word) => word === probe.words())"
        return str(self.until(script, list(words), timeout_s))

    def checkbox(self, label: str) -> Locator:
        """The box beside a label; Bokeh's own has no accessible name to find it by."""
        return self.page.locator(f'input[type=checkbox]:has(+ .bk-label:text-is("{label}"))')

    def facts(self) -> dict[str, str]:
        """What the inspector says, by name; of two equal names the later one."""
        return dict(self.ask("probe.facts()"))

    def pixels(self, area: Locator | None = None) -> Image.Image:
        """What is on the screen, as a picture."""
        return Image.open(io.BytesIO((area or self.page).screenshot())).convert("RGB")

    # -- what it does ---------------------------------------------------------------------------

    def open(self, address: str = "/field") -> Tab:
        """Go there; the page may still be empty."""
        self.page.goto(self.origin + address, wait_until="load")
        return self

    @property
    def address(self) -> str:
        """What the address bar says, once it says what the page does: it is written ten times a second at most."""
        bar = "location.search.replace(/^[?]/, '').replace(/&kiosk=1$/, '')"
        self.until(f"() => {bar} === document.documentElement.dataset.query")
        return str(self.ask("location.href"))

    def drawn(self) -> Tab:
        """Wait until the picture of the view is there, with emitters and nothing under way."""
        self.until("() => probe.drawn()")
        return self

    def still(self) -> Tab:
        """Wait until what is shown is of the moment that the strip says, in a view at rest."""
        self.drawn()
        self.until("() => probe.atMoment()")
        return self

    def slow_to_load(self) -> list[Callable[[], None]]:
        """Keep from the server that a page opened from now on has loaded.

        Returns
        -------
        list of callable () -> None
            Empty until the page says it; then what passes it on.
        """
        parts: list[str | bytes] = []
        held: list[Callable[[], None]] = []

        def route(page_side: Any) -> None:
            server_side = page_side.connect_to_server()

            def forward(part: str | bytes) -> None:
                # A message of Bokeh's is a header, metadata, content, and two parts for each buffer.
                parts.append(part)
                if len(parts) < 3 + 2 * int(json.loads(parts[0]).get("num_buffers", 0)):
                    return
                whole, parts[:] = parts[:], []

                def send() -> None:
                    for each in whole:
                        server_side.send(each)

                if '"document_ready"' in str(whole[2]):
                    held.append(send)
                else:
                    send()

            page_side.on_message(forward)

        self.page.route_web_socket(re.compile("/ws"), route)
        return held

    def go_live(self) -> Tab:
        """Back to live, with nothing selected and no field in focus."""
        self.ask("document.activeElement?.blur()")
        if self.page.locator(".live").is_enabled():
            self.page.locator(".live").click()
        self.page.locator("#picture").focus()
        self.page.keyboard.press("Escape")
        self.until("() => probe.strip().mode === 'live' && probe.selected().length === 0")
        return self

    def pause(self) -> Tab:
        """Stop at this moment and wait until the picture is of it."""
        self.page.locator("#picture").focus()
        self.page.keyboard.press("Space")
        self.until_word("paused")
        return self.still()

    def click_map(self, x_m: float, y_m: float) -> None:
        """Click on a place of the map, Web Mercator metres."""
        # Two clicks within 300 ms are a double click to BokehJS, wherever they are.
        while time.monotonic() < self._clicked + 0.4:
            self.page.wait_for_timeout(20)
        self._clicked = time.monotonic()
        self.page.mouse.click(*self.ask("([x, y]) => probe.pixel(x, y)", [x_m, y_m]))

    def download(self, name: str) -> Download:
        """Press a button that brings a file."""
        with self.page.expect_download() as arriving:
            self.page.get_by_text(name, exact=True).click()
        return arriving.value

    def picture(self, name: str) -> None:
        """Keep a screenshot for the documentation, if that is asked for."""
        if PICTURES is None:
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.pixels().save(PICTURES / f"{name}.png", optimize=True)

    def assert_quiet(self) -> None:
        """State what went wrong in it so far: errors, failed requests, other hosts."""
        strangers = [u for u in self.requests if _foreign(u, self.origin)]
        assert not strangers, f"requests to other hosts: {strangers}"
        assert not self.troubles, f"the page complained: {self.troubles}"

    def close(self) -> None:
        """Close it and state what went wrong in it."""
        self.context.close()
        self.assert_quiet()

    @contextmanager
    def without_server(self) -> Iterator[None]:
        """While the server is away on purpose, failed requests to it are expected."""
        self.server_may_be_away = True
        yield
        self.server_may_be_away = False

    def _listen(self) -> None:
        page, note = self.page, self.troubles.append

        def console(message: Any) -> None:
            away = self.server_may_be_away and "Failed to load resource: net::" in message.text
            driver = "GL Driver Message" in message.text  # of a machine that draws without a graphics card
            if message.type in ("error", "warning") and not driver and not away:
                note(f"console {message.type}: {message.text}")

        def failed(request: Any) -> None:
            aborted_by_page = request.failure == "net::ERR_ABORTED"  # a download, or a page that was left
            if not aborted_by_page and not self.server_may_be_away:
                note(f"request failed: {request.url} ({request.failure})")

        def dialog(box: Any) -> None:
            note(f"dialog: {box.message}")
            box.dismiss()

        page.on("console", console)
        page.on("pageerror", lambda error: note(f"exception: {error}"))
        page.on("requestfailed", failed)
        page.on("response", lambda r: note(f"{r.status}: {r.url}") if r.status >= 400 else None)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket_: self.requests.append(socket_.url))
        page.on("dialog", dialog)


def _foreign(url: str, origin: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme in ("data", "blob", "about"):
        return False
    if origin.startswith("file:"):
        return parts.scheme != "file"
    return parts.netloc != urlsplit(origin).netloc


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
