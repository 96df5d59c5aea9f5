"""Tables for people and JSON for programs."""

import json

import pytest

from jackfield.cli.output import Column, present, table

COLUMNS = (Column("name", "name"), Column("count", "count", right=True))
ROWS = [{"name": "a", "count": 1}, {"name": "longer", "count": 12345}, {"name": "none", "count": None}]


def test_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table(ROWS, COLUMNS, "nothing")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = [line for line in lines if line and not set(line) <= set("─ ")]
    assert [line.split() for line in shown] == [["name", "count"], ["a", "1"], ["longer", "12,345"], ["none", "-"]]
    assert len({len(line) for line in shown}) == 1


def test_long_cells_are_not_cut_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    text = "x" * 500
    table([{"name": text, "count": 1}], COLUMNS, "nothing")
    assert text in capsys.readouterr().out


def test_nothing_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    table([], COLUMNS, "no things")
    assert capsys.readouterr().out == "no things\n"


def test_json_is_what_was_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    present(lambda: ROWS, COLUMNS, as_json=True, watch=None, empty="")
    assert json.loads(capsys.readouterr().out) == ROWS


def test_watching_ends_at_an_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = []

    def fetch() -> list[dict[str, object]]:
        rounds.append(1)
        if len(rounds) == 3:
            raise KeyboardInterrupt
        return ROWS

    present(fetch, COLUMNS, as_json=True, watch=0.1, empty="")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [ROWS, ROWS]
