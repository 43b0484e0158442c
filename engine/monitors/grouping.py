"""Which cluster an event belongs to: told by the event, else by a mapping from entities, else by subnet.

A mapping has a version, so that a result can say which one it rests on. Where clusters come from is not known here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np

from engine.drift.batch import encoded


@runtime_checkable
class Grouping(Protocol):
    """Entities to clusters, versioned."""

    @property
    def version(self) -> int:
        """Grows whenever any entity changes its cluster."""
        ...

    def clusters_of(self, entities: Sequence[str]) -> list[str | None]:
        """Cluster of each entity; None for one that is in none."""
        ...


class MappedGrouping:
    """A grouping from a plain mapping that is replaced as a whole.

    Parameters
    ----------
    mapping : mapping of str to str, optional

    Examples
    --------
    >>> grouping = MappedGrouping({"host:10.0.0.1": "c1"})
    >>> grouping.clusters_of(["host:10.0.0.1", "x"]), grouping.version
    (['c1', None], 1)
    """

    def __init__(self, mapping: Mapping[str, str] | None = None) -> None:
        self._state: tuple[int, Mapping[str, str]] = (1 if mapping else 0, MappingProxyType(dict(mapping or {})))

    @property
    def version(self) -> int:
        """How often the mapping was replaced."""
        return self._state[0]

    def replace(self, mapping: Mapping[str, str]) -> None:
        """Take another mapping, from the next batch on."""
        self._state = (self._state[0] + 1, MappingProxyType(dict(mapping)))

    def clusters_of(self, entities: Sequence[str]) -> list[str | None]:
        """Cluster of each entity; None for one that is in none."""
        mapping = self._state[1]
        return [mapping.get(entity) for entity in entities]


@lru_cache(maxsize=65_536)
def subnet_of(address: str) -> str | None:
    """The network an address lies in: /24 of IPv4, /48 of IPv6; None for what is no address.

    Examples
    --------
    >>> subnet_of("10.1.2.3"), subnet_of("2001:db8:1:2::3"), subnet_of("printer")
    ('net:10.1.2.0/24', 'net:2001:db8:1::/48', None)
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    prefix = 24 if found.version == 4 else 48
    return f"net:{ipaddress.ip_network((found, prefix), strict=False)}"


def group(
    entity: tuple[np.ndarray, list[str]], told: np.ndarray, source_address: np.ndarray, grouping: Grouping | None,
    fallback: Callable[[str], str | None] = subnet_of,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Cluster of each event: its own, else its entity's, else its source host's, else the fallback's, else its entity.

    Parameters
    ----------
    entity : (ndarray of int64 (n,), list of str)
        Code of the entity of each event, and the names.
    told, source_address : (n,) object
        Payload keys ``cluster`` and ``src_ip``, None where missing.
    grouping : Grouping or None
    fallback : function of an address
        A network or an autonomous system for an address.

    Returns
    -------
    codes : ndarray of int64, (n,)
    names : list of str
    """
    codes, names = entity
    n_entities = len(names)
    mapped = grouping.clusters_of(names) if grouping is not None else [None] * n_entities
    host_codes, hosts = encoded(source_address)
    by_host = grouping.clusters_of([f"host:{host}" for host in hosts]) if grouping is not None else [None] * len(hosts)
    of_host = [known or (fallback(host) if host else None) for known, host in zip(by_host, hosts, strict=True)]
    # One number per possible answer, then per event the first that is there.
    answers: dict[str, int] = {}
    entity_number = np.array([-1 if m is None else answers.setdefault(m, len(answers)) for m in mapped], np.int64)
    host_number = np.array([-1 if m is None else answers.setdefault(m, len(answers)) for m in of_host], np.int64)
    own_codes, own = encoded(told)
    own_number = np.array([-1 if not m else answers.setdefault(m, len(answers)) for m in own], np.int64)
    self_number = np.array([answers.setdefault(name, len(answers)) for name in names], np.int64)
    out = self_number[codes] if n_entities else np.empty(0, np.int64)
    for number, code in ((host_number, host_codes), (entity_number, codes), (own_number, own_codes)):
        if len(number):
            found = number[code]
            out = np.where(found >= 0, found, out)
    return out, list(answers)
