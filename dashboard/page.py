"""How a page is put together: the shell with its parts, the state from the link, the session's bell."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import panel as pn

from dashboard import live
from dashboard.share import from_query
from dashboard.state import PageState
from dashboard.theme import ASSETS

_ORDER = ("field", "volume", "locate", "hypergraph", "drift", "runs", "status")

PAGES = tuple(
    (address.capitalize(), address)
    for address in _ORDER
    if (Path(__file__).parent / "pages" / f"{address}.py").is_file()
)
"""Title and address of every page, in the order of the top bar."""

HINTS = (("pan", "Drag to pan, wheel to zoom"), ("scrub", "Drag the time slider back, then press space"))
"""First steps that hold on every page with a picture to pan; a page adds its own."""

_SHELL = (ASSETS / "shell.html").read_text()
_SHELL_CSS = (ASSETS / "shell.css").read_text()
_SHELL_JS = (ASSETS / "shell.js").read_text()


def session_arguments() -> dict[str, str]:
    """Parameters of the link that opened this session, decoded; the last of a repeated one counts."""
    return {k: v[-1].decode("utf-8", "replace") for k, v in (pn.state.session_args or {}).items() if v}


def open_view(make: Any, state: PageState) -> Any:
    """Build a view from the link and let it be rung; what the link said wrong is told in the strip.

    Parameters
    ----------
    make : callable (station, state) -> PageView
        With ``begin()``, ``pull()``, ``close()`` and a settable ``wake``.
    state : PageState
        The page's state with its defaults; changed by the link.
    """
    refused = from_query(session_arguments(), state)
    view = make(live.station(), state)
    if refused:
        view.strip.notice = "; ".join(refused)
    bell = live.Wakeful(view.pull, view.close)
    view.wake = bell.wake
    live.join(bell)
    view.begin()
    return view


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


def shell(
    address: str,
    parts: dict[str, Any],
    take: Iterable[tuple[str, str, str]] = (),
    hints: Iterable[tuple[str, str]] = HINTS,
    find: str = "find an emitter",
    named: bool = True,
    keys: Iterable[tuple[str, str]] = (),
) -> pn.Template:
    """The shell of every page, with its parts in place.

    Parameters
    ----------
    address : str
        Address of the page, as in `PAGES`.
    parts : dict of str to Panel object
        ``controls``, ``picture``, ``inspector`` and ``strip``.
    take : iterable of (file, label, what it holds)
        What can be taken along: files of `dashboard.exports`, fetched with the link of the view.
    hints : iterable of (name, text)
        First steps shown over the picture; each goes for good once ``window.scythe.used(name)`` was called.
    find : str
        What ``/`` does, for the list of keys.
    named : bool
        Whether the feed that is played is named over the picture; not where nothing of it is shown.
    keys : iterable of (key, what it does)
        Keys that this page has beside those of all pages, for their list.
    """
    title = dict((a, t) for t, a in PAGES)[address]
    feed = live.station().feed
    template = Shell(_SHELL)
    variables = {
        "page_title": title,
        "pages": [{"title": t, "href": a, "current": a == address} for t, a in PAGES],
        "shell_css": _SHELL_CSS,
        "shell_js": _SHELL_JS,
        "take": list(take),
        "hints": list(hints),
        "find": find,
        "keys": [[key, does] for key, does in keys],
        "feed_label": feed.label if feed and named else "",
        "synthetic": bool(feed and feed.synthetic and named),
    }
    for name, value in variables.items():
        template.add_variable(name, value)
    for name, part in parts.items():
        template.add_panel(name, part)
    return template
