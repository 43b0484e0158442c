"""What is played: the recording where it can be had, where not an invented picture that says so, or one's own file."""

import json

import pandas as pd
import pyarrow as pa
import pytest

from data.synthetic import air_picture, write_json
from engine.config import Settings
from engine.events.log import EventLog
from engine.events.queue import BoundedQueue
from engine.events.schema import SCHEMA
from engine.feeds import NETWORK_SAMPLE, SAMPLE, open_feed

BACKFILL_S = 600.0


@pytest.fixture
def log():
    with EventLog(":memory:") as log:
        yield log


def played(feed, least=50):
    """The first events that a feed brings."""
    queue = BoundedQueue(50_000)
    feed.source.start(queue)
    try:
        parts, n = [], 0
        while n < least:
            part = queue.get(timeout_s=60.0)
            assert part is not None, feed.source.stats()
            parts.append(part.to_pandas())
            n += part.num_rows
    finally:
        feed.source.stop()
    return pd.concat(parts, ignore_index=True)


def payload(events, name):
    return [json.loads(text).get(name) for text in events["payload"]]


@pytest.fixture
def without_data(monkeypatch, tmp_path):
    """No data beside the project, none in the cache, and no way to the network."""
    monkeypatch.setenv("SCYTHE_SHARED_DATA", str(tmp_path / "shared"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip at once finds nothing, with or without a network
    return tmp_path


def assert_invented(feed):
    assert feed.synthetic and "SYNTHETIC" in feed.label
    events = played(feed)
    assert all(mark is True for mark in payload(events, "synthetic"))
    assert events["entity"].str.startswith("syn").all()


def test_the_recorded_sample_says_that_it_is_recorded(real_data, log):
    for name in (SAMPLE, NETWORK_SAMPLE):
        real_data(name)
    feed = open_feed(Settings(backfill_s=BACKFILL_S), log)
    assert not feed.synthetic and "Recorded" in feed.label and "SYNTHETIC" not in feed.label
    events = played(feed)
    age = pd.Timestamp.now("UTC") - events["time"]
    assert age.between(pd.Timedelta(0), pd.Timedelta(seconds=BACKFILL_S + 60)).all()
    recorded = pd.to_datetime(pd.Series(payload(events, "recorded_at")), utc=True)
    assert recorded.between("2018-08-01T09:00Z", "2018-08-01T13:00Z").all()
    assert not any(payload(events, "synthetic"))


def test_without_data_an_invented_picture_takes_its_place_and_says_so(without_data, log):
    assert_invented(open_feed(Settings(backfill_s=BACKFILL_S), log))


def test_a_damaged_sample_is_not_played(without_data, log):
    path = without_data / "shared" / SAMPLE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is not the registered file")
    assert_invented(open_feed(Settings(backfill_s=BACKFILL_S), log))


def test_what_cannot_be_read_as_a_file_is_not_played(without_data, log):
    (without_data / "shared" / SAMPLE).mkdir(parents=True)
    assert_invented(open_feed(Settings(backfill_s=BACKFILL_S), log))


def test_an_invented_picture_can_be_asked_for(log):
    assert_invented(open_feed(Settings(feed="synthetic", backfill_s=BACKFILL_S), log))


def test_no_feed_is_no_source(log):
    feed = open_feed(Settings(feed="none"), log)
    assert feed.source is None and not feed.synthetic and feed.label


def test_a_file_of_ones_own_is_played_under_its_name(tmp_path, log):
    path = write_json(air_picture(seed=3, n=5, duration_s=300.0), tmp_path / "my flights.json")
    feed = open_feed(Settings(feed=str(path), backfill_s=BACKFILL_S), log)
    assert "my flights.json" in feed.label
    assert set(played(feed)["source"]) == {"my flights"}


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path, log):
    missing = str(tmp_path / "missing.csv")
    with pytest.raises(FileNotFoundError, match=r"FEED is .*missing\.csv.*no such file.*sample, synthetic, none"):
        open_feed(Settings(feed=missing), log)
    with pytest.raises(FileNotFoundError, match="FEED is"):
        open_feed(Settings(feed=str(tmp_path)), log)


def test_a_file_that_holds_no_tracks_is_refused_by_name(tmp_path, log):
    path = tmp_path / "poem.csv"
    path.write_text("roses are red\nviolets are blue\n")
    with pytest.raises(ValueError, match=r"FEED is .*poem\.csv.*no usable"):
        open_feed(Settings(feed=str(path)), log)


def test_what_is_in_the_log_already_is_not_played_again(tmp_path, log):
    path = write_json(air_picture(seed=3, n=20, duration_s=600.0, step_s=1.0), tmp_path / "tracks.json")
    settings = Settings(feed=str(path), backfill_s=60.0)
    log.append(pa.Table.from_pandas(played(open_feed(settings, log), least=500), schema=SCHEMA, preserve_index=False))
    ended = pd.Timestamp(log.last_time("tracks"))
    again = played(open_feed(settings, log), least=1)
    assert (again["time"] > ended).all()
