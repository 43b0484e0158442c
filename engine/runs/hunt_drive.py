"""The thread of a hunt, where plan, workers and ledger meet.

Which run comes next is the plan's business, how it is done the workers', and what is known of it the ledger's.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from engine.runs.artifact import code_version
from engine.runs.events import Teller
from engine.runs.hunt_plan import HuntPlan, Trial
from engine.runs.hunt_settings import HuntSettings, fitness
from engine.runs.identity import canonical_json
from engine.runs.ledger import Ledger
from engine.runs.validator import METRICS
from engine.runs.workers import Began, Ended, Order, PoolOptions, WorkerPool

_POLL_S = 0.2
_PUBLISH_S = 1.0
_RATE_OVER = 60


class HuntMismatchError(RuntimeError):
    """The ledger's runs are not those that these settings give with the libraries that are here now."""


class HuntDrive:
    """Works a hunt off in a thread of its own, once; another one goes on where this one ended.

    Parameters
    ----------
    settings : HuntSettings
    budget : int
    ledger : Ledger
        Stays open for longer than this.
    options : PoolOptions
    tell : Teller
    """

    def __init__(self, settings: HuntSettings, budget: int, ledger: Ledger, options: PoolOptions, tell: Teller) -> None:
        self._settings, self._budget, self._ledger, self._options = settings, budget, ledger, options
        self._hunt_id, self._tell = settings.hunt_id, tell
        self._changing = threading.Condition()
        self._wish = "run"  # or "pause" or "cancel", from which there is no way back; guarded by _changing
        self._pool: WorkerPool | None = None
        self._ended_at: deque[float] = deque(maxlen=_RATE_OVER)
        self._paused_s = 0.0
        self._published = -_PUBLISH_S
        self._cost_s = 0.0
        self._thread = threading.Thread(target=self._live, name=f"hunt-{self._hunt_id[:8]}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is at work or paused."""
        return self._thread.is_alive()

    @property
    def wish(self) -> str:
        """What was asked for last."""
        return self._wish

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        pool = self._pool
        return [] if pool is None else pool.pids

    def ask(self, wish: str) -> bool:
        """Say what is wished from now on; False if the hunt has ended, or is about to.

        Parameters
        ----------
        wish : {"run", "pause", "cancel"}
        """
        with self._changing:
            if not self.alive or self._wish == "cancel":
                return False
            self._wish = wish
            self._changing.notify_all()
            return True

    def join(self, timeout_s: float | None) -> None:
        """Wait for the end."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def seconds_left(self, runs: int) -> float | None:
        """Time that so many runs take by the rate of the last ones; None while fewer than three have ended."""
        ended = list(self._ended_at)
        return None if len(ended) < 3 else runs * (ended[-1] - ended[0]) / (len(ended) - 1)

    # -- the thread ---------------------------------------------------------------------------------

    def _live(self) -> None:
        state, message = "failed", ""
        try:
            with self._ledger.hunting():
                self._clear_away()
                self._ledger.requeue(self._hunt_id)
                self._tell("hunt_started", self._hunt_id, {"sampler": self._settings.sampler, "budget": self._budget})
                try:
                    state = "finished" if self._hunt() else "cancelled"
                finally:  # workers are gone before their runs go back into the queue
                    if self._pool is not None:
                        self._pool.close()
                        self._pool = None
                    self._ledger.requeue(self._hunt_id)
        except Exception as error:  # the thread has nobody to raise to: whoever looks at the status learns it
            state, message = "failed", f"{type(error).__name__}: {error}"
        self._end(state, message)

    def _end(self, state: str, message: str) -> None:
        try:
            self._ledger.note_hunt(self._hunt_id, state=state, message=message, workers=0, seconds_left=None)
            self._ledger.publish()
        except Exception as error:
            message = f"{message} (and the ledger could not be written: {error})".strip()
        self._tell(f"hunt_{state}", self._hunt_id, {"message": message})

    def _clear_away(self) -> None:
        """Remove what killed processes left half-written: nobody else writes here while the ledger is ours."""
        for left in self._ledger.folder.glob(".*.part"):
            left.unlink(missing_ok=True)

    def _hunt(self) -> bool:
        """Generation by generation; those that are in the ledger already cost no more than reading them."""
        plan = HuntPlan(self._settings, self._budget)
        while trials := plan.next():
            generation = trials[0].generation
            known = self._check(trials)
            self._ledger.enqueue([self._row(trial) for trial in trials if trial.slot not in known])
            if not self._finish_all(generation):
                return False
            wanted = {trial.slot for trial in trials}
            ended = [row for row in self._rows(generation, ("slot", "fitness", "state")) if row["slot"] in wanted]
            plan.tell({row["slot"]: row["fitness"] for row in ended})
            if len(known) < len(trials):
                best = max((candidate.mean for candidate in plan.candidates if candidate.fitness), default=None)
                self._tell("generation_finished", self._hunt_id, {"generation": generation, "best": best})
        return True

    def _finish_all(self, generation: int) -> bool:
        """Have all queued runs of a generation done; False if the hunt was cancelled before."""
        rows = self._rows(generation, ("run_id", "params", "state"))
        held = [
            Order(run_id, json.loads(params))
            for run_id, params in {row["run_id"]: row["params"] for row in rows if row["state"] == "queued"}.items()
        ]
        left = len(held)
        if left and self._pool is None:
            self._pool = WorkerPool(self._ledger.folder, self._options)
        while left:
            pool = self._pool
            assert pool is not None
            if self._wish == "cancel":
                return False
            if self._wish == "pause":
                held += pool.withdraw()
                if not pool.busy:
                    self._rest()
                    continue
            else:
                for order in held:
                    pool.submit(order)
                held = []
            for event in pool.poll(_POLL_S):
                left -= self._note(event)
            self._publish()
        return self._wish != "cancel"

    def _rest(self) -> None:
        """Wait for another wish; the copy for other processes shows meanwhile that somebody is there."""
        began = time.monotonic()
        self._ledger.note_hunt(self._hunt_id, state="paused", seconds_left=None)
        self._published = -_PUBLISH_S
        self._tell("hunt_paused", self._hunt_id, {})
        while self._wish == "pause":
            self._publish()
            with self._changing:
                self._changing.wait_for(lambda: self._wish != "pause", timeout=_PUBLISH_S)
        self._paused_s += time.monotonic() - began
        if self._wish == "run":
            self._ledger.note_hunt(self._hunt_id, state="running")
            self._tell("hunt_resumed", self._hunt_id, {})

    def _note(self, event: Began | Ended) -> bool:
        """Enter what happened; True if a run has ended."""
        if isinstance(event, Began):
            self._ledger.begin(self._hunt_id, event.run_id, event.attempt)
            self._tell("run_started", event.run_id, {"attempt": event.attempt})
            return False
        answer = event.answer
        metrics = answer.get("metrics", {})
        done = answer.get("artifact_status") == "ok"
        results = {
            "state": "done" if done else "failed", "reason": answer.get("error") or answer.get("reason", ""),
            "seconds": event.seconds, "fitness": fitness(metrics) if done else None,
            "artifact": answer.get("artifact"), "artifact_status": answer.get("artifact_status", "missing"),
            "attempts": event.attempts, **metrics,
        }  # fmt: skip
        self._ledger.finish(self._hunt_id, event.run_id, results)
        self._ended_at.append(time.monotonic() - self._paused_s)
        told = {name: results.get(name) for name in ("fitness", "seconds", "reason", "artifact", *METRICS)}
        self._tell("run_finished" if done else "run_failed", event.run_id, told)
        return True

    def _publish(self) -> None:
        """Publish at most once a second, and less often where the ledger is so long that it takes its time."""
        began = time.monotonic()
        if began - self._published < max(_PUBLISH_S, 20 * self._cost_s):
            return
        counts = self._ledger.counts({"hunt_id": self._hunt_id})
        left = self._seconds_left_of(counts) if self._wish == "run" else None
        self._ledger.note_hunt(self._hunt_id, workers=len(self.pids), seconds_left=left)
        self._ledger.publish()
        self._published = time.monotonic()
        self._cost_s = self._published - began

    def _seconds_left_of(self, counts: Mapping[str, int]) -> float | None:
        return self.seconds_left(max(0, self._budget - counts["done"] - counts["failed"]))

    # -- rows ---------------------------------------------------------------------------------------

    def _rows(self, generation: int, columns: Sequence[str]) -> list[dict[str, Any]]:
        where = {"hunt_id": self._hunt_id, "generation": generation, "slot": (None, self._budget - 1)}
        return self._ledger.runs("slot", where, columns=columns).to_pylist()

    def _check(self, trials: list[Trial]) -> set[int]:
        """Slots of a generation that the ledger has; they must be the runs that the plan has there."""
        planned = {trial.slot: trial.run_id for trial in trials}
        known = {row["slot"]: row["run_id"] for row in self._rows(trials[0].generation, ("slot", "run_id"))}
        for slot, run in known.items():
            if planned.get(slot) != run:
                raise HuntMismatchError(
                    f"run {slot} of the hunt is {run[:8]} in the ledger and {str(planned.get(slot))[:8]} by the plan: "
                    "the sampler or its library has changed since; begin another hunt, with another seed or folder"
                )
        return set(known)

    def _row(self, trial: Trial) -> dict[str, Any]:
        params = trial.params.as_dict()
        return {
            "hunt_id": self._hunt_id, "slot": trial.slot, "generation": trial.generation,
            "candidate": trial.candidate, "parents": list(trial.parents), "run_id": trial.run_id,
            "params": canonical_json(params), **params, "draws": self._settings.draws,
            "code_version": code_version(), "validated_by": code_version("metrics"),
        }  # fmt: skip
