"""Hunts: the same seed gives the same hunt, whoever is killed meanwhile; what fails is recorded and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.runs import Hunt, HuntStatus, Ledger, LedgerLockedError, audit, open_ledger, read_artifact, run_id, simulate
from engine.runs.hunt_settings import FAILED_FITNESS, HuntSettings, fitness
from tests.benchmarks.hunt_survival import DRAWS, PARAMS, command, outcome, survivors, under_fire, undisturbed

pytestmark = pytest.mark.slow

TINY: dict[str, Any] = {"params": PARAMS, "draws": DRAWS}
# One run of some seconds, in small steps, so that it is under way when something happens to its worker.
LONG = {"N_grid": 64, "T_steps": 20_000}


def until(condition: Callable[[], Any], within_s: float = 120.0) -> Any:
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
    return found


def test_ledger_and_artifacts_are_the_same_for_any_number_of_workers_and_through_kills(tmp_path: Path) -> None:
    calm, fire = tmp_path / "calm", tmp_path / "fire"
    undisturbed(calm, runs=40, workers=3)
    count = under_fire(fire, runs=40, kills=1, chance=random.Random(4))
    rows, files = outcome(calm)
    assert (rows, files) == outcome(fire)
    assert (count["hunts killed"], count["orphans"]) == (1, 0)
    assert len(rows) == len(files) / 2 == 40
    # Each run is what its parameters give in this process, too.
    for row in rows[::13]:
        stored, here = read_artifact(calm / row["artifact"]), simulate(json.loads(row["params"]))
        assert row["run_id"] == run_id(json.loads(row["params"]))
        assert all(np.array_equal(stored[name], here[name]) for name in ("final_rho", "final_g_tt", "rho_s"))
    # Candidates of a generation share its seeds, and later generations run the best one so far again.
    assert {row["seed"] for row in rows if row["generation"] == 0} == set(HuntSettings(seed=7).run_seeds(0))
    first = [row for row in rows if row["generation"] == 0]
    means = {n: np.mean([row["fitness"] for row in first if row["candidate"] == n]) for n in range(8)}
    again = {row["candidate"] for row in rows if row["generation"] == 1} - set(range(8, 16))
    assert again == {max(means, key=lambda n: means[n])}


def test_a_run_that_diverges_hangs_or_loses_its_worker_is_a_failed_run_and_the_hunt_goes_on(tmp_path: Path) -> None:
    with Hunt(tmp_path / "a", sampler="random", space={"kappa": (4.0, 6.0)}, params={**PARAMS, "start_rms": 10.0,
              "T_steps": 500}, budget=2, seeds_per_candidate=1, population=2, workers=1, draws=1) as hunt:  # fmt: skip
        hunt.start()
        status = hunt.wait(240.0)
        rows = hunt.ledger.runs().to_pylist()
    assert (status.state, status.failed, status.best_fitness) == ("finished", 2, None)
    assert all(row["reason"].startswith("Diverged") and row["fitness"] is None for row in rows)
    assert all(row["log_prime_sse"] == 999.0 and row["attempts"] == 1 for row in rows)

    heard: list[dict[str, Any]] = []
    with Hunt(tmp_path / "b", budget=1, workers=1, retries=1, timeout_s=5.0, params=LONG, draws=1, sink=heard.append,
              ) as hunt:  # fmt: skip
        hunt.start()
        until(lambda: hunt.status().running == 1)
        pids = hunt.worker_pids
        os.kill(pids[0], signal.SIGSTOP)  # it answers nothing, like one that hangs
        until(lambda: hunt.ledger.runs()["attempts"][0].as_py() == 2)
        pids += hunt.worker_pids
        os.kill(pids[-1], signal.SIGKILL)
        status = hunt.wait(240.0)
        failed = hunt.ledger.runs().to_pylist()[0]
    assert (status.state, status.failed, hunt.worker_pids, survivors(pids)) == ("finished", 1, [], 0)
    assert failed["attempts"] == 2 and failed["flat_deviation"] == 999.0
    assert failed["reason"].startswith(
        "tried 2 times: its worker was killed by SIGKILL (no answer for 5 s); its worker"
    )
    assert [event["kind"] for event in heard] == [
        "hunt_started", "run_started", "run_started", "run_failed", "generation_finished", "hunt_finished"
    ]  # fmt: skip


def test_pause_resume_and_cancel(tmp_path: Path) -> None:
    with Hunt(tmp_path, budget=30, workers=2, **TINY) as hunt:
        assert hunt.status().state == "new"
        hunt.start()
        with pytest.raises(RuntimeError, match="at work already"):
            hunt.start()
        with pytest.raises(LedgerLockedError, match="a hunt is at work"), hunt.ledger.hunting():
            pass
        until(lambda: hunt.status().done >= 3)
        hunt.pause()
        paused = until(lambda: (status := hunt.status()).state == "paused" and status)
        assert paused.running == 0 and 3 <= paused.done < 30 and paused.done + paused.queued == 30
        time.sleep(0.3)
        assert hunt.status().done == paused.done
        hunt.resume()
        until(lambda: hunt.status().done > paused.done)
        pids = hunt.worker_pids
        hunt.cancel()
        status = hunt.status()
        assert (status.state, status.running, status.workers) == ("cancelled", 0, 0)
        assert survivors(pids, 60.0) == 0
        assert hunt.ledger.counts()["running"] == 0
        hunt.resume()
        ended: HuntStatus = hunt.wait(240.0)
        assert (ended.state, ended.done, ended.queued) == ("finished", 30, 0)
    undisturbed_twin = tmp_path / "twin"
    with Hunt(undisturbed_twin, budget=30, workers=1, **TINY) as hunt:
        hunt.start()
        hunt.wait(240.0)
    assert outcome(tmp_path) == outcome(undisturbed_twin)


def test_cancel_does_not_wait_for_a_long_run(tmp_path: Path) -> None:
    with Hunt(tmp_path, budget=4, workers=1, params={**LONG, "T_steps": 10**6}, draws=1) as hunt:
        hunt.start()
        until(lambda: hunt.status().running == 1)
        hunt.cancel()  # the run would take an hour
        assert hunt.status().state == "cancelled"
    assert list(tmp_path.glob(".*.part")) == []


def test_runs_that_are_there_are_reused_and_a_larger_budget_goes_on(tmp_path: Path) -> None:
    with Hunt(tmp_path, sampler="random", budget=6, workers=1, **TINY) as hunt:
        hunt.start()
        assert hunt.wait(240.0).reused == 0
    with Hunt(tmp_path, sampler="random", budget=10, workers=1, **TINY) as same:
        assert same.status().done == 6
        same.start()
        assert same.wait(240.0).done == 10
    stamps = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")}
    # Another hunt by its identity, as it re-evaluates nothing, with the same first generation.
    with Hunt(tmp_path, sampler="random", reevaluated=0, budget=10, workers=1, **TINY) as other:
        other.start()
        status = other.wait(240.0)
        assert (status.done, status.reused) == (10, 10)
        assert other.ledger.counts() == {"queued": 0, "running": 0, "done": 20, "failed": 0, "reused": 10, "all": 20}
        reopened = Hunt.open(tmp_path, other.hunt_id, workers=1)
        assert reopened.settings.as_json() == other.settings.as_json()
        reopened.close()
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.h5")} == stamps


def test_an_audit_records_what_is_missing_truncated_or_corrupted(tmp_path: Path) -> None:
    with Hunt(tmp_path, sampler="random", budget=5, workers=1, **TINY) as hunt:
        hunt.start()
        hunt.wait(240.0)
        before = hunt.ledger.runs().to_pylist()
        paths = [tmp_path / row["artifact"] for row in before]
        whole = [path.read_bytes() for path in paths]
        paths[0].unlink()
        paths[1].write_bytes(whole[1][: len(whole[1]) // 2])
        # One bit of a cell: the stored checksum no longer fits. Much of a small file is padding, so it is looked up.
        cell = whole[2].index(read_artifact(paths[2])["final_rho"].to_numpy().tobytes())
        data = bytearray(whole[2])
        data[cell] ^= 1
        paths[2].write_bytes(data)
        assert audit(hunt.ledger) == {"ok": 2, "missing": 1, "unreadable": 2}
        after = hunt.ledger.runs().to_pylist()
        assert [row["artifact_status"] for row in after] == ["missing", "unreadable", "unreadable", "ok", "ok"]
        assert [row["log_prime_sse"] for row in after[:3]] == [999.0, 998.0, 998.0]
        assert all(row["reason"] for row in after[:3])
        assert [row["fitness"] for row in after] == [row["fitness"] for row in before]
        for path, content in zip(paths, whole, strict=True):
            path.write_bytes(content)
        assert audit(hunt.ledger) == {"ok": 5, "missing": 0, "unreadable": 0}
        assert hunt.ledger.runs().to_pylist() == before


def test_a_hunt_from_the_command_line_can_be_watched_and_its_death_is_noticed(tmp_path: Path) -> None:
    process = subprocess.Popen(command(tmp_path, 400), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (tmp_path / "ledger_runs.parquet").exists())
        with open_ledger(tmp_path) as copy:
            assert not copy.writable
            until(lambda: copy.counts()["done"] > 0)
            hunt_id = copy.hunts()["hunt_id"][0].as_py()
        with pytest.raises(LedgerLockedError, match="open in another process"):
            Ledger(tmp_path)
        assert subprocess.run([sys.executable, "-m", "engine.runs", "audit", str(tmp_path)],
                              stderr=subprocess.PIPE).returncode == 2  # fmt: skip
    finally:
        process.kill()
        process.wait()
    with Hunt.open(tmp_path, hunt_id, workers=1) as hunt:
        status = hunt.status()
        assert (status.state, status.running, status.budget) == ("interrupted", 0, 400)


def test_fitness_is_as_asked_for_and_settings_are_checked() -> None:
    assert fitness({"log_prime_sse": 0.25, "scramble_delta": 1000.0, "shuffle_delta": -3.0}) == 4.0 + 99.7
    assert FAILED_FITNESS < 1 / 20.4 - 0.1 * 2 * 20.4  # less than any run that could be measured
    for wrong, says in (({"sampler": "cma"}, "there are cmaes"), ({"population": 1}, "whole number from 2"),
                        ({"space": {"kappa": (1.0, 0.0)}}, "lower one first"), ({"space": {}}, "at least one"),
                        ({"space": {"seed": (0, 1)}}, "not a real parameter"), ({"params": {"kapa": 1}}, "kapa"),
                        ({"space": {"N_grid": (8, 16)}}, "not a real parameter"),
                        ({"params": {"kappa": 0.1}}, "chosen by the hunt"), ({"seed": -1}, "seed is -1")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            HuntSettings(**wrong)  # type: ignore[arg-type]
