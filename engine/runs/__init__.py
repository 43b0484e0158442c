"""Runs of the simulation hunt: parameters and identity, solver, artifacts, metrics and their validation."""

from engine.runs.identity import canonical_json, run_id
from engine.runs.params import RunParams
from engine.runs.solver import Cancelled, Checkpoint, Diverged, Progress, simulate, simulate_batch

__all__ = [
    "Cancelled",
    "Checkpoint",
    "Diverged",
    "Progress",
    "RunParams",
    "canonical_json",
    "run_id",
    "simulate",
    "simulate_batch",
]
