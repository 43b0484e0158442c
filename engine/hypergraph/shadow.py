"""Shadow edges: pairs of hosts that have not been seen to speak and may belong together all the same (B6).

A pair is proposed when both have something rare in common. Its log-odds then move with each piece of evidence by
the logarithm of the likelihood ratio, and drift back to the prior while nothing is heard. Above one threshold it is
promoted, below another it expires; both are events, with the evidence. It must not know where those go.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from heapq import nsmallest

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from engine.events.payload import payload_columns
from engine.events.schema import event_table
from engine.hypergraph.relations import NODE_KINDS, PROMOTED, relations

EXPIRED = "shadow.expired"
"""Kind of the event by which a speculative edge is given up."""

FINGERPRINTS = frozenset({"ja3", "ja4", "hassh", "agent", "software"})
PEERS = frozenset({"host", "name", "cert", "file", "mail"})


@dataclass(frozen=True, slots=True)
class ShadowModel:
    """Likelihoods and bounds of shadow edges. *Related* hosts are run by the same hand or the same software.

    Attributes
    ----------
    prior : float
        Probability that a pair that is proposed is related, before its evidence.
    share_related : float
        Probability that related hosts have a given fingerprint of one of them in common. For unrelated ones it is
        the share of hosts that have it, n / N, at least `least_chance`.
    peer_related : float
        The same for a peer (a host spoken to, a name asked for) of one of them.
    timing_related : float
        Probability that when one of two related hosts becomes active the other does within `together_s`. For
        unrelated ones it is ``1 - exp(-2 r together_s)``, r its rate of becoming active.
    least_chance : float
        No coincidence is taken to be rarer than this: a model of chance is not trusted further.
    together_s : float
        What counts as the same time, s; also how long after it a host is the same activity still.
    timing_every_s : float
        A pair takes evidence of timing once in this time, s: more would not be independent.
    forget_s : float
        Time in which what evidence has moved the log-odds falls to 1/e, s.
    promote, expire : float
        Confidence from which on a pair is promoted, below which it expires.
    rare : int
        A thing that more hosts have in common proposes nothing.
    max_pairs, max_things : int
        Pairs and things remembered; beyond it the least confident, the longest unheard go.
    """

    prior: float = 0.1
    share_related: float = 0.5
    peer_related: float = 0.2
    timing_related: float = 0.2
    least_chance: float = 0.02
    together_s: float = 1.0
    timing_every_s: float = 30.0
    forget_s: float = 1800.0
    promote: float = 0.95
    expire: float = 0.02
    rare: int = 8
    max_pairs: int = 5_000
    max_things: int = 50_000


@dataclass(slots=True)
class _Pair:
    log_odds: float
    updated_s: float
    since_s: float
    timing_s: float
    told: set[str] = field(default_factory=set)
    evidence: deque[str] = field(default_factory=lambda: deque(maxlen=8))


@dataclass(slots=True)
class _Host:
    heard_s: float
    first_s: float
    starts: deque[float]  # of its last activities
    bursts: int = 1
    partners: set[str] = field(default_factory=set)


class ShadowFold:
    """Fold of events into shadow edges, and the promotions and expiries that come of it.

    Parameters
    ----------
    model : ShadowModel, optional

    Attributes
    ----------
    counts : Counter
        ``proposed``, ``promoted``, ``expired``, ``observed`` (pairs that were seen to speak), ``forgotten``.

    Notes
    -----
    With s = log(p / (1 - p)) the log-odds of the prior, evidence e moves them by ``ln P(e | related) / P(e | not)``,
    and after a time Δt they are ``s + (L - s) exp(-Δt / forget_s)``.

    Examples
    --------
    >>> payload = [f'{{"src_ip": "10.0.0.{i}", "dest_ip": "10.9.{i}.1", "ja3": "j{i // 2}"}}' for i in range(99)]
    >>> fold = ShadowFold()
    >>> fold.apply(event_table(range(99), "net.tls", [f"e{i}" for i in range(99)], "doc", payload=payload))
    >>> shadows = fold.snapshot(1.0)
    >>> shadows["a"][0].as_py(), shadows["b"][0].as_py(), round(shadows["confidence"][0].as_py(), 2)
    ('host:10.0.0.96', 'host:10.0.0.97', 0.73)

    References
    ----------
    Good, Probability and the Weighing of Evidence (1950): log-odds and weights of evidence.
    """

    def __init__(self, model: ShadowModel | None = None) -> None:
        self.model = model or ShadowModel()
        self.counts: Counter[str] = Counter()
        self._prior = _log_odds(self.model.prior)
        self._pairs: dict[tuple[str, str], _Pair] = {}
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._things: OrderedDict[str, set[str]] = OrderedDict()
        self._settled: OrderedDict[tuple[str, str], str] = OrderedDict()  # promoted, or seen to speak
        self._due: dict[tuple[str, str], tuple[str, float, _Pair]] = {}
        self._newest_s = -math.inf
        self._lock = threading.Lock()

    def apply(self, events: pa.Table) -> None:
        """Take the next events, in seq order."""
        with self._lock:
            self._heed_own(events)
            told = relations(events)
            time_s = events["time"].cast(pa.int64()).to_numpy()[told.event] * 1e-6
            kinds = np.array(NODE_KINDS)[told.node_kind] if len(told.node_kind) else np.empty(0, str)
            names = told.node_id.to_pylist()
            start = np.searchsorted(told.owner, np.arange(len(told.event) + 1))
            for i, moment in enumerate(time_s.tolist()):
                low, high = int(start[i]), int(start[i + 1])
                if kinds[low] == "host":
                    self._hear(names[low], list(zip(kinds[low + 1 : high], names[low + 1 : high], strict=True)), moment)
            self._expire()

    def take_transitions(self) -> pa.Table:
        """Promotions and expiries that no event tells of yet, as events; each is handed out once."""
        with self._lock:
            due, self._due = list(self._due.items()), {}
        payload = [
            orjson.dumps({
                "shadow_a": a, "shadow_b": b, "confidence": round(confidence, 4), "log_odds": round(pair.log_odds, 3),
                "since_s": pair.since_s, "evidence": "; ".join(pair.evidence),
            }).decode()
            for (a, b), (_, confidence, pair) in due
        ]  # fmt: skip
        return event_table(
            np.array([round(pair.updated_s * 1e6) for _, (_, _, pair) in due], np.int64),
            [kind for _, (kind, _, _) in due], [f"{a} {b}" for (a, b), _ in due], "shadow", payload=payload,
        )  # fmt: skip

    def snapshot(self, moment_s: float) -> pa.Table:
        """Shadow edges with their confidence at a moment, most confident first.

        Returns
        -------
        pyarrow.Table
            `a`, `b` (ids of nodes), `confidence` (0 … 1), `since_s`, `updated_s` (s since 1970), `evidence` (text).
        """
        with self._lock:
            rows = [(a, b, _share(self._at(pair, moment_s)), pair.since_s, pair.updated_s, "; ".join(pair.evidence))
                    for (a, b), pair in self._pairs.items()]  # fmt: skip
        rows.sort(key=lambda row: (-row[2], row[0], row[1]))
        numbers = ("confidence", "since_s", "updated_s")
        names = ("a", "b", *numbers, "evidence")
        columns = [pa.array([row[i] for row in rows], pa.float64() if name in numbers else pa.string())
                   for i, name in enumerate(names)]  # fmt: skip
        return pa.table(columns, names=list(names))

    # -- evidence -----------------------------------------------------------------------------------

    def _hear(self, host: str, others: list[tuple[str, str]], moment_s: float) -> None:
        """One hyperedge: a host, and whom it spoke to, asked for and what it spoke with."""
        self._newest_s = max(self._newest_s, moment_s)
        before_s = self._wake(host, moment_s)
        if before_s is not None:
            self._timing(host, before_s, moment_s)
        for kind, name in others:
            if kind == "host":
                self._observed(host, name)
            if kind in FINGERPRINTS or kind in PEERS:
                self._have(host, name, kind, moment_s)

    def _have(self, host: str, thing: str, kind: str, moment_s: float) -> None:
        owners = self._things.setdefault(thing, set())
        self._things.move_to_end(thing)
        if host in owners:
            return
        if len(owners) <= self.model.rare:
            owners.add(host)  # one more than is rare tells that it is not
        while len(self._things) > self.model.max_things:
            self._things.popitem(last=False)
        if not 2 <= len(owners) <= self.model.rare:
            return
        related = self.model.share_related if kind in FINGERPRINTS else self.model.peer_related
        chance = max(len(owners) / max(len(self._hosts), 2), self.model.least_chance)
        weight = math.log(related / min(chance, 1.0))
        if weight <= 0.0:
            return
        for other in owners:
            if other not in (host, thing) and host != thing:
                self._weigh(host, other, f"both have {thing}, as {len(owners)} hosts", weight, moment_s, once=thing)

    def _timing(self, host: str, start_s: float, moment_s: float) -> None:
        """Did those with whom a host is paired become active when it last did? Asked when all can be known of it."""
        model = self.model
        for other in tuple(self._hosts[host].partners):
            pair, partner = self._pairs.get(_key(host, other)), self._hosts.get(other)
            if pair is None or partner is None or start_s - pair.timing_s < model.timing_every_s:
                continue
            rate = partner.bursts / max(moment_s - partner.first_s, 60.0)
            chance = min(
                max(1.0 - math.exp(-2.0 * rate * model.together_s), model.least_chance), 1 - model.least_chance
            )
            together = any(abs(start_s - other_s) <= model.together_s for other_s in partner.starts)
            odds = model.timing_related / chance if together else (1.0 - model.timing_related) / (1.0 - chance)
            pair.timing_s = start_s
            self._weigh(host, other, "active together" if together else "not active together", math.log(odds), moment_s)

    def _weigh(self, a: str, b: str, what: str, weight: float, moment_s: float, once: str = "") -> None:
        key = _key(a, b)
        if key in self._settled:
            return
        pair = self._pairs.get(key)
        if pair is None:
            if not once:
                return  # only something in common proposes a pair
            pair = self._pairs[key] = _Pair(self._prior, moment_s, moment_s, moment_s)
            self.counts["proposed"] += 1
            for one, other in ((a, b), (b, a)):
                if one in self._hosts:
                    self._hosts[one].partners.add(other)
        if once in pair.told:
            return
        if once:
            pair.told.add(once)
        pair.log_odds, pair.updated_s = self._at(pair, moment_s) + weight, max(pair.updated_s, moment_s)
        pair.evidence.append(f"{what} ({weight:+.2f})")
        if _share(pair.log_odds) >= self.model.promote:
            self._settle(key, PROMOTED, pair)
        elif len(self._pairs) > self.model.max_pairs:
            # A tenth at once: to look for the least of all for each that comes would hold up the log's readers.
            many = self.model.max_pairs // 10 + 1
            for least in nsmallest(many, self._pairs, lambda k: self._at(self._pairs[k], moment_s)):
                self._drop(least)
                self.counts["forgotten"] += 1

    def _observed(self, a: str, b: str) -> None:
        """They have spoken: nothing is left to suppose."""
        key = _key(a, b)
        if key not in self._settled or key in self._pairs:
            self.counts["observed"] += key in self._pairs
            self._drop(key)
            self._remember(key, "observed")

    def _expire(self) -> None:
        threshold = _log_odds(self.model.expire)
        for key, pair in list(self._pairs.items()):
            # Without evidence the log-odds go back to the prior: only evidence against it brings a pair this low.
            if pair.log_odds < threshold:
                self._due[key] = (EXPIRED, _share(pair.log_odds), pair)
                self.counts["expired"] += 1
                self._drop(key)
            elif self._newest_s - pair.updated_s > 4.0 * self.model.forget_s:
                pair.evidence.append("nothing more was heard")
                pair.updated_s = self._newest_s
                self._due[key] = (EXPIRED, self.model.prior, pair)
                self.counts["expired"] += 1
                self._drop(key)

    def _settle(self, key: tuple[str, str], kind: str, pair: _Pair) -> None:
        self._due[key] = (kind, _share(pair.log_odds), pair)
        self.counts["promoted"] += 1
        self._drop(key)
        self._remember(key, kind)

    def _heed_own(self, events: pa.Table) -> None:
        """What the log tells of promotions and expiries has been told: it is not told again."""
        own = events.filter(pc.is_in(events["kind"], pa.array([PROMOTED, EXPIRED])))
        if not own.num_rows:
            return
        told = payload_columns(own, {"shadow_a": str, "shadow_b": str})
        for kind, a, b in zip(own["kind"].to_pylist(), told["shadow_a"], told["shadow_b"], strict=True):
            if a is None or b is None:
                continue
            key = _key(a, b)
            self._due.pop(key, None)
            if kind == PROMOTED:
                self._drop(key)
                self._remember(key, kind)

    # -- state --------------------------------------------------------------------------------------

    def _wake(self, host: str, moment_s: float) -> float | None:
        """Note that a host was heard; if it had been silent, when its activity before this one had begun."""
        known = self._hosts.get(host)
        if known is None:
            self._hosts[host] = _Host(moment_s, moment_s, deque([moment_s], maxlen=4))
            while len(self._hosts) > self.model.max_things:
                self._hosts.popitem(last=False)
            return None
        silent = moment_s - known.heard_s > self.model.together_s
        known.heard_s = max(known.heard_s, moment_s)
        self._hosts.move_to_end(host)
        if not silent:
            return None
        before_s = known.starts[-1]
        known.starts.append(moment_s)
        known.bursts += 1
        return before_s

    def _at(self, pair: _Pair, moment_s: float) -> float:
        """Log-odds at a moment."""
        age = max(moment_s - pair.updated_s, 0.0)
        return self._prior + (pair.log_odds - self._prior) * math.exp(-age / self.model.forget_s)

    def _drop(self, key: tuple[str, str]) -> None:
        self._pairs.pop(key, None)
        for one, other in (key, key[::-1]):
            if one in self._hosts:
                self._hosts[one].partners.discard(other)

    def _remember(self, key: tuple[str, str], kind: str) -> None:
        self._settled[key] = kind
        while len(self._settled) > self.model.max_things:
            self._settled.popitem(last=False)


def shadow_history(events: pa.Table) -> pa.Table:
    """Promotions and expiries among events, in their order.

    Returns
    -------
    pyarrow.Table
        `time`, `kind`, `a`, `b`, `confidence`, `since_s`, `evidence`.
    """
    own = events.filter(pc.is_in(events["kind"], pa.array([PROMOTED, EXPIRED])))
    told = payload_columns(
        own, {"shadow_a": str, "shadow_b": str, "confidence": float, "since_s": float, "evidence": str}
    )
    names = {"shadow_a": "a", "shadow_b": "b"}
    columns = {names.get(name, name): pa.array(values, from_pandas=True) for name, values in told.items()}
    return pa.table({"time": own["time"], "kind": own["kind"], **columns})


def _key(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)


def _log_odds(p: float) -> float:
    return math.log(p / (1.0 - p))


def _share(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds)) if log_odds > -700.0 else 0.0
