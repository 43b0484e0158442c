"""Settings: every variable is read, and a wrong one is named with its value and what would be right."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Settings


def test_with_nothing_said_it_serves_this_machine_only_and_plays_the_sample():
    settings = Settings.from_environment({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.feed, settings.redis_url) == ("127.0.0.1", 5006, "sample", None)


def test_every_variable_is_read():
    said = {
        "DATA_DIR": "/tmp/x", "REDIS_URL": "redis://there:1", "PORT": "8080", "HOST": "0.0.0.0", "FEED": "a.csv",
        "ORIGINS": "one:80, two:81 ,", "BACKFILL_S": "12.5",
    }  # fmt: skip
    assert Settings.from_environment(said) == Settings(
        Path("/tmp/x"), "redis://there:1", 8080, "0.0.0.0", ("one:80", "two:81"), "a.csv", 12.5
    )


def test_an_empty_variable_is_as_good_as_none():
    names = ("DATA_DIR", "REDIS_URL", "PORT", "HOST", "FEED", "ORIGINS", "BACKFILL_S")
    assert Settings.from_environment(dict.fromkeys(names, "")) == Settings()


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("PORT", "6001")
    assert Settings.from_environment().port == 6001


@pytest.mark.parametrize("value", ["http", "80 80", "-1", "65536", "1e9", "nan", "inf", "5006.5"])
def test_a_port_that_is_none_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"PORT is .*0 to 65535") as refused:
        Settings.from_environment({"PORT": value})
    assert value in str(refused.value)


@pytest.mark.parametrize("value", ["long", "-5", "86401", "nan"])
def test_a_backfill_that_is_none_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"BACKFILL_S is .*0 to 86400") as refused:
        Settings.from_environment({"BACKFILL_S": value})
    assert value in str(refused.value)


@given(st.sampled_from(["PORT", "BACKFILL_S"]), st.text(max_size=20))
def test_any_text_is_read_or_refused_by_name(name, value):
    try:
        settings = Settings.from_environment({name: value})
    except ValueError as error:
        assert str(error).startswith(f"{name} is ")
    else:
        assert 0 <= settings.port <= 65535 and 0.0 <= settings.backfill_s <= 86_400.0
