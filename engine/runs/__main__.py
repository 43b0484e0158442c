"""Hunts on a command line: ``python -m engine.runs hunt FOLDER --budget 200``; ``--help`` says what else there is."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.runs.hunt import Hunt
from engine.runs.hunt_settings import SPACE, HuntStatus
from engine.runs.hunt_status import hunt_status
from engine.runs.ledger import Ledger, open_ledger
from engine.runs.ledger_audit import audit
from engine.runs.ledger_copy import LedgerCopy
from engine.runs.ledger_file import LEDGER_NAME, LedgerDamagedError, LedgerLockedError
from engine.runs.samplers import SAMPLERS
from engine.runs.validator import validate
from engine.runs.watch import RunWatch
from engine.runs.watch_index import ArtifactChange

_LISTED = ("run_id", "state", "fitness", "log_prime_sse", "generation", "candidate", "seed", "reason")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process, if not given.

    Returns
    -------
    int
        Exit status: 0, 1 for a hunt that failed or files that are not whole, 2 for what is refused, 130 when
        interrupted.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.do(given))
    except (ValueError, LedgerLockedError, LedgerDamagedError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m engine.runs", description="Hunts over runs of the solver.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    hunt = commands.add_parser("hunt", help="begin a hunt, or go on with the one that has the same settings")
    hunt.add_argument("folder", help="where artifacts and the ledger go")
    hunt.add_argument("--sampler", default="cmaes", choices=list(SAMPLERS))
    hunt.add_argument("--seed", type=int, default=0)
    hunt.add_argument("--budget", type=int, default=200, help="runs in all (200)")
    hunt.add_argument("--population", type=int, default=8, help="candidates of a generation (8)")
    hunt.add_argument("--seeds", type=int, default=2, help="runs of a candidate, each from another start (2)")
    hunt.add_argument("--reevaluated", type=int, default=1, help="elites run again in each generation (1)")
    hunt.add_argument("--draws", type=int, default=199, help="random draws of each null test (199)")
    hunt.add_argument("--workers", type=int, help="processes (one for each processor)")
    hunt.add_argument("--timeout", type=float, default=600.0, help="longest time of a run, s (600)")
    hunt.add_argument("--retries", type=int, default=2, help="after a worker died or took too long (2)")
    hunt.add_argument("--bounds", action="append", default=[], metavar="NAME=LOW:HIGH",
                      help=f"search over this parameter; if none is given: {SPACE}")  # fmt: skip
    hunt.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other parameter of a run")
    hunt.set_defaults(do=_hunt)

    status = commands.add_parser("status", help="how the hunts of a folder stand, also while they run")
    status.add_argument("folder")
    status.set_defaults(do=_status)

    listed = commands.add_parser("list", help="runs of a folder, also while a hunt runs")
    listed.add_argument("folder")
    listed.add_argument("--order", default="-fitness", metavar="COLUMN", help="- before it for descending (-fitness)")
    listed.add_argument("--limit", type=int, default=20)
    listed.set_defaults(do=_list)

    checked = commands.add_parser("audit", help="note in the ledger which artifacts are missing or broken")
    checked.add_argument("folder")
    checked.set_defaults(do=_audit)

    measured = commands.add_parser("validate", help="measure artifacts again")
    measured.add_argument("paths", nargs="+")
    measured.set_defaults(do=_validate)

    watched = commands.add_parser("watch", help="say what happens to the artifacts of a folder")
    watched.add_argument("folders", nargs="+")
    watched.add_argument("--poll", action="store_true", help="for network disks")
    watched.set_defaults(do=_watch)
    return parser


def _hunt(given: argparse.Namespace) -> int:
    bounds = {name: _range(name, value) for name, value in map(_pair, given.bounds)}
    hunt = Hunt(
        given.folder, sampler=given.sampler, seed=given.seed, space=bounds or None, population=given.population,
        budget=given.budget, workers=given.workers, seeds_per_candidate=given.seeds, reevaluated=given.reevaluated,
        params={name: _value(value) for name, value in map(_pair, given.set)}, draws=given.draws,
        timeout_s=given.timeout, retries=given.retries,
    )  # fmt: skip
    stop = _stopped_by_signals()
    with hunt:
        hunt.start()
        on_screen = sys.stderr.isatty()
        while not stop.is_set():
            status = hunt.wait(0.5 if on_screen else 2.0)
            print(_line(status), end="\r" if on_screen else "\n", file=sys.stderr, flush=True)
            if status.state not in ("running", "pausing", "paused"):
                break
        if stop.is_set():
            hunt.cancel()
            print("\nstopped; the same command goes on where this one ended", file=sys.stderr)
            return 130
    print(json.dumps({"state": status.state, "best_fitness": status.best_fitness, "best": dict(status.best_params),
                      "best_run_id": status.best_run_id, "done": status.done, "failed": status.failed,
                      "message": status.message}))  # fmt: skip
    return 0 if status.state == "finished" else 1


def _status(given: argparse.Namespace) -> int:
    with _opened(given.folder) as ledger:
        for row in ledger.hunts().to_pylist():
            print(row["hunt_id"], row["sampler"], _line(hunt_status(ledger, row["hunt_id"])))
    return 0


def _opened(folder: str) -> Ledger | LedgerCopy:
    if not (Path(folder) / LEDGER_NAME).is_file():
        raise ValueError(f"there is no ledger in {folder}; begin a hunt there, or name another folder")
    return open_ledger(folder)


def _list(given: argparse.Namespace) -> int:
    with _opened(given.folder) as ledger:
        columns = (*_LISTED[:3], *SPACE, *_LISTED[3:])
        rows = ledger.runs(given.order, limit=given.limit, columns=columns).to_pylist()
    print("\t".join(columns))
    for row in rows:
        print("\t".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row.values()))
    return 0


def _audit(given: argparse.Namespace) -> int:
    with _opened(given.folder) as ledger:
        if not isinstance(ledger, Ledger):
            raise LedgerLockedError(f"another process hunts in {given.folder}; audit it when that has ended")
        found = audit(ledger)
        ledger.publish()
    print(json.dumps(found))
    return 0 if found["missing"] + found["unreadable"] == 0 else 1


def _validate(given: argparse.Namespace) -> int:
    whole = True
    for path in given.paths:
        report = validate(path)
        whole = whole and report["status"] == "ok"
        print(json.dumps({name: report[name] for name in ("artifact", "status", "reason", "run_id", "metrics")}))
    return 0 if whole else 1


def _watch(given: argparse.Namespace) -> int:
    def say(changes: list[ArtifactChange]) -> None:
        for change in changes:
            print(change.change, change.kind, change.path, change.status, change.reason, flush=True)

    stop = _stopped_by_signals()
    with RunWatch(given.folders, say, poll=given.poll):
        stop.wait()
    return 130


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _line(status: HuntStatus) -> str:
    best = "-" if status.best_fitness is None else f"{status.best_fitness:.5g} over {status.best_runs} runs"
    left = "" if status.seconds_left is None else f", {status.seconds_left:.0f} s left"
    return (
        f"{status.state}: {status.done} of {status.budget} done, {status.running} running, {status.failed} failed, "
        f"generation {status.generation}, best {best}{left}" + (f" ({status.message})" if status.message else "")
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is no NAME=VALUE")
    return name, value


def _range(name: str, text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise ValueError(f"the bounds of {name} are {text!r}; they must be LOW:HIGH, two numbers") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # a name, like that of a precision


if __name__ == "__main__":
    sys.exit(main())
