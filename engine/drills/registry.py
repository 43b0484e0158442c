"""The drills there are, by name.

To add one, write its script and put it here.
"""

from __future__ import annotations

from engine.drills.emitters import ew_sweep, swarm, sync_burst
from engine.drills.networks import c2_relay, phantom_emerge, recon_exfil
from engine.drills.scenario import DrillRun, Scenario, build

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "c2_relay", "C2 relay", "Hosts of one network call a relay by the clock, and the relay calls home.", 45.0,
            c2_relay,
        ),
        Scenario("sync_burst", "Sync burst", "Six emitters in a ring of 47 km fire together.", 45.0, sync_burst),
        Scenario(
            "phantom_emerge", "Phantom emerge",
            "Paths of several clusters begin to cross where no exchange point is known.", 45.0, phantom_emerge,
        ),
        Scenario(
            "ew_sweep", "EW sweep", "A jammer moves along a chain of links and takes over one after the other.", 45.0,
            ew_sweep,
        ),
        Scenario(
            "recon_exfil", "Recon and exfiltration",
            "A host scans, gets in, spreads and sends data out, stage by stage, within a minute.", 45.0, recon_exfil,
        ),
        Scenario("swarm", "Swarm", "Small platforms fly to a point at realistic speeds.", 45.0, swarm),
    )
}  # fmt: skip
"""All drills by name."""

FIVE = ("c2_relay", "sync_burst", "phantom_emerge", "ew_sweep", "recon_exfil")
"""The drills that monitors must detect; the swarm only flies."""


def drill(name: str, seed: int = 0, suffix: str = "") -> DrillRun:
    """A drill by name: its events with times from the start, and what must be detected.

    Parameters
    ----------
    name : str
        One of `SCENARIOS`.
    seed : int
    suffix : str
        Ends the id of the run.

    Raises
    ------
    ValueError
        If there is no such drill, or the seed is negative.

    Examples
    --------
    >>> drill("sync_burst", 3).run_id
    'drill:sync_burst:3'
    """
    if name not in SCENARIOS:
        raise ValueError(f"there is no drill {name!r}: one of {', '.join(SCENARIOS)}")
    return build(SCENARIOS[name], seed, suffix)
