"""The ledger: what was acknowledged survives kill -9, lists are as pandas makes them, and one process writes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.runs import Ledger, LedgerDamagedError, RunParams, canonical_json, open_ledger, run_id
from engine.runs.ledger_copy import LedgerCopy
from tests.runs.killing import killing


def row(slot: int, hunt_id: str = "h") -> dict[str, Any]:
    params = RunParams(seed=slot, kappa=(slot * 37 % 100) / 200).as_dict()
    return {"hunt_id": hunt_id, "slot": slot, "generation": slot // 8, "candidate": slot // 2, "parents": [],
            "run_id": run_id(params), "params": canonical_json(params), **params, "draws": 9, "code_version": "c",
            "validated_by": "v"}  # fmt: skip


def results(slot: int) -> dict[str, Any]:
    return {"state": "done", "reason": "", "fitness": float(slot * 61 % 97), "artifact": f"{slot}.h5",
            "artifact_status": "ok", "log_prime_sse": slot / 7}  # fmt: skip


def filled(ledger: Ledger, runs: int) -> None:
    ledger.enqueue([row(slot) for slot in range(runs)])
    for slot in range(0, runs, 2):
        ledger.begin("h", row(slot)["run_id"], 1)
        ledger.finish("h", row(slot)["run_id"], results(slot))


def test_lists_are_sorted_filtered_and_paged_as_pandas_does_it(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        filled(ledger, 60)
        frame = ledger.runs().to_pandas()
        got = ledger.runs(("-fitness", "slot"), {"state": "done", "kappa": (0.1, 0.3)}, 5, 3, ["slot", "fitness"])
        chosen = frame[(frame.state == "done") & frame.kappa.between(0.1, 0.3)]
        expected = chosen.sort_values(["fitness", "slot"], ascending=[False, True]).iloc[3:8][["slot", "fitness"]]
        assert got.to_pylist() == expected.to_dict("records") and got.num_rows == 5
        assert ledger.runs(where={"slot": [3, 5, 7], "fitness": None}).num_rows == 3
        assert ledger.runs(where={"kappa": (None, 0.2)}).num_rows == (frame.kappa <= 0.2).sum()
        assert ledger.counts() == {"queued": 30, "running": 0, "done": 30, "failed": 0, "reused": 0, "all": 60}
        means = frame.groupby(["generation", "candidate"]).fitness.mean().groupby("generation")
        curve = ledger.convergence("h").to_pandas().set_index("generation")
        assert curve.best.tolist() == means.max().tolist()
        assert curve["median"].tolist() == means.median().tolist()
        assert curve.best_so_far.tolist() == means.max().cummax().tolist()
        for wrong in ({"order_by": "fitness; DROP TABLE runs"}, {"where": {"1=1 --": 1}}, {"columns": ["x"]},
                      {"limit": -1}, {"offset": 1.5}, {"where": {"slot": (1, 2, 3)}}):  # fmt: skip
            with pytest.raises(ValueError):
                ledger.runs(**wrong)  # type: ignore[arg-type]


def test_the_same_run_is_computed_once(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        filled(ledger, 4)
        # Slot 2 was measured; 100 is asked for twice at once; other draws or another solver are other results.
        again = [row(2, "g"), row(100, "g"), {**row(100, "g"), "slot": 101}, {**row(2, "g"), "slot": 3, "draws": 10},
                 {**row(0, "g"), "slot": 4, "code_version": "d"}]  # fmt: skip
        ledger.enqueue(again)
        ledger.finish("g", row(100)["run_id"], results(100))
        rows = ledger.runs("number", {"hunt_id": "g"}).to_pylist()
        assert [(r["state"], r["reused"]) for r in rows] == [
            ("done", True), ("done", False), ("done", True), ("queued", False), ("queued", False)]  # fmt: skip
        assert rows[0]["fitness"] == results(2)["fitness"] and rows[0]["log_prime_sse"] == results(2)["log_prime_sse"]
        ledger.note_artifact(row(2)["run_id"], "missing", "gone", {"log_prime_sse": 999.0})
        ledger.enqueue([row(2, "i")])
        assert ledger.runs(where={"hunt_id": "i"})["state"].to_pylist() == ["queued"]


WRITER = """
from engine.runs import Ledger
from test_hunt_ledger import results, row

def work():
    with Ledger(sys.argv[1]) as ledger:
        slot = ledger.counts()["all"]
        while True:
            ledger.enqueue([row(slot), row(slot + 1)])
            ledger.finish("h", row(slot)["run_id"], results(slot))
            say(slot)
            slot += 2
"""


def test_what_was_acknowledged_survives_kill_9_and_pairs_stay_pairs(tmp_path: Path) -> None:
    acknowledged = set[int]()
    with killing(WRITER, str(tmp_path)) as kill:
        for _ in range(4):
            acknowledged |= {int(line) for line in kill.after(0.3)}
            with Ledger(tmp_path) as ledger:
                rows = ledger.runs("slot").to_pylist()
            assert [r["slot"] for r in rows] == list(range(len(rows)))
            assert len(rows) % 2 == 0  # entered two at a time, or not at all
            # One that was entered and not finished when the kill came stays as it is: nobody said that it was done.
            done = {r["slot"]: r["fitness"] for r in rows if r["state"] == "done"}
            assert all(done[slot] == results(slot)["fitness"] for slot in acknowledged)


def test_threads_read_while_one_writes_and_a_closed_ledger_lets_go(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger, Ledger(tmp_path) as other:
        wrong: list[Any] = []

        def read() -> None:
            for _ in range(60):
                counts = other.counts()
                if counts["all"] % 4 or counts["all"] != sum(
                    counts[s] for s in ("queued", "running", "done", "failed")
                ):
                    wrong.append(counts)

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for first in range(0, 80, 4):
            ledger.enqueue([row(first + k) for k in range(4)])
        for thread in threads:
            thread.join()
        assert wrong == [] and other.counts()["all"] == 80
    probe = "import sys; from engine.runs import Ledger; print(Ledger(sys.argv[1]).counts()['all'])"
    said = subprocess.run([sys.executable, "-c", probe, str(tmp_path)], capture_output=True, text=True)
    assert said.stdout.strip() == "80", said.stderr


def test_a_copy_shows_what_was_published_and_damage_is_named(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        filled(ledger, 10)
        ledger.publish()
        copy = LedgerCopy(tmp_path)
        assert copy.runs("slot").equals(ledger.runs("slot")) and copy.stale_s < 60
        ledger.enqueue([row(50)])
        assert copy.counts()["all"] == 10
        ledger.publish()
        assert copy.counts()["all"] == 11
        copy.close()
    with pytest.raises(LedgerDamagedError, match="published copy"):
        LedgerCopy(tmp_path / "nowhere")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "ledger.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerDamagedError, match="no ledger that can be read"):
        open_ledger(tmp_path / "bad")
