"""Nodes, or hyperedges, as columns over slots: id, kind, weight and its moment, times, position, texts.

One class serves both. It must not know which nodes are in which hyperedges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.hypergraph import _incidence_kernel as kernel
from engine.hypergraph._columns import Columns, TextColumn, Vocabulary
from engine.hypergraph._rows import Array
from engine.hypergraph.ids import EncodedIds, IdTable, Slots, encode_ids

NO_KINDS = np.empty(0, np.int16)


class Entities:
    """Nodes or hyperedges; `count` is a node's degree or a hyperedge's size, `head` its newest incidence.

    Examples
    --------
    >>> nodes = Entities("node")
    >>> slots = nodes.slots_for(encode_ids(["a", "b"], "node"))
    >>> nodes.tell(slots, NO_KINDS, np.array([0.0, np.nan]), np.empty(0), 5.0)
    >>> nodes.frame(nodes.living(), nodes.weights_at(5.0, 0.0)).weight.tolist()
    [0.0, 1.0]
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.n_living = 0
        self.ids = IdTable()
        self.kinds = Vocabulary()
        self.texts: dict[str, TextColumn] = {}
        unknown = (np.float64, np.nan)
        self.columns = Columns(
            alive=(np.uint8, 0), head=(np.int32, -1), count=(np.int32, 0), kind=(np.int16, -1), weight=unknown,
            anchor_s=unknown, created_s=unknown, seen_s=unknown,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.ids.nbytes + self.columns.nbytes + sum(text.nbytes for text in self.texts.values())

    @property
    def dead(self) -> int:
        """Tombstones among the slots."""
        return self.columns.n - self.n_living

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def slots_for(self, ids: EncodedIds) -> Slots:
        """Slots of ids; ids never seen get new ones, which do not live before `tell`."""
        slots = self.ids.intern(ids)
        self.columns.resize(self.ids.n)
        return slots

    def find(self, ids: Any) -> Slots:
        """Slots of living entities, or a KeyError that names the first that is none."""
        one = [ids] if isinstance(ids, str | int | np.integer) else ids
        encoded = encode_ids(one, self.what)
        slots = self.ids.find(encoded)
        gone = slots < 0
        if not gone.all():
            gone |= self["alive"][np.maximum(slots, 0)] == 0
        if gone.any():
            raise KeyError(f"no {self.what} {list(one)[int(np.flatnonzero(gone)[0])]!r} in the graph")
        return slots

    def has(self, one: Any) -> bool:
        """Whether an id is that of a living entity."""
        slot = self.ids.find(encode_ids([one], self.what))[0]
        return bool(slot >= 0 and self["alive"][slot])

    def tell(self, slots: Slots, kind: NDArray[np.int16], weight: Array, time_s: Array, now_s: float) -> None:
        """Make entities exist and tell them what rows of a table say; columns of length 0 say nothing."""
        c = self.columns
        self.n_living += kernel.touch(
            slots, kind, weight, time_s, now_s, c["alive"], c["kind"], c["weight"], c["anchor_s"], c["created_s"],
            c["seen_s"],
        )  # fmt: skip

    def reinforce(self, slots: Slots, amounts: Array, moment_s: float, rate: float) -> None:
        """Add amounts that hold from a moment on to the weights of slots."""
        kernel.reinforce(slots, amounts, moment_s, rate, self["weight"], self["anchor_s"], self["seen_s"])

    def place(self, slots: Slots, lat: Array, lon: Array) -> None:
        """Set positions, degrees; rows without one leave what is known."""
        given = ~np.isnan(lat)
        if not given.any():
            return
        self.columns.add_column("lat", np.float64, np.nan)
        self.columns.add_column("lon", np.float64, np.nan)
        self["lat"][slots[given]], self["lon"][slots[given]] = lat[given], lon[given]

    def describe(self, slots: Slots, name: str, texts: list[str | None]) -> None:
        """Set a text (label, metadata); rows without one leave what is known."""
        given = np.array([text is not None for text in texts], bool)
        if given.any():
            column = self.texts.setdefault(name, TextColumn())
            column.set(slots[given], [text for text in texts if text is not None])

    def forget(self, slots: NDArray[Any]) -> None:
        """Let living entities, each named once, be no more; their slots wait for the same id or for `keep`."""
        self.n_living -= len(slots)
        self.columns.reset(slots, "alive", "count", "kind", "weight", "anchor_s", "created_s", "seen_s", "lat", "lon")
        for text in self.texts.values():
            text.clear(slots)

    def living(self) -> NDArray[np.int64]:
        """Slots of what lives, in order of first appearance."""
        return np.flatnonzero(self["alive"])

    def keep(self, slots: NDArray[np.int64]) -> None:
        """Drop all slots but some, which become 0, 1, … in the order given."""
        self.ids.keep(slots)
        self.columns.keep(slots)
        for text in self.texts.values():
            text.keep(slots)

    def weights_at(self, clock_s: float, rate: float, slots: NDArray[Any] | slice = slice(None)) -> Array:
        """Weights of all slots, or of some, as they are at the clock."""
        return kernel.decayed(self["weight"][slots], self["anchor_s"][slots], rate, clock_s)

    def date(self, slots: Slots, moments: dict[str, Array]) -> None:
        """Set times of slots, s since 1970: created, last seen, that of the weight; NaN leaves what is known."""
        for column, name in (("created_s", "created_s"), ("seen_s", "last_seen_s"), ("anchor_s", "weight_time_s")):
            given = ~np.isnan(moments[name])
            self[column][slots[given]] = moments[name][given]

    def exchange(self, clock_s: float, rate: float) -> pd.DataFrame:
        """All that is known of what lives, for an interchange document: nothing is filled in for what is not."""
        slots = self.living()
        stated, anchor = ~np.isnan(self["weight"][slots]), self["anchor_s"][slots]
        weights = np.where(stated, self.weights_at(clock_s, rate, slots), np.nan)
        frame = self.frame(slots, weights).drop(columns="count")
        # A weight that was never stated is not written, so what it decays from has to be.
        frame["weight_time_s"] = np.where(stated, np.fmax(anchor, clock_s), anchor)
        frame["kind"] = frame["kind"].astype(object)
        return frame.reset_index()

    def frame(self, slots: NDArray[Any], weights: Array, count: str = "count") -> pd.DataFrame:
        """What is known of entities, a row each, indexed by id; `weights` are theirs, in their order."""
        index = self.ids.take(slots).rename(self.what)
        table: dict[str, Any] = {
            "kind": self.kinds.decode(self["kind"][slots]), "weight": weights, count: self["count"][slots],
            "created_s": self["created_s"][slots], "last_seen_s": self["seen_s"][slots],
        }  # fmt: skip
        for name in ("lat", "lon"):
            if name in self.columns:
                table[name] = self[name][slots]
        for name, text in self.texts.items():
            table[name] = text.take(slots).to_pandas().to_numpy()
        return pd.DataFrame(table, index=index)
