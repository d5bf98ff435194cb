"""A folder as a list: every module is an entry, and a mistake is told at once."""

from __future__ import annotations

import sys

import pytest

from hexsched.errors import InputError
from hexsched.registry import MOST_LISTED, Registry, listed, modules_of

pytestmark = pytest.mark.quick

COLOUR = """
from types import SimpleNamespace
COLOUR = SimpleNamespace(name={name!r}, rank={rank})
"""


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """A registry over a package of two colours, and its folder."""
    folder = tmp_path / "colours_of_a_test"
    folder.mkdir()
    for name, rank in (("red", 2), ("blue", 1)):
        (folder / f"{name}.py").write_text(COLOUR.format(name=name, rank=rank))
    (folder / "_shared.py").write_text("raise AssertionError('not an entry')")
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Registry(folder.name, "COLOUR", "colour", rank=lambda colour: colour.rank), folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_every_module_is_an_entry_in_the_order_of_ranks(colours):
    registry, _ = colours
    assert list(registry) == ["blue", "red"]
    assert registry.find("red").rank == 2


def test_an_unknown_name_is_told_with_what_may_have_been_meant(colours):
    registry, _ = colours
    with pytest.raises(InputError, match="unknown colour 'bleu'; did you mean 'blue'"):
        registry.find("bleu")
    with pytest.raises(InputError, match="known are blue, red"):
        registry.find("zzz")


def test_a_long_list_of_names_is_cut_short():
    assert listed(["a", "b"]) == "a, b"
    assert listed([f"n{k}" for k in range(MOST_LISTED + 3)]).endswith(f"n{MOST_LISTED - 1} and 3 more")


def test_a_module_that_says_nothing_is_refused(colours):
    registry, folder = colours
    (folder / "green.py").write_text("COLOR = 1")
    with pytest.raises(TypeError, match="green has no COLOUR"):
        list(registry)


def test_two_of_one_name_are_refused(colours):
    registry, folder = colours
    (folder / "rot.py").write_text(COLOUR.format(name="red", rank=3))
    with pytest.raises(TypeError, match="two colours are called 'red'"):
        list(registry)


def test_a_folder_added_to_the_package_is_seen_after_a_refresh(colours, tmp_path):
    registry, folder = colours
    assert "green" not in registry
    more = tmp_path / "more"
    more.mkdir()
    (more / "green.py").write_text(COLOUR.format(name="green", rank=0))
    sys.modules[folder.name].__path__.append(str(more))
    registry.refresh()
    assert list(registry) == ["green", "blue", "red"]


def test_a_named_tuple_is_one_entry(colours):
    registry, folder = colours
    (folder / "green.py").write_text(
        "from collections import namedtuple\nCOLOUR = namedtuple('Colour', 'name rank')('green', 3)"
    )
    assert list(registry) == ["blue", "red", "green"]


def test_users_add_and_remove_their_own(colours):
    registry, _ = colours
    red = registry["red"]
    with pytest.raises(InputError, match="colour name 'red' is taken"):
        registry.add(red)
    registry.remove("red")
    registry.add(red)
    assert "red" in registry


def test_an_entry_takes_the_place_of_the_one_of_its_name(colours):
    registry, _ = colours
    other = type(registry["red"])(name="red", rank=0)
    registry.put(other)
    assert list(registry.values()) == [other, registry["blue"]]


def test_modules_are_told_without_importing_them(colours):
    registry, folder = colours
    (folder / "green.py").write_text("raise AssertionError('imported')")
    assert modules_of(registry.package) == ["blue", "green", "red"]
