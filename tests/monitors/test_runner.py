"""The runner: the same events say the same, a failure stays where it is, alarms are events that many can answer."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.drift import SilenceMonitor, TimingMonitor
from engine.drift.monitor import Monitor
from engine.events import EventBus, EventLog, event_table
from engine.monitors import (
    ALERTS_CHANNEL,
    DRILL_ENDED,
    FAILED,
    OWN_KINDS,
    RECOVERED,
    RESULT,
    TICK,
    AlertBoard,
    MappedGrouping,
    MonitorBoard,
    MonitorRunner,
    announce_alerts,
    as_of,
    decode_alert,
    standard_monitors,
)
from engine.monitors.grouping import group, subnet_of
from engine.monitors.isolation import Isolated

T0_S = 1.7e9


def traffic(seconds: float = 600.0, seed: int = 0, late: float = 5.0) -> pa.Table:
    """Flows of four hosts, one of them by the clock; some events come late; positions and changes of edges as well."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0.0, seconds, int(2 * seconds)))
    host = rng.integers(0, 3, len(times))
    beat = np.arange(0.0, seconds, 7.0)
    all_times = np.concatenate([times, beat])
    order = np.argsort(all_times + rng.uniform(0.0, late, len(all_times)), kind="stable")
    kinds = np.where(rng.uniform(size=len(times)) < 0.1, "edge.reinforced", "net.flow").astype(object)
    kinds[rng.uniform(size=len(times)) < 0.1] = "emitter.fix"
    kinds = np.concatenate([kinds, np.full(len(beat), "net.flow", object)])[order]
    payload = np.array(
        [f'{{"src_ip": "10.0.{h}.{p % 9}", "dest_port": {p}, "proto": "TCP"}}' for h, p in
         zip(host.tolist(), rng.integers(1, 30, len(times)).tolist(), strict=True)]
        + ['{"src_ip": "10.0.9.1", "dest_port": 443, "proto": "TCP"}'] * len(beat), dtype=object,
    )[order]  # fmt: skip
    entity = [f"f{i}" for i in range(len(order))]
    table = event_table(
        np.round((T0_S + all_times[order]) * 1e6).astype(np.int64), kinds.tolist(), entity, "sensor",
        payload=payload.tolist(),
    )  # fmt: skip
    return table.set_column(0, table.schema.field("seq"), pa.array(np.arange(1, table.num_rows + 1)))


def said(events: pa.Table, sizes: Iterator[int] | None = None, **options: Any) -> pa.Table:
    """What a runner says to events that come in batches of some sizes."""
    runner = MonitorRunner(limit_s=None, **options)
    at = 0
    while at < events.num_rows:
        size = events.num_rows if sizes is None else next(sizes)
        runner.apply(events.slice(at, size))
        at += size
    return runner.take()


def test_what_is_said_does_not_depend_on_how_events_come_in_batches() -> None:
    events = traffic()
    whole = said(events)
    rng = np.random.default_rng(3)
    pieces = said(events, iter(lambda: int(rng.integers(1, 200)), 0))
    assert pieces.equals(whole)
    assert {RESULT, "alert.raised"} <= set(whole["kind"].to_pylist())


def test_the_log_says_again_what_was_said_live_although_it_holds_the_monitors_own_events() -> None:
    with EventLog(":memory:") as log:
        live = MonitorRunner(sink=lambda table: log.append(table) and table.num_rows, limit_s=None)
        events = traffic()
        for at in range(0, events.num_rows, 197):
            live.apply(log.commit(events.slice(at, 197)))
        again = said(log.since(0))
        mine = log.since(0).filter(pc.is_in(log.since(0)["kind"], pa.array(OWN_KINDS)))
        drop = ["seq", "received", "payload"]
        assert again.drop_columns(drop).equals(mine.drop_columns(drop))
        raised = [row for row in mine.to_pylist() if row["kind"] == "alert.raised"]
        assert [row["entity"] for row in raised] == ["net:10.0.9.0/24"]


def test_an_alarm_carries_its_evidence() -> None:
    events = traffic()
    found = AlertBoard()
    found.apply(said(events))
    alert = found.table().iloc[0]
    assert (alert["monitor"], alert["label"], alert["state"]) == ("timing", "BEAT", "raised")
    assert alert["value"] > alert["threshold"] == 0.5
    seqs = [int(seq) for seq in alert["seqs"].split()]
    behind = events.filter(pc.is_in(events["seq"], pa.array(seqs)))
    assert len(seqs) == behind.num_rows >= 8
    assert all("10.0.9.1" in text for text in behind["payload"].to_pylist())
    times = behind["time"].cast(pa.int64()).to_numpy() * 1e-6
    assert times.min() >= alert["raised"].timestamp() - alert["window_s"]
    assert alert["first_seq"] <= seqs[0] and seqs[-1] <= alert["last_seq"]


def test_the_past_shows_what_was_shown_then() -> None:
    with EventLog(":memory:") as log:
        log.append(said(traffic()))
        live, alerts = MonitorBoard(), AlertBoard()
        live.apply(log.since(0))
        alerts.apply(log.since(0))
        first = alerts.table()["raised"].min().timestamp()
        before, at = as_of(log, first - 1.0), as_of(log, first + 1.0)
        assert before[1].table().empty and len(at[1].table()) == 1
        end_s = T0_S + 600.0
        again, _ = as_of(log, end_s)
        assert again.latest().equals(live.latest())
        series = again.series("timing", "net:10.0.9.0/24")
        assert series["time"].is_monotonic_increasing and len(series) > 5
        assert series["state"].iloc[-1] == "raised" and (series["threshold"] == 0.5).all()
        assert (
            as_of(log, end_s - 300.0)[0].series("gate", "reinforcement_gini")["time"].max().timestamp() <= end_s - 300
        )


def test_what_people_answer_is_shared_and_folding_twice_changes_nothing() -> None:
    board, other = AlertBoard(), AlertBoard()
    board.apply(said(traffic()))
    alert = board.table()["alert"][0]
    at = T0_S + 2000.0
    answers = [
        board.acknowledge(alert, "ana", "beacon of the printer", at),
        board.acknowledge(alert, "bo", "mine too", at + 5.0),
        board.mute("timing", "net:10.0.9.0/24", 600.0, "ana", now_s=at),
    ]
    for events in (said(traffic()), *answers, answers[0], said(traffic())):
        other.apply(events)
    row = other.table(at + 10.0).iloc[0]
    assert (row["acknowledged"], row["by"], row["note"], row["muted"]) == (True, "ana", "beacon of the printer", True)
    assert len(other.table()) == 1 and other.counts(at) == {"raised": 1, "open": 0}
    assert not other.table(at + 601.0).iloc[0]["muted"]
    assert other.table(at, muted=False).empty and len(other.table(at, monitor="timing", acknowledged=True)) == 1
    other.apply(board.mute("timing", "net:10.0.9.0/24", 0.0, now_s=at + 20.0))
    assert not other.table(at + 21.0).iloc[0]["muted"]
    with pytest.raises(ValueError, match=r"-1\.0 s"):
        board.mute(seconds=-1.0)


def test_alerts_and_mutes_are_bounded() -> None:
    board = AlertBoard(kept=50)
    rows = 300
    payload = [f'{{"monitor": "m", "alert": "m/e{i}/1"}}' for i in range(rows)]
    entities = [f"e{i}" for i in range(rows)]
    board.apply(event_table(np.arange(rows), "alert.raised", entities, "drift.m", payload=payload))
    assert len(board.table()) == 50
    for i in range(600):
        board.apply(board.mute("m", f"e{i}", 60.0, now_s=0.0))
    assert len(board.mutes(0.0)) <= 500


SLOW_S = 3.0
"""How long a monitor may take where one is slow on purpose: the others must not be, however busy the machine is."""


class Breaking(TimingMonitor):
    """Raises where an event asks for it, or sleeps."""

    name = "breaking"

    def update(self, events: Any) -> list:
        kinds = events.table["kind"].to_pylist()
        if "net.bad" in kinds:
            raise RuntimeError("bad event")
        if "net.slow" in kinds:
            time.sleep(SLOW_S + 1.0)
        return super().update(events)


def one(kind: str, at_s: float) -> pa.Table:
    return event_table(np.array([round((T0_S + at_s) * 1e6)]), kind, ["a"], "test")


@pytest.mark.parametrize("kind", ["net.bad", "net.slow"])
def test_a_monitor_that_fails_is_shown_and_comes_back_and_the_others_go_on(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.monitors.isolation.FIRST_PAUSE_S", 2.0)
    makers: dict[str, Callable[..., Monitor]] = {"breaking": Breaking, "silence": SilenceMonitor}
    runner = MonitorRunner(makers, limit_s=SLOW_S if kind == "net.slow" else None)
    runner.apply(traffic(100.0))
    runner.apply(one(kind, 130.0))
    failed = {row["monitor"]: row for row in runner.status()}
    assert failed["breaking"]["state"] == "failed" and failed["breaking"]["retry_in_s"] > 0.0
    assert ("bad event" if kind == "net.bad" else "longer than 3 s") in failed["breaking"]["error"]
    assert failed["silence"]["state"] == "ok"
    runner.apply(one("net.flow", 200.0))  # the others go on
    assert runner.monitor("silence").clock_s == pytest.approx(T0_S + 200.0)  # type: ignore[union-attr]
    while any(row["retry_in_s"] for row in runner.status()):
        time.sleep(0.01)
    runner.apply(one("net.flow", 300.0))
    assert runner.status()[0] | {"since_s": 0.0} == {
        "monitor": "breaking", "state": "ok", "error": failed["breaking"]["error"], "since_s": 0.0, "retries": 1,
        "retry_in_s": 0.0,
    }  # fmt: skip
    board = MonitorBoard()
    events = runner.take()
    board.apply(events)
    assert [row["kind"] for row in events.to_pylist() if row["entity"] == "breaking"] == [FAILED, RECOVERED]
    assert {s.monitor: s.state for s in board.monitors()}["breaking"] == "ok"
    runner.close()


def test_pauses_double_and_a_monitor_that_cannot_be_made_again_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [0]

    def make() -> Monitor:
        made[0] += 1
        if 1 < made[0] < 4:
            raise RuntimeError("not now")
        return SilenceMonitor()

    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time)
    now = [1_000.0]
    monkeypatch.setattr("engine.monitors.isolation.time", clock)
    wall = Isolated("m", make, limit_s=None)
    pauses = []
    assert wall.call(lambda monitor: 1 / 0) is None
    while wall.monitor is None:
        pauses.append(wall.retry_in_s)
        now[0] += 0.99 * wall.retry_in_s
        wall.revive()
        assert wall.monitor is None  # not yet
        now[0] += 0.02 * pauses[-1]
        wall.revive()
    assert made[0] == 4 and len(pauses) == 3
    assert all(0.5 * p < later for p, later in pairwise(pauses))
    assert pauses[2] > 1.5 * pauses[0] and math.isfinite(wall.since_s)


def test_a_silence_is_noticed_by_an_event_that_only_moves_the_clock() -> None:
    runner = MonitorRunner({"silence": SilenceMonitor}, limit_s=None)
    events = event_table(np.round((T0_S + np.arange(60.0)) * 1e6).astype(np.int64), "net.flow", ["a"] * 60, "test")
    runner.apply(events)
    runner.pulse(T0_S + 65.0)
    assert TICK not in runner.take()["kind"].to_pylist()  # something happened a moment ago
    spoken = []
    for k in range(8):
        runner.pulse(T0_S + 80.0 + 16.0 * k)
        tick = runner.take()
        assert tick["kind"].to_pylist().count(TICK) == 1
        runner.apply(tick)
        spoken += runner.take()["kind"].to_pylist()
    assert spoken.count("alert.raised") == 1


def test_nothing_of_a_drill_stays_and_its_alarm_is_marked_and_cleared() -> None:
    quiet = traffic(600.0)
    run = "drill:beat:1:ab"
    beat = np.arange(0.0, 300.0, 5.0) + 100.0
    theirs = event_table(
        np.round((T0_S + beat) * 1e6).astype(np.int64), "net.flow", [f"{run}/x"] * len(beat), run,
        payload=[f'{{"cluster": "{run}/ring"}}'] * len(beat),
    )  # fmt: skip
    end = event_table(np.array([round((T0_S + 420.0) * 1e6)]), DRILL_ENDED, [run], run, payload=['{"drill": "beat"}'])
    events = pa.concat_tables([quiet, theirs, end]).sort_by("time")
    runner = MonitorRunner(limit_s=None)
    runner.apply(events)
    board = AlertBoard()
    board.apply(runner.take())
    alert = board.table(drill=True).iloc[0]
    assert (alert["entity"], alert["drill"], alert["state"]) == (f"{run}/ring", run, "cleared")
    assert alert["reason"] == "drill ended" and alert["cleared"].timestamp() == pytest.approx(T0_S + 420.0)
    for name in standard_monitors():
        monitor = runner.monitor(name)
        assert monitor is not None
        assert not [entity for entity in monitor.results() if entity.startswith("drill:")], name
    assert not board.table(drill=False).empty


def test_clusters_come_from_the_event_the_mapping_the_host_the_subnet_or_the_entity_in_this_order() -> None:
    grouping = MappedGrouping({"e1": "mapped", "host:10.0.0.7": "by host"})
    told = np.array(["own", None, None, None, None], object)
    address = np.array(["10.0.0.7", "10.0.0.7", "10.0.0.7", "10.9.9.9", None], object)
    codes, names = group((np.array([0, 1, 0, 0, 2]), ["e0", "e1", "e2"]), told, address, grouping)
    assert [names[c] for c in codes] == ["own", "mapped", "by host", "net:10.9.9.0/24", "e2"]
    assert grouping.version == 1
    grouping.replace({})
    assert (grouping.version, grouping.clusters_of(["e1"])) == (2, [None])
    assert subnet_of("fe80::1%eth0") is None or subnet_of("fe80::1%eth0").startswith("net:")  # type: ignore[union-attr]


def test_alerts_go_over_the_bus(redis_server: str) -> None:
    bus = EventBus(redis_server, instance="me")
    heard: list[dict[str, Any]] = []
    came = threading.Event()

    def hear(message: bytes) -> None:
        heard.append(decode_alert(message))
        came.set()

    ready = threading.Event()
    bus.subscribe(ALERTS_CHANNEL, hear, ready.set)
    assert ready.wait(60.0)
    with EventLog(":memory:") as log:
        committed = log.commit(said(traffic()))
        sent = announce_alerts(bus.publish, "me", committed)
    assert sent == 1 and came.wait(60.0)
    alert = heard[0]
    assert (alert["kind"], alert["monitor"], alert["entity"]) == ("alert.raised", "timing", "net:10.0.9.0/24")
    assert alert["seq"] >= 1 and alert["time"].timestamp() > T0_S
    bus.close()
    with pytest.raises(ValueError, match="v = 1"):
        decode_alert(b'{"v": 2}')


def test_a_sink_without_room_or_that_fails_is_counted_and_stops_nothing() -> None:
    full = MonitorRunner(sink=lambda table: 0, limit_s=None)
    full.apply(traffic(200.0))
    assert full.dropped > 0

    def broken(table: pa.Table) -> int:
        raise OSError("no disk")

    failing = MonitorRunner(sink=broken, limit_s=None)
    failing.apply(traffic(200.0))
    assert failing.dropped == full.dropped


def test_after_a_restart_a_standing_alarm_keeps_its_identity_and_a_lost_one_is_cleared() -> None:
    events = traffic()
    before = AlertBoard()
    before.apply(said(events))
    monitor, entity, raised_s = before.standing()[0]
    lost = event_table(
        [0], "alert.raised", ["gone"], "drift.silence", payload=['{"monitor": "silence", "alert": "silence/gone/0"}']
    )
    before.apply(lost)
    runner = MonitorRunner(limit_s=None)
    runner.apply(events)
    runner.take()
    runner.reconcile([(m, e, at - 3.0 if e == entity else at) for m, e, at in before.standing()])
    cleared = runner.take()
    assert cleared["kind"].to_pylist() == ["alert.cleared"] and cleared["entity"].to_pylist() == ["gone"]
    before.apply(cleared)
    assert before.standing() == [(monitor, entity, raised_s)]
    runner.apply(one("net.flow", 2_000.0))  # hours later nothing is heard of the beat: the alarm clears by its old name
    ends = [row["payload"] for row in runner.take().to_pylist() if row["kind"] == "alert.cleared"]
    assert sum(f'"alert":"{monitor}/{entity}/{round((raised_s - 3.0) * 1e6)}"' in text for text in ends) == 1


def test_a_closed_wall_makes_no_thread_for_those_who_call_later() -> None:
    wall = Isolated("silence", SilenceMonitor)
    assert wall.call(lambda monitor: type(monitor)) is SilenceMonitor
    wall.close()
    before = set(threading.enumerate())
    assert wall.call(lambda monitor: 1) is None
    assert set(threading.enumerate()) <= before and wall.error == ""
