"""What is taken along: the whole field with units, a page that needs no network, and lines that make it again."""

import concurrent.futures
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from dashboard.components.take_along import html_bytes, netcdf_bytes, python_lines
from engine.frames.field_frame import frame_grid
from engine.rf.field import power_field


def opened(data, tmp_path):
    path = tmp_path / "field.nc"
    path.write_bytes(data)
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        return dataset.load()


def exact(frame, where):
    emitters = frame.tracks.emitters().assign(lat=where.lat, lon=where.lon, alt_m=where.alt_m)
    return power_field(emitters, frame_grid(frame.spec), model=frame.spec.model, horizon=frame.spec.horizon)


@pytest.mark.parametrize("model", ["free_space", "inverse_square"])
def test_the_netcdf_file_holds_the_exact_field_and_forecast(picture, tmp_path, model):
    frame = picture(model=model)
    read = opened(netcdf_bytes(frame), tmp_path)
    variable = "power_dbm" if model == "free_space" else "intensity"
    for prefix, where in (("", frame.now), ("forecast_", frame.ahead)):
        expected = exact(frame, where)[variable]
        np.testing.assert_array_equal(read[prefix + variable], expected)
        assert read[prefix + variable].attrs["units"] == expected.attrs["units"]
    np.testing.assert_array_equal(read["lat"], frame_grid(frame.spec).lat)
    np.testing.assert_array_equal(read["emitter_lat"], frame.now.lat)
    assert read["emitter"].astype(str).values.tolist() == frame.tracks.table["id"].tolist()


def test_the_netcdf_file_says_when_what_and_in_which_units(frame, tmp_path):
    read = opened(netcdf_bytes(frame), tmp_path)
    assert read.attrs["moment"].startswith("2026-09-21T") and read.attrs["model"] == "free_space"
    assert read.attrs["forecast_s"] == 60.0 and read.attrs["seq"] == frame.seq
    assert all("units" in read[name].attrs for name in read.data_vars)


def test_nothing_is_taken_along_of_nothing(empty_frame, tmp_path):
    read = opened(netcdf_bytes(empty_frame), tmp_path)
    assert read.sizes["emitter"] == 0 and np.isnan(read["power_dbm"]).all()
    assert b"<html" in html_bytes(empty_frame, "light")[:500].lower()


def test_a_picture_of_emitters_alone_can_be_taken_along(picture, tmp_path):
    frame = picture(3, layers=())
    read = opened(netcdf_bytes(frame), tmp_path)
    assert "power_dbm" not in read and read.sizes["emitter"] == 3 and read.sizes["lat"] == frame.spec.ny
    assert b"e0002" in html_bytes(frame, "dark")


def run(lines):
    space = {}
    exec(compile(lines, "field.py", "exec"), space)
    return space


@pytest.mark.parametrize("options", [{}, {"horizon": True, "height_m": 1500.0}, {"model": "inverse_square"}])
def test_the_python_lines_make_the_same_field_again(picture, options, capsys):
    frame = picture(**options)
    again, expected = run(python_lines(frame))["field"], exact(frame, frame.now)
    variable = next(iter(expected.data_vars))
    if variable == "power_dbm":
        np.testing.assert_allclose(again[variable], expected[variable], atol=1e-3)  # positions to 0.1 m
    else:
        np.testing.assert_allclose(again[variable], expected[variable], rtol=1e-3)
    np.testing.assert_array_equal(again["lat"], expected["lat"])
    assert variable in capsys.readouterr().out


def test_the_python_lines_run_with_no_emitter_and_with_one_that_is_nowhere(empty_frame, picture, capsys):
    assert np.isnan(run(python_lines(empty_frame))["field"]["power_dbm"]).all()
    nowhere = picture(2, payload={"position_time_s": 1.0}, steps=1)
    assert len(run(python_lines(nowhere))["emitters"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("name", ["'); import os; os.abort() #", '"""', "\\", "a\nb", "\u2028", "é✈"])
def test_a_name_stays_a_text_in_the_python_lines(picture, name, capsys):
    space = run(python_lines(picture(ids=[name, "b"], layers=())))
    assert sorted(space["emitters"]["id"]) == sorted([name, "b"])
    capsys.readouterr()


# -- the page ---------------------------------------------------------------------------------------

_LOADS = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"),
          ("audio", "src"), ("object", "data"), ("embed", "src"), ("base", "href"), ("form", "action")}  # fmt: skip


class Loads(HTMLParser):
    """Everything that a browser would fetch by itself, from elements and style sheets."""

    def __init__(self, html):
        super().__init__()
        self.addresses, self._in, self.styles, self.modules = [], None, [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._in = tag
        self.addresses += [value or "" for name, value in attrs if (tag, name) in _LOADS]
        self.styles += [value or "" for name, value in attrs if name == "style"]

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in == "style":
            self.styles.append(data)


@pytest.fixture(scope="module", params=["light", "dark"])
def page(request, frame):
    return html_bytes(frame, request.param).decode()


def test_the_page_fetches_nothing(page):
    loads = Loads(page)
    styles = " ".join(loads.styles)
    in_styles = re.findall(r"url\(\s*['\"]?([^'\")]*)|@import\s+(\S+)", styles)
    fetched = [*loads.addresses, *("".join(found) for found in in_styles)]
    assert [address for address in fetched if address and not address.startswith(("data:", "#"))] == []


def test_nothing_in_the_document_names_an_address_to_load(page):
    # The document's own JSON, not the library's code: what models would load when they are drawn.
    document = re.search(r"docs_json\s*=\s*'(.*?)';\n", page, re.DOTALL)
    assert document and "e0003" in document[1]
    assert re.findall(r"https?://[^\s\"']*", document[1]) == []


def test_the_page_holds_the_picture_and_the_emitters(page, frame):
    assert "e0003" in page and "free_space" in page
    assert len(page) > 1_000_000  # the libraries are in it


def test_several_files_can_be_made_at_once(picture):
    frames = [picture(n) for n in (3, 4, 5, 6)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda f: html_bytes(f, "light"), frames))
        files = list(pool.map(netcdf_bytes, frames))
    for n, html, file in zip((3, 4, 5, 6), pages, files, strict=True):
        assert f"e{n - 1:04d}".encode() in html and f"e{n:04d}".encode() not in html
        assert file[1:4] == b"HDF"
