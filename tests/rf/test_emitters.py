"""Radio defaults of the kinds of emitters, held against the documents they name."""

import math

import pytest

from engine.rf.emitters import KINDS, UNKNOWN_KIND, kind_defaults


def dbm(watts):
    return 10.0 * math.log10(watts / 1e-3)


@pytest.mark.parametrize(
    ("kind", "least_w", "most_w", "low_hz", "high_hz"),
    [
        ("aircraft", 125.0, 500.0, 1089e6, 1091e6),  # RTCA DO-260B classes A1 to A3; ICAO Annex 10: 1090 ± 1 MHz
        ("drone", 0.0999, 0.1001, 2400e6, 2483.5e6),  # ETSI EN 300 328: 100 mW EIRP in 2 400 to 2 483.5 MHz
        ("access_point", 0.0999, 0.1001, 2400e6, 2483.5e6),
        ("radio", 0.5, 2.0, 462.55e6, 467.7125e6),  # 47 CFR 95.563, 95.567: FRS channels, 0.5 W and 2 W
        ("animal", 1e-4, 10e-3, 433.05e6, 434.79e6),  # ERC/REC 70-03, annex 1: 433 MHz, 10 mW at most
    ],
)
def test_power_and_frequency_lie_within_what_the_document_allows(kind, least_w, most_w, low_hz, high_hz):
    said = kind_defaults(kind)
    assert dbm(least_w) <= said.eirp_dbm <= dbm(most_w)
    assert low_hz <= said.freq_hz <= high_hz
    assert said.source


def test_every_kind_is_known_by_its_own_name():
    assert all(kind_defaults(name).name == name for name in KINDS)


@pytest.mark.parametrize("missing", [None, ""])
def test_who_says_no_kind_is_an_aircraft(missing):
    assert kind_defaults(missing).name == "aircraft"


@pytest.mark.parametrize("name", ["ufo", "Aircraft", "aircraft ", "__class__"])
def test_a_kind_that_nobody_knows_says_so(name):
    assert kind_defaults(name) is UNKNOWN_KIND
    assert "assumed" in UNKNOWN_KIND.source
