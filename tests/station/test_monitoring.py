"""Monitors and drills in a running station: answers last, what died is cleaned up, drills obey page and bus."""

import contextlib
import time

import orjson
import pytest
import redis

from engine.drift.metric import ALERT_RAISED
from engine.drills.request import DRILLS_CHANNEL, encode_request
from engine.events.log import EventLog
from engine.events.schema import DRILL_ENDED, event_table
from engine.frames.drift_frame import DriftSpec
from engine.monitors.vocabulary import DRILL_STARTED
from engine.station import Station

PATIENCE_S = 60.0


def wait_until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def now_us():
    return round(time.time() * 1e6)


RAISED_US = now_us()


def name_of(entity="c1"):
    return f"timing/{entity}/{RAISED_US}"


def alert(entity="c1"):
    payload = {"monitor": "timing", "metric": entity, "alert": name_of(entity), "raised_s": RAISED_US * 1e-6,
               "value": 0.9, "threshold": 0.5, "n": 12, "window_s": 300.0, "seqs": "1"}  # fmt: skip
    return event_table([RAISED_US], ALERT_RAISED, [entity], "test", payload=[orjson.dumps(payload).decode()])


def kinds(station):
    return station.log.since(0)["kind"].to_pylist()


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    with Station(tmp_path_factory.mktemp("desk"), feed="none") as running:
        yield running


def test_an_answer_is_an_event_and_outlives_the_process_and_a_dead_alarm_is_cleared(tmp_path):
    with Station(tmp_path, feed="none") as first:
        assert first.publish(alert()) == 1
        wait_until(lambda: len(first.monitoring.alerts.table()))
        assert first.monitoring.acknowledge(name_of(), "ana", "known")
        assert first.monitoring.mute("timing", "c1", 3600.0, "ana")
        wait_until(lambda: first.monitoring.alerts.table()["muted"].all())
        row = first.monitoring.alerts.table().iloc[0]
        assert (row["acknowledged"], row["by"], row["note"], row["state"]) == (True, "ana", "known", "raised")
        assert first.monitoring.events_behind("1 x 999999")["kind"].to_pylist() == [ALERT_RAISED]
    with Station(tmp_path, feed="none") as again:
        row = again.monitoring.alerts.table().iloc[0]
        assert (row["acknowledged"], row["by"], row["muted"]) == (True, "ana", True)
        # No monitor of this process stands behind it.
        wait_until(lambda: again.monitoring.alerts.table().iloc[0]["state"] == "cleared")
        assert again.monitoring.alerts.table().iloc[0]["reason"] == "restart"


def test_a_drill_whose_process_died_is_ended_at_the_next_start(tmp_path):
    run = "drill:swarm:1:dead"
    with contextlib.closing(EventLog(tmp_path / "events.duckdb")) as log:
        log.append(event_table([now_us()], DRILL_STARTED, [run], run))
    with Station(tmp_path, feed="none") as station:
        wait_until(lambda: DRILL_ENDED in kinds(station))
        ended = station.log.since(0).to_pylist()[kinds(station).index(DRILL_ENDED)]
        assert ended["entity"] == run and orjson.loads(ended["payload"])["reason"] == "lost"


def test_one_drill_at_a_time_and_a_cancelled_one_leaves_no_emitter(station):
    monitoring = station.monitoring
    with pytest.raises(ValueError, match="there is no drill 'x'"):
        monitoring.start_drill("x")
    run = monitoring.start_drill("swarm", 3)
    with pytest.raises(ValueError, match="is playing"):
        monitoring.start_drill("sync_burst")
    wait_until(lambda: any(i.startswith(run) for i in station.tracks().table["id"]))
    assert monitoring.drill().state == "running"
    monitoring.cancel_drill()
    wait_until(lambda: not any(i.startswith(run) for i in station.tracks().table["id"]))
    assert monitoring.drill().state == "finished"
    assert station.tracks(time.time() + 1.0).table.empty
    log = station.log.since(0).to_pylist()
    assert any(event["entity"].startswith(f"{run}/") for event in log), "the log keeps it"
    assert [mark.text for mark in monitoring.marks.marks() if mark.kind == "drill"] == [run]


def test_a_drill_can_be_asked_for_and_cancelled_over_the_bus(station):
    with contextlib.closing(redis.Redis.from_url(station.embedded.url)) as client:
        wait_until(lambda: dict(client.pubsub_numsub(DRILLS_CHANNEL))[DRILLS_CHANNEL.encode()])
        client.publish(DRILLS_CHANNEL, b"rm -rf /")
        client.publish(DRILLS_CHANNEL, encode_request("start", "ew_sweep", 1))
        wait_until(lambda: station.monitoring.drill().name == "ew_sweep")
        client.publish(DRILLS_CHANNEL, encode_request("cancel"))
        wait_until(lambda: station.monitoring.drill().state == "finished")


def test_frames_are_the_same_for_all_until_somebody_says_something_new(station):
    monitoring = station.monitoring
    # Muting ends by the clock: a frame is made anew at least every half minute.
    moment = 30.0 * (time.time() // 30.0)
    first = monitoring._compute(DriftSpec(900.0), moment)
    assert monitoring._compute(DriftSpec(900.0), moment + 5.0) is first
    station.publish(alert("fresh"))
    wait_until(lambda: "fresh" in set(monitoring.alerts.table()["entity"]))
    assert "fresh" in set(monitoring._compute(DriftSpec(900.0), moment + 6.0).alerts["entity"])
    past = monitoring.board.frame(DriftSpec(900.0, time.time() - 3600.0))
    assert past.alerts.empty and past.series == ()
