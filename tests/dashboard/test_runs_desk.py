"""The desk: one hunt for all who look, runs listed wherever they come from, files noted as they come and go."""

from __future__ import annotations

import threading
import time

import pyarrow.compute as pc
import pytest

from dashboard.components.runs_state import RunsState
from dashboard.components.runs_view import RunsView
from engine.hunts import HuntDesk, hunts_of
from engine.runs import run_id, simulate, validate, write_artifact, write_provenance
from engine.station import Station

TINY = {"N_grid": 8, "T_steps": 2}


def until(condition, what, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = HuntDesk(tmp_path_factory.mktemp("runs"))
    desk.start(sampler="random", budget=6, workers=1, params=TINY, draws=3, population=3, seeds_per_candidate=1)
    until(lambda: (s := desk.status()) is not None and s.state == "finished", "the hunt to end")
    until(lambda: desk.table().num_rows == 6 and set(desk.table()["state"].to_pylist()) == {"done"}, "all rows")
    yield desk
    desk.stop()


def state_of(desk, run):
    table = desk.table()
    at = pc.index(table["run_id"], run).as_py()
    return None if at < 0 else table["state"][at].as_py()


def test_everyone_who_watches_is_rung_and_sees_the_same_table(desk):
    rung = [threading.Event(), threading.Event()]
    leave = [desk.watch(event.set) for event in rung]
    desk.revalidate(desk.table()["run_id"][0].as_py())
    assert all(event.wait(60.0) for event in rung)
    assert desk.table() is desk.table(), "one table for all"
    for each in leave:
        each()
    assert not desk._rings


def test_an_artifact_that_no_hunt_made_is_listed_with_its_provenance(desk):
    params = {**TINY, "seed": 77, "kappa": 0.25}
    path = write_artifact(simulate(params), desk.folder)
    until(lambda: state_of(desk, run_id(params)) == "found", "the foreign artifact")
    report = validate(path, draws=3)
    write_provenance(report, desk.folder)

    def row():
        table = desk.table()
        return table.slice(pc.index(table["run_id"], run_id(params)).as_py(), 1).to_pylist()[0]

    until(lambda: row()["flat_deviation"] is not None, "its metrics")
    assert row()["kappa"] == 0.25 and row()["flat_deviation"] == report["metrics"]["flat_deviation"]
    path.unlink()
    until(lambda: state_of(desk, run_id(params)) is None, "it to be gone from the list")


def test_a_file_that_goes_or_breaks_is_noted_and_its_numbers_are_no_numbers(desk):
    run = desk.table()["run_id"][0].as_py()
    path = desk.grids.path(run)
    whole = path.read_bytes()
    path.unlink()
    until(lambda: state_of(desk, run) == "missing", "the missing file")
    row = desk.table().to_pylist()[0]
    assert row["fitness"] is None and row["log_prime_sse"] is None, "sentinels are no values"
    path.write_bytes(whole)
    until(lambda: state_of(desk, run) == "done", "the file that is back")


def test_measuring_again_gives_the_stored_numbers(desk):
    row = desk.table().to_pylist()[2]
    desk.revalidate(row["run_id"])
    until(lambda: desk.report(row["run_id"]) is not None, "the report")
    assert desk.checking_s(row["run_id"]) is None
    again = desk.report(row["run_id"])["metrics"]
    assert {n: again[n] for n in ("log_prime_sse", "flat_deviation")} == {
        n: row[n] for n in ("log_prime_sse", "flat_deviation")
    }


def test_settings_that_make_no_sense_are_refused_and_nothing_starts(desk):
    before = len(desk.hunts)
    for settings in ({"sampler": "guess"}, {"budget": 0}, {"space": {"kappa": (1.0, 0.0)}}, {"params": {"nope": 1}}):
        with pytest.raises(ValueError):
            desk.start(**settings)
    assert len(desk.hunts) == before and not desk.busy


def test_another_process_can_look_on_but_not_hunt(desk, tmp_path):
    import subprocess
    import sys

    desk.ledger.publish()
    code = (
        "import sys; from engine.hunts import HuntDesk\n"
        "desk = HuntDesk(sys.argv[1])\nprint(desk.table().num_rows, desk.writable)\n"
        "try:\n    desk.start(budget=1)\nexcept RuntimeError as error:\n    print(error)\n"
        "desk.stop()\n"
    )
    said = subprocess.run([sys.executable, "-c", code, str(desk.folder)], capture_output=True, text=True, timeout=120)
    assert said.stdout.startswith("6 False") and "another process hunts" in said.stdout, said.stderr


@pytest.fixture
def station(desk):
    """A running station without a feed, whose runs are those of the desk."""
    with Station(data_dir=":memory:", feed="none") as station:
        station._desks[hunts_of] = desk
        yield station


def test_the_view_lists_opens_compares_and_looks_back(desk, station):
    view = RunsView(station, RunsState(order="-fitness"))
    view.pull()
    assert view.picture()["kind"] == "ok" and len(view.table.rows) == 6
    view._acted({"do": "step", "by": 1})
    first = view.state.selected
    assert first == view.table.rows[0][0]
    view._acted({"do": "mark"})
    view._acted({"do": "step", "by": 1})
    view.state.look = "run"
    until(lambda: view.open.grid is not None or view.pull(), "the grids")
    view.pull()
    assert view.picture()["kind"] == "ok" and view.state.others == [first]
    for compare in ("side", "difference", "flicker"):
        view.state.compare = compare
        assert len(view.open._slots) == {"side": 2, "difference": 3, "flicker": 2}[compare]
    view.state.cut = (3, 4)
    assert view.open.sections.view.visible
    view.state.look = "scatter"
    view.seek(1000.0)
    assert view.picture()["kind"] == "empty" and "had ended by then" in view.picture()["title"]
    view.close()
    assert not desk._rings
