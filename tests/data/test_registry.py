"""The registry names files that exist, with the sizes and checksums they have."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from data.loader import shared_folder
from data.registry import known, read

BESIDE = sorted(name for name in known() if (shared_folder() / name).is_file())
SHIPPED = sorted(name for name, dataset in known().items() if dataset.origin.kind == "built")


@pytest.mark.parametrize("name", BESIDE)
def test_a_file_beside_the_project_is_the_registered_one(name: str) -> None:
    content = (shared_folder() / name).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (known()[name].bytes, known()[name].sha256)


@pytest.mark.skipif(not shared_folder().is_dir(), reason="no folder of real data beside the project")
def test_every_file_beside_the_project_is_registered() -> None:
    folder = shared_folder()
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"INDEX.md"}
    assert there <= set(known())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_the_registered_one(name: str) -> None:
    content = Path("data", name).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (known()[name].bytes, known()[name].sha256)


def test_every_shipped_line_file_is_registered() -> None:
    shipped = {f"land/{path.name}" for path in Path("data/land").glob("*.npz")}
    assert shipped | {f"exchanges/{path.name}" for path in Path("data/exchanges").glob("*.csv")} == set(SHIPPED)


def test_every_origin_says_its_licence_and_how_to_get_it() -> None:
    for dataset in known().values():
        origin = dataset.origin
        assert origin.licence and origin.about and origin.home.startswith("https://"), origin.name
        assert origin.how_to_get(dataset.member), origin.name
        needs_member = origin.kind in {"wheel", "url"}
        assert bool(dataset.member) == needs_member, dataset.name


BROKEN = {
    "unknown origin": '[origins]\n[sets]\na = { origin = "nowhere", bytes = 1, sha256 = "" }',
    "missing field": '[origins.o]\nkind = "manual"\nabout = ""\nlicence = ""\nhome = ""\n[sets]\na = { origin = "o" }',
    "unknown kind": '[origins.o]\nkind = "carrier pigeon"\nabout = ""\nlicence = ""\nhome = ""\n[sets]',
    "leaves the folder": (
        '[origins.o]\nkind = "manual"\nabout = ""\nlicence = ""\nhome = ""\n'
        '[sets]\n"../a" = { origin = "o", bytes = 1, sha256 = "" }'
    ),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_registry_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "registry.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"registry\.toml"):
        read(path)
