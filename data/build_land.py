"""Builds the small coastline and border files in `data/land/` from the `world-atlas` npm package.

Run by hand when the package changes, never when the dashboard runs: it reads TopoJSON (Natural Earth, public
domain), keeps what a map draws, and writes one compressed file per resolution. It knows nothing of the engine.

    npm pack world-atlas@2.0.2 && python -m data.build_land world-atlas-2.0.2.tgz
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESOLUTIONS = ("110m", "50m", "10m")

MAX_POINTS = 128
"""Points per stored polyline: short pieces have small bounding boxes, so a window on one country does not
drag the whole of Eurasia's shore along. Neighbouring pieces share their end point."""

Cells = NDArray[np.int64]


def arcs_of(geometry: dict[str, Any]) -> Iterator[int]:
    """Indexes of the arcs that a TopoJSON geometry uses, direction dropped (``~i`` means reversed)."""

    def walk(item: Any) -> Iterator[int]:
        if isinstance(item, int):
            yield item if item >= 0 else ~item
        else:
            for inner in item:
                yield from walk(inner)

    if geometry["type"] == "GeometryCollection":
        for inner in geometry["geometries"]:
            yield from arcs_of(inner)
    else:
        yield from walk(geometry.get("arcs", []))


def coastline_arcs(topology: dict[str, Any]) -> list[int]:
    """Arcs on the shore: used once by the land. An arc used twice is a seam inside the land."""
    uses: dict[int, int] = defaultdict(int)
    for arc in arcs_of(topology["objects"]["land"]):
        uses[arc] += 1
    return sorted(arc for arc, times in uses.items() if times == 1)


def border_arcs(topology: dict[str, Any]) -> list[int]:
    """Arcs that two different countries share."""
    users: dict[int, set[int]] = defaultdict(set)
    for number, country in enumerate(topology["objects"]["countries"]["geometries"]):
        for arc in arcs_of(country):
            users[arc].add(number)
    return sorted(arc for arc, countries in users.items() if len(countries) > 1)


def drawable_pieces(cells: Cells, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Iterator[Cells]:
    """Cuts one arc where it jumps the antimeridian, runs along the map's edge, or grows too long."""
    jump = np.abs(np.diff(lon)) > 180.0
    on_edge = (np.abs(lon) > 179.99) | (lat < -89.9)
    # Natural Earth closes polygons along the antimeridian and the south pole; nobody should see those lines.
    along_edge = on_edge[:-1] & on_edge[1:]
    for piece in np.split(np.arange(len(cells)), np.flatnonzero(jump | along_edge) + 1):
        for first in range(0, len(piece) - 1, MAX_POINTS - 1):
            yield cells[piece[first : first + MAX_POINTS]]


def polylines(topology: dict[str, Any], arcs: list[int]) -> dict[str, NDArray[Any]]:
    """Packs arcs as differences of grid cells: x, y (int32) and the number of points of each polyline."""
    scale, translate = np.asarray(topology["transform"]["scale"]), np.asarray(topology["transform"]["translate"])
    pieces: list[Cells] = []
    for arc in arcs:
        cells = np.cumsum(np.asarray(topology["arcs"][arc], dtype=np.int64), axis=0)
        lon, lat = (cells * scale + translate).T
        pieces.extend(piece for piece in drawable_pieces(cells, lon, lat) if len(piece) > 1)
    flat = np.concatenate(pieces)
    steps = np.diff(flat, axis=0, prepend=np.zeros((1, 2), dtype=np.int64)).astype(np.int32)
    counts = np.asarray([len(piece) for piece in pieces], dtype=np.int16)
    return {"dx": steps[:, 0], "dy": steps[:, 1], "points": counts}


def build(package: Path, target: Path) -> None:
    """Writes `lines_<resolution>.npz` for every resolution in the npm tarball `package` into `target`."""
    with tarfile.open(package) as archive:

        def read(name: str) -> dict[str, Any]:
            member = archive.extractfile(f"package/{name}.json")
            if member is None:
                raise FileNotFoundError(f"{package} has no package/{name}.json; is it world-atlas 2.x?")
            return json.load(io.TextIOWrapper(member, encoding="utf-8"))

        for resolution in RESOLUTIONS:
            arrays: dict[str, NDArray[Any]] = {}
            for kind, file, select in (
                ("coastline", f"land-{resolution}", coastline_arcs),
                ("borders", f"countries-{resolution}", border_arcs),
            ):
                topology = read(file)
                transform = [*topology["transform"]["scale"], *topology["transform"]["translate"]]
                arrays[f"{kind}_grid"] = np.asarray(transform, dtype=np.float64)
                packed = polylines(topology, select(topology))
                arrays.update({f"{kind}_{name}": value for name, value in packed.items()})
            path = target / f"lines_{resolution}.npz"
            np.savez_compressed(path, allow_pickle=False, **arrays)  # type: ignore[arg-type]
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="world-atlas-2.0.2.tgz, as npm pack leaves it")
    parser.add_argument("--target", type=Path, default=Path(__file__).parent / "land")
    arguments = parser.parse_args()
    build(arguments.package, arguments.target)
