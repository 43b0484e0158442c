"""The spectrum of the field in view, beside the map: power by wavelength, what plane waves keep, whether it is unusual.

It draws what `engine.frames.field_spectrum` computes, off the session's loop; only where it is asked for.
"""

from __future__ import annotations

import math

import numpy as np

from dashboard.components.latest import Latest
from dashboard.components.widget_style import told_beside
from dashboard.state import ViewState
from dashboard.theme import THEMES, field_colours
from engine.frames.field_frame import FieldFrame
from engine.frames.field_spectrum import MIN_REFERENCE, ONE_IN, REFERENCE_STEP_S, FieldSpectrum, SpectrumWindow

WIDTH, HEIGHT = 262, 132
LEFT, BOTTOM, TOP, RIGHT = 34, 28, 6, 6

DEFINITION = (
    "Mean squared magnitude of the plane waves of each length in the field, dB², after the mean is taken off and a "
    "Hann window laid on. The field is cut off at the lower colour limit."
)
UNUSUAL = (
    "Mean squared deviation of the logarithm of this spectrum from those of the frames before, in units of their "
    f"scatter: about 1 for a usual field. One usual field in {ONE_IN:,.0f} scores above the threshold."
)


class SpectrumPanel:
    """The panel of one view; empty and hidden while the state does not ask for it.

    Parameters
    ----------
    state : ViewState
        ``show_spectrum`` shows it; the theme colours it.
    """

    def __init__(self, state: ViewState) -> None:
        self.state = state
        self.panel = told_beside()
        self._window = SpectrumWindow()
        self._latest = Latest()
        self._drawn: tuple[FieldFrame, str] | None = None

    def draw(self, frame: FieldFrame) -> None:
        """Draw the spectrum of a frame, or nothing where none is wanted."""
        if not self.state.show_spectrum:
            if self.panel.visible:
                self.panel.param.update(object="", visible=False)
            self._drawn = None
            return
        wanted = (frame, self.state.theme)
        if self._drawn is not None and self._drawn[0] is frame and self._drawn[1] == self.state.theme:
            return
        self._drawn = wanted
        self._latest.do(lambda: self._window.look(frame), self._show)

    def close(self) -> None:
        """Compute nothing more."""
        self._latest.closed = True

    def _show(self, found: FieldSpectrum | Exception | None) -> None:
        if not self.state.show_spectrum:
            return
        if isinstance(found, Exception):
            html = "<h4>Spectrum</h4><p>It could not be computed; the log says why.</p>"
        else:
            html = spectrum_html(found, self.state.theme)
        self.panel.param.update(object=html, visible=True)


def spectrum_html(found: FieldSpectrum | None, theme: str) -> str:
    """The spectrum as HTML with a drawing in SVG; of numbers alone, nothing in it comes from data's texts."""
    if found is None:
        return "<h4>Spectrum of the field in view</h4><p>No field is above the lower colour limit.</p>"
    rows = "".join(
        f"<tr><td>{k}</td><td>{n_bytes / 1e3:.1f} kB</td><td>{rmse:.2f} dB</td><td>{largest:.1f} dB</td></tr>"
        for k, n_bytes, rmse, largest in found.kept
    )
    if math.isnan(found.score):
        need = MIN_REFERENCE - found.references
        usual = (
            f"<p>What is usual here is being learnt: {need} more frames, {REFERENCE_STEP_S:g} s apart, are needed.</p>"
        )
    else:
        word = "<em>unusual</em>" if found.unusual else "usual"
        usual = (
            f'<dl><dt title="{UNUSUAL}">against {found.references} earlier frames</dt>'
            f"<dd>{found.score:.2f}, {word} (threshold {found.threshold:.2f})</dd></dl>"
        )
    return (
        f'<h4 title="{DEFINITION}">Spectrum of the field in view</h4>{spectrum_svg(found, theme)}{usual}'
        "<table><tr><th>plane waves</th><th>size</th><th>RMS error</th><th>largest</th></tr>"
        f"{rows}</table>"
    )


def spectrum_svg(found: FieldSpectrum, theme: str) -> str:
    """Power (dB², logarithmic) over wavelength (km, logarithmic, long waves at the left)."""
    p = THEMES[theme]
    length = found.wavelength_km
    drawn = {name: np.where(power > 0.0, power, np.nan) for name, power in found.power_db2.items()}
    some = np.concatenate([power[np.isfinite(power)] for power in drawn.values()])
    if not len(some):
        return ""
    low, high = math.floor(np.log10(some.min())), math.ceil(np.log10(some.max()))
    high = max(high, low + 1)
    longest, shortest = math.log10(length.max()), math.log10(length.min())

    def at(km: np.ndarray, power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = LEFT + (longest - np.log10(km)) / (longest - shortest) * (WIDTH - LEFT - RIGHT)
        y = TOP + (high - np.log10(power)) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return x, y

    text = f'font-size="10" fill="{p.muted}"'
    parts = []
    for exponent in range(low, high + 1, max(1, math.ceil((high - low) / 4))):
        y = float(at(np.array(1.0), np.array(10.0**exponent))[1])
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{p.grid}"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{y + 3:.1f}" text-anchor="end" {text}>10{_raised(exponent)}</text>')
    for km in _ticks(length.min(), length.max()):
        x = float(at(np.array(km), np.array(1.0))[0])
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 12}" text-anchor="middle" {text}>{km:g}</text>')
    colours = {"field": field_colours(theme)[200], "forecast": p.forecast}
    for name, power in drawn.items():
        known = np.isfinite(power)
        places = np.column_stack(at(length[known], power[known]))
        line = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
        dash = ' stroke-dasharray="4 3"' if name == "forecast" else ""
        parts.append(f'<path d="M{line}" fill="none" stroke="{colours[name]}" stroke-width="1.6"{dash}/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 3}" text-anchor="middle" {text}>wavelength (km)</text>')
    names = "now (solid)" + (" and predicted (dashed)" if "forecast" in drawn else "")
    return (
        f'<svg role="img" aria-label="Power in dB² by wavelength in km, {names}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="100%">{"".join(parts)}</svg><p>Power (dB²) by wavelength, {names}.</p>'
    )


def _ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [m * 10.0**e for e in decades for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    return inside if len(inside) <= 6 else [v for v in inside if f"{v:e}".startswith("1")]


def _raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
