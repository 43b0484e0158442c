"""Dominance taken along: the picture in the file and the lines say what the page says."""

import numpy as np
import pytest

from dashboard.components.dominance_plot import dominance_image, dominance_lines
from dashboard.components.take_along import html_bytes, python_lines
from engine.frames.field_dominance import SPAN_DB

WAYS = [
    {"contest": "ab", "group_a": "e0000 e0003 e0005", "contested_db": 2.0},
    {"contest": "ab", "group_a": "e0001", "group_b": "e0002", "model": "inverse_square"},
    {"contest": "server", "group_by": "ab", "group_a": "e0000 e0003"},
    {"contest": "margin", "group_by": "ab", "group_a": "e0000 e0003"},
    {"contest": "score", "group_by": "ab", "group_a": "e0004 e0005", "score_weights": (0.2, 0.5, 0.3)},
]


@pytest.fixture(params=WAYS, ids=lambda way: f"{way['contest']}-{way.get('model', 'free_space')}")
def frame(request, picture):
    return picture(8, cells=1_024, **request.param)


def test_the_picture_in_the_file_is_that_of_the_page_to_half_a_step(frame):
    drawn = dominance_image(frame.to_dataset(), frame.spec).dimension_values("dominance", flat=False)
    levels = frame.dominance.levels.astype(float)
    if frame.spec.contest == "ab":
        page, step = (levels - 1) / 254 * 2 * SPAN_DB - SPAN_DB, 2 * SPAN_DB / 254
    elif frame.spec.contest == "margin":
        page, step = (levels - 1) / 254 * SPAN_DB, SPAN_DB / 254
    elif frame.spec.contest == "score":
        page, step = levels / 255, 1 / 255
    else:
        groups = len(frame.dominance.names)
        page, step = np.where(levels == 255, groups, levels - 1), 0.0
    nobody = (levels == 0) & (frame.spec.contest != "score")
    assert (np.isnan(drawn) == nobody).all()
    # A field of the page is of 4-byte numbers.
    assert np.abs(drawn - page)[~nobody].max() <= 0.5 * step + 2e-4
    assert np.ptp(drawn[~nobody]) > 0, "a picture of one colour shows nothing"


def test_the_lines_compute_the_shares_that_the_page_says(frame, capsys):
    space = {}
    exec(compile(python_lines(frame), "field.py", "exec"), space)
    capsys.readouterr()
    contest, held = space["contest"], frame.dominance
    assert contest["group"].values.tolist() == list(held.names)
    own = [float(((contest["best"] == k) & (contest["contested"] == 0)).mean()) for k in range(len(held.names))]
    # The page's shares are of area, these of cells.
    assert own == pytest.approx(list(held.share), abs=0.05)
    assert [len(members) for members in space["members"].values()] == list(held.members)


def test_the_page_of_a_contest_names_its_groups_as_text(picture):
    frame = picture(ids=["<b>x</b>", "y", "z"], cells=1_024, contest="server", group_by="kind",
                    payload={"emitter_kind": "</script><i>"})  # fmt: skip
    html = html_bytes(frame, "dark").decode()
    assert "</script><i>" not in html


def test_without_dominance_nothing_is_added(picture):
    frame = picture(3, cells=1_024)
    assert dominance_lines(frame) == ""
    with pytest.raises(ValueError, match="group_power_dbm"):
        dominance_image(frame.to_dataset(), frame.spec)
