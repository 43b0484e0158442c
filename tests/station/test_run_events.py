"""What happens in the folder of runs becomes events of the log, and no monitor takes it for traffic."""

import time

from engine.monitors.runner import PASSIVE
from engine.runs import simulate, write_artifact
from engine.runs.events import KINDS, event_kind
from engine.station import Station

PATIENCE_S = 60.0


def test_a_file_that_appears_is_told_in_the_log_and_on_the_bus(tmp_path):
    with Station(tmp_path, feed="none") as station:
        folder = station.hunts.folder
        path = write_artifact(simulate({"N_grid": 16, "T_steps": 2}), folder)
        end = time.monotonic() + PATIENCE_S
        seen = []
        while not seen and time.monotonic() < end:
            seen = [e for e in station.log.since(0).to_pylist() if e["kind"] == "artifact.seen"]
            time.sleep(0.05)
        assert [e["source"] for e in seen] == ["runs"]
        assert seen[0]["entity"] in path.name


def test_no_event_of_runs_is_activity_of_a_cluster():
    assert {event_kind(kind) for kind in KINDS} <= set(PASSIVE)
    assert all("_" not in event_kind(kind) for kind in KINDS)
