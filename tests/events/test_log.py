"""The log keeps what it acknowledged, in one order, and answers for any moment of it."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import threading

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.events import FIX, SCHEMA, empty_events, event_table
from engine.events.log import EventLog
from engine.events.logfile import LogLockedError

T0_US = 1_700_000_000_000_000


def batch(n: int, *, start_us: int = T0_US, kind: str = FIX, source: str = "test") -> pa.Table:
    times = np.arange(n) * 1_000_000 + start_us
    return event_table(times, kind, [f"e{i}" for i in range(n)], source, lat=np.full(n, 47.0), lon=np.full(n, 8.0))


@pytest.fixture
def log(tmp_path):
    with EventLog(tmp_path / "log.duckdb") as log:
        yield log


def test_seq_counts_from_one_without_gaps_over_batches_and_reopening(tmp_path):
    with EventLog(tmp_path / "log.duckdb") as log:
        assert log.last_seq == 0
        assert log.append(batch(3)) == 3
        assert log.append(empty_events()) == 3
        assert log.append(batch(2)) == 5
    with EventLog(tmp_path / "log.duckdb") as log:
        assert log.append(batch(1)) == 6
        assert log.since(0)["seq"].to_pylist() == [1, 2, 3, 4, 5, 6]


def test_what_comes_out_is_what_went_in_plus_seq_and_received(log):
    given_events = event_table(
        [dt.datetime(1969, 7, 20, 20, 17, 40, 123456, tzinfo=dt.UTC), dt.datetime(2024, 5, 1, tzinfo=dt.UTC)],
        ["moon.landing", "note"],
        ["'; DROP TABLE events; --", "żółw 🐢\x00"],
        ["$1", "?"],
        lat=[0.67408, np.nan],
        lon=[23.47297, np.nan],
        payload=['{"a": "<script>"}', None],
    )
    before = dt.datetime.now(dt.UTC)
    committed = log.commit(given_events)
    stored = log.since(0)
    assert stored.schema.equals(SCHEMA, check_metadata=True)
    assert stored == committed
    assert stored.drop_columns(["seq", "received"]) == given_events.drop_columns(["seq", "received"])
    assert all(before <= received <= dt.datetime.now(dt.UTC) for received in stored["received"].to_pylist())


def test_events_read_back_from_a_log_can_be_appended_again_and_get_new_places(log):
    log.append(batch(3))
    log.append(log.since(1))
    assert log.since(3)["entity"].to_pylist() == ["e1", "e2"]
    assert log.last_seq == 5


def test_since_gives_pages_that_join_to_the_whole(log):
    log.append(batch(10))
    pages = [log.since(seq, limit=4) for seq in (0, 4, 8, 12)]
    assert [page.num_rows for page in pages] == [4, 4, 2, 0]
    assert pa.concat_tables(pages) == log.since(0)
    with pytest.raises(ValueError, match="limit is -1"):
        log.since(0, limit=-1)


def test_as_of_takes_a_seq_or_any_form_of_time(log):
    log.append(batch(10))
    at_4 = dt.datetime.fromtimestamp(1_700_000_004, dt.UTC)
    forms = [at_4, np.datetime64("2023-11-14T22:13:24"), at_4.isoformat(), pd.Timestamp(at_4), 1_700_000_004.0]
    for moment in forms:
        assert log.as_of(moment)["seq"].to_pylist() == [1, 2, 3, 4, 5]
    assert log.as_of(3)["seq"].to_pylist() == log.as_of(np.int64(3))["seq"].to_pylist() == [1, 2, 3]
    with pytest.raises(ValueError, match="'yesterday' is not a time"):
        log.as_of("yesterday")


def test_as_of_sees_a_late_arrival_by_its_own_time(log):
    log.append(batch(2, start_us=T0_US + 60_000_000))
    log.append(batch(1, start_us=T0_US))
    assert log.as_of("2023-11-14T22:13:30Z")["seq"].to_pylist() == [3]


event_rows = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["emitter.fix", "emitter.lost", "alert"]), st.sampled_from("ab")),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=event_rows, start=st.integers(-2, 31), width=st.integers(1, 33), bins=st.integers(1, 9),
       kinds=st.none() | st.sets(st.sampled_from(["emitter.fix", "alert", "x"])),
       sources=st.none() | st.sets(st.sampled_from("ab")))  # fmt: skip
def test_between_and_histogram_agree_with_a_plain_loop(rows, start, width, bins, kinds, sources):
    times, names, origins = zip(*rows, strict=True) if rows else ((), (), ())
    with EventLog(":memory:") as log:
        log.append(event_table(np.array(times, np.int64) * 1_000_000 + T0_US, list(names), list(names), list(origins)))
        first, last = start + 1_700_000_000, start + 1_700_000_000 + width
        inside = [
            seq
            for seq, (t, kind, source) in enumerate(rows, 1)
            if start < t <= start + width
            and (kinds is None or kind in kinds)
            and (sources is None or source in sources)
        ]
        found = log.between(first, last, kinds, sources)
        assert found["seq"].to_pylist() == inside

        counts = [0] * bins
        for t, kind, _ in rows:
            for i in range(bins):
                in_bin = i * width < (t - start) * bins <= (i + 1) * width  # exact: no division
                counts[i] += in_bin and kind.startswith("emitter.")
        assert log.histogram(first, last, bins, "emitter.").tolist() == counts


def test_histogram_needs_a_window(log):
    with pytest.raises(ValueError, match="an end after the start"):
        log.histogram(2.0, 1.0, 10)
    with pytest.raises(ValueError, match="0 bins"):
        log.histogram(1.0, 2.0, 0)


def test_a_bare_name_instead_of_a_list_is_refused(log):
    with pytest.raises(ValueError, match=r"\['alert'\]"):
        log.between(0.0, 1.0, kinds="alert")


def test_bounds_and_last_time_follow_event_time_not_arrival(tmp_path):
    with EventLog(tmp_path / "log.duckdb") as log:
        assert log.bounds() is None
        assert log.last_time() is None
        log.append(batch(3, source="new"))
        log.append(batch(2, start_us=0, source="old"))
    with EventLog(tmp_path / "log.duckdb") as log:
        latest = dt.datetime(2023, 11, 14, 22, 13, 22, tzinfo=dt.UTC)
        assert log.bounds() == (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), latest)
        assert log.last_time() == log.last_time("new") == latest
        assert log.last_time("old") == dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
        assert log.last_time("other") is None


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("time", pa.array([1.5])),
        ("time", pa.array([0]).cast(pa.timestamp("us"))),  # naive: whose clock?
        ("time", pa.array([2**62]).cast(pa.timestamp("us", "UTC"))),
        ("time", pa.nulls(1, pa.timestamp("us", "UTC"))),
        ("kind", pa.array([1])),
        ("entity", pa.nulls(1, pa.string())),
        ("source", pa.array([b"me"])),
        ("lat", pa.array(["47"])),
        ("payload", pa.array([{"a": 1}])),
    ],
)
def test_a_wrong_column_is_named_and_nothing_is_stored(log, column, values):
    wrong = batch(1)
    wrong = wrong.set_column(wrong.column_names.index(column), column, values)
    with pytest.raises(ValueError, match=f"event column '{column}'"):
        log.append(wrong)
    assert log.append(batch(1)) == 1


def test_missing_and_unknown_columns_are_named(log):
    with pytest.raises(ValueError, match="'source' is missing"):
        log.append(batch(1).drop_columns(["source"]))
    with pytest.raises(ValueError, match="'velocity' is unknown"):
        log.append(batch(1).append_column("velocity", pa.array([1.0])))
    with pytest.raises(ValueError, match="not list"):
        log.append([1])


def test_equal_types_in_other_encodings_are_taken(log):
    plain = batch(2)
    columns = {
        "payload": pa.array([None, "{}"], pa.large_string()),
        "kind": pa.array([FIX, FIX]).dictionary_encode(),
        "time": plain["time"].cast(pa.timestamp("ns", "Europe/Zurich")),
        "alt_m": pa.array([1, 2], pa.int32()),
        **{name: plain[name] for name in ("entity", "source", "lat", "lon")},
    }
    log.append(pa.table(columns))
    assert log.since(0)["time"].equals(plain["time"])
    assert log.since(0)["alt_m"].to_pylist() == [1.0, 2.0]


def test_many_threads_append_and_read_and_every_snapshot_is_whole(log):
    problems: list[str] = []
    done = threading.Event()

    def write(source: str) -> None:
        for _ in range(15):
            log.append(batch(20, source=source))

    def read() -> None:
        while not done.is_set():
            seq = log.since(0)["seq"].to_numpy()
            if not np.array_equal(seq, np.arange(1, len(seq) + 1)) or len(seq) % 20:
                problems.append(f"{len(seq)} events, not whole batches in order")

    readers = [threading.Thread(target=read) for _ in range(3)]
    writers = [threading.Thread(target=write, args=(f"w{i}",)) for i in range(4)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert not problems
    assert log.last_seq == 4 * 15 * 20
    counts = log.since(0)["source"].value_counts().to_pylist()
    assert sorted((row["values"], row["counts"]) for row in counts) == [(f"w{i}", 300) for i in range(4)]


def test_the_write_ahead_log_stays_bounded_while_a_reader_is_open(tmp_path):
    with EventLog(tmp_path / "log.duckdb", wal_limit_mib=1) as log, log._cursor() as reader:
        log.append(batch(1000))
        reading = reader.execute("SELECT seq FROM events, range(100000)")  # a result half read
        largest = 0
        for _ in range(60):
            log.append(batch(1000))
            largest = max(largest, sum(file.stat().st_size for file in tmp_path.glob("log.duckdb.wal*")))
        assert reading.fetchone() is not None
    assert largest < 3 * 2**20


def test_a_second_log_on_the_file_is_refused_here_and_in_another_process(tmp_path):
    path = tmp_path / "log.duckdb"
    with EventLog(path):
        with pytest.raises(LogLockedError, match=r"log\.duckdb is already open in this process"):
            EventLog(tmp_path / "." / "log.duckdb")
        other = subprocess.run(
            [sys.executable, "-c", f"from engine.events.log import EventLog; EventLog({str(path)!r})"],
            capture_output=True,
            text=True,
        )
        assert "LogLockedError" in other.stderr
        assert f"{path} is open in another process: stop that process" in other.stderr
    EventLog(path).close()


def test_a_closed_log_says_so(log):
    log.close()
    log.close()
    for use in (lambda: log.append(batch(1)), lambda: log.since(0)):
        with pytest.raises(ValueError, match="is closed"):
            use()


def test_a_log_with_missing_events_is_not_opened_as_if_whole(tmp_path):
    with EventLog(tmp_path / "log.duckdb") as log:
        log.append(batch(5))
    with duckdb.connect(tmp_path / "log.duckdb") as connection:
        connection.execute("DELETE FROM events WHERE seq = 2")
    with pytest.raises(RuntimeError, match="4 events up to seq 5"):
        EventLog(tmp_path / "log.duckdb")


def test_between_finds_real_flights_as_pandas_does(log, real_data):
    raw = pd.read_json(real_data("tracks/switzerland.json.gz"))
    raw = raw.head(40_000)
    stamps = pd.to_datetime(raw["timestamp"], utc=True)
    times = stamps.dt.tz_localize(None).to_numpy()
    payload = [json.dumps({"callsign": str(callsign)}) for callsign in raw["callsign"]]
    for start in range(0, len(raw), 5000):
        rows = slice(start, start + 5000)
        log.append(
            event_table(times[rows], FIX, raw["icao24"].astype(str).tolist()[rows], "opensky",
                        lat=raw["latitude"].to_numpy()[rows], lon=raw["longitude"].to_numpy()[rows],
                        payload=payload[rows])
        )  # fmt: skip
    start, end = stamps.quantile(0.4), stamps.quantile(0.5)
    found = log.between(start, end)
    expected = raw[(stamps > start) & (stamps <= end)]
    assert found["entity"].to_pylist() == expected["icao24"].tolist()
    np.testing.assert_array_equal(found["lat"].to_numpy(), expected["latitude"])
    assert pc.sum(pa.array(log.histogram(start, end, 37))).as_py() == len(expected)
