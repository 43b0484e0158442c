"""Serves the dashboard with a field computation that a test can hold up or make fail, by files in a folder.

``python breakable_server.py FOLDER``: while FOLDER/fail exists every frame fails, while FOLDER/hold exists none is
finished. Everything else is the product as it is, started by its own main.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Break the station's computation on demand and serve."""
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(ROOT))
    from dashboard import __main__ as dashboard
    from engine.station import Station

    compute = Station._compute

    def breakable(self: Station, *args: object) -> object:
        while (folder / "hold").exists():
            time.sleep(0.02)
        if (folder / "fail").exists():
            raise ArithmeticError("the test pulled the plug <b>here</b>")
        return compute(self, *args)  # type: ignore[arg-type]

    Station._compute = breakable  # type: ignore[assignment,method-assign]
    dashboard.main()


if __name__ == "__main__":
    main()
