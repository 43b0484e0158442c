"""An artifact is there whole or not at all; what is wrong with one is said, and stops nothing."""

import json
import math
import os
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from engine.runs import (
    Cancelled,
    read_artifact,
    read_checkpoint,
    run_id,
    simulate,
    simulate_batch,
    validate,
    write_artifact,
    write_checkpoint,
    write_provenance,
)
from engine.runs.artifact import ArtifactMissing, ArtifactUnreadable, artifact_name
from engine.runs.validator import METRICS
from tests.runs.killing import killing

SMALL = {"N_grid": 16, "T_steps": 4}


@pytest.fixture(scope="module")
def run():
    return simulate({**SMALL, "history_every": 2})


@pytest.fixture
def path(run, tmp_path):
    return write_artifact(run, tmp_path)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_an_artifact_holds_the_arrays_the_parameters_and_the_code_version_and_no_metric(run, path):
    assert path.name == f"rho_history_{run.attrs['run_id']}.h5"
    with h5py.File(path) as file:  # with the library alone
        assert set(file) == {"final_rho", "final_g_tt", "rho_s", "rho_history", "x", "y", "t"}
        for name in ("final_rho", "final_g_tt", "rho_s", "rho_history"):
            np.testing.assert_array_equal(file[name][...], run[name].values)
        assert json.loads(file.attrs["params"])["N_grid"] == 16
        assert file.attrs["code_version"].decode().count("+solver.") == 1
        assert not set(file.attrs) & set(METRICS)


def test_what_was_written_is_read_back(run, path):
    read = read_artifact(path)
    for name in read.data_vars:
        np.testing.assert_array_equal(read[name].values, run[name].values)
        assert read[name].dims == run[name].dims
    for name in ("params", "run_id", "t", "smallest_dt"):
        assert read.attrs[name] == run.attrs[name]


def test_the_same_run_gives_the_same_bytes_at_another_time_in_another_process(run, path, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    code = (
        "import sys; from engine.runs import simulate, write_artifact;"
        "write_artifact(simulate({'N_grid': 16, 'T_steps': 4, 'history_every': 2}), sys.argv[1])"
    )
    time.sleep(1.1)  # times in HDF5 are whole seconds
    subprocess.run([sys.executable, "-c", code, str(other)], check=True)
    assert (other / path.name).read_bytes() == path.read_bytes()


def test_large_grids_are_stored_in_chunks(tmp_path):
    run = simulate({"N_grid": 300, "T_steps": 0, "precision": "single"})
    with h5py.File(write_artifact(run, tmp_path)) as file:
        assert file["final_rho"].chunks == (256, 256) and file["final_rho"].dtype == np.float32
    np.testing.assert_array_equal(read_artifact(next(tmp_path.glob("*.h5"))).rho_s.values, run.rho_s.values)


def test_a_run_without_an_identity_has_no_artifact(tmp_path):
    with pytest.raises(ValueError, match="has no id"):
        write_artifact(simulate(SMALL, psi0=np.ones((16, 16))), tmp_path)


def test_an_artifact_that_cannot_be_written_leaves_nothing_behind(run, tmp_path):
    broken = run.assign_attrs(t="not a number")
    with pytest.raises(ValueError, match="could not convert"):
        write_artifact(broken, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="No such file"):
        write_artifact(run, tmp_path / "nowhere")


WRITER = """
from engine.runs import simulate, write_artifact

run = simulate({"N_grid": 256, "T_steps": 0, "history_every": 1})

def work():
    say("writing")
    while True:
        write_artifact(run, sys.argv[1])
"""


def test_a_writer_that_is_killed_leaves_a_whole_artifact_or_none(tmp_path):
    with killing(WRITER, str(tmp_path)) as kill:
        for most_s in (0.0, 0.01, 0.03, 0.1, 0.1):
            kill.after(most_s)
            found = list(tmp_path.glob("rho_history_*.h5"))
            assert [validate(path, draws=1)["status"] for path in found] == ["ok"] * len(found)
            # A hidden rest may be there; no pattern for artifacts finds it.
            assert all(name.name.startswith(".") for name in tmp_path.iterdir() if name not in found)


def test_a_reader_does_not_hinder_a_writer(run, path):
    with h5py.File(path):
        assert write_artifact(run, path.parent) == path
    assert read_artifact(path).final_rho.equals(run.final_rho)


# -- validating --------------------------------------------------------------------------------------------------------


def sentinels(report: dict) -> set[float]:
    return set(report["metrics"].values())


def unreadable(path) -> str:
    """The reason why an artifact cannot be measured; it must have one, and every metric must be 998."""
    report = validate(path, draws=3)
    assert report["status"] == "unreadable" and sentinels(report) == {998.0} and report["reason"]
    json.dumps(report, allow_nan=False)
    return report["reason"]


def test_every_metric_is_computed_again_from_the_arrays(path):
    report = validate(path, draws=19)
    assert (report["status"], report["reason"]) == ("ok", "")
    assert set(report["metrics"]) == set(METRICS)
    assert report["run_id"] == run_id(report["params"])
    with h5py.File(path) as file:
        g_tt, rho_s = file["final_g_tt"][...], file["rho_s"][...]
    assert report["metrics"]["geometric_residual"] == pytest.approx(np.linalg.norm(g_tt + 1.0 / rho_s), abs=1e-15)
    assert report["metrics"]["flat_deviation"] == pytest.approx(math.sqrt(((g_tt + 1) ** 2).mean()))
    assert len(report["nulls"]["phase_scramble"]) == len(report["nulls"]["target_shuffle"]) == 19
    assert validate(path, draws=19) == report


def test_metrics_stored_in_an_artifact_are_not_believed(path):
    before = validate(path, draws=3)
    with h5py.File(path, "a") as file:
        file.attrs["log_prime_sse"] = 0.0
        file["metrics"] = np.zeros(3)
    assert validate(path, draws=3) == before


def test_arrays_that_do_not_belong_together_show_in_the_residual(path):
    with h5py.File(path, "a") as file:
        file["final_g_tt"][3, 5] += 0.25
    assert validate(path, draws=3)["metrics"]["geometric_residual"] == pytest.approx(0.25)


def test_a_missing_artifact_gives_999_and_says_so(tmp_path):
    report = validate(tmp_path / "rho_history_none.h5")
    assert report["status"] == "missing" and sentinels(report) == {999.0}
    assert report["reason"] == "there is no file rho_history_none.h5"
    with pytest.raises(ArtifactMissing):
        read_artifact(tmp_path / "rho_history_none.h5")


def test_a_folder_an_empty_file_and_a_file_of_something_else_are_unreadable(tmp_path):
    (tmp_path / "empty.h5").touch()
    (tmp_path / "text.h5").write_text("kappa,sigma\n1,2\n")
    assert "no file" in unreadable(tmp_path)
    for name in ("empty.h5", "text.h5"):
        assert name in unreadable(tmp_path / name)


@pytest.fixture
def nobody():
    """The rights of an ordinary user, for root may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_file_without_permission_is_unreadable(path, nobody):
    assert "ermission" in unreadable(path)


def test_an_artifact_cut_off_anywhere_is_unreadable(path):
    whole = path.read_bytes()
    for size in {*range(0, len(whole), 97), len(whole) - 1}:
        path.write_bytes(whole[:size])
        unreadable(path)


def test_a_flipped_byte_anywhere_is_noticed_or_changes_nothing(path):
    whole = path.read_bytes()
    before = validate(path, draws=3)
    rng = np.random.default_rng(0)
    noticed = 0
    places = rng.choice(len(whole), 400, replace=False)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        report = validate(path, draws=3)
        noticed += report["status"] == "unreadable"
        assert report["status"] == "unreadable" or report == before, f"byte {place}"
    assert noticed > len(places) / 2  # the others lie in room that HDF5 does not use


def damage(name):
    """Ways in which an artifact can be whole HDF5 and no artifact."""

    def spoil(file):
        n = file["final_rho"].shape[0]
        match name:
            case "another format":
                file.attrs["format"] = np.bytes_(b"rho_history 9")
            case "no parameters":
                del file.attrs["params"]
            case "parameters that are none":
                file.attrs["params"] = np.bytes_(b'{"kapa": 1}')
            case "parameters that are no JSON":
                file.attrs["params"] = np.bytes_(b"{kappa")
            case "parameters of another run":
                file.attrs["params"] = np.bytes_(file.attrs["params"].replace(b'"seed":0', b'"seed":1'))
            case "text of variable length":
                file.attrs["code_version"] = "a str"
            case "text that is a number":
                file.attrs["code_version"] = 1.0
            case "a time that is none":
                file.attrs["t"] = np.nan
            case "no dataset":
                del file["rho_s"]
            case "a group instead":
                del file["rho_s"]
                file.create_group("rho_s")
            case "a link to nowhere":
                del file["rho_s"]
                file["rho_s"] = h5py.ExternalLink("elsewhere.h5", "/rho_s")
            case "another shape":
                del file["rho_s"]
                file["rho_s"] = np.ones((n, n + 1))
            case "a shape beyond all memory":
                del file["rho_s"]
                file.create_dataset("rho_s", (2**40, 2**20), "f8", chunks=(64, 64), fletcher32=True)
            case "another type":
                del file["rho_s"]
                file["rho_s"] = np.ones((n, n), "S3")
            case "no checksums":
                del file["rho_s"]
                file["rho_s"] = np.ones((n, n))
            case "chunks that were never written":
                del file["rho_s"]
                file.create_dataset("rho_s", (n, n), "f8", chunks=(8, 8), fletcher32=True)[:8] = 1.0
            case "cells that are not finite":
                file["final_rho"][2, 3] = np.nan
                file["final_rho"][4, 5] = np.inf
            case "a density of nothing":
                file["rho_s"][1, 1] = 0.0
            case "a negative density":
                file["final_rho"][1, 1:3] = -1.0

    return spoil


DAMAGES = {
    "another format": "must be 'rho_history 1'",
    "no parameters": "no attribute 'params'",
    "parameters that are none": "did you mean 'kappa'",
    "parameters that are no JSON": "does not hold parameters",
    "parameters of another run": "its parameters have the id",
    "text of variable length": "fixed length",
    "text that is a number": "must be text",
    "a time that is none": "must be finite",
    "no dataset": "no dataset 'rho_s'",
    "a group instead": "no dataset 'rho_s'",
    "a link to nowhere": "rho_s",
    "another shape": "rho_s is float64 of shape (16, 17)",
    "a shape beyond all memory": "rho_s is float64 of shape",
    "another type": "rho_s is |S3",
    "no checksums": "without checksums",
    "chunks that were never written": "rho_s has 2 of 4 chunks",
    "cells that are not finite": "final_rho has 2 values that are not finite",
    "a density of nothing": "rho_s is no density: it has 1 cells that are not above 0",
    "a negative density": "final_rho is no density: it has 2 cells that are below 0",
}


def test_a_metric_that_cannot_be_told_is_unreadable(tmp_path):
    """An exponent of 20 on a density of almost nothing is beyond a double."""
    path = write_artifact(simulate({**SMALL, "alpha": 20.0}), tmp_path)
    with h5py.File(path, "a") as file:
        file["rho_s"][1, 1] = 1e-300
    assert unreadable(path) == "not finite: geometric_residual"


@pytest.mark.parametrize(("name", "said"), DAMAGES.items())
def test_an_artifact_with_something_wrong_is_unreadable_and_says_what(name, said, path):
    with h5py.File(path, "a") as file:
        damage(name)(file)
    assert said in unreadable(path)


def test_an_artifact_under_the_name_of_another_run_is_unreadable_and_under_a_free_name_is_not(path, tmp_path):
    copy = tmp_path / "a copy of mine.h5"
    copy.write_bytes(path.read_bytes())
    assert validate(copy, draws=3)["status"] == "ok"
    assert "named for another run" in unreadable(path.rename(tmp_path / artifact_name("0" * 40)))


FOREIGN = (
    "100B_max_dimension_size.hdf5", "bigendian.h5", "blosc.h5", "compound_datasets_latest.hdf5", "mesh.h5",
    "openpmd_example-femm-3d.h5", "test_file_ext.hdf5", "test_missing_filter.hdf5bad", "test_userblock_latest.hdf5",
    "vlen_string_dset.h5", "zfp_054.h5",
)  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_others_are_unreadable_and_say_why(name, real_data):
    assert "format" in unreadable(real_data(f"hdf5/{name}")) or name.endswith("bad")


# -- provenance and checkpoints ----------------------------------------------------------------------------------------


def test_provenance_is_json_beside_the_artifact_and_says_where_each_number_came_from(path):
    report = validate(path, draws=3)
    written = write_provenance(report, path.parent)
    assert written.name == f"provenance_{report['run_id']}.json"
    assert json.loads(written.read_text()) == report
    assert {path.name for path in path.parent.iterdir()} == {path.name, written.name}


def test_provenance_of_what_is_missing_is_written_too(tmp_path):
    written = write_provenance(validate(tmp_path / "gone.h5"), tmp_path)
    assert json.loads(written.read_text())["metrics"]["log_prime_sse"] == 999.0


@pytest.mark.parametrize("extra", [{}, {"history_every": 1, "precision": "single"}])
def test_a_run_goes_on_from_its_checkpoint_in_a_file(extra, tmp_path):
    params = {**SMALL, "T_steps": 10, **extra}
    with pytest.raises(Cancelled) as stopped:
        simulate(params, lambda here: here.step < 4)
    path = write_checkpoint(stopped.value.checkpoint, tmp_path)
    assert path.name == f"checkpoint_{run_id(params)}.h5"
    assert simulate(params, resume=read_checkpoint(path)).identical(simulate(params))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactUnreadable):
        read_checkpoint(path)
    with pytest.raises(ArtifactMissing):
        read_checkpoint(tmp_path / "none.h5")


def test_a_batch_of_runs_becomes_artifacts_that_all_validate(tmp_path):
    for run in simulate_batch([{**SMALL, "seed": seed} for seed in range(5)]):
        write_artifact(run, tmp_path)
    reports = [validate(path, draws=3) for path in tmp_path.glob("rho_history_*.h5")]
    assert [report["status"] for report in reports] == ["ok"] * 5
    assert len({report["metrics"]["flat_deviation"] for report in reports}) == 5
