"""Fixtures of the browser tests: servers for the whole run, a Chromium per file, tabs that must stay quiet.

A server takes ten seconds to start, so share one. A file whose tests only look asks for `sample` (recorded flights),
`odd` (three aircraft with hostile names) or `idle` (no source), which live for the whole run: see `tests.sharing_out`,
which lets one worker go through all files here, and name the file in its `FIRST`. A file whose tests write (drills,
hunts, uploads, answers to alarms) has one server of its own, ``scope="module"``, and a few rich tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from engine.events.embedded import EmbeddedRedis
from tests.browser.air import write_odd_tracks
from tests.browser.driver import CHROMIUM_ARGUMENTS, Server, Tab

Open = Callable[..., Tab]


@pytest.fixture(scope="session")
def redis_of_the_page() -> Iterator[EmbeddedRedis]:
    """The Redis behind the sample page; a test may stop it and must start it again."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture(scope="session")
def sample(
    tmp_path_factory: pytest.TempPathFactory, redis_of_the_page: EmbeddedRedis, real_data: Callable[[str], Path]
) -> Iterator[Server]:
    """A dashboard that plays recorded air traffic."""
    real_data("tracks/switzerland.json.gz")
    server = Server(tmp_path_factory.mktemp("sample"), FEED="sample", REDIS_URL=redis_of_the_page.url).start()
    yield server
    server.stop()
    assert server.failures() == []


@pytest.fixture(scope="session")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the odd server: `hold` and `fail` in it break the picture, see breakable_server.py."""
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="session")
def odd(odd_folder: Path) -> Iterator[Server]:
    """A dashboard that plays odd tracks (`tests.browser.air`), and that can be broken and killed."""
    tracks = write_odd_tracks(odd_folder / "odd <i>tracks<i>.csv")
    script = str(Path(__file__).with_name("breakable_server.py"))
    server = Server(odd_folder, [script, str(odd_folder)], FEED=str(tracks), REDIS_URL="").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard without any source."""
    server = Server(tmp_path_factory.mktemp("idle"), FEED="none", REDIS_URL="").start()
    yield server
    server.stop()
    assert server.failures() == []


# Playwright's loop counts as running in this thread while it is open, and nobody else's asyncio.run works
# meanwhile: so it is opened per file and closed again.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def _laptop(browser: Browser, sample: Server) -> Iterator[Tab]:
    tab = Tab(browser, sample.url).open()
    yield tab
    tab.close()


@pytest.fixture
def laptop(_laptop: Tab) -> Iterator[Tab]:
    """The sample page in a 1280×800 window, live; shared by the tests of a file that leave it as they found it."""
    yield _laptop.drawn()
    _laptop.assert_quiet()
    _laptop.go_live()


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Open]:
    """Opens tabs; at the end each must have been quiet: no error, no failed request, no other host."""
    opened: list[Tab] = []

    def open_tab(origin: Server | str, address: str | None = "/field", **options: object) -> Tab:
        url = origin if isinstance(origin, str) else origin.url
        tab = Tab(browser, url, **options)  # type: ignore[arg-type]
        opened.append(tab)
        return tab if address is None else tab.open(address)

    yield open_tab
    troubles = []
    for tab in opened:
        try:
            tab.close()
        except AssertionError as trouble:
            troubles.append(str(trouble))
    assert not troubles, troubles
