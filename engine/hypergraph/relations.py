"""What an event becomes: the one table from kinds of events to nodes and hyperedges, and its application.

The table is the one of docs/engine-ingest-network.md, in the same notation; a test holds both equal. It must
not know the graph that the rows go into.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.events.payload import payload_arrays
from engine.events.schema import FIX

MAX_ID_BYTES = 256
"""Longer ids are cut, and told apart by a checksum: a name from the network may be as long as its sender likes."""

MAX_LISTED = 32
"""Nodes that one list of a record (answers, recipients) may bring."""

MAX_WEIGHT = 1e9
"""What one event may add to a weight: a number from outside must not drown all others for ever."""

PROMOTED = "shadow.promoted"
"""Kind of the event by which a speculative edge becomes one of the graph."""

NODE_KINDS = (
    "host", "service", "name", "ja3", "ja4", "ja3s", "cert", "agent", "rule", "anomaly", "file", "hassh", "software",
    "mail", "mac", "emitter", "observer", "cluster",
)  # fmt: skip
"""All kinds of nodes; what is before the first colon of an id."""


@dataclass(frozen=True, slots=True)
class Relation:
    """How one kind of event is read.

    Attributes
    ----------
    nodes : tuple of str
        ``kind:key`` of the payload; several keys are joined by what stands between them; ``a|b`` is the first
        that is there; ``*`` marks a list of words; ``host|name`` is a host where the word is an address.
        ``entity`` and ``source`` are the event's own. A node whose key is missing is left out.
    edge : tuple of str
        The hyperedge's id: an optional prefix that ends in a colon, then keys, joined by blanks.
    weight : str
        Keys whose sum the event adds to the hyperedge's weight, ``4-key``, or nothing for 1.
    """

    nodes: tuple[str, ...]
    edge: tuple[str, ...]
    weight: str = ""


_ENDS = ("host:src_ip", "host:dest_ip")
_FILE = "file_sha256|file_md5|file_name"
_TLS = ("name:tls_sni", "ja3:ja3", "ja4:ja4")

RELATIONS: dict[str, Relation] = {
    "net.flow": Relation((*_ENDS, "service:proto/dest_port"), ("entity",), "pkts_to_server+pkts_to_client"),
    "net.netflow": Relation((*_ENDS, "service:proto/dest_port"), ("entity",), "pkts"),
    "net.dns": Relation((*_ENDS, "name:dns_name", "host|name:dns_answers*"), ("dns:", "src_ip", "dns_name")),
    "net.tls": Relation((*_ENDS, *_TLS, "ja3s:ja3s", "cert:tls_fingerprint"), ("entity",)),
    "net.quic": Relation((*_ENDS, *_TLS), ("entity",)),
    "net.http": Relation((*_ENDS, "name:http_host", "agent:http_user_agent"), ("entity", "http_host")),
    "net.alert": Relation(
        (*_ENDS, "rule:alert_gid:alert_signature_id"), ("alert:", "alert_gid:alert_signature_id", "entity"),
        "4-alert_severity",
    ),
    "net.anomaly": Relation((*_ENDS, "anomaly:anomaly_event"), ("anomaly:", "anomaly_event", "entity")),
    "net.fileinfo": Relation((*_ENDS, f"file:{_FILE}"), ("file:", _FILE, "entity")),
    "net.ssh": Relation((*_ENDS, "hassh:hassh", "software:ssh_client", "software:ssh_server"), ("entity",)),
    "net.smtp": Relation((*_ENDS, "mail:smtp_from", "mail:smtp_to*"), ("entity",)),
    "net.dhcp": Relation(
        ("mac:dhcp_client_mac", "host:dhcp_assigned_ip", "name:dhcp_host"), ("dhcp:", "dhcp_client_mac")
    ),
    FIX: Relation(("emitter:entity", "observer:source", "cluster:cluster"), ("fix:", "entity")),
    PROMOTED: Relation(("shadow_a", "shadow_b"), ("promoted:", "shadow_a", "shadow_b"), "confidence"),
}  # fmt: skip
"""Kinds of events and what they become. ``net.stats`` becomes nothing."""

ANY_NETWORK = Relation(_ENDS, ("entity",))
"""Any other kind that begins with ``net.``."""

_NOTHING = frozenset({"net.stats"})
_NUMBERS = frozenset({"dest_port", "alert_gid", "alert_signature_id"})
_COLUMNS = frozenset({"entity", "source"})
_ADDRESS = r"^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*)$"


@dataclass(frozen=True, slots=True, eq=False)
class Relations:
    """Hyperedges and incidences of a batch, in the order of its events.

    Attributes
    ----------
    event : ndarray of int64, (k,)
        Row of the event that tells each hyperedge.
    edge_id : pyarrow.LargeStringArray, (k,)
    amount : ndarray of float64, (k,)
        What it adds to the hyperedge's weight.
    owner : ndarray of int64, (m,)
        Which of the k hyperedges each incidence belongs to, ascending.
    node_id : pyarrow.LargeStringArray, (m,)
    node_kind : ndarray of int16, (m,)
        Place in `NODE_KINDS`.
    """

    event: NDArray[np.int64]
    edge_id: pa.LargeStringArray
    amount: NDArray[np.float64]
    owner: NDArray[np.int64]
    node_id: pa.LargeStringArray
    node_kind: NDArray[np.int16]


def relations(events: pa.Table, counts: Counter[str] | None = None) -> Relations:
    """Nodes and hyperedges that a batch of events speaks of.

    Parameters
    ----------
    events : pyarrow.Table
        Schema `engine.events.SCHEMA`.
    counts : Counter, optional
        Grows by ``no_relation`` (events that join nothing), ``malformed`` (payloads that are no JSON object),
        ``wrong type`` (values), ``long_ids`` and ``unlisted`` (nodes beyond `MAX_LISTED`).

    Returns
    -------
    Relations

    Examples
    --------
    >>> from engine.events import event_table
    >>> payload = ['{"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "proto": "TCP", "dest_port": 22}']
    >>> told = relations(event_table([0], "net.flow", ["1:abc="], "doc", payload=payload))
    >>> told.edge_id.to_pylist(), told.node_id.to_pylist()
    (['1:abc='], ['host:10.0.0.1', 'host:10.0.0.2', 'service:TCP/22'])
    """
    counts = Counter() if counts is None else counts
    kind = events["kind"].combine_chunks().dictionary_encode()
    codes, names = kind.indices.to_numpy(zero_copy_only=False), kind.dictionary.to_pylist()
    parts = []
    for code, name in enumerate(names):
        relation = RELATIONS.get(name) or (ANY_NETWORK if name.startswith("net.") and name not in _NOTHING else None)
        if relation is not None:
            rows = np.flatnonzero(codes == code)
            subset = events if len(rows) == len(codes) else events.take(pa.array(rows))
            parts.append((rows, *_told(subset, relation, counts)))
    merged = _merged(parts, counts)
    counts["no_relation"] += events.num_rows - len(merged.event)
    return merged


def node_ids(kind: str, identities: pa.Array) -> pa.LargeStringArray:
    """Ids of nodes of a kind.

    Examples
    --------
    >>> node_ids("host", pa.array(["10.0.0.1"])).to_pylist()
    ['host:10.0.0.1']
    """
    return _short(_named(kind, identities), Counter())


def _told(events: pa.Table, relation: Relation, counts: Counter[str]) -> tuple:
    """Ids and amounts of each event, and owner, id, kind and place of each incidence, of one relation."""
    n = events.num_rows
    keys = _Keys(events, relation, counts)
    owner, ids, kinds, places = [], [], [], []
    for place, node in enumerate(relation.nodes):
        for at, names, kind in _nodes(node, keys, counts):
            owner.append(at)
            ids.append(names)
            kinds.append(kind)
            places.append(np.full(len(at), place, np.int64))
    edge = _edge_ids(relation.edge, keys)
    amount = _amounts(relation.weight, keys, n)
    joined = pa.chunked_array([pa.array([], pa.large_string()), *ids]).combine_chunks()
    return edge, amount, _joined(owner, np.int64), joined, _joined(kinds, np.int16), _joined(places, np.int64)


def _merged(parts: list[tuple], counts: Counter[str]) -> Relations:
    """The relations of all kinds in the order of the events, without events that joined nothing."""
    event = _joined([rows for rows, *_ in parts], np.int64)
    firsts = np.cumsum([0, *(len(rows) for rows, *_ in parts)])[:-1]
    edge = pa.chunked_array([pa.array([], pa.large_string()), *(part[1] for part in parts)]).combine_chunks()
    amount = _joined([part[2] for part in parts], np.float64)
    owner = _joined([part[3] + first for part, first in zip(parts, firsts, strict=True)], np.int64)
    node = pa.chunked_array([pa.array([], pa.large_string()), *(part[4] for part in parts)]).combine_chunks()
    kind, place = _joined([part[5] for part in parts], np.int16), _joined([part[6] for part in parts], np.int64)
    joins = np.zeros(len(event), np.bool_)
    joins[owner] = True
    order = np.flatnonzero(joins)[np.argsort(event[joins], kind="stable")]
    rank = np.full(len(event), -1, np.int64)
    rank[order] = np.arange(len(order))
    by = np.lexsort((place, rank[owner]))
    return Relations(
        event[order], _short(edge.take(pa.array(order)), counts), amount[order], rank[owner][by],
        _short(node.take(pa.array(by)), counts), kind[by],
    )  # fmt: skip


class _Keys:
    """The values behind the keys of a relation, as text (null where missing or empty) or numbers."""

    def __init__(self, events: pa.Table, relation: Relation, counts: Counter[str]) -> None:
        self.n = events.num_rows
        wanted = {key for node in relation.nodes for key in _keys_of(node)} | {
            key for part in relation.edge if not part.endswith(":") for key in _keys_of(part)
        }
        amounts = set(relation.weight.removeprefix("4-").split("+")) - {""}
        fields: dict[str, object] = {key: str for key in sorted(wanted - _COLUMNS - _NUMBERS)}
        fields |= {key: float for key in sorted(amounts | (wanted & _NUMBERS))}
        self.values = payload_arrays(events, fields, counts)
        for key in _COLUMNS & wanted:
            self.values[key] = events[key]

    def text(self, key: str) -> pa.Array:
        """A key as text: ``a|b`` the first that is there, ``a/b`` and ``a:b`` both or nothing."""
        for mark in "|/:":
            if mark in key:
                parts = [self.text(part) for part in key.split(mark)]
                return pc.coalesce(*parts) if mark == "|" else _text(*parts, mark=mark)
        array = self.values[key].combine_chunks()
        if key in _NUMBERS:
            number = array.to_numpy(zero_copy_only=False)
            whole = (number >= 0) & (number < 2**53) & (np.floor(number) == number)
            return pa.array(np.where(whole, number, 0).astype(np.int64), mask=~whole).cast(pa.large_string())
        array = array.cast(pa.large_string())
        return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.large_string()), array)


def _keys_of(node: str) -> list[str]:
    key = node.partition(":")[2] if node.partition(":")[0].split("|")[0] in NODE_KINDS else node
    for mark in "|/:":
        key = key.replace(mark, " ")
    return key.rstrip("*").split()


def _nodes(node: str, keys: _Keys, counts: Counter[str]) -> list[tuple]:
    """Which events have the node, its ids and kinds."""
    kind, _, key = node.partition(":")
    if not key:  # the key's value is an id of this graph, kind included
        ids = keys.text(kind)
        at, ids = _present(ids)
        known = {name: i for i, name in enumerate(NODE_KINDS)}
        found = np.array([known.get(text.partition(":")[0], -1) for text in ids.to_pylist()], np.int16)
        return [(at[found >= 0], ids.filter(pa.array(found >= 0)), found[found >= 0])]
    if not key.endswith("*"):
        at, words = _present(keys.text(key))
        return [(at, _named(kind, words), np.full(len(at), NODE_KINDS.index(kind), np.int16))]
    at, words = _words(keys.text(key[:-1]), counts)
    if kind != "host|name":
        return [(at, _named(kind, words), np.full(len(at), NODE_KINDS.index(kind), np.int16))]
    address = pc.match_substring_regex(words, _ADDRESS)
    is_host = address.to_numpy(zero_copy_only=False)
    ids = pc.if_else(address, _named("host", words), _named("name", words))
    return [(at, ids, np.where(is_host, NODE_KINDS.index("host"), NODE_KINDS.index("name")).astype(np.int16))]


def _present(texts: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    valid = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    return np.flatnonzero(valid), texts if valid.all() else texts.drop_null()


def _words(texts: pa.Array, counts: Counter[str]) -> tuple[NDArray[np.int64], pa.Array]:
    """Words of texts, at most `MAX_LISTED` of each, and which text each is from."""
    at, texts = _present(texts)
    lists = pc.utf8_split_whitespace(texts)
    words, parent = pc.list_flatten(lists), pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    nth = np.arange(len(parent)) - np.searchsorted(parent, parent)
    kept = (nth < MAX_LISTED) & pc.not_equal(words, "").to_numpy(zero_copy_only=False)
    counts["unlisted"] += int((nth >= MAX_LISTED).sum())
    return at[parent[kept]], words.filter(pa.array(kept)).cast(pa.large_string())


def _named(kind: str, words: pa.Array) -> pa.Array:
    return _text(kind, words, mark=":")


def _text(*parts: pa.Array | str, mark: str) -> pa.Array:
    """Texts end to end with a mark between; null where one of them is."""
    large = pa.large_string()
    given = [pa.scalar(part, large) if isinstance(part, str) else part.cast(large) for part in parts]
    return pc.binary_join_element_wise(*given, pa.scalar(mark, large))


def _edge_ids(parts: tuple[str, ...], keys: _Keys) -> pa.Array:
    prefix = parts[0] if parts[0].endswith(":") else ""
    texts = [pc.fill_null(keys.text(part), "") for part in parts[bool(prefix) :]]
    joined = _text(*texts, mark=" ") if len(texts) > 1 else texts[0]
    return _text(prefix, joined, mark="") if prefix else joined


def _amounts(weight: str, keys: _Keys, n: int) -> NDArray[np.float64]:
    """What each event adds: 1 where nothing is said, never negative, never beyond `MAX_WEIGHT`."""
    if not weight:
        return np.ones(n)
    if weight.startswith("4-"):
        return np.clip(np.nan_to_num(4.0 - _number(keys, weight[2:]), nan=1.0, neginf=0.0), 0.0, 4.0)
    parts = np.stack([_number(keys, key) for key in weight.split("+")])
    told = ~np.isnan(parts).all(axis=0)
    total = np.clip(np.nan_to_num(parts, nan=0.0), 0.0, MAX_WEIGHT).sum(axis=0)
    return np.where(told, np.minimum(total, MAX_WEIGHT), 1.0)


def _number(keys: _Keys, key: str) -> NDArray[np.float64]:
    return keys.values[key].combine_chunks().to_numpy(zero_copy_only=False).astype(np.float64)


def _short(ids: pa.Array, counts: Counter[str]) -> pa.LargeStringArray:
    """Ids as one array; what is too long is cut, with a checksum of all of it."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    long = pc.greater(pc.binary_length(ids), MAX_ID_BYTES)
    if not pc.any(long).as_py():
        return ids
    counts["long_ids"] += pc.sum(long).as_py()
    texts = ids.filter(long).to_pylist()
    cut = [
        f"{text.encode()[: MAX_ID_BYTES - 16].decode(errors='ignore')}…{zlib.crc32(text.encode()):08x}"
        for text in texts
    ]
    return pc.replace_with_mask(ids, long, pa.array(cut, pa.large_string()))


def _joined(parts: list[NDArray], dtype: type) -> NDArray:
    return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype, copy=False)
