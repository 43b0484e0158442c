"""First picture and pan of a 20 GB dataset, beside reading it whole.

Run from the repository root: ``python -m tests.benchmarks.bench_hdf5 [GB]``.

The dataset is float32, chunks of 256 × 256, bitshuffle + LZ4; every chunk is there and has to be decompressed, but
there are only 64 different ones, so that it is made in a minute, and they pack well. Overview levels are made at the
end and timed, too. With so little on the disk the page cache holds it: what is measured is warm.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import psutil

from dashboard.components.array_source import SWIFT_S, DatasetSource
from engine.hdf5 import Overviews, Readers, open_hdf5
from engine.hdf5.views import box_of

CHUNK = 256
PICTURE = (600, 900)
"""Rows and columns of a picture in a window of 1280 × 800."""


def make(path: Path, gigabytes: float) -> int:
    """A dataset of so many GB; its side in cells."""
    many = max(int((gigabytes * 1e9 / 4) ** 0.5 / CHUNK), 4)
    side = many * CHUNK
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:CHUNK, 0:CHUNK] / CHUNK
    raw = []
    with h5py.File(path, "w", libver="latest") as file:
        scratch = file.create_dataset("scratch", (64 * CHUNK, CHUNK), "f4", chunks=(CHUNK, CHUNK),
                                      **hdf5plugin.Bitshuffle(cname="lz4"))  # fmt: skip
        for k in range(64):
            wave = np.sin(2 * np.pi * (x * (k % 8) + y * (k // 8))) + k / 16
            scratch[k * CHUNK : (k + 1) * CHUNK] = np.round(64 * (wave + 0.02 * rng.normal(size=wave.shape))) / 64
            raw.append(scratch.id.read_direct_chunk((k * CHUNK, 0))[1])
        packed = hdf5plugin.Bitshuffle(cname="lz4")
        data = file.create_dataset("field", (side, side), "f4", chunks=(CHUNK, CHUNK), **packed)
        for i in range(many):
            for j in range(many):
                data.id.write_direct_chunk((i * CHUNK, j * CHUNK), raw[(i * i // 40 + j * j // 60) % 64])
    return side


def memory_mib() -> float:
    """Resident memory of the reader processes, MiB."""
    return sum(child.memory_info().rss for child in psutil.Process().children(recursive=True)) / 2**20


def pans(source: DatasetSource, side: int, span: int, count: int = 25) -> list[float]:
    """Times of moving a window of `span` cells by a fifth of itself, s."""
    rng = np.random.default_rng(span)
    times = []
    x, y = side * 0.3, side * 0.4
    wide, high = span, span * PICTURE[0] // PICTURE[1]
    for _ in range(count):
        x = float(np.clip(x + rng.choice([-1, 1]) * wide / 5, 0, max(side - wide, 1)))
        y = float(np.clip(y + rng.choice([-1, 0, 1]) * high / 5, 0, max(side - high, 1)))
        started = time.perf_counter()
        source.view((x, y, x + wide, y + high), PICTURE, SWIFT_S)
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    """Measure and print."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    folder = Path(tempfile.mkdtemp(prefix="bench-hdf5-"))
    try:
        path = folder / "field.h5"
        side = make(path, gigabytes)
        stored = path.stat().st_size / 1e9
        print(f"{side} × {side} float32, {4e-9 * side * side:.1f} GB of values, {stored:.1f} GB on the disk")
        readers = Readers(2)
        readers.call("ping")
        firsts = []
        for _ in range(5):
            started = time.perf_counter()
            tree = open_hdf5(path, readers=readers)
            tree.members("/")
            source = DatasetSource(tree["field"])
            found = source.view(source.bounds, PICTURE, SWIFT_S)
            firsts.append(time.perf_counter() - started)
        first = statistics.median(firsts)
        print(f"first picture, file to array   {first:6.2f} s median of 5 ({found.attrs['how']}, "
              f"{100 * found.attrs['share']:.1f} % of chunks)")  # fmt: skip
        spans = [span for span in (400, 1_500, 6_000, 24_000) if span < side]
        for span in spans:
            times = pans(source, side, span)
            print(f"pan, {span:6d} cells wide         {statistics.median(times):6.3f} s median, "
                  f"{sorted(times)[int(0.9 * len(times))]:.3f} s 90th")  # fmt: skip
        print(f"readers                        {memory_mib():6.0f} MiB, this process "
              f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most")  # fmt: skip
        started = time.perf_counter()
        overviews = Overviews(folder / "kept")
        dataset = tree["field"]
        overview = overviews.find(dataset, box_of(dataset, (), None), build=True)
        assert overview is not None
        while overview.state == "building":
            time.sleep(0.05)
        spent = time.perf_counter() - started
        kept = sum(entry.stat().st_blocks for entry in overview.folder.iterdir()) * 512 / 1e9
        print(f"overview levels ({overview.state})       {spent:6.1f} s in the background")
        print(f"readers then                   {memory_mib():6.0f} MiB, levels {kept:.2f} GB on the disk")
        source = DatasetSource(dataset, overviews=overviews)
        for span in [*spans, side]:
            times = pans(source, side, span)
            how = source.view((0, 0, span, span * 0.66), PICTURE, SWIFT_S).attrs["how"]
            print(f"pan with levels, {span:6d} wide   {statistics.median(times):6.3f} s median ({how})")
        started = time.perf_counter()
        total = 0.0
        with h5py.File(path, "r") as file:
            for top in range(0, side, 4 * CHUNK):
                total += float(file["field"][top : top + 4 * CHUNK].sum(dtype="f8"))
        whole = time.perf_counter() - started
        print(f"reading it whole, band by band {whole:6.1f} s: {whole / first:.0f} × the first picture")
        readers.close()
        overviews.close()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
