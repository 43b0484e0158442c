"""What is known of each kind of emitter before it says anything: power, frequency, speed limit.

A position report seldom carries the radio parameters of its sender. The table here fills them in,
each value with its source, so that a field computed from defaults can say so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmitterKind:
    """Radio defaults of one kind of emitter.

    Attributes
    ----------
    name : str
        Kind, as carried by ``emitter_kind`` in the payload of a fix.
    eirp_dbm : float
        Equivalent isotropically radiated power, dBm.
    freq_hz : float
        Carrier frequency, Hz.
    source : str
        Where the two numbers come from.
    """

    name: str
    eirp_dbm: float
    freq_hz: float
    source: str


KINDS: dict[str, EmitterKind] = {
    kind.name: kind
    for kind in (
        EmitterKind(
            "aircraft", 54.0, 1.090e9, "Mode S transponder, 250 W: between the 125 W and 500 W of RTCA DO-260B"
        ),
        EmitterKind("drone", 20.0, 2.44e9, "ETSI EN 300 328: 100 mW EIRP in the 2.4 GHz band"),
        EmitterKind("radio", 30.0, 462.7e6, "FRS/GMRS handheld, 1 W (47 CFR 95)"),
        EmitterKind("access_point", 20.0, 2.44e9, "ETSI EN 300 328: 100 mW EIRP in the 2.4 GHz band"),
        EmitterKind("animal", 0.0, 434.0e6, "short-range telemetry tag, 1 mW (ERC/REC 70-03 band)"),
    )
}
"""Known kinds by name."""

UNKNOWN_KIND = EmitterKind("unknown", 30.0, 1.0e9, "no kind given: 1 W at 1 GHz is assumed")
"""Defaults of a kind that the table does not know."""


def kind_defaults(name: str | None) -> EmitterKind:
    """Radio defaults of a kind of emitter; kinds that the table does not know get `UNKNOWN_KIND`.

    Examples
    --------
    >>> kind_defaults("aircraft").freq_hz
    1090000000.0
    """
    return KINDS.get(name or "aircraft", UNKNOWN_KIND)
