"""Where nodes stand outlives the server: a moment of the past, and now, are drawn after a restart as before."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine import Station
from engine.events.schema import event_table
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_places import Laid, thinned
from engine.frames.graph_spec import graph_spec

VIEW = (-40_000.0, -30_000.0, 40_000.0, 30_000.0)


def ring(n: int, start_s: float, block: int) -> pa.Table:
    """Flows from each of n hosts to the next two."""
    pairs = [(h, (h + k) % n) for h in range(n) for k in (1, 2)]
    payload = [f'{{"src_ip":"10.0.{block}.{a}","dest_ip":"10.0.{block}.{b}"}}' for a, b in pairs]
    times = ((start_s + 1e-3 * np.arange(len(pairs))) * 1e6).astype(np.int64)
    return event_table(times, "net.flow", [f"{block}:{a}-{b}" for a, b in pairs], "test", payload=payload)


def frame(station: Station, moment_s: float | None = None) -> GraphFrame:
    return station.graphs.frames.compute(graph_spec(VIEW, moment_s=moment_s), moment_s or time.time())


def laid_out(station: Station, nodes: int) -> GraphFrame:
    end = time.monotonic() + 60.0
    while (now := frame(station)).picture.numbers["placed"] < nodes or now.places.busy:
        assert time.monotonic() < end, f"{nodes} nodes are not placed in time: {now.picture.numbers}"
        time.sleep(0.05)
    return now


def places(frame: GraphFrame) -> dict[str, tuple[float, float]]:
    rows = zip(frame.snapshot.nodes["id"].to_pylist(), frame.places.x, frame.places.y, strict=True)
    return {name: (float(x), float(y)) for name, x, y in rows}


def test_places_are_the_same_after_a_restart(tmp_path: Path) -> None:
    folder = {"data_dir": tmp_path, "feed": "none"}
    started_s = time.time() - 600.0
    with Station(**folder) as station:
        station.queue.put(ring(40, started_s, 1))
        first = laid_out(station, 40)
        between_s = time.time()
        station.queue.put(ring(12, between_s + 1e-3, 2))
        now = laid_out(station, 52)
        past = frame(station, between_s)
    assert len(list((tmp_path / "graph").glob("places-*.arrow"))) == 2
    with Station(**folder) as station:
        again = frame(station, between_s)
        assert places(again) == places(past) == places(first)
        assert (again.picture.rows == past.picture.rows).all() and again.spec == past.spec
        after = laid_out(station, 52)
        for name, place in places(now).items():
            assert places(after)[name] == pytest.approx(place), "now goes on from where nodes stood"
        assert after.places.epoch == now.places.epoch
        # What is damaged, or of another log, costs itself alone.
        station.graphs.stop()
        newest, oldest = sorted((tmp_path / "graph").glob("places-*.arrow"), reverse=True)[:2]
        newest.write_bytes(newest.read_bytes()[:200])
    with Station(**folder) as station:
        assert places(frame(station, between_s)) == places(past)
        assert not newest.exists() and oldest.exists()


def test_what_is_remembered_is_bounded_and_keeps_both_ends() -> None:
    def laid(version: int, n: int) -> Laid:
        at = np.zeros(n)
        return Laid(float(version), version, version, 1, 0, False, pa.array(["a"] * n, pa.large_string()), at, at)

    kept: list[Laid] = []
    for version in range(500):
        kept = thinned([*kept, laid(version, 10)], layouts=24, nodes=200)
        assert len(kept) <= 20 and (kept[0].version, kept[-1].version) == (0, version)
    assert [one.version for one in kept] == sorted({one.version for one in kept}) and len(kept) > 8
    assert len(thinned([laid(1, 500), laid(2, 500)], nodes=200)) == 2, "the first and now are always there"
