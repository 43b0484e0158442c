"""The graph of the past: from a saved graph and the events after it exactly what all events together make."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from engine.events.log import EventLog
from engine.graph_history import GraphHistory
from engine.hypergraph.graph_fold import GraphFold
from engine.hypergraph.graph_snapshot import GraphSnapshot

HOSTS, N = 3_000, 120_000
BOUNDS = (1_500, 6_000)


def flows(n: int, seed: int, start_s: float) -> pa.Table:
    """Invented flows, 10 a second, in order but for a second or so."""
    from engine.events.schema import event_table

    rng = np.random.default_rng(seed)
    ends = (rng.pareto(1.0, (n, 2)) * 20).astype(int) % HOSTS
    payload = [f'{{"src_ip":"10.0.{a // 250}.{a % 250}","dest_ip":"10.1.{b // 250}.{b % 250}"}}' for a, b in ends]
    time_us = ((start_s + 0.1 * np.arange(n) + rng.normal(0, 1.0, n)) * 1e6).astype(np.int64)
    return event_table(time_us, "net.flow", [f"1:{a}-{b}" for a, b in ends], "test", payload=payload)


def same(a: GraphSnapshot, b: GraphSnapshot) -> bool:
    """Whether two graphs are equal to the bit, order of rows included."""
    tables = all(
        x.drop(["kind"]).to_pandas().equals(y.drop(["kind"]).to_pandas())
        and x["kind"].cast("string").equals(y["kind"].cast("string"))
        for x, y in ((a.nodes, b.nodes), (a.edges, b.edges))
    )
    return tables and all(
        np.array_equal(getattr(a, end), getattr(b, end)) for end in ("incidence_node", "incidence_edge")
    )


@pytest.fixture(scope="module")
def log():
    with EventLog(":memory:") as log:
        for part in range(6):
            log.append(flows(N // 6, part, 1e9 + part * N / 60))
        yield log


@pytest.fixture
def history(log, tmp_path):
    history = GraphHistory(log, tmp_path, GraphFold(*BOUNDS), every_events=9_000)
    live = GraphFold(*BOUNDS)
    for table in log.stream(0, chunk=1_111):
        live.apply(table)
        history.offer(live, wait=True)
    assert len(history.saved()) > 8 and live.counts["evicted_edges"] > 1_000
    yield history
    history.close()


def replayed(log, moment_s: float | None = None, seq: int | None = None) -> GraphFold:
    fold = GraphFold(*BOUNDS)
    for table in log.stream(0, moment_s, last=seq):
        fold.apply(table)
    return fold


def test_as_of_any_time_or_seq_it_is_what_a_replay_of_everything_makes(log, history) -> None:
    rng = np.random.default_rng(11)
    for moment in 1e9 + rng.uniform(-10, N / 10 + 10, 25):
        assert same(history.as_of(moment_s=moment).snapshot(moment), replayed(log, moment).snapshot(moment)), moment
    for seq in [0, 1, 9_000, N, *rng.integers(1, N, 12).tolist()]:
        assert same(history.as_of(seq=seq).snapshot(1e9), replayed(log, seq=seq).snapshot(1e9)), seq


def test_it_starts_from_a_saved_graph_and_not_from_the_beginning(log, history) -> None:
    base = history._base(log.last_seq, 1e9 + 10_000)
    assert 90_000 < base.seq < 100_000 and base.newest_s <= 1e9 + 10_000


def test_events_told_late_or_in_the_wrong_order_are_in_the_past_where_they_belong(tmp_path) -> None:
    """A capture of last week that is uploaded today changes last week."""
    with EventLog(":memory:") as log:
        log.append(flows(20_000, 0, 1e9))
        history, fold = GraphHistory(log, tmp_path, GraphFold(), every_events=5_000), GraphFold()
        for table in log.stream(0, chunk=1_000):
            fold.apply(table)
            history.offer(fold, wait=True)
        log.append(flows(500, 1, 1e9 + 300))
        moment = 1e9 + 700.0
        whole = GraphFold()
        for table in log.stream(0, moment):
            whole.apply(table)
        assert same(history.as_of(moment_s=moment).snapshot(moment), whole.snapshot(moment))


def test_a_later_process_goes_on_from_what_was_saved(log, history, tmp_path) -> None:
    again = GraphHistory(log, tmp_path, GraphFold(*BOUNDS), every_events=9_000)
    fold = again.latest()
    assert fold.seq == history.saved()[-1].seq > 100_000
    for table in log.stream(fold.seq):
        fold.apply(table)
    assert same(fold.snapshot(1e9), replayed(log).snapshot(1e9))


@pytest.mark.parametrize("harm", ["cut", "bit", "empty"])
def test_a_damaged_graph_costs_itself_alone(log, history, harm) -> None:
    newest = history.saved()[-1]
    data = bytearray(newest.path.read_bytes())
    data[len(data) // 2] ^= 1
    newest.path.write_bytes(b"" if harm == "empty" else data[: len(data) // 2] if harm == "cut" else data)
    assert same(history.as_of(seq=N).snapshot(1e9), replayed(log).snapshot(1e9))
    assert newest.seq not in {entry.seq for entry in history.saved()} and not newest.path.exists()


def test_graphs_of_another_log_or_with_other_bounds_are_not_used(history, tmp_path) -> None:
    with EventLog(":memory:") as other:
        for part in range(6):
            other.append(flows(N // 6, part + 50, 1e9 + part * N / 60))
        foreign = GraphHistory(other, tmp_path, GraphFold(*BOUNDS), every_events=9_000)
        assert same(foreign.as_of(seq=N).snapshot(1e9), replayed(other).snapshot(1e9))
        assert not foreign.saved()
    with EventLog(":memory:") as log:
        assert len(GraphHistory(log, tmp_path / "new", GraphFold()).saved()) == 0
        assert not GraphHistory(log, tmp_path, GraphFold(17, 17)).saved()


def test_what_is_kept_on_disk_is_bounded_and_thins_out_towards_the_past(log, tmp_path) -> None:
    history, fold = (
        GraphHistory(log, tmp_path, GraphFold(*BOUNDS), every_events=2_000, max_bytes=2_000_000),
        GraphFold(*BOUNDS),
    )
    for table in log.stream(0, chunk=500):
        fold.apply(table)
        history.offer(fold, wait=True)
    saved = history.saved()
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert on_disk == sum(entry.n_bytes for entry in saved) <= 2_000_000
    seqs = np.array([0, *(entry.seq for entry in saved)])
    gaps = np.diff(seqs)
    assert saved[-1].seq > N - 2_500 and gaps[: len(gaps) // 2].mean() > gaps[len(gaps) // 2 :].mean()
    assert same(history.as_of(seq=50_000).snapshot(1e9), replayed(log, seq=50_000).snapshot(1e9))


def test_one_of_time_and_seq_is_needed(log, history) -> None:
    with pytest.raises(ValueError, match="one of the two"):
        history.as_of()
