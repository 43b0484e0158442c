"""What one session of the Drift page looks at."""

from __future__ import annotations

from typing import Any, ClassVar

import param

from dashboard import words
from dashboard.state import PageState
from dashboard.words import Word

WINDOWS = {"15 minutes": 900, "1 hour": 3_600, "6 hours": 21_600, "12 hours": 43_200}
"""Windows offered, by label, s."""

LISTS = {"Alerts": "alerts", "Clusters": "clusters", "Places": "places", "Map": "map"}
"""What stands under the small multiples, by label."""

SHOWN = {"Open": "open", "Raised": "raised", "All": "all"}
"""Which alerts the feed shows: raised and unseen, all that stand, or all that are kept."""


class DriftState(PageState):
    """Window, filters, and what is looked at closely."""

    window_s: Any = param.Selector(default=3_600, objects=WINDOWS, label="Window", doc="How far back the series reach.")
    monitor: Any = param.String("", doc="Only this monitor; empty for all.")
    shown: Any = param.Selector(
        default="raised", objects=SHOWN, label="Alerts", doc="Open: raised, not acknowledged, not muted."
    )
    drills = param.Boolean(True, label="Show drills", doc="Alerts of drills are marked; off, they are not listed.")
    listed: Any = param.Selector(default="alerts", objects=LISTS, doc="What stands under the small multiples.")
    series = param.String("", doc="Monitor/entity looked at closely, empty for none.")
    alert = param.String("", doc="Identity of the alert looked at closely, empty for none.")
    west = param.Number(5.2, bounds=(-180, 180), doc="West edge of the map, degrees.")
    south = param.Number(45.2, bounds=(-85.06, 85.06), doc="South edge of the map, degrees.")
    east = param.Number(11.2, bounds=(-180, 180), doc="East edge of the map, degrees.")
    north = param.Number(48.4, bounds=(-85.06, 85.06), doc="North edge of the map, degrees.")

    WORDS: ClassVar[dict[str, Word]] = {
        "window": words.choice("window_s"),
        "monitor": words.text("monitor", "a monitor's name", "all are shown"),
        "alerts": words.choice("shown"),
        "drills": words.flag("drills"),
        "list": words.choice("listed"),
        "series": words.text("series", "a series", "none is selected"),
        "view": words.degrees_view(),
        "alert": words.text("alert", "an alert", "none is selected"),
    }
