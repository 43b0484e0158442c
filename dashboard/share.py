"""State ⇄ URL: `to_query` writes everything, so that a link does not depend on anyone's defaults; `from_query`
checks every value, keeps the good ones and says what was wrong with the others.

How each part is spelt is said by the state itself (`PageState.words`). Nothing in a link is ever executed
or shown as HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from dashboard.state import PageState

_MAX_READ = 512


def to_query(state: PageState) -> str:
    """The complete state as a query string (without the question mark).

    Examples
    --------
    >>> "t=live" in to_query(PageState())
    True
    """
    pairs = {name: word.write(state) for name, word in state.words().items()}
    return urlencode(pairs, safe=",:", quote_via=quote)


def from_query(query: Mapping[str, str], state: PageState) -> list[str]:
    """Set the state from a link's parameters; parameters that a link does not have stay as they are.

    Parameters
    ----------
    query : mapping of str to str
        Decoded parameters; unknown names are ignored (a proxy may add its own, other pages have theirs).
    state : PageState
        Changed in place, in one step.

    Returns
    -------
    list of str
        One sentence for each value that was refused; the state keeps its own value there.

    Examples
    --------
    >>> from dashboard.state import ViewState
    >>> state = ViewState()
    >>> from_query({"height": "tall"}, state)
    ["height is 'tall'; a number from 0 to 20000 is needed, 10 is used"]
    """
    changes: dict[str, Any] = {}
    refused: list[str] = []
    for name, word in state.words().items():
        if name not in query:
            continue
        text = str(query[name])[:_MAX_READ]
        try:
            read = word.read(text, state)
        except ValueError as error:
            refused.append(f"{name} is {text[:60]!r}; {error}")
            continue
        if read.get("mode") == "replaying" and changes.get("mode") != "paused":
            continue  # nothing to play from
        changes.update(read)
    state.param.update(**changes)
    return refused
