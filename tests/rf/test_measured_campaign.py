"""The POWDER campaign: every cell accounted for, and the field better than the law where nothing was measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from engine.ingest.rssi_read import SILENT_DB, read_campaign
from engine.rf.measured import fit_log_distance, score_blocks

pytestmark = pytest.mark.slow

SOME = ("garage-nuc2-b210", "cbrssdr1-bes-comp")
"""One without and one with much of its campaign near the noise floor."""


@pytest.fixture(scope="module")
def paths(real_data: Callable[[str], Path]) -> tuple[Path, Path]:
    return real_data("rssi/single_tx.csv"), real_data("rssi/location_coordinates.json")


@pytest.fixture(scope="module")
def links(paths: tuple[Path, Path]) -> pd.DataFrame:
    return read_campaign(*paths)[0]


def test_every_cell_is_accounted_for(paths: tuple[Path, Path]) -> None:
    links, report = read_campaign(*paths, moving=True, silent=True)
    assert sum(report.outcome.values()) == report.transmissions * report.receivers == 5006 * 40
    # counted in the file itself, without our reader
    text = paths[0].read_text().splitlines()
    names = text[0].split(",")
    columns = [i for i, name in enumerate(names) if name.endswith("_rss") or ("_" not in name and name != "timestamp")]
    marks = sum(line.split(",")[i] in ("-101", "-101.0") for line in text[1:] for i in columns)
    assert marks == report.outcome["silent"] + report.outcome["silent_moving"]
    assert (links["rssi_db"] > SILENT_DB).equals(links["heard"])
    assert links.loc[links.heard & ~links.receiver.str.startswith("bus"), "rssi_db"].size == 92_987
    assert links["lat"].between(40.7, 40.8).all() and links["receiver_lon"].between(-111.95, -111.75).all()


def test_silence_in_this_campaign_is_an_absent_receiver_not_a_weak_signal(paths: tuple[Path, Path]) -> None:
    links, _ = read_campaign(*paths, silent=True)
    links = links.sort_values(["receiver", "time"], kind="stable")
    begins = links.heard.ne(links.heard.shift()) | links.receiver.ne(links.receiver.shift())
    run = begins.cumsum()
    length = run.map(run.value_counts())[~links.heard]
    # a weak signal comes and goes with every few steps; these come and go by the hour and the day
    assert (length < 50).sum() <= 20 and length.size > 50_000


def test_the_field_beats_the_law_in_squares_it_has_not_seen_and_knows_how_sure_it_is(links: pd.DataFrame) -> None:
    some = links[links.receiver.isin(SOME)].iloc[::2]
    scores = score_blocks(some, block_m=200.0, folds=2).set_index(["method", "records"])
    law, fitted, kriged = (scores.loc[(name, "all")] for name in ("log_distance", "fitted", "kriged"))
    assert kriged.rmse_db < 0.9 * law.rmse_db and kriged.rmse_db < fitted.rmse_db
    assert 0.85 <= kriged.inside_90 <= 0.95 and kriged.band_db < law.band_db
    assert scores.attrs["n_unscored"] < 100


def test_the_law_of_the_campaign(links: pd.DataFrame) -> None:
    fit = fit_log_distance(links)
    assert 2.0 < fit.exponent < 3.5 and 6.5 < fit.sigma_db < 7.6 and len(fit.offset_db) == 29


def test_positions_are_read_as_a_literal_and_never_executed(paths: tuple[Path, Path], tmp_path: Path) -> None:
    evil, mark = tmp_path / "positions.json", tmp_path / "executed"
    evil.write_text(f"{{'a': __import__('pathlib').Path({str(mark)!r}).touch()}}")
    with pytest.raises(ValueError, match=r"positions\.json is not the text of a Python dict"):
        read_campaign(paths[0], evil)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("table", "places", "match"),
    [
        ("a,b\n1,2\n", "{}", r"lacks the columns \['timestamp'"),
        ("", "{}", "is no CSV"),
        ("timestamp,a,tx_x_coord,tx_y_coord\n", "[1]", "holds a list"),
        ("timestamp,a,tx_x_coord,tx_y_coord\n", "{'b': None}", "no position of 'a'"),
        ("timestamp,a,tx_x_coord,tx_y_coord\n", "{'a': (95.0, 0.0)}", "position of 'a' is"),
        ("timestamp,a_rss,tx_x_coord,tx_y_coord\n", "{'a': None}", "'a' moves, but the table lacks"),
    ],
)
def test_files_of_another_kind_are_named(tmp_path: Path, table: str, places: str, match: str) -> None:
    (tmp_path / "m.csv").write_text(table)
    (tmp_path / "p.json").write_text(places)
    with pytest.raises(ValueError, match=match):
        read_campaign(tmp_path / "m.csv", tmp_path / "p.json")


def test_bad_cells_are_counted_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("{'a': (40.0, -111.0), 'bus': None}")
    (tmp_path / "m.csv").write_text(
        "timestamp,a,bus_rss,bus_x,bus_y,tx_x_coord,tx_y_coord\n"
        "2022-04-25 14:00:00,-70.5,-60,40.1,-111.1,40.0,-111.0\n"
        "2022-04-25 14:00:01,-101,-60,-1,-1,40.0,-111.0\n"
        "2022-04-25 14:00:02,nonsense,-101,-1,-1,40.0,-111.0\n"
        "not a time,-70,-60,40.1,-111.1,40.0,-111.0\n"
        "2022-04-25 14:00:04,-70,-60,0,0,400.0,-111.0\n"
    )
    links, report = read_campaign(tmp_path / "m.csv", tmp_path / "p.json", moving=True)
    assert report.outcome == {
        "report": 2, "silent": 1, "silent_moving": 1, "no_position": 1, "not_a_number": 1, "bad_transmission": 4
    }  # fmt: skip
    assert links.rssi_db.tolist() == [-70.5, -60.0] and links.receiver.tolist() == ["a", "bus"]
