"""Runs of the simulation hunt: parameters and identity, solver, artifacts, metrics and their validation."""

from engine.hdf5 import open_hdf5
from engine.runs.artifact import read_artifact, read_checkpoint, write_artifact, write_checkpoint
from engine.runs.identity import canonical_json, run_id
from engine.runs.params import RunParams
from engine.runs.solver import Cancelled, Checkpoint, Diverged, Progress, simulate, simulate_batch
from engine.runs.validator import validate, write_provenance

__all__ = [
    "Cancelled",
    "Checkpoint",
    "Diverged",
    "Progress",
    "RunParams",
    "canonical_json",
    "open_hdf5",
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
