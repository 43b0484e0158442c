"""The look by the numbers: contrast as WCAG counts it, lightness as CIE does, one colour for one meaning."""

import re

import numpy as np
import pytest

from dashboard.theme import ASSETS, THEMES, colours, field_colours, forecast_colours, ramp, trail_colours

THEME_NAMES = ("light", "dark")


def linear(hex_colour):
    """Linear sRGB of `#rrggbb` (IEC 61966-2-1)."""
    rgb = np.array([int(hex_colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(hex_colour):
    return float(linear(hex_colour) @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lightness(hex_colour):
    """CIE 1976 L*, 0 to 100."""
    y = luminance(hex_colour)
    return 116.0 * np.cbrt(y) - 16.0 if y > (6 / 29) ** 3 else y * (29 / 3) ** 3


def alpha(hex_colours):
    return np.array([int(c[7:9], 16) for c in hex_colours])


def tokens(theme):
    rules = re.findall(r"([^{}]*)\{([^{}]*)\}", (ASSETS / "shell.css").read_text())
    block = next(body for selector, body in rules if f'[data-theme="{theme}"]' in selector and "--" in body)
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-fA-F]{6})\b", block))


def test_the_formulas_are_right_where_the_answer_is_known():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # W3C's own example
    assert lightness("#ffffff") == pytest.approx(100.0) and lightness("#777777") == pytest.approx(50.0, abs=0.1)


@pytest.mark.parametrize("theme", THEME_NAMES)
@pytest.mark.parametrize("ink", ["text", "muted", "selected", "forecast"])
def test_what_is_written_on_the_map_can_be_read(theme, ink):
    p = THEMES[theme]
    assert contrast(getattr(p, ink), p.surface) >= 4.5
    assert contrast(p.text, p.map_background) >= 4.5 and contrast(p.muted, p.map_background) >= 4.5


@pytest.mark.parametrize("theme", THEME_NAMES)
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("text", "surface"), ("text", "ground"), ("text", "field"), ("muted", "surface"), ("muted", "field"),
        ("accent", "surface"), ("accent", "field"), ("on-accent", "accent"), ("ok", "ok-bg"), ("warn", "warn-bg"),
        ("alarm", "alarm-bg"), ("text", "ok-bg"), ("text", "warn-bg"), ("text", "alarm-bg"), ("warn", "surface"),
        ("alarm", "surface"), ("surface", "text"),
    ],
)  # fmt: skip
def test_every_text_of_the_shell_can_be_read(theme, ink, ground):
    found = tokens(theme)
    assert contrast(found[ink], found[ground]) >= 4.5


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_page_and_map_share_their_colours(theme):
    page, p = tokens(theme), THEMES[theme]
    assert (page["surface"], page["text"], page["muted"], page["orange"]) == (p.surface, p.text, p.muted, p.forecast)


def test_both_themes_define_the_same_colours():
    assert tokens("light").keys() == tokens("dark").keys() >= {"surface", "text", "accent", "ok", "warn", "alarm"}


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_what_marks_a_place_stands_out_from_the_map(theme):
    p = THEMES[theme]
    for mark in (p.coast, p.border, p.emitter, p.selected, p.forecast):
        assert contrast(mark, p.map_background) >= 3.0  # WCAG 2.2, 1.4.11: graphics


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_a_stronger_field_is_evenly_further_from_the_background(theme):
    light = np.array([lightness(c) for c in field_colours(theme)])
    away = light - lightness(THEMES[theme].map_background)
    steps = np.diff(light) if theme == "dark" else -np.diff(light)
    # The bytes of a colour are whole numbers, so single steps of L* vary by a few tenths.
    assert (steps > -0.15).all() and (np.convolve(steps, np.ones(8), "valid") > 0).all()
    assert np.abs(away[-1]) > np.abs(away[0]) + 40.0
    straight = np.linspace(light[0], light[-1], 256)
    assert np.abs(light - straight).max() < 0.05 * np.abs(light[-1] - light[0])


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_no_field_is_no_colour_and_any_field_is_one(theme):
    for palette in (field_colours(theme), forecast_colours(theme), trail_colours(theme)):
        assert len(palette) == 256 and all(re.fullmatch(r"#[0-9a-f]{8}", c) for c in palette)
        assert palette[0].endswith("00")
    assert (alpha(field_colours(theme))[1:] == 255).all()
    assert (np.diff(alpha(forecast_colours(theme))) >= 0).all() and alpha(forecast_colours(theme))[-1] > 200
    assert (np.diff(alpha(trail_colours(theme))) >= 0).all()


@pytest.mark.parametrize("theme", THEME_NAMES)
def test_now_is_blue_and_the_future_is_orange(theme):
    for now, ahead in zip(field_colours(theme)[64:], forecast_colours(theme)[64:], strict=True):
        red, _, blue = linear(now)
        assert blue > red or lightness(now) < 15.0
        red, _, blue = linear(ahead)
        assert red > blue


def test_colours_by_name_are_made_once_and_are_the_same():
    assert colours("field", "dark") is colours("field", "dark")
    assert colours("field", "dark") == field_colours("dark") and colours("trails", "light") == trail_colours("light")


def test_a_ramp_goes_from_its_first_to_its_last_colour():
    rgb = ramp(["#0b1014", "#1587ae", "#b4f4ee"], 16)
    assert rgb.shape == (16, 3)
    np.testing.assert_allclose(rgb[[0, -1]], [[11, 16, 20], [180, 244, 238]], atol=1)
    grey = ramp(["#000000", "#ffffff"], 11)
    assert (np.ptp(grey, axis=1) <= 1).all() and (np.diff(grey[:, 0]) > 0).all()
