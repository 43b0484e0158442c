"""Audit of a ledger: are the artifacts of its runs still there, and whole?"""

from __future__ import annotations

from collections import Counter

from engine.runs.artifact import ArtifactMissing, ArtifactUnreadable, read_artifact
from engine.runs.ledger import Ledger
from engine.runs.validator import METRICS, MISSING, UNREADABLE, validate


def audit(ledger: Ledger) -> dict[str, int]:
    """Open every artifact of the runs that are done, and note in the ledger what is missing or broken.

    A run whose artifact is missing gets 999 for every metric, one whose artifact is unreadable 998, and the reason;
    its `state` and its `fitness` stay, as the hunt went by them, and it is not reused. One whose artifact is back and
    whole is measured again.

    Parameters
    ----------
    ledger : Ledger

    Returns
    -------
    dict of str to int
        Runs by what was found: ``"ok"``, ``"missing"``, ``"unreadable"``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Ledger(folder) as ledger:
    ...     audit(ledger)
    {'ok': 0, 'missing': 0, 'unreadable': 0}
    """
    found: Counter[str] = Counter()
    columns = ("run_id", "artifact", "artifact_status", "draws")
    rows = ledger.runs(where={"state": "done", "reused": False}, columns=columns).to_pylist()
    for row in rows:
        path = ledger.folder / row["artifact"]
        try:
            read_artifact(path)
            status, reason, metrics = "ok", "", {}
            if row["artifact_status"] != "ok":
                report = validate(path, draws=row["draws"])
                status, reason, metrics = report["status"], report["reason"], report["metrics"]
        except ArtifactMissing as error:
            status, reason, metrics = "missing", str(error), dict.fromkeys(METRICS, MISSING)
        except ArtifactUnreadable as error:
            status, reason, metrics = "unreadable", str(error), dict.fromkeys(METRICS, UNREADABLE)
        if status != "ok" or row["artifact_status"] != "ok":
            ledger.note_artifact(row["run_id"], status, reason, metrics)
        found[status] += 1
    return {status: found[status] for status in ("ok", "missing", "unreadable")}
