"""How a page is put together: the shell with its parts, the state from the link, the session's bell."""

from __future__ import annotations

from typing import Any

import panel as pn

from dashboard import live
from dashboard.share import from_query
from dashboard.state import ViewState
from dashboard.theme import ASSETS

PAGES = (("Field", "field"),)
"""Title and address of every page, in the order of the top bar."""

_SHELL = (ASSETS / "shell.html").read_text()
_SHELL_CSS = (ASSETS / "shell.css").read_text()
_SHELL_JS = (ASSETS / "shell.js").read_text()


def session_arguments() -> dict[str, str]:
    """Parameters of the link that opened this session, decoded; the last of a repeated one counts."""
    return {k: v[-1].decode("utf-8", "replace") for k, v in (pn.state.session_args or {}).items() if v}


def open_view(make: Any) -> tuple[Any, list[str]]:
    """Build a view from the link and let it be rung.

    Parameters
    ----------
    make : callable (station, state) -> view
        With ``pull()``, ``close()`` and a settable ``wake``.

    Returns
    -------
    view, refused
        The view, and one sentence for each part of the link that was refused.
    """
    state = ViewState()
    refused = from_query(session_arguments(), state)
    view = make(live.station(), state)
    bell = live.Wakeful(view.pull, view.close)
    view.wake = bell.wake
    live.join(bell)
    view.pull()
    return view, refused


class Shell(pn.Template):
    """Panel's template, built in one go: without this half the time of opening a page is bookkeeping."""

    def __repr__(self) -> str:
        return "Shell"  # Panel renders the whole layout's repr at each part that is added

    def _init_doc(self, doc: Any = None, *args: Any, **kwargs: Any) -> Any:
        document = doc or pn.state.curdoc
        if document is None:
            return super()._init_doc(doc, *args, **kwargs)
        # The set of all models is recomputed once, not after each part.
        with document.models.freeze():
            return super()._init_doc(doc, *args, **kwargs)


def shell(title: str, address: str, parts: dict[str, Any]) -> pn.Template:
    """The shell of every page, with its parts in place.

    Parameters
    ----------
    title, address : str
        Title of the page, and its address as in `PAGES`.
    parts : dict of str to Panel object
        ``controls``, ``picture``, ``inspector`` and ``strip``.
    """
    feed = live.station().feed
    template = Shell(_SHELL)
    variables = {
        "page_title": title,
        "pages": [{"title": t, "href": a, "current": a == address} for t, a in PAGES],
        "shell_css": _SHELL_CSS,
        "shell_js": _SHELL_JS,
        "feed_label": feed.label if feed else "",
        "synthetic": bool(feed and feed.synthetic),
    }
    for name, value in variables.items():
        template.add_variable(name, value)
    for name, part in parts.items():
        template.add_panel(name, part)
    return template
