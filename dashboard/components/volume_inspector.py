"""What the Volume page says in numbers: the point that was clicked, the selected emitter, the volume itself.

Data is text and only text: every value from data goes through `html.escape`.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np
import panel as pn

from dashboard.components.widget_style import heading, styled
from dashboard.theme import ASSETS, THEMES, colours
from engine.frames.volume_frame import VolumeFrame
from engine.frames.volume_planes import PlanesFrame

CSS = (ASSETS / "inspector.css").read_text()


class VolumeInspector(pn.viewable.Viewer):
    """Exact values at a point, the selected emitter, and how fine the picture is."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.find = styled(pn.widgets.TextInput(label="", placeholder="Find an emitter: id or call sign", value=""))
        self.text = pn.pane.HTML("", stylesheets=[CSS], sizing_mode="stretch_width", margin=0)
        self._layout = pn.Column(heading("At a point"), self.text, heading("Emitter"), self.find, margin=0,
                                 sizing_mode="stretch_width")  # fmt: skip

    def __panel__(self) -> pn.viewable.Viewable:
        return self._layout

    def describe(self, html: str) -> None:
        """Show this; the same again costs nothing."""
        if self.text.object != html:
            self.text.object = html


def point_html(frame: PlanesFrame | None, probe: tuple[float, ...], unit: str) -> str:
    """The exact fields at a point, from the emitters and not from the picture."""
    if frame is None or len(probe) != 3:
        return "<p>Click the slice or the section: the exact field there is told here.</p>"
    lat, lon, alt_m = probe
    now, ahead = frame.at(lat, lon, alt_m)
    change = f"{ahead - now:+.2f} dB" if math.isfinite(now + ahead) else "unknown"
    return "<dl>" + "".join((
        _row("place", f"{lat:.4f}°, {lon:.4f}°", "Latitude and longitude, WGS-84."),
        _row("height", f"{alt_m:,.0f} m", "Height above the ellipsoid."),
        _row("field now", _power(now, unit), "Sum over all emitters at this very point; not read from the picture."),
        _row("predicted", _power(ahead, unit), "The same with every emitter where it is expected."),
        _row("change", change, "Predicted less now."),
    )) + "</dl>"  # fmt: skip


def volume_html(frame: VolumeFrame, sent_bytes: int, planes: PlanesFrame | None) -> str:
    """How fine the volume is and what it costs."""
    _, nz, ny, nx = frame.levels.shape
    grid = frame.grid
    rows = [
        _row("cells", f"{nx} × {ny} × {nz}", "Across, up the map, and levels from 0 to 20 km."),
        _row("cell", f"{_across_km(frame):.1f} km × {float(np.diff(grid.level_alt_m)[0]):,.0f} m",
             "Width and height of a cell in the middle of the region."),
        _row("picture step", f"±{frame.quantisation_db:.2f} dB", "Largest rounding error of the bytes on screen."),
        _row("distance floor", f"{grid.floor_m:,.0f} m",
             "Half the smallest spacing, added in squares to distances in the volume; slice and section have none."),
        _row("emitters", str(len(frame.tracks)), "Heard within the last 60 s before the moment shown."),
        _row("computed in", f"{frame.compute_ms:.0f} ms", "Time to compute both volumes, once for all viewers."),
        _row("last update", f"{sent_bytes / 1024:.1f} kB", "Deflated bytes of the last change of the volume."),
    ]  # fmt: skip
    if planes is not None:
        rows.append(_row("planes in", f"{planes.compute_ms:.0f} ms", "Time to compute slice and section, both fields."))
    return "<h4>Volume</h4><dl>" + "".join(rows) + "</dl>"


def emitter_html(frame: VolumeFrame, selected: str) -> str:
    """The selected emitter."""
    if not selected:
        return "<h4>Emitter</h4><p>Click one in the volume, or find one by name.</p>"
    rows = np.flatnonzero(frame.tracks.table["id"].astype(str).to_numpy(dtype=object) == selected)
    if not len(rows):
        return f"<h4>{escape(selected)}</h4><p>Not heard in the 60 s before the moment shown.</p>"
    i = int(rows[0])
    info = frame.tracks.table.iloc[i]
    name = info["callsign"] if isinstance(info["callsign"], str) and info["callsign"] else selected
    head = f"<h4>{escape(str(name))}</h4><p>{escape(str(info['emitter_kind']))} · {escape(selected)}</p><dl>"
    return head + "".join((
        _row("altitude", f"{frame.now.alt_m[i]:,.0f} m", "Carried to the moment shown."),
        _row("predicted", f"{frame.ahead.alt_m[i]:,.0f} m", "Altitude at the forecast."),
        _row("speed", f"{frame.now.speed_m_s[i]:.0f} m/s", "Ground speed from the tracking filter."),
        _row("EIRP", f"{float(info['eirp_dbm']):.1f} dBm", "Radiated power."),
        _row("last fix", f"{frame.tracks.age_s[i]:.1f} s ago", "Age of the newest position at the moment shown."),
    )) + "</dl>"  # fmt: skip


def legend_html(low: float, high: float, unit: str, theme: str, exaggeration: float) -> str:
    """The one scale of all three pictures."""
    p = THEMES[theme]
    step = next(s for s in (1, 2, 5, 10, 20, 50) if (high - low) / s <= 7)
    ticks = "".join(
        f'<i style="left:{100 * (v - low) / (high - low):.1f}%">{f"{v:g}".replace("-", "−")}</i>'
        for v in np.arange(np.ceil(low / step) * step, high + 1e-9, step)
    )
    bars = "".join(f'<b style="background:{_gradient(layer, theme)}"></b>' for layer in ("field", "forecast"))
    return (
        f'<div class="legend" style="color:{p.muted}"><span>Received power ({escape(unit)})</span>'
        f'<span class="names"><em>now</em><em>predicted</em></span><span class="bars">{bars}<span class="ticks">{ticks}'
        f"</span></span><span>heights × {exaggeration:g}</span></div>"
    )


def _gradient(layer: str, theme: str) -> str:
    stops = colours(layer, theme)[1::18]
    return f"linear-gradient(90deg, {', '.join(colour[:7] for colour in stops)})"


def _across_km(frame: VolumeFrame) -> float:
    s, nx = frame.spec, frame.levels.shape[-1]
    return math.cos(math.radians(0.5 * (s.south + s.north))) * (s.east - s.west) * 111.32 / nx


def _power(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if math.isfinite(value) else "none"


def _row(name: str, value: str, definition: str) -> str:
    return f'<dt title="{escape(definition)}" tabindex="0">{name} <i>i</i></dt><dd>{value}</dd>'
