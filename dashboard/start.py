"""Run once by ``panel serve --setup`` before the first page: start the station and say where things are."""

import os
import sys

from dashboard import live
from engine.config import Settings
from engine.station import data_path

settings = Settings.from_environment()
try:
    running = live.station()
except RuntimeError as error:
    sys.exit(f"The dashboard cannot start. {error}")
where = running.embedded.url if running.embedded is not None else "the Redis of REDIS_URL"
print(
    f"""
  SCYTHE is ready        http://localhost:{settings.port}/field   (volume, locate, hypergraph, drift, runs)
  playing                {running.feed.label if running.feed else "nothing"}
  data is kept in        {data_path(settings)}
  live bus               {"embedded" if running.embedded is not None else where}
  feed your own data     FEED=path/to/tracks.csv,path/to/eve.json make serve   (see docs/engine-ingest.md, -network.md)
  stop                   Ctrl-C
""",
    flush=True,
)
os.environ.setdefault("PANEL_LOG_LEVEL", "warning")
