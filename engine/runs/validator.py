"""The validator: every metric of a run, computed again from the raw arrays of its artifact.

What cannot be measured gets a sentinel and a reason, never an exception: a hunt goes on. It must not know who made
the artifact, and believes nothing in it but the arrays and the parameters.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from engine.runs.artifact import ArtifactMissing, code_version, read_artifact
from engine.runs.metrics import LOG_PRIMES, flat_deviation, geometric_residual, log_prime_fit
from engine.runs.nulls import phase_scramble_test, target_shuffle_test

MISSING = 999.0
"""Every metric of an artifact that is not there."""

UNREADABLE = 998.0
"""Every metric of an artifact that is there and cannot be read, or is not whole."""

METRICS = (
    "log_prime_sse", "log_prime_scale", "log_prime_peaks", "scramble_p", "scramble_delta", "shuffle_p",
    "shuffle_delta", "geometric_residual", "flat_deviation",
)  # fmt: skip

DRAWS = 199
"""Draws of each null test: the least p-value is then 0.005."""


def validate(path: str | os.PathLike[str], *, draws: int = DRAWS) -> dict[str, Any]:
    """Measure a run from its artifact.

    The metrics are conventions of this hunt, not established physics; `engine.runs.metrics` and `engine.runs.nulls`
    define them. Chance in the null tests is seeded from the run's id: the same artifact gives the same report.

    Parameters
    ----------
    path : path
        Of an artifact.
    draws : int
        Random draws of each null test, at least 1.

    Returns
    -------
    dict
        `status` (``"ok"``, ``"missing"`` or ``"unreadable"``), `reason` (empty if ok), `artifact` (file name),
        `run_id`, `params`, `code_version`, `libraries` and `smallest_dt` (None if unknown), `validated_by` (code
        version), `draws`, `targets`, `peaks` (wavenumbers), `metrics` (a number for each of `METRICS`: 999 if
        missing, 998 if unreadable) and `nulls` (for each test the whole null distribution).

    Raises
    ------
    ValueError
        `draws` is below 1. Nothing about the artifact raises.

    Examples
    --------
    >>> report = validate("nowhere.h5")
    >>> report["status"], report["reason"], report["metrics"]["log_prime_sse"]
    ('missing', 'there is no file nowhere.h5', 999.0)
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}; it must be at least 1")
    report: dict[str, Any] = {
        "status": "ok", "reason": "", "artifact": Path(path).name, "run_id": None, "params": None,
        "code_version": None, "libraries": None, "smallest_dt": None, "validated_by": code_version("metrics"),
        "draws": draws, "targets": list(LOG_PRIMES), "peaks": [], "nulls": {},
    }  # fmt: skip
    try:
        run = read_artifact(path)
        report |= _identity(run)
        report |= _measured(run, draws)
    except ArtifactMissing as error:
        report |= _not_measured("missing", str(error), MISSING)
    # A hunt of thousands must not end for one file, whatever is the matter with it: the reason names what it was.
    except Exception as error:
        report |= _not_measured("unreadable", str(error) or type(error).__name__, UNREADABLE)
    return report


def write_provenance(report: dict[str, Any], folder: str | os.PathLike[str]) -> Path:
    """Write a report as JSON beside the artifact: where a number came from, for whoever asks later.

    Parameters
    ----------
    report : dict
        From `validate`.
    folder : path
        An existing folder.

    Returns
    -------
    Path
        ``provenance_<id>.json``; where the id is unknown, ``provenance_of_<file name>.json``.

    Raises
    ------
    OSError
        The folder is not there or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_provenance(validate("nowhere.h5"), folder).name)
    provenance_of_nowhere.h5.json
    """
    name = f"provenance_{report['run_id']}.json" if report["run_id"] else f"provenance_of_{report['artifact']}.json"
    path = Path(folder) / name
    hidden = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        hidden.write_text(json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(hidden, path)
    finally:
        hidden.unlink(missing_ok=True)
    return path


def _identity(run: xr.Dataset) -> dict[str, Any]:
    return {
        "run_id": run.attrs["run_id"],
        "params": json.loads(run.attrs["params"]),
        "code_version": run.attrs["code_version"],
        "libraries": json.loads(run.attrs["libraries"]),
        "smallest_dt": run.attrs["smallest_dt"],
    }


def _measured(run: xr.Dataset, draws: int) -> dict[str, Any]:
    params = json.loads(run.attrs["params"])
    rho, g_tt, rho_s = (run[name].to_numpy() for name in ("final_rho", "final_g_tt", "rho_s"))
    # A generator for each test, so that one does not depend on how much chance the other has used.
    chance = np.random.SeedSequence(int(run.attrs["run_id"], 16)).spawn(2)
    fit = log_prime_fit(rho, params["domain_size"])
    scramble = phase_scramble_test(rho, draws, np.random.Generator(np.random.PCG64(chance[0])))
    shuffle = target_shuffle_test(fit.peaks, draws, np.random.Generator(np.random.PCG64(chance[1])))
    values = (
        fit.sse, fit.scale, float(len(fit.peaks)), scramble.p_value, scramble.delta, shuffle.p_value, shuffle.delta,
        geometric_residual(g_tt, rho_s, params["rho_vac"], params["alpha"]), flat_deviation(g_tt),
    )  # fmt: skip
    metrics = dict(zip(METRICS, values, strict=True))
    odd = [name for name, value in metrics.items() if not np.isfinite(value)]
    if odd:
        raise ValueError(f"not finite: {', '.join(odd)}")
    nulls = {"phase_scramble": scramble.null.tolist(), "target_shuffle": shuffle.null.tolist()}
    return {"metrics": metrics, "peaks": list(fit.peaks), "nulls": nulls}


def _not_measured(status: str, reason: str, sentinel: float) -> dict[str, Any]:
    return {"status": status, "reason": reason, "metrics": dict.fromkeys(METRICS, sentinel), "peaks": [], "nulls": {}}
