"""Fixtures that every room's tests may use: real data, a browser, a Redis server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

# Before anything imports Numba: its workqueue layer kills the process when two threads compute at once.
os.environ.setdefault("NUMBA_THREADING_LAYER", "threadsafe")

import pytest
from hypothesis import settings

from data.loader import DataUnavailable, locate

if TYPE_CHECKING:
    from tests.sharing_out import OneBrowserAtATime

# The first example of a property compiles kernels; how long an example takes is not what is tested.
# Under CI the same examples are drawn each time, so that red means a change; elsewhere new ones are looked for.
UNDER_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
settings.register_profile("ours", deadline=None, derandomize=UNDER_CI)
settings.load_profile("ours")


def unavailable(reason: str) -> NoReturn:
    """What a test needs is not here: a failure under CI, a skip on a developer's machine."""
    if UNDER_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("tracks/switzerland.json.gz")` is the checked path of a registered data set."""

    def find(name: str) -> Path:
        try:
            return locate(name)
        except DataUnavailable as error:
            reason = str(error)
        unavailable(reason)

    return find


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium for Playwright's `executable_path`; start it with `--no-sandbox`."""
    named = os.environ.get("CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found or not os.access(found, os.X_OK):
        unavailable(f"no Chromium (CHROMIUM={named!r}); run 'make test', which installs one")
    return str(found)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a Redis that belongs to this test run alone."""
    from engine.events.embedded import EmbeddedRedis

    with EmbeddedRedis() as server:
        yield server.url


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneBrowserAtATime | None:
    """With ``--dist loadfile`` files are shared out as `tests.sharing_out` says."""
    if config.getvalue("dist") != "loadfile":
        return None
    from tests.sharing_out import OneBrowserAtATime

    config.option.loadscopereorder = False
    return OneBrowserAtATime(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Why tests were tried again: what passes at the second try is a fault as well, of the test or of what it tests."""
    for report in terminalreporter.stats.get("rerun", []):
        said = [line for line in report.longreprtext.splitlines() if line.startswith("E  ")]
        terminalreporter.write_line(f"tried again: {report.nodeid}")
        for line in said[:6]:
            terminalreporter.write_line(line[:1500])
