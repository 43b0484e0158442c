"""Serves the view of measured fields alone in the shell: ``python measured.py``, with PORT and DATA_DIR."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))


def main() -> None:
    """The dashboard as its own main serves it, with this page beside the others."""
    from dashboard import __main__ as dashboard

    usual = dashboard.arguments
    dashboard.arguments = lambda settings: [*(a := usual(settings))[:2], __file__, *a[2:]]
    dashboard.main()


def page() -> None:
    """One session's view."""
    from dashboard import exports_measured
    from dashboard import page as pages
    from dashboard.components.measured_state import MeasuredState
    from dashboard.components.measured_view import MeasuredView

    view = pages.open_view(MeasuredView, MeasuredState())
    parts = {"controls": view.controls, "picture": view.body, "inspector": view.inspector, "strip": view.strip}
    hints = (pages.HINTS[0], ("pick", "Click a point to see its numbers"))
    usual, pages.PAGES = pages.PAGES, (*pages.PAGES, ("Measured", "measured"))
    try:
        shell = pages.shell("measured", parts, take=exports_measured.TAKE, hints=hints, find="nothing", named=False)
    finally:
        pages.PAGES = usual  # the other pages of this server are as they are
    shell.servable(title="Measured")


if __name__ == "__main__":
    main()
else:
    page()
