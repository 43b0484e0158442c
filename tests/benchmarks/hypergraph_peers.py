"""Build times of other hypergraph libraries: lists of members as JSON in, seconds by library as JSON out.

Runs alone, in any Python that has some of them; it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

Lists = list[list[int]]


def xgi(lists: Lists) -> Callable[[], Any]:
    """XGI, from lists of members."""
    import xgi

    return lambda: xgi.Hypergraph(lists)


def hypergraphx(lists: Lists) -> Callable[[], Any]:
    """hypergraphx, from lists of members."""
    import hypergraphx

    return lambda: hypergraphx.Hypergraph(edge_list=lists)


def hypernetx(lists: Lists) -> Callable[[], Any]:
    """HyperNetX, from a dict of lists."""
    import hypernetx

    return lambda: hypernetx.Hypergraph(dict(enumerate(lists)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = json.load(sys.stdin)
    spent: dict[str, object] = {}
    for library in (xgi, hypergraphx, hypernetx):
        try:
            build = library(given)
            runs = []
            for _ in range(3):
                start = time.perf_counter()
                build()
                runs.append(time.perf_counter() - start)
            spent[library.__name__] = min(runs)
        except Exception as error:
            spent[library.__name__] = f"not timed: {type(error).__name__}: {error}"[:200]
    print(json.dumps(spent))
