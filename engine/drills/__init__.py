"""Drills: seeded scenarios that go through the ordinary ingest, clearly marked, and say what must be detected.

They are the end-to-end tests of the monitors, and exercise for people. After the end nothing of a drill remains in
live state; the log keeps it.
"""

from __future__ import annotations

from engine.drills.registry import FIVE, SCENARIOS
from engine.drills.registry import drill as run
from engine.drills.request import DRILLS_CHANNEL, answer_requests
from engine.drills.scenario import Detection, DrillRun, Expectation, Scenario
from engine.drills.source import DrillSource, ends_of_unfinished, shifted

__all__ = [
    "DRILLS_CHANNEL", "FIVE", "SCENARIOS", "Detection", "DrillRun", "DrillSource", "Expectation", "Scenario",
    "answer_requests", "ends_of_unfinished", "run", "shifted",
]  # fmt: skip
