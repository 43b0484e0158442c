"""Runs of the simulation hunt: parameters and identity, solver, artifacts, metrics and their validation."""

from engine.hdf5 import open_hdf5
from engine.runs.artifact import read_artifact, read_checkpoint, write_artifact, write_checkpoint
from engine.runs.hunt import Hunt
from engine.runs.hunt_settings import SPACE, HuntSettings, HuntStatus
from engine.runs.hunt_status import hunt_status
from engine.runs.identity import canonical_json, run_id
from engine.runs.ledger import Ledger, open_ledger
from engine.runs.ledger_audit import audit
from engine.runs.ledger_copy import LedgerCopy
from engine.runs.ledger_file import LedgerDamagedError, LedgerLockedError
from engine.runs.params import RunParams
from engine.runs.samplers import SAMPLERS
from engine.runs.solver import Cancelled, Checkpoint, Diverged, Progress, simulate, simulate_batch
from engine.runs.validator import validate, write_provenance
from engine.runs.watch import RunWatch
from engine.runs.watch_index import ArtifactChange

__all__ = [
    "SAMPLERS",
    "SPACE",
    "ArtifactChange",
    "Cancelled",
    "Checkpoint",
    "Diverged",
    "Hunt",
    "HuntSettings",
    "HuntStatus",
    "Ledger",
    "LedgerCopy",
    "LedgerDamagedError",
    "LedgerLockedError",
    "Progress",
    "RunParams",
    "RunWatch",
    "audit",
    "canonical_json",
    "hunt_status",
    "open_hdf5",
    "open_ledger",
    "read_artifact",
    "read_checkpoint",
    "run_id",
    "simulate",
    "simulate_batch",
    "validate",
    "write_artifact",
    "write_checkpoint",
    "write_provenance",
]
