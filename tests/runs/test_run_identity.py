"""A run is named by its parameters alone, in the words of RFC 8785."""

import hashlib
import json
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runs import RunParams, canonical_json, run_id

# RFC 8785, appendix B: the bits of a double and how it is written.
APPENDIX_B = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

# Written out by hand: all parameters in alphabetical order (capitals before small letters), seed 7 and kappa 0.25.
BY_HAND = (
    '{"D":0.5,"N_grid":64,"T_steps":200,"alpha":1,"c1":0.8,"c3":1.2,"domain_size":64,"dt":0.01,"epsilon":0.1,'
    '"history_every":0,"kappa":0.25,"precision":"double","rho_memory":0.99,"rho_vac":1,"seed":7,"sigma_k":1,'
    '"start_length":1.5,"start_rms":1,"tolerance":0}'
)

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner),
    max_leaves=8,
)  # fmt: skip


def text_of_whole_numbers(value) -> str:
    """Canonical text by Python's own writer, which differs from ECMAScript's in floats only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B.items())
def test_numbers_are_written_as_the_appendix_of_the_rfc_has_them(bits, text):
    assert canonical_json(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


def test_the_worked_example_of_the_rfc():
    given_there = json.loads(
        r'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        r'"string":"\u20ac$\u000F\u000aA' + "'" + r'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}'
    )
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_json(given_there) == expected


def test_names_are_sorted_by_utf_16_code_units_as_in_the_rfc():
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    ordered = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(dict.fromkeys(names)))) == ordered


@settings(max_examples=60)
@given(JSON)
def test_what_is_written_reads_back_equal_and_is_written_the_same_again(value):
    text = canonical_json(value)
    read = json.loads(text, parse_int=float)  # all numbers are doubles, as ECMAScript reads them
    assert read == value
    assert canonical_json(read) == text


@given(st.dictionaries(st.text("abcXYZ09_é"), st.integers(-(2**53), 2**53)))
def test_trees_of_whole_numbers_are_as_the_standard_library_writes_them(value):
    assert canonical_json(value) == text_of_whole_numbers(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53 + 1, 10**400, "\ud800", {1: 2}, {1, 2}, b"x", 1j])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match=r"it must be|JSON has"):
        canonical_json(value)


def test_the_id_is_the_sha_1_of_the_parameters_written_by_hand():
    assert run_id({"seed": 7, "kappa": 0.25}) == hashlib.sha1(BY_HAND.encode()).hexdigest()


def test_the_spelling_of_a_parameter_does_not_matter():
    spelled = [
        {"kappa": 1, "seed": 3.0},
        {"seed": 3, "kappa": 1.0},
        {"kappa": np.float64(1), "seed": np.int32(3), "sigma_k": 1, "epsilon": 0.1},
        RunParams(kappa=1.0, seed=3),
        RunParams(kappa=1.0, seed=3).as_dict(),
        {"kappa": 1, "seed": 3, "tolerance": -0.0},
    ]
    assert len({run_id(params) for params in spelled}) == 1


OTHER_VALUES = {name: 0.5 for name in ("kappa", "sigma_k", "alpha", "epsilon", "c1", "c3", "domain_size", "rho_vac")}
OTHER_VALUES |= {"D": 0.25, "dt": 0.02, "rho_memory": 0.5, "start_rms": 0.5, "start_length": 0.5, "tolerance": 1e-6}
OTHER_VALUES |= {"seed": 1, "N_grid": 32, "T_steps": 100, "history_every": 10, "precision": "single"}


def test_each_parameter_changes_the_id():
    assert set(OTHER_VALUES) == set(RunParams().as_dict())
    ids = {run_id({name: value}) for name, value in OTHER_VALUES.items()}
    assert len(ids | {run_id({})}) == len(OTHER_VALUES) + 1


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_neighbouring_numbers_have_different_ids_and_equal_ones_the_same(one, other):
    assert (run_id({"kappa": one}) == run_id({"kappa": other})) == (one == other)


def test_another_process_gives_the_same_id():
    code = "from engine.runs import run_id; print(run_id({'seed': 7, 'kappa': 0.25}))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == run_id({"seed": 7, "kappa": 0.25})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"kapa": 1}, "did you mean 'kappa'"),
        ({"kappa": math.nan}, r"within \[-1000, 1000\]"),
        ({"kappa": "1"}, "must be a number"),
        ({"kappa": True}, "must be a number"),
        ({"seed": 1.5}, "whole number"),
        ({"seed": -1}, "from 0 to 9007199254740991"),
        ({"seed": math.inf}, "whole number"),
        ({"dt": 0}, r"within \(0, 1000\]"),
        ({"domain_size": 0.0}, "domain_size is 0.0"),
        ({"rho_memory": 1.0}, "rho_memory is 1.0"),
        ({"precision": "half"}, "'double' or 'single'"),
        ({"precision": ["double"]}, "'double' or 'single'"),
        ({"tolerance": 1e-9, "precision": "single"}, "at least 1e-05"),
        ({"epsilon": 100, "dt": 1}, "smaller dt"),
        ({"history_every": 1, "N_grid": 4096}, "bytes"),
        ([1], "must be a mapping"),
    ],
)
def test_a_parameter_that_is_none_is_refused_by_name(params, said):
    with pytest.raises(ValueError, match=said):
        run_id(params)
