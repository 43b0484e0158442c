"""Settings of a running station, read once from the environment, each documented and checked.

This page lists the variables that steer a run; where data sets are looked for (``SCYTHE_SHARED_DATA``)
is a matter of `data.loader`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What a station needs to know before it starts.

    Attributes
    ----------
    data_dir : Path
        Where the event log and everything a run writes is kept (``DATA_DIR``, default ``data/run``).
    redis_url : str or None
        A running Redis or Valkey (``REDIS_URL``); None starts an embedded one.
    port : int
        Port of the web server (``PORT``, default 5006).
    host : str
        Address the web server listens on (``HOST``, default 127.0.0.1: this machine only).
    origins : tuple of str
        Further ``host:port`` under which browsers may reach the pages (``ORIGINS``, comma-separated).
    feed : str
        What to play (``FEED``, default ``sample``): words and files, separated by commas; see
        `engine.feeds.open_feed`.
    backfill_s : float
        Seconds of the recording to ingest at once at start, so that there is a past to look at
        (``BACKFILL_S``, default 1800).
    hdf5_folders : tuple of Path
        Folders whose HDF5 files may be explored besides ``DATA_DIR/runs`` and ``DATA_DIR/files``
        (``HDF5_FOLDERS``, separated as in PATH). Whoever reaches the pages can read all such files in them.
    upload_mib : int
        Size of the files that one viewer may hand in to be explored, MiB in all (``UPLOAD_MIB``, default 512).
    graph_nodes : int
        Nodes that the live hypergraph keeps, and five times as many incidences (``GRAPH_NODES``, default 200 000);
        some 400 bytes each. Beyond it the lightest and oldest go, counted.
    """

    data_dir: Path = Path("data/run")
    redis_url: str | None = None
    port: int = 5006
    host: str = "127.0.0.1"
    origins: tuple[str, ...] = ()
    feed: str = "sample"
    backfill_s: float = 1800.0
    hdf5_folders: tuple[Path, ...] = ()
    upload_mib: int = 512
    graph_nodes: int = 200_000

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Settings from environment variables.

        Raises
        ------
        ValueError
            Naming the variable, its value and what would be right.

        Examples
        --------
        >>> Settings.from_environment({"PORT": "8080"}).port
        8080
        """
        env = os.environ if environ is None else environ
        return cls(
            data_dir=Path(env.get("DATA_DIR") or "data/run"),
            redis_url=env.get("REDIS_URL") or None,
            port=_whole(env, "PORT", 5006, 0, 65535),
            host=env.get("HOST") or "127.0.0.1",
            origins=tuple(o.strip() for o in (env.get("ORIGINS") or "").split(",") if o.strip()),
            feed=env.get("FEED") or "sample",
            backfill_s=_number(env, "BACKFILL_S", 1800.0, 0.0, 86_400.0),
            hdf5_folders=tuple(Path(f) for f in (env.get("HDF5_FOLDERS") or "").split(os.pathsep) if f.strip()),
            upload_mib=_whole(env, "UPLOAD_MIB", 512, 0, 65_536),
            graph_nodes=_whole(env, "GRAPH_NODES", 200_000, 1_000, 5_000_000),
        )


def _whole(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = _number(env, name, default, low, high)
    if value != int(value):
        raise ValueError(f"{name} is {env[name]}; it must be a whole number from {low} to {high}")
    return int(value)


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name) or ""
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; it must be a number from {low:g} to {high:g}") from None
    if not low <= value <= high:
        raise ValueError(f"{name} is {text}; it must be from {low:g} to {high:g}")
    return value
