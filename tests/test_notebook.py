"""The notebook runs from top to bottom, its numbers are right, and its map lives as long as a browser listens."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from pyproj import Transformer

from engine.feeds import NETWORK_SAMPLE, TDOA_SAMPLE

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebooks" / "field.ipynb"

NUMBERS = """
import json
taken = station.field(around, model="free_space")
print(json.dumps({
    "cell": [float(cell["lat"]), float(cell["lon"]), float(cell)],
    "forecast": ahead[["horizon_s", "lat", "lon", "sigma_m"]].to_dict("list"),
    "emitters": emitters[["lat", "lon", "alt_m"]].to_dict("list"), "synthetic": station.feed.synthetic,
    "field": [float(now["power_dbm"].min()), float(now["power_dbm"].max()), list(now["power_dbm"].shape)],
    "target": [client.id for _, client in view._notebook._comms.values()][0],
}))
"""

WATCH = """
import asyncio
seen = []
for _ in range(300):
    if view.frame is not None and (not seen or view.frame.moment_s > seen[-1]):
        seen.append(view.frame.moment_s)
    if len(seen) == 3:
        break
    await asyncio.sleep(0.1)
shown = view.frame
print(json.dumps({"moments": seen, "layers": sorted(shown.levels), "drawn": int((shown.levels["field"] > 0).sum()),
                  "forecast_s": shown.spec.forecast_s, "seq": shown.seq, "strip_seq": view.strip.status["seq"]}))
"""

STOP = """
stop()
watchers = station.board.stats()["watchers"]
print(json.dumps({"phase": station.phase, "watchers": watchers, "objects": len(view._notebook)}))
"""


class Listener(NotebookClient):
    """Runs a notebook and keeps what the kernel says to the comms of a front end."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.heard: list[dict[str, Any]] = []
        self.heard_before = -1

    def listen(self) -> None:
        """Keep every comm message; the client itself looks at those of the running cell alone."""
        channel = self.kc.iopub_channel
        get = channel.get_msg

        async def get_and_keep(*args: Any, **options: Any) -> dict[str, Any]:
            message = await get(*args, **options)
            if message["msg_type"] == "comm_msg":
                self.heard.append(message)
            return message

        channel.get_msg = get_and_keep

    async def open_comm(self, target: str) -> None:
        """Say what a browser says once it has drawn an output: that it listens now."""
        content = {"comm_id": "a-browser", "target_name": target, "data": {}}
        self.kc.shell_channel.send(self.kc.session.msg("comm_open", content))


async def run(client: Listener) -> list[dict[str, Any]]:
    """All cells, then the probes; the browser opens between the first and the second."""
    answers = []
    async with client.async_setup_kernel():
        client.listen()
        cells = list(client.nb.cells)
        for index, cell in enumerate(cells):
            await client.async_execute_cell(cell, index)
        for index, source in enumerate((NUMBERS, WATCH, STOP), start=len(cells)):
            probe = nbformat.v4.new_code_cell(source)
            client.nb.cells.append(probe)
            await client.async_execute_cell(probe, index)
            answers.append(json.loads("".join(o["text"] for o in probe.outputs if o.get("name") == "stdout")))
            if source is NUMBERS:
                client.heard_before = len(client.heard)
                await client.open_comm(answers[0]["target"])
    return answers


Done = tuple[Listener, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, real_data: Callable[[str], Path]) -> Done:
    """The executed notebook and the answers of the probes; everything it writes goes to a temporary folder."""
    # All that the sample plays: where one is missing it is fetched or invented, and that is said, as it should be.
    for name in ("tracks/switzerland.json.gz", NETWORK_SAMPLE, *TDOA_SAMPLE):
        real_data(name)
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(folder / "data"))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("PYTHONWARNINGS", "default")
        patch.delenv("REDIS_URL", raising=False)
        patch.delenv("FEED", raising=False)
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        client = Listener(notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
        answers = asyncio.run(run(client))
    return client, answers


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []


def test_no_cell_warns(done: Done) -> None:
    said = [
        output.text for cell in done[0].nb.cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"
    ]
    assert said == []


def test_plots_and_the_map_are_in_the_output(done: Done) -> None:
    shown = {
        cell.id: [output.data for output in cell.outputs if "data" in output]
        for cell in done[0].nb.cells
        if "outputs" in cell
    }
    for name in ("plot", "station-field", "live"):
        html = shown[name][-1]["text/html"]
        assert "application/javascript" in html and "Figure" in html, name
    assert "power_dbm" in shown["power-field"][0]["text/plain"]


def test_the_checked_cell_is_free_space_loss_over_the_straight_distance(done: Done) -> None:
    lat, lon, power_dbm = done[1][0]["cell"]
    ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978")
    d_m = math.dist(ecef.transform(47.2494, 9.3433, 2600.0), ecef.transform(lat, lon, 1000.0))
    assert power_dbm == pytest.approx(50.0 - 20 * math.log10(4 * math.pi * d_m * 1e8 / 299_792_458.0), abs=1e-4)


def test_the_forecast_flies_on_and_says_less_the_further_it_looks(done: Done) -> None:
    ahead = done[1][0]["forecast"]
    assert ahead["horizon_s"] == [5.0, 15.0, 60.0]
    # At 200 m/s from the last fix at 47.0048° N 8.0781° E, turning left.
    ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978")
    last = ecef.transform(47.0048, 8.0781, 9000.0)
    for horizon_s, lat, lon in zip(ahead["horizon_s"], ahead["lat"], ahead["lon"], strict=True):
        flown_m = math.dist(last, ecef.transform(lat, lon, 9000.0))
        assert 0.8 * 200.0 * horizon_s < flown_m < 1.1 * 200.0 * horizon_s
        assert lat > 47.0048
    assert ahead["sigma_m"] == sorted(ahead["sigma_m"]) and ahead["sigma_m"][0] > 0


def test_the_station_plays_recorded_aircraft_over_switzerland(done: Done) -> None:
    numbers = done[1][0]
    assert not numbers["synthetic"]
    emitters = numbers["emitters"]
    assert len(emitters["lat"]) >= 5
    assert all(45 < lat < 49 for lat in emitters["lat"]) and all(5 < lon < 12 for lon in emitters["lon"])
    low, high, shape = numbers["field"]
    assert shape == [160, 300]
    # No more than every aircraft together at its nearest: 54 dBm less the loss over the height between, 1.09 GHz.
    nearest_m = max(min(abs(alt - 3000.0) for alt in emitters["alt_m"]), 1.0)
    ceiling = 54.0 - 20 * math.log10(4 * math.pi * nearest_m * 1.09e9 / 299_792_458.0)
    assert -120 < low < high < ceiling + 10 * math.log10(len(emitters["lat"])) + 0.1


def test_nothing_is_sent_before_a_browser_listens_and_frames_follow_once_it_does(
    done: Done,
) -> None:
    client, (_, watched, _) = done
    assert client.heard_before == 0
    assert len(watched["moments"]) == 3 and watched["moments"] == sorted(set(watched["moments"]))
    assert watched["layers"] == ["field", "forecast", "trails"] and watched["drawn"] > 1000
    assert watched["forecast_s"] == 120.0, "what view.state was set to"
    sent = [json.loads(text) for message in client.heard if isinstance(text := message["content"]["data"], str)]
    events = [event for part in sent if isinstance(part, dict) for event in part.get("events", ())]
    pictures = Counter(
        e["model"]["id"] for e in events if e["kind"] == "ColumnDataChanged" and '"image"' in json.dumps(e)
    )
    assert max(pictures.values()) >= 2, "the same picture, replaced by the next frame's"
    assert any(e.get("attr") == "status" and '"seq"' in json.dumps(e["new"]) for e in events), "the strip's state"


def test_stopping_ends_station_and_view(done: Done) -> None:
    stopped = done[1][2]
    assert stopped == {"phase": "dead", "watchers": 0, "objects": 2}


def test_it_writes_nothing_beside_itself(done: Done) -> None:
    assert sorted(path.name for path in NOTEBOOK.parent.iterdir() if path.name != ".ipynb_checkpoints") == [
        NOTEBOOK.name
    ]
