"""Arrival times from CSV: what is read, what is refused and why, and a replay that happens now."""

import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from engine.events.queue import BoundedQueue
from engine.events.schema import ARRIVAL, SCHEMA, SENSOR
from engine.ingest.arrivals_read import read_arrivals, read_sensors
from engine.ingest.arrivals_replay import ArrivalReplay

HEAD = "id,timeAtServer,aircraft,latitude,longitude,baroAltitude,geoAltitude,numMeasurements,measurements\n"


@pytest.fixture
def written(tmp_path):
    def write(text, name="set.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_arrival_of_the_recording_is_read(real_data):
    path = real_data("tdoa/set_1.csv")
    events, rejects = read_arrivals(path)
    lines = path.read_text().splitlines()[1:]
    assert rejects.records == len(lines) and not rejects.counts
    assert events.num_rows == sum(line.count("],[") + 1 for line in lines) and events.schema == SCHEMA
    first = json.loads(events["payload"][0].as_py())
    assert lines[0].startswith(first["message"]) and f"[{first['sensor']},{first['toa_ns']}," in lines[0]
    assert events["entity"][0].as_py() == f"set_1/{lines[0].split(',')[2]}"
    assert f"{events['lat'][0].as_py():.10f}"[:12] in lines[0]


def test_receivers_at_zero_zero_are_refused(real_data):
    path = real_data("tdoa/sensors.csv")
    events, rejects = read_sensors(path)
    nowhere = sum(",0,0,0," in line for line in path.read_text().splitlines())
    assert rejects.counts == {"null_island": nowhere} and events.num_rows + nowhere == rejects.records


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('1,1.0,7,47,8,0,9000,1,"[[1,', "not_json"),
        ('1,1.0,7,47,8,0,9000,1,"{}"', "not_a_record"),
        ("1,1.0,7,47,8", "not_a_record"),
        (',1.0,7,47,8,0,9000,1,"[[1,5,9]]"', "missing_id"),
        ('1,1.0,,47,8,0,9000,1,"[[1,5,9]]"', "missing_id"),
        (f'1,1.0,{"x" * 65},47,8,0,9000,1,"[[1,5,9]]"', "text_too_long"),
        ('1,,7,47,8,0,9000,1,"[[1,5,9]]"', "missing_time"),
        ('1,nan,7,47,8,0,9000,1,"[[1,5,9]]"', "bad_time"),
        ('1,-3,7,47,8,0,9000,1,"[[1,5,9]]"', "bad_time"),
        ('1,1.0,7,47,8,0,9000,1,"[[1,NaN,9]]"', "bad_arrival"),
        ('1,1.0,7,47,8,0,9000,1,"[[1,1e300,9]]"', "bad_arrival"),
        ('1,1.0,7,47,8,0,9000,1,"[[true,5,9]]"', "bad_arrival"),
        ('1,1.0,7,47,8,0,9000,1,"[[1,5,9],[1,6,9]]"', "heard_twice"),
    ],
)
def test_what_cannot_be_used_is_counted_by_reason(written, row, reason):
    good = '2,2.0,8,47.5,8.5,0,9000,1,"[[""a b"",12345678901,NaN]]"\n'
    events, rejects = read_arrivals(written(HEAD + row + "\n" + good))
    if row.endswith('"[[1,'):  # an open quote takes what follows with it
        assert rejects.counts and events.num_rows == 0
        return
    assert rejects.counts == {reason: 1} and "line" in rejects.examples[reason]
    last = events.slice(events.num_rows - 1).to_pylist()[0]
    payload = json.loads(last["payload"])
    assert payload["sensor"] == "a b" and payload["toa_ns"] == 12_345_678_901 and "rssi" not in payload


def test_a_position_that_is_none_is_left_out_and_the_arrival_stays(written):
    events, rejects = read_arrivals(written(HEAD + '1,1.0,7,91,8,0,9000,1,"[[1,5,9]]"\n'))
    assert events.num_rows == 1 and events["lat"].null_count == 1
    assert rejects.left_out == {"lat": 1} and not rejects.counts


def test_a_file_of_something_else_is_named(written):
    with pytest.raises(ValueError, match="lacks the columns"):
        read_arrivals(written("a,b\n1,2\n"))
    with pytest.raises(ValueError, match=r"other\.csv lacks"):
        read_sensors(written("a,b\n1,2\n", "other.csv"))


def test_a_replay_happens_now_and_names_its_receivers_again_and_again(real_data):
    paths = [real_data(f"tdoa/set_{k}.csv") for k in (1, 2)]
    now_s = 1.8e9
    read = pa.concat_tables([read_arrivals(path)[0] for path in paths])
    round_s = pc.max(read["time"]).as_py().timestamp() // 1.0 + 1.0
    replay = ArrivalReplay("locards", real_data("tdoa/sensors.csv"), paths, backfill_s=round_s, clock=lambda: now_s)
    queue, parts = BoundedQueue(50_000), []
    replay.start(queue)
    wanted = read.num_rows
    end = time.monotonic() + 60.0
    while sum(pc.sum(pc.equal(t["kind"], ARRIVAL)).as_py() for t in parts) < wanted and time.monotonic() < end:
        part = queue.get(timeout_s=5.0)
        parts += [part] if part is not None else []
    replay.stop()
    events = [row for part in parts for row in part.to_pylist()]
    arrivals = [row for row in events if row["kind"] == ARRIVAL]
    stand = [row for row in events if row["kind"] == SENSOR]
    assert len(arrivals) == wanted and {row["source"] for row in events} == {"locards"}
    assert all(now_s - round_s - 1.0 < row["time"].timestamp() <= now_s for row in events)
    heard = {json.loads(row["payload"])["sensor"] for row in arrivals}
    assert {row["entity"] for row in stand} == heard
    times = sorted({row["time"].timestamp() for row in stand})
    assert len(times) == 12 and np.diff(times).max() <= 300.0
    assert {row["entity"].split("/")[0] for row in arrivals} == {"set_1", "set_2"}


def test_a_replay_of_nothing_fails_and_says_so(written, real_data):
    replay = ArrivalReplay("x", real_data("tdoa/sensors.csv"), [written(HEAD)])
    replay.start(BoundedQueue(10))
    assert replay.join(60.0)
    assert replay.stats().state == "failed" and "no usable arrival" in str(replay.stats().last_error)
