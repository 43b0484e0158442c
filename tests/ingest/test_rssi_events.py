"""Measurements of received power become events: every record taken over or refused by reason, whatever the file."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events.queue import BoundedQueue
from engine.events.schema import MEASUREMENT
from engine.ingest import REASONS, file_kind, iter_rssi, read_campaign, read_rssi
from engine.ingest.rejects import Rejects
from engine.upload import ingest_file

GOOD = "2022-04-25T14:00:00Z,40.76,-111.84,-71.5,roof,40.77,-111.85,van\n"
HEADER = "Time,latitude,LON,RSSI_dBm,rx,rx_lat,rx_lon,tx,comment\n".replace(",comment", "")


def test_a_report_keeps_time_place_power_and_both_ends() -> None:
    events, rejects = read_rssi(gzip.compress((HEADER + GOOD).encode()), "walk")
    event = events.to_pylist()[0]
    assert (event["kind"], event["entity"], event["source"]) == (MEASUREMENT, "roof", "walk")
    assert (event["lat"], event["lon"], event["time"].isoformat()) == (40.76, -111.84, "2022-04-25T14:00:00+00:00")
    assert json.loads(event["payload"]) == {
        "campaign": "walk", "transmitter": "van", "receiver": "roof", "session": "2022-04-25", "rssi_db": -71.5,
        "fixed_lat": 40.77, "fixed_lon": -111.85,
    }  # fmt: skip
    assert (rejects.records, rejects.total) == (1, 0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2,3\n", "not_a_record"),
        (GOOD.replace("roof", ""), "missing_id"),
        (GOOD.replace("roof", "r" * 65), "text_too_long"),
        (GOOD.replace("40.76", "north"), "missing_position"),
        (GOOD.replace("40.76", "91"), "lat_out_of_range"),
        (GOOD.replace("-111.84", "181"), "lon_out_of_range"),
        (GOOD.replace("40.76", "0").replace("-111.84", "0"), "null_island"),
        (GOOD.replace("40.77", ""), "both_ends_move"),
        (GOOD.replace("-71.5", ""), "missing_power"),
        (GOOD.replace("-71.5", "inf"), "missing_power"),
        (GOOD.replace("-71.5", "-300"), "power_out_of_range"),
        (GOOD.replace("2022-04-25T14:00:00Z", "soon"), "bad_time"),
        (GOOD.replace("2022", "1969"), "bad_time"),
    ],
)
def test_what_is_no_measurement_is_left_out_by_reason(row: str, reason: str) -> None:
    events, rejects = read_rssi((HEADER + GOOD + row).encode(), "walk")
    assert (events.num_rows, rejects.records, rejects.counts) == (1, 2, {reason: 1})
    assert rejects.examples[reason].startswith("record 2")


def test_a_fixed_transmitter_is_the_end_that_stays() -> None:
    text = (
        "time,lat,lon,rssi,transmitter,transmitter_lat,transmitter_lon\n2022-04-25,40.76,-111.84,-71,mast,40.8,-111.9\n"
    )
    payload = json.loads(read_rssi(text.encode(), "drive")[0]["payload"][0].as_py())
    assert (payload["transmitter"], payload["fixed_lat"], payload["fixed_lon"]) == ("mast", 40.8, -111.9)


def test_kinds_of_files_are_told_apart() -> None:
    assert file_kind((HEADER + GOOD).encode()) == "rssi"
    assert file_kind(gzip.compress((HEADER + GOOD).encode())) == "rssi"
    assert file_kind(b"id,time,lat,lon,rssi\n1,2,3,4,5\n") == "tracks"  # an emitter that was heard
    assert file_kind(b'{"event_type": "dns"}') == "eve"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(st.text(max_size=7), min_size=7, max_size=9), max_size=5), st.binary(max_size=5))
def test_no_table_crashes_the_reader_and_every_record_is_accounted_for(rows: list[list[str]], noise: bytes) -> None:
    text = HEADER.encode() + "".join(",".join(row) + "\n" for row in rows).encode("utf-8", "replace") + noise
    events, rejects = read_rssi(text, "any")
    assert events.num_rows + rejects.total == rejects.records and set(rejects.counts) <= set(REASONS)


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return out.getvalue()


def test_the_campaign_as_it_was_published_is_handed_in_as_a_zip(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    table, places = real_data("rssi/single_tx.csv"), real_data("rssi/location_coordinates.json")
    whole = table.read_bytes().splitlines(keepends=True)
    some = b"".join(whole[:301])
    queue = BoundedQueue(200_000)
    result = ingest_file(zipped(single_csv=some, places_json=places.read_bytes()), "powder.zip", queue)
    assert (result.kind, result.state) == ("rssi", "finished")
    assert result.records == 300 * 40 == result.committed + sum(result.rejected.values())
    events = queue.get()
    (tmp_path / "some.csv").write_bytes(some)
    want, _ = read_campaign(tmp_path / "some.csv", places)
    assert result.events == len(want) == events.num_rows
    powers = [json.loads(text)["rssi_db"] for text in events["payload"].to_pylist()]
    np.testing.assert_allclose(sorted(powers), sorted(want["rssi_db"]))
    with pytest.raises(ValueError, match=r"one \.zip with this table and location_coordinates\.json"):
        ingest_file(some, "single_tx.csv", queue)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (zipped(a_csv=b"x"), r"0 \.json files"),
        (zipped(a_csv=b"x", b_csv=b"y", c_json=b"{}"), r"2 \.csv files"),
        (zipped(a_csv=b"x,y\n1,2\n", c_json=b"{}"), "lacks the columns"),
        (b"PK\x03\x04 and nothing more", r"the \.zip cannot be read"),
        (b"time,lat,lon\n", "rssi_db"),
    ],
)
def test_files_without_measurements_are_named(content: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        list(iter_rssi(content, source="x", rejects=Rejects()))
