"""Real traffic for the tests of the running engine."""

import gzip
import json

import pandas as pd
import pytest


@pytest.fixture(scope="module")
def traffic(real_data, tmp_path_factory):
    """One real hour as a file of one's own; aircraft report every 10 s, here not all in the same second."""
    records = json.loads(gzip.decompress(real_data("tracks/switzerland.json.gz").read_bytes()))
    start = pd.Timestamp("2018-08-01T09:00Z").value // 1_000_000
    hour = [record for record in records if start <= record["timestamp"] < start + 3_600_000]
    shift = {name: 370 * i % 10_000 for i, name in enumerate(sorted({record["icao24"] for record in hour}))}
    for record in hour:
        record["timestamp"] += shift[record["icao24"]]
    path = tmp_path_factory.mktemp("traffic") / "hour.json"
    path.write_text(json.dumps(hour))
    return path
