"""The hunt: a search over parameters of runs that can be paused, killed and taken up again.

What a user holds in hand; the work is done by the hunt's thread (`engine.runs.hunt_drive`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.runs.artifact import code_version
from engine.runs.events import Sink, Teller
from engine.runs.hunt_drive import HuntDrive
from engine.runs.hunt_settings import HuntSettings, HuntStatus
from engine.runs.hunt_status import hunt_status
from engine.runs.ledger import Ledger
from engine.runs.workers import PoolOptions


class Hunt:
    """A hunt in a folder.

    The same settings are the same hunt: made again on the same folder, after its process ended or was killed, it goes
    on where it was, and ends with the same runs. `budget`, `workers`, `timeout_s` and `retries` are no settings in
    this sense and may be changed in between.

    Parameters
    ----------
    folder : path
        Where artifacts, provenance and the ledger go; made where missing.
    sampler, seed, space, population, seeds_per_candidate, reevaluated, params, draws
        As in `HuntSettings`.
    budget : int
        Runs in all, those that need not be computed again included.
    workers : int, optional
        Processes, each with one thread; as many as there are processors if not given.
    timeout_s : float
        A run that takes longer is tried again and then counts as failed.
    retries : int
        How often a run is tried again after its worker was killed, died or took too long.
    sink : callable, optional
        Called with each event, on the hunt's thread; what it raises is counted in `sink_errors`.

    Raises
    ------
    ValueError
        A setting that is refused.
    LedgerLockedError
        Another process has the folder's ledger open.

    Examples
    --------
    >>> import tempfile
    >>> tiny = {"N_grid": 8, "T_steps": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Hunt(folder, sampler="random", budget=3, workers=1, params=tiny, draws=1) as hunt:
    ...         hunt.start()
    ...         hunt.wait().done
    3
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        sampler: str = "cmaes",
        seed: int = 0,
        space: Mapping[str, tuple[float, float]] | None = None,
        population: int = 8,
        budget: int = 200,
        workers: int | None = None,
        seeds_per_candidate: int = 2,
        reevaluated: int = 1,
        params: Mapping[str, Any] | None = None,
        draws: int = 199,
        timeout_s: float = 600.0,
        retries: int = 2,
        sink: Sink | None = None,
    ) -> None:
        chosen = {} if space is None else {"space": space}
        self.settings = HuntSettings(
            sampler=sampler, seed=seed, population=population, seeds_per_candidate=seeds_per_candidate,
            reevaluated=reevaluated, params=params or {}, draws=draws, **chosen,
        )  # fmt: skip
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 1:
            raise ValueError(f"budget is {budget!r}; it must be a whole number of runs from 1")
        count = workers if workers is not None else processors()
        self.options = PoolOptions(count, draws=draws, timeout_s=timeout_s, retries=retries)
        self.folder, self.budget = Path(folder), budget
        self.hunt_id = self.settings.hunt_id
        self.tell = Teller(sink)
        self.ledger = Ledger(self.folder)
        self.ledger.add_hunt(
            {"hunt_id": self.hunt_id, "sampler": sampler, "seed": seed, "settings": self.settings.as_json(),
             "budget": budget, "code_version": code_version()}
        )  # fmt: skip
        self._starting = threading.Lock()
        self._drive: HuntDrive | None = None

    @classmethod
    def open(cls, folder: str | os.PathLike[str], hunt_id: str, **others: Any) -> Hunt:
        """A hunt that is in the ledger of a folder, with the settings it has there.

        Parameters
        ----------
        folder : path
        hunt_id : str
        **others
            `budget`, `workers`, `timeout_s`, `retries`, `sink`; the budget is the ledger's if not given.

        Returns
        -------
        Hunt

        Raises
        ------
        ValueError
            There is no such hunt.
        """
        with Ledger(folder) as ledger:
            found = [row for row in ledger.hunts().to_pylist() if row["hunt_id"] == hunt_id]
        if not found:
            raise ValueError(f"there is no hunt {hunt_id!r} in {folder}")
        settings = HuntSettings.from_json(found[0]["settings"])
        given = {name: getattr(settings, name) for name in HuntSettings.__dataclass_fields__}
        return cls(folder, **given, **{"budget": found[0]["budget"], **others})

    # -- what a user does ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or go on where the ledger says the hunt was; returns at once.

        Raises
        ------
        RuntimeError
            It is running or paused.
        """
        with self._starting:
            if self._drive is not None and self._drive.alive:
                raise RuntimeError(f"hunt {self.hunt_id[:8]} is at work already; pause, resume or cancel it")
            self.ledger.note_hunt(self.hunt_id, state="running", message="")
            self._drive = HuntDrive(self.settings, self.budget, self.ledger, self.options, self.tell)
            self._drive.start()

    def pause(self) -> None:
        """Start no more runs; those in workers end as usual. No effect on a hunt that is not running."""
        if self._drive is not None:
            self._drive.ask("pause")

    def resume(self) -> None:
        """Go on after `pause` or `cancel`, or in another process."""
        if self._drive is None or not self._drive.ask("run"):
            self.wait()
            self.start()

    def cancel(self) -> None:
        """End now: workers are killed and their runs go back into the queue, from which `resume` takes them."""
        if self._drive is not None:
            self._drive.ask("cancel")
            self._drive.join(None)

    def wait(self, timeout_s: float | None = None) -> HuntStatus:
        """Wait until the hunt has ended; a paused one has not.

        Parameters
        ----------
        timeout_s : float, optional

        Returns
        -------
        HuntStatus
        """
        if self._drive is not None:
            self._drive.join(timeout_s)
        return self.status()

    def status(self) -> HuntStatus:
        """How the hunt stands now; a few ms.

        Returns
        -------
        HuntStatus
        """
        status = hunt_status(self.ledger, self.hunt_id)
        if self._drive is None or not self._drive.alive:
            return status
        wish, workers = self._drive.wish, len(self._drive.pids)
        if wish == "pause" and status.state == "running":
            status = replace(status, state="pausing")
        elif wish == "run" and status.state == "paused":
            status = replace(status, state="running")
        return replace(status, workers=workers, seconds_left=self._drive.seconds_left(status.running + status.queued))

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live now."""
        return [] if self._drive is None else self._drive.pids

    def close(self) -> None:
        """Cancel what is running and let go of the ledger."""
        self.cancel()
        self.ledger.close()

    def __enter__(self) -> Hunt:
        """The hunt itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
