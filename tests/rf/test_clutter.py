"""Clutter loss against NTIA's implementation of P.2108-1 (proplib-p2108 1.1.0, from which these values come)."""

import numpy as np
import pytest

from engine.rf.clutter import Clutter, slant_loss_db, terminal_loss_db, terrestrial_loss_db

TERMINAL = [(0.15, 1.5), (0.9, 5.0), (1.5, 2.0), (2.4, 9.5), (3.0, 14.0)]
TERMINAL_DB = {
    "open": [13.7525, 6.4771, 16.0007, 0.5381, 0.0],
    "suburban": [11.3163, 14.3342, 20.4527, 3.3205, 0.0],
    "urban": [14.8774, 20.1078, 24.4961, 19.306, 6.9787],
    "trees": [14.8774, 20.1078, 24.4961, 19.306, 6.9787],
    "dense_urban": [17.3074, 23.4258, 27.0959, 24.7837, 21.0165],
}


@pytest.mark.parametrize("surroundings", TERMINAL_DB)
def test_terminal_correction(surroundings):
    f, h = np.array(TERMINAL).T
    np.testing.assert_allclose(terminal_loss_db(f * 1e9, h, surroundings), TERMINAL_DB[surroundings], atol=6e-5)


@pytest.mark.parametrize(
    ("ghz", "km", "percent", "loss_db"),
    [
        (0.5, 0.25, 50, 17.4071),
        (1, 1, 10, 19.74),
        (3.5, 0.6, 90, 35.1173),
        (26.6, 15.8, 45, 32.4851),
        (67, 100, 1, 23.6694),
    ],
)
def test_terrestrial_statistics(ghz, km, percent, loss_db):
    # Their normal quantile is an approximation good to 5e-4.
    assert terrestrial_loss_db(ghz * 1e9, km * 1e3, percent) == pytest.approx(loss_db, abs=0.004)


@pytest.mark.parametrize(
    ("ghz", "elevation", "percent", "loss_db"),
    [(10, 0, 50, 42.9024), (15.7, 32.1, 42.5, 3.5983), (30, 10, 90, 27.3614), (100, 89, 5, -0.9966), (40, 90, 50, 0.0)],
)
def test_slant_statistics(ghz, elevation, percent, loss_db):
    assert slant_loss_db(ghz * 1e9, elevation, percent) == pytest.approx(loss_db, abs=5e-4)


def test_what_it_does_not_speak_of_is_named():
    with pytest.raises(ValueError, match=r"freq_hz is 4000000000\.0"):
        terminal_loss_db(4e9, 2.0, "urban")
    with pytest.raises(ValueError, match=r"height_m is 0\.0"):
        terminal_loss_db(1e9, 0.0, "urban")
    with pytest.raises(ValueError, match=r"percent is 100\.0"):
        slant_loss_db(20e9, 5.0, 100.0)
    with pytest.raises(ValueError, match=r"distance_m is 10\.0"):
        terrestrial_loss_db(20e9, 10.0)
    with pytest.raises(ValueError, match="surroundings are 'jungle'"):
        Clutter("jungle")  # type: ignore[arg-type]
