"""The inspector: says what is known, says so where nothing is, and shows data as text only."""

from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.components.inspector import Inspector, emitter_html, find_emitter, overview_html, score_html, utc_text
from dashboard.state import ViewState
from engine.forecast_desk import ForecastScore
from engine.rf.live_score import FieldRow, ScoreRow
from engine.rf.track_record import HorizonRecord

HOSTILE = [
    "<script>alert(1)</script>", '<img src=x onerror="alert(1)">', '"><svg onload=alert(1)>', "</dl><b>", "&lt;b&gt;",
    "'; DROP TABLE events; --", "{{ 7*7 }}", "javascript:alert(1)", "<!--", "]]>", "a\u202eb", "\u0000\u0007",
]  # fmt: skip

OURS = {"h3", "h4", "p", "dl", "dt", "dd", "i", "em", "table", "tr", "th", "td"}


class Read(HTMLParser):
    """What a browser would make of it: elements, attributes, text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.words, self.facts, self._term = set(), set(), [], {}, None
        self.feed(html)
        self.close()
        self.text = "".join(self.words)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._tag = tag
        if tag == "dt":
            self._term = ""
        elif tag == "dd":
            self.facts[self._term] = ""

    def handle_endtag(self, tag):
        self._tag = None
        if tag == "dd":
            self._term = None

    def handle_data(self, data):
        self.words.append(data)
        if self._tag == "dt":
            self._term = data.strip()
        elif self._term in self.facts:
            self.facts[self._term] += data

    def handle_comment(self, data):
        self.tags.add("!--")


def assert_only_text(html, *shown):
    read = Read(html)
    assert read.tags <= OURS and read.attributes <= {"title", "tabindex"}
    for text in shown:
        assert text in read.text


@pytest.mark.parametrize("text", HOSTILE)
def test_what_data_says_is_shown_and_never_run(picture, text):
    said = {"callsign": text, "emitter_kind": text, "cluster": text, "recorded_at": text}
    frame = picture(ids=[text, "other"], payload=said, layers=())
    assert_only_text(emitter_html(frame, text, None), text)
    assert_only_text(emitter_html(frame, "other", None), text)
    assert_only_text(emitter_html(frame, text + "?", None), text + "?")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_no_name_whatever_becomes_markup(frame, text):
    html = emitter_html(frame, text, None)
    assert_only_text(html, text.replace("\r\n", "\n"))


def test_a_hostile_source_is_text_too(picture):
    frame = picture(2, layers=())
    frame.tracks.table["source"] = HOSTILE[0]
    assert_only_text(emitter_html(frame, "e0000", None), HOSTILE[0])


def test_it_says_what_is_known_of_an_emitter(picture):
    frame = picture(3, payload={"eirp_dbm": 51.5, "freq_hz": 1.09e9, "confidence": 0.25, "vertical_rate_m_s": -3.0})
    facts = Read(emitter_html(frame, "e0001", None)).facts
    assert facts["EIRP"] == "51.5 dBm" and facts["frequency"] == "1,090.0 MHz" and facts["confidence"] == "0.25"
    assert facts["climb"] == "-3.0 m/s" and facts["fixes held"] == "5" and facts["last fix"] == "10.0 s ago"
    assert facts["source"] == "test"
    speed = float(facts["speed"].removesuffix(" m/s"))
    assert speed == pytest.approx(frame.tracks.ring[1, -1, 4], abs=1.5)


def test_what_is_assumed_or_invented_says_so(picture):
    html = emitter_html(picture(1, payload={"synthetic": True}), "e0000", None)
    assert "assumed" in Read(html).facts["EIRP"]
    assert "CALL0 synthetic" in Read(html).text


def test_a_position_too_old_to_use_is_unknown_and_not_a_number(picture):
    frame = picture(1, payload={"position_time_s": 1.0}, steps=1)
    facts = Read(emitter_html(frame, "e0000", None)).facts
    assert np.isnan(frame.now.lat[0])
    assert {facts[name] for name in ("position", "altitude", "speed", "track", "climb")} == {"unknown"}
    assert "nan" not in emitter_html(frame, "e0000", None) + overview_html(frame, 0)


def test_who_is_not_heard_stays_selected_and_is_said_to_be_silent(frame, empty_frame):
    for shown in (frame, empty_frame):
        assert "Not heard in the 60 s" in emitter_html(shown, "gone", None)


def test_the_record_is_a_table_with_a_row_per_horizon(frame):
    record = [HorizonRecord(5.0, 40, 61.4, 30.0, 0.95), HorizonRecord(60.0, 0, *[float("nan")] * 3)]
    words = Read(emitter_html(frame, "e0000", record)).text
    assert "5 s61 m95 %40" in words and "60 s––0" in words
    for nothing in (None, [], record[1:]):
        assert "No prediction has come due yet" in emitter_html(frame, "e0000", nothing)


def test_the_overview_counts(frame, empty_frame):
    assert Read(overview_html(frame, 7)).facts["emitters in view"] == "7 of 12"
    assert Read(overview_html(frame, 7)).facts["assumed power"] == "12 of 12"
    facts = Read(overview_html(empty_frame, 0)).facts
    assert facts["emitters in view"] == "0 of 0" and facts["forecast spread"] == "unknown"


def test_an_emitter_is_found_by_part_of_its_name_and_whole_names_come_first(picture):
    frame = picture(ids=["abc1", "c1", "xx"], layers=())
    assert find_emitter(frame, "c1") == "c1"
    assert find_emitter(frame, " BC ") == "abc1"
    assert find_emitter(frame, "call2") == "xx"
    for nothing in ("", "   ", "nobody"):
        assert find_emitter(frame, nothing) is None


def test_a_missing_call_sign_is_not_found_under_any_name(picture):
    frame = picture(ids=["e1", "e2"], payload={"callsign": None}, layers=())
    assert find_emitter(frame, "nan") is None and find_emitter(frame, "none") is None


def test_alone_it_follows_the_selection(frame):
    state = ViewState()
    inspector = Inspector(state)
    inspector.describe(frame, 12, None)
    assert "emitters in view" in inspector.text.object and not inspector.clear.visible
    state.selected = "e0002"
    inspector.describe(frame, 12, None)
    assert "CALL2" in inspector.text.object and inspector.clear.visible
    inspector.clear.clicks += 1
    assert state.selected == ""
    shown = inspector.text.object
    inspector.describe(frame, 12, None)
    assert inspector.text.object != shown and not inspector.clear.visible


def test_moments_are_written_in_utc():
    assert utc_text(0.0) == "1970-01-01 00:00:00 UTC"
    assert utc_text(1_533_114_000) == "2018-08-01 09:00:00 UTC"


def test_the_score_of_all_emitters_is_shown_and_kinds_are_text():
    assert "No prediction has come due yet" in score_html(None)
    rows = [ScoreRow(15.0, who, 42, 81.0, 29.0, 0.905) for who in ("all", "turning", *HOSTILE)]
    assert "ValueError: &lt;b&gt;" in score_html(ForecastScore(rows, [], "ValueError: <b>"))
    html = score_html(ForecastScore(rows, [FieldRow(15.0, 9, 1.26, 0.973)]))
    assert_only_text(html, "15 s", "81 m", "90 %", "42", "1.3 dB", "97 %", "turning")
