"""Few colours for many kinds: which category each kind or cluster has in a legend, the rest being *other*.

Knows names and counts only. A legend of more than eight colours cannot be read, and one whose colours change places
while one looks cannot be trusted: so categories are few, and a name keeps the one it has been given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_CATEGORIES = 8
"""Colours in one legend, *other* among them."""

OTHER = "other"


class Categories:
    """Category of each name, at most eight of them, the same at every look.

    The most frequent names of the first look get categories of their own, the first ones. What is left free goes to
    names that turn up later; when nothing is left, they are *other*, the last category.

    Parameters
    ----------
    at_most : int
        Categories, *other* among them; 2 to `MAX_CATEGORIES`.

    Examples
    --------
    >>> legend = Categories(at_most=3)
    >>> legend.of(["host", "name", "host", "rule"]).tolist()
    [0, 1, 0, 2]
    >>> legend.of(["rule", "rule", "name"]).tolist(), legend.names
    ([2, 2, 1], ['host', 'name', 'other'])
    """

    def __init__(self, at_most: int = MAX_CATEGORIES) -> None:
        if not 2 <= at_most <= MAX_CATEGORIES:
            raise ValueError(f"at_most is {at_most}; a legend has 2 to {MAX_CATEGORIES} categories")
        self.at_most = at_most
        self._index: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """What each category stands for; `OTHER` is always the last of `at_most`, "" one that is free."""
        named = list(self._index)
        return [*named, *[""] * (self.at_most - 1 - len(named)), OTHER]

    def learn(self, counts: Mapping[str, float]) -> None:
        """Give free categories to the names that count most; equal ones by name.

        Parameters
        ----------
        counts : mapping of str to float
            How often each name occurs.
        """
        new = [name for name in counts if name not in self._index and name != OTHER]
        new.sort(key=lambda name: (-counts[name], name))
        for name in new[: self.at_most - 1 - len(self._index)]:
            self._index[name] = len(self._index)

    def of(self, names: Any) -> NDArray[np.uint8]:
        """Category of each of n names, after learning them; a missing name is *other*.

        Parameters
        ----------
        names : sequence of n str or None

        Returns
        -------
        ndarray of uint8, shape (n,)
        """
        told = np.array([OTHER if name is None or name != name else str(name) for name in names], dtype=object)
        if not len(told):
            return np.empty(0, np.uint8)
        kinds, inverse, counts = np.unique(told.astype(str), return_inverse=True, return_counts=True)
        self.learn(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))
        return np.array([self._index.get(kind, self.at_most - 1) for kind in kinds.tolist()], np.uint8)[inverse]
