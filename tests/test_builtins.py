"""The list of built-in providers names things that exist."""

import importlib
import subprocess

import pytest

from jackfield.builtins import BUILTINS

NAMED = [(floor, name, where) for floor, types in BUILTINS.items() for name, where in types.items()]


def test_the_four_floors() -> None:
    assert set(BUILTINS) == {"ofproto", "dpif", "netdev", "plug"}


@pytest.mark.parametrize(("floor", "name", "where"), NAMED, ids=lambda value: str(value).rpartition(":")[2])
def test_each_class_derives_from_its_floors_contract(floor: str, name: str, where: str) -> None:
    module, _, cls = where.partition(":")
    found = getattr(importlib.import_module(module), cls)
    contract = importlib.import_module(f"jackfield.{floor}.provider")
    assert any(base.__module__ == contract.__name__ for base in found.__mro__)


def test_the_list_imports_nothing_from_the_floors(python: str) -> None:
    code = "import sys, jackfield.builtins; print(sorted(m for m in sys.modules if m.startswith('jackfield.')))"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['jackfield.builtins']"
