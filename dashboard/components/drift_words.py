"""How monitors and their numbers are called on the Drift page, each with the sentence that defines it.

The sentences say what the docstrings of `engine.drift` define; a test holds that every number has one.
"""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """A short name and the sentence behind the small i."""

    title: str
    means: str


MONITORS: dict[str, Word] = {
    "gate": Word("Drift gate", "Is reinforcement, mutation, tool use or judgement drifting to one side? Advisory."),
    "stability": Word("Stability", "Does the graph oscillate, jump or lose balance? Bounded oscillation is healthy."),
    "behaviour": Word(
        "Behaviour",
        "Jensen-Shannon distance (base 2) of a cluster's ports, protocols, peers and fingerprints between windows of "
        "five minutes, above what chance gives.",
    ),
    "kill_chain": Word(
        "Kill chain", "Theil-Sen slope of a cluster's stage score over half an hour; raised when it rises surely "
        "and the last stage is under ten minutes away.",
    ),
    "kill_chain_fast": Word(
        "Kill chain, fast", "The same slope over two minutes, for what happens within one."
    ),
    "timing": Word(
        "Timing", "Phase coherence at a cluster's dominant period, 0 to 1; raised when the beat is no chance."
    ),
    "silence": Word(
        "Silence", "−log10 of the chance that a cluster with this recent rate is quiet for this long."
    ),
    "intent": Word(
        "Intent", "Weighted sum of timing coherence, behavioural drift, silence pressure and kill-chain slope, 0 to 1."
    ),
    "exchange": Word("Exchange points", "−log10 of the chance of such a load near a known internet exchange point."),
    "phantom": Word(
        "Phantom exchange", "Paths of three or more clusters converge where no exchange point is known."
    ),
    "conflict": Word("Conflict", "Links whose dominance passed from one side to the other over the past interval."),
}  # fmt: skip
"""Monitors by name."""

METRICS: dict[str, Word] = {
    "reinforcement_gini": Word(
        "Reinforcement Gini", "Inequality of reinforcement over entities: 0 equal, 1 one alone."
    ),
    "entropy_slope": Word(
        "Entropy slope",
        "Theil-Sen slope of the entropy of mutation targets over an hour: down is freezing, up is chaos.",
    ),
    "tool_skew": Word("Tool-use skew", "Jensen-Shannon distance of tool use from the reference, base 2, 0 to 1."),
    "mutation_concentration": Word("Mutation concentration", "Herfindahl-Hirschman index of mutation targets, 0 to 1."),
    "entity_concentration": Word(
        "Entity concentration", "Share of reinforcement that the most reinforced entity gets."
    ),
    "abstention_rate": Word("Abstention rate", "Abstentions among decisions; near 0 is over-confidence."),
    "oscillation": Word("Oscillation", "Mutations of one entity within 60 s; raised where they are more than chance."),
    "burst_surprise": Word("Burst surprise", "−log10 of the chance of so many mutations at the usual rate."),
    "reversals": Word("Reversals", "Changes of direction of an entity's weight in the window."),
    "entropy_step": Word(
        "Entropy step", "Change of the entropy of mutation targets between halves of the window, bit."
    ),
    "weight_variance": Word("Weight variance", "Variance of edge weights."),
    "decay_volatility": Word("Decay volatility", "Relative spread of the decay rates that were set in the window."),
    "prune_ratio": Word("Prune ratio", "Prunes among all mutations in the window."),
}
"""Metrics of the monitors that are about the whole graph."""


class Rate(NamedTuple):
    """What was measured of a monitor: false alarms on stationary input, and the delay of a known change, as the tables
    of docs/engine-drift.md give them."""

    false_alarms_per_h: str
    delay: str


RATES: dict[str, Rate] = {
    "reinforcement_gini": Rate("0 (< 0.03)", "44 (47) min"),
    "entropy_slope": Rate("0 (< 0.03)", "14 (17) min"),
    "tool_skew": Rate("0 (< 0.03)", "49 (56) min"),
    "mutation_concentration": Rate("0 (< 0.03)", "38 (40) min"),
    "entity_concentration": Rate("0 (< 0.03)", "39 (40) min"),
    "abstention_rate": Rate("0 (< 0.03)", "58 (60) min"),
    "oscillation": Rate("0.02", "1 (1) min"),
    "burst_surprise": Rate("0 (< 0.03)", "1 (1) min"),
    "reversals": Rate("0 (< 0.03)", "1 (1) min"),
    "entropy_step": Rate("0 (< 0.03)", "3 (3) min"),
    "weight_variance": Rate("0 (< 0.03)", "4 (6) min"),
    "decay_volatility": Rate("0 (< 0.03)", "7 (20) min"),
    "prune_ratio": Rate("0 (< 0.03)", "8 (9) min"),
    "behaviour": Rate("0 (< 0.006)", "5 (15) min"),
    "kill_chain": Rate("0 (< 0.006)", "32 (36) min"),
    "silence": Rate("0 (< 0.006)", "3 (3) min"),
    "timing": Rate("0 (< 0.008)", "270 (285) s"),
    "kill_chain_fast": Rate("0 (< 0.02)", "48 (54) s"),
    "intent": Rate("0 (< 0.02)", "945 (1020) s"),
    "phantom": Rate("0 (< 0.04)", "52 (82) s"),
    "conflict": Rate("0 (< 0.02)", "30 (55) s"),
    "exchange": Rate("0 (< 0.01)", "60 (60) s"),
}
"""By metric of the whole graph or by monitor of clusters (then per cluster); median delay (greatest)."""


def monitor_word(monitor: str) -> Word:
    """Name and definition of a monitor; one that is not known here keeps its own name.

    Examples
    --------
    >>> monitor_word("timing").title, monitor_word("new_one").title
    ('Timing', 'New one')
    """
    return MONITORS.get(monitor, Word(monitor.replace("_", " ").capitalize(), "See docs/engine-drift.md."))


def metric_word(monitor: str, metric: str) -> Word:
    """Name and definition of a number of a monitor."""
    return METRICS.get(metric, monitor_word(monitor))


def value_text(value: float, unit: str = "") -> str:
    """A number with its unit, as long as it makes sense to read.

    Examples
    --------
    >>> value_text(0.7512), value_text(3.0), value_text(12345.6, "1/h"), value_text(float("nan"))
    ('0.751', '3', '12 346 1/h', '–')
    """
    if value != value:
        return "–"
    size = abs(value)
    if size >= 1000:
        text = f"{value:,.0f}".replace(",", " ")
    elif float(value).is_integer():
        text = f"{value:.0f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".strip()
