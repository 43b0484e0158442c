"""`python -m dashboard`: start the station, serve the pages, say where everything is.

The same as ``panel serve dashboard/pages/*.py`` with this project's plug-in and set-up; honours
the variables that `engine.config.Settings` lists.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.config import Settings

HERE = Path(__file__).parent


def arguments(settings: Settings) -> list[str]:
    """Arguments of ``panel serve`` for these settings."""
    pages = sorted(str(page) for page in (HERE / "pages").glob("[a-z]*.py"))
    origins = [f"127.0.0.1:{settings.port}", f"localhost:{settings.port}", *settings.origins]
    return [
        "panel", "serve", *pages, "--port", str(settings.port), "--address", settings.host, "--index", "field",
        "--plugins", "dashboard.endpoints", "--setup", str(HERE / "start.py"),
        "--unused-session-lifetime", "15000", "--check-unused-sessions", "5000", "--keep-alive", "10000",
        "--log-level", "warning",
        *(part for origin in origins for part in ("--allow-websocket-origin", origin)),
    ]  # fmt: skip


def main() -> None:
    """Serve until interrupted."""
    try:
        settings = Settings.from_environment()
    except ValueError as error:
        sys.exit(f"{error}")
    from panel.command import main as panel_main

    sys.argv = arguments(settings)
    panel_main()


if __name__ == "__main__":
    main()
