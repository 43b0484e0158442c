"""The parts of the Hypergraph page without a browser: links, messages, files handed in, files taken along."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xgi

from dashboard.components.file_upload import FileUpload
from dashboard.components.graph_inspector import entity_content, overview_content
from dashboard.components.graph_kinds import GraphKinds
from dashboard.components.graph_map import GraphMap, region_from
from dashboard.components.graph_plot import graph_plot
from dashboard.components.graph_state import GraphState
from dashboard.components.graph_table import GraphTable
from dashboard.components.graph_take_along import csv_bytes, hif_bytes, html_bytes, parquet_bytes, python_lines, rows_of
from dashboard.share import from_query, to_query
from engine.events.schema import event_table
from engine.frames.graph_frame import GraphFrame
from engine.frames.graph_spec import graph_spec
from engine.hypergraph.graph_fold import GraphFold
from engine.upload import UploadResult
from tests.frames.graphs import MOMENT_S, frames, pairs

HOSTILE = "<img src=x onerror=alert(1)>"
VIEW = (-1_000.0, -800.0, 1_000.0, 800.0)


def frame_of(n: int, **spec: object) -> GraphFrame:
    fold = pairs(n)
    count = fold.snapshot(MOMENT_S).n_nodes
    x, y = np.random.default_rng(n).uniform(-600.0, 600.0, (2, count))
    return frames(fold, x, y).compute(graph_spec(VIEW, **spec), MOMENT_S)


@pytest.fixture(scope="module")
def few() -> GraphFrame:
    return frame_of(20, listed="rows", by="kind")


@pytest.fixture(scope="module")
def many() -> GraphFrame:
    return frame_of(900, listed="rows", by="count")


def test_a_link_brings_the_whole_state_back():
    state = GraphState(
        space="map", by="recency", scale="equalised", lines=False, hidden=["mac", "rule"], listed="hot",
        place=(-5.0, -4.0, 5.0, 4.5), order="-degree", where="degree~>5", find="10.0", selected="host:a b&c",
    )  # fmt: skip
    state.region = region_from([0.0, 0.0, 9.0, 9.0], lasso=False, step=2)
    again = GraphState()
    assert from_query(dict(parse_qsl(to_query(state), keep_blank_values=True)), again) == []
    for name in set(state.param) - {"name", "drag_selects", "lasso"}:
        assert getattr(again, name) == getattr(state, name), name


@pytest.mark.parametrize(
    "query",
    [{"place": "1,2,3"}, {"place": "5,0,1,9"}, {"place": "nan,0,1,9"}, {"by": "colour"}, {"table": "secrets"},
     {"region": "box:0:0,0,1e99,2"}, {"hide": ",".join("abcdefghijklmnopqrstuvwxyz0123456789")}, {"scale": HOSTILE}],
)  # fmt: skip
def test_a_part_of_a_link_that_makes_no_sense_is_refused_by_name(query):
    state = GraphState()
    before = to_query(state)
    (said,) = from_query(query, state)
    assert said.startswith(next(iter(query)))
    assert to_query(state) == before


def test_a_picture_is_drawn_and_what_is_gone_is_taken_away(few, many):
    map_ = GraphMap(GraphState(by="kind"))
    map_.draw(few)
    assert len(map_.sources["points"].data["id"]) == few.picture.numbers["in_view"]
    assert len(map_.sources["segments"].data["x0"]) == few.picture.segments.num_rows > 0
    map_.draw(many)
    assert len(map_.sources["segments"].data["x0"]) == 0, "lines of the few do not stay over the many"
    (image,) = map_.sources["nodes"].data["image"]
    assert image is many.picture.nodes.cells
    sent = dict(map_.sources["points"].data)
    map_.draw(many)
    assert all(map_.sources["points"].data[name] is values for name, values in sent.items()), "nothing is sent twice"
    map_.draw(few)
    assert len(map_.sources["nodes"].data["image"]) == 0


def test_a_drag_in_the_browser_becomes_a_region_of_cells(few):
    map_ = GraphMap(GraphState(by="kind"))
    map_.draw(few)
    map_.asked.data = {"v": [0, -100.0, -50.0, 100.0, -50.0, 100.0, 60.0, -100.0, 60.0]}
    assert map_.state.region.shape == "box"
    xs, ys = map_.state.region.outline()
    assert min(xs) <= -100.0 and max(xs) >= 100.0 and min(ys) <= -50.0 and max(ys) >= 60.0
    for nonsense in ([], [0], [0, float("nan"), 1, 2], [0, 1e12, 0, 0], [1, 0, 0, 0, 0]):
        map_.asked.data = {"v": nonsense}
    assert map_.state.region is None or map_.state.region.shape == "box"


def test_the_legend_says_values_and_kinds(few, many):
    map_ = GraphMap(GraphState(by="kind"))
    map_.draw(few)
    assert set(map_.legend._bar.major_label_overrides.values()) == {"host", "name"}
    map_.draw(many)
    labels = map_.legend._bar.major_label_overrides
    assert [labels[at] for at in map_.legend._ticker.ticks] == [f"{v:.3g}" for _, v in many.picture.ticks]
    assert "logarithmic" in map_.legend.title


def test_messages_of_the_browser_are_checked():
    state = GraphState()
    kinds, table = GraphKinds(state, kinds=[["host", 3, 0], ["name", 2, 1]]), GraphTable(state)
    kinds._handle_msg({"do": "only", "kind": "name"})
    assert state.hidden == ["host"]
    for part in (kinds, table):
        for msg in (None, [], "x", {}, {"do": "tab", "name": "secrets"}, {"do": "order", "name": "x; drop"},
                    {"do": "window", "start": "1"}, {"do": "where", "filters": {"x": HOSTILE}},
                    {"do": "toggle", "kind": 5}, {"do": "pick", "id": 7}):  # fmt: skip
            part._handle_msg(msg)
    assert (state.hidden, state.listed, state.order, state.where, state.selected) == (["host"], "", "", "", "")


def test_only_the_rows_in_sight_go_to_the_browser():
    frame = frame_of(900, listed="rows")
    state = GraphState(listed="rows")
    table = GraphTable(state)
    table.tell(frame)
    assert table.total == table.all == frame.picture.numbers["in_view"] > 1_000
    assert len(table.rows) == len(table.ids) == 120
    table._handle_msg({"do": "window", "start": 1_500})
    assert table.start == 1_500 and table.ids[0] == frame.table["id"][1_500].as_py()
    table._handle_msg({"do": "where", "filters": {"degree": "many"}})
    table.tell(frame)
    assert "no filter of numbers" in table.refused and table.total == 0
    state.listed = "hot"
    table.tell(frame)
    assert table.rows == [] and table.nothing == "Loading …", "never the rows of another table"


def test_the_inspector_tells_plain_text_and_what_it_tells_is_true():
    fold = GraphFold()
    payload = [json.dumps({"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2", "tls_sni": HOSTILE})]
    fold.apply(event_table([int(MOMENT_S * 1e6)], "net.tls", ["e"], "test", payload=payload))
    made = frames(fold, np.zeros(3), np.zeros(3))
    frame = made.compute(graph_spec(VIEW, selected=f"name:{HOSTILE}"), MOMENT_S + 3.0)
    content = entity_content(frame, frame.entity)
    assert content["title"] == HOSTILE
    facts = {name: value for name, value, _ in content["facts"]}
    assert facts["neighbours"] == "2" and facts["hyperedges"] == "1" and facts["last seen"] == "3 s before"
    numbers = {name: value for name, value, _ in overview_content(frame)["facts"]}
    assert numbers["nodes in view"] == "3 of 3" and numbers["hyperedges in view"] == "1 of 1"


def test_files_taken_along_hold_what_the_page_shows(few, tmp_path, monkeypatch):
    table = rows_of(few, "-degree", "kind~host")
    assert table.num_rows == 40
    back = pq.read_table(io.BytesIO(parquet_bytes(table)))
    pd.testing.assert_frame_equal(back.to_pandas(), table.to_pandas())
    assert len(csv_bytes(table).splitlines()) == 41

    document = json.loads(hif_bytes(few.snapshot))
    theirs = xgi.from_hif_dict(document)
    assert (theirs.num_nodes, theirs.num_edges) == (few.snapshot.n_nodes, few.snapshot.n_edges)
    row = few.snapshot.node_row("host:10.0.0.3")
    mine = {
        few.snapshot.nodes["id"][int(r)].as_py()
        for e in few.snapshot.edge_rows_of(row)
        for r in few.snapshot.member_rows(int(e))
    }
    assert theirs.nodes.neighbors("host:10.0.0.3") == mine - {"host:10.0.0.3"}

    (tmp_path / "hypergraph.json").write_bytes(hif_bytes(few.snapshot))
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {}
    exec(compile(python_lines(few), "hypergraph.py", "exec"), space)
    assert int(space["picture"].sum()) == few.snapshot.n_nodes  # type: ignore[attr-defined]


def test_the_html_page_needs_no_network_and_the_plot_stands_alone(few, many):
    for frame in (few, many):
        page = html_bytes(frame, "dark").decode()
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="http', page) and len(page) > 500_000
        assert len(graph_plot(frame, "light")) >= 2


class Slow:
    """A station that reads a file as slowly as a test wants."""

    def __init__(self) -> None:
        self.go, self.got = threading.Event(), b""

    def upload(self, file, name, progress, cancel):
        with open(file, "rb") as handle:
            self.got = handle.read()
        progress(0.5)
        while not self.go.wait(0.01) and not cancel.is_set():
            pass
        state = "cancelled" if cancel.is_set() else "finished"
        return UploadResult(name, "eve", 3, 2, 2, {"truncated": 1}, {}, state)


def piece(upload: FileUpload, at: int, data: bytes, size: int, name: str = "a.json") -> None:
    upload._handle_msg(
        {"do": "piece", "name": name, "at": at, "size": size, "content": base64.b64encode(data).decode()}
    )


def ended(upload: FileUpload) -> dict:
    end = time.monotonic() + 60.0
    while upload.progress["phase"] in ("sending", "reading"):
        assert time.monotonic() < end
        upload.pull()
        time.sleep(0.01)
    return upload.progress


def test_a_file_in_pieces_arrives_whole_and_is_accounted_for():
    station = Slow()
    upload = FileUpload(station)  # type: ignore[arg-type]
    piece(upload, 0, b"abc", 5, HOSTILE)
    assert upload.received[0] == 3
    piece(upload, 3, b"de", 5, HOSTILE)
    station.go.set()
    told = ended(upload)
    assert station.got == b"abcde"
    assert told["phase"] == "done" and HOSTILE in told["text"]
    assert {name: n for name, n, _ in told["rows"]} == {
        "records read": 3, "taken over": 2, "events": 2, "refused: truncated": 1,
    }  # fmt: skip


def test_a_file_can_be_cancelled_on_its_way_and_while_it_is_read():
    station = Slow()
    upload = FileUpload(station)  # type: ignore[arg-type]
    piece(upload, 0, b"abc", 9)
    path = upload._job.path
    upload._handle_msg({"do": "cancel"})
    assert upload.progress["phase"] == "cancelled" and upload.received[0] == -1
    piece(upload, 0, b"abc", 3)
    upload._handle_msg({"do": "cancel"})
    assert ended(upload)["phase"] == "cancelled"
    assert not Path(path).exists(), "nothing is left on the disk"


@pytest.mark.parametrize("size", [0, 1 << 40])
def test_a_file_that_is_too_large_or_empty_is_refused_with_its_size(size):
    upload = FileUpload(Slow())  # type: ignore[arg-type]
    piece(upload, 0, b"abc", size)
    assert upload.progress["phase"] == "failed" and f"{size:,}" in upload.progress["text"]
    assert upload.received[0] == -1


def test_pieces_that_do_not_join_up_end_the_file():
    upload = FileUpload(Slow())  # type: ignore[arg-type]
    piece(upload, 0, b"abc", 9)
    piece(upload, 5, b"abc", 9)
    assert upload.progress["phase"] == "failed" and "whole" in upload.progress["text"]
    piece(upload, 3, b"abc", 9)
    assert upload._job is None
