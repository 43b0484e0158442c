"""The spectrum beside the map: of the very field, in kilometres, against frames before, drawn within its bounds."""

import dataclasses
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import scipy.signal

from dashboard.components.field_spectrum import HEIGHT, WIDTH, SpectrumPanel, spectrum_html, spectrum_svg
from dashboard.state import ViewState
from engine.frames.field_spectrum import (
    MIN_REFERENCE,
    REFERENCE_STEP_S,
    WAVES,
    FieldSpectrum,
    SpectrumWindow,
    cut_field,
    spacing_km,
)
from engine.geo import geodetic_to_ecef
from engine.rf.spectrum import radial_spectrum


@pytest.fixture(scope="module")
def frame(picture):
    return picture(9, cells=16_384, low_dbm=-70.0)


def later(frame, by_s):
    return dataclasses.replace(frame, moment_s=frame.moment_s + by_s)


def test_its_steps_are_metres_on_the_ground(frame):
    values = cut_field(frame, frame.now)
    down, across = spacing_km(frame, values)
    row, column = (n // 2 for n in values.shape)
    lat, lon = values.lat.to_numpy(), values.lon.to_numpy()

    def km(a, b):
        return math.dist(geodetic_to_ecef(*a, 0.0), geodetic_to_ecef(*b, 0.0)) * 1e-3

    assert km((lat[row], lon[column]), (lat[row + 1], lon[column])) == pytest.approx(down, rel=0.01)
    assert km((lat[row], lon[column]), (lat[row], lon[column + 1])) == pytest.approx(across, rel=0.01)


def test_it_is_of_the_field_that_the_page_shows_cut_at_its_limit(frame):
    field = cut_field(frame, frame.now)
    values = field.to_numpy()
    exact = np.nan_to_num(frame.to_dataset()["power_dbm"].to_numpy(), nan=-70.0, neginf=-70.0)
    assert values.min() == -70.0 and values.max() <= exact.max() + 1e-6
    # The power of all rings is the variance of the tapered field: Parseval, by SciPy's window.
    taper = np.outer(*(scipy.signal.windows.hann(2 * n + 1)[1::2] for n in values.shape))
    flat = (values - values.mean()) * taper / np.sqrt(np.mean(taper**2))
    found = SpectrumWindow().look(frame)
    n = radial_spectrum(field, spacing=spacing_km(frame, field))["n"].to_numpy()
    inside = np.nansum(found.power_db2["field"] * n)
    whole = np.sum(flat**2) - flat.size * flat.mean() ** 2  # the mean is in no ring
    assert 0.99 * whole < inside <= whole * (1 + 1e-9)
    assert list(found.wavelength_km) == sorted(found.wavelength_km, reverse=True)
    assert [row[0] for row in found.kept] == list(WAVES)
    errors = [row[2] for row in found.kept]
    assert errors == sorted(errors, reverse=True) and errors[0] < values.std()


def test_what_is_usual_is_learnt_from_frames_before_and_another_view_begins_anew(frame):
    window = SpectrumWindow()
    for k in range(MIN_REFERENCE):
        assert math.isnan(window.look(later(frame, k * REFERENCE_STEP_S)).score)
        # Frames in between do not count.
        assert window.look(later(frame, (k + 0.4) * REFERENCE_STEP_S)).references <= k + 1
    found = window.look(later(frame, MIN_REFERENCE * REFERENCE_STEP_S))
    assert found.references == MIN_REFERENCE and found.score < found.threshold and not found.unusual
    past = window.look(later(frame, -5.0))
    assert past.references == 0, "what comes later is no reference"
    other = dataclasses.replace(frame, spec=dataclasses.replace(frame.spec, height_m=500.0))
    assert window.look(other).references == 0


def test_a_new_texture_is_unusual(frame, picture):
    window, rng = SpectrumWindow(), np.random.default_rng(3)
    for k in range(20):
        shaken = frame.now._replace(lat=frame.now.lat + rng.normal(0, 0.02, len(frame.now.lat)))
        window.look(dataclasses.replace(later(frame, k * REFERENCE_STEP_S), now=shaken))
    one = frame.now._replace(lat=np.full_like(frame.now.lat, 46.8), lon=np.full_like(frame.now.lon, 8.0))
    assert window.look(dataclasses.replace(later(frame, 900.0), now=one)).unusual


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_drawing_is_well_formed_and_stays_in_its_frame(frame, theme):
    found = SpectrumWindow().look(frame)
    root = ET.fromstring(spectrum_svg(found, theme).partition("<p>")[0])
    lines = [path.get("d") for path in root.iter("path") if path.get("fill") == "none"]
    assert len(lines) == 2, "now and predicted"
    for line in lines:
        xy = np.array([[float(v) for v in pair.split()] for pair in line.removeprefix("M").split("L")])
        assert (xy >= 0).all() and (xy <= [WIDTH, HEIGHT]).all() and (np.diff(xy[:, 0]) > 0).all()
    html = spectrum_html(found, theme)
    assert "wavelength (km)" in html and f"{MIN_REFERENCE} more frames" in html
    assert re.search(r"\d\.\d kB", html)


def test_it_is_shown_only_where_it_is_asked_for_and_says_when_there_is_nothing(frame, empty_frame):
    state = ViewState()
    panel = SpectrumPanel(state)
    panel.draw(frame)
    assert not panel.panel.visible
    state.show_spectrum = True
    panel.draw(frame)
    assert panel.panel.visible and "<svg" in panel.panel.object
    panel.draw(empty_frame)
    assert "No field is above" in panel.panel.object
    state.show_spectrum = False
    panel.draw(frame)
    assert not panel.panel.visible and panel.panel.object == ""


def test_a_score_above_the_threshold_is_called_unusual():
    found = FieldSpectrum(0.0, np.array([10.0, 5.0, 1.0]), {"field": np.array([9.0, 0.0, 1e-3])}, (), 4.2, 2.5, 30)
    html = spectrum_html(found, "light")
    assert "4.20" in html and "unusual" in html and "30 earlier frames" in html
