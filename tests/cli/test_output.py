"""Tables for people and JSON for programs."""

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.cli.output import Column, fold, present, render, table
from tests.cli.conftest import Terminal

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


WIDE = (
    Column("name", "name"),
    Column("note", "note", spare=True),
    Column("match", "match", wrap=True),
    Column("actions", "actions", wrap=True, beneath=True),
    Column("bytes", "bytes", right=True, compact=True),
    Column("fault", "fault", optional=True),
)


def row(match: str = "ip", actions: str = "drop", count: int = 4_140_799_066, **more: str) -> dict[str, object]:
    return {"name": "a", "match": match, "actions": actions, "bytes": count, **more}


def test_what_is_given_up_on_a_narrow_terminal() -> None:
    whole = render([row(note="hello")], WIDE, None)
    assert whole[0].split() == ["name", "note", "match", "actions", "bytes"]
    assert whole[2].split() == ["a", "hello", "ip", "drop", "4,140,799,066"]
    width = len(whole[1])
    assert render([row(note="hello")], WIDE, width) == whole
    assert render([row()], WIDE, width - 2)[2].split() == ["a", "ip", "drop", "4,140,799,066"]
    assert render([row(note="hello")], WIDE, width - 1)[2].split() == ["a", "hello", "ip", "drop", "4.14G"]
    assert render([row(note="hello")], WIDE, 27)[2].split() == ["a", "ip", "drop", "4.14G"]


def test_optional_column_is_there_when_a_row_fills_it() -> None:
    assert "fault" not in render([row()], WIDE, None)[0]
    assert "fault" in render([row(), row(fault="broken")], WIDE, None)[0]


def test_long_texts_side_by_side_while_there_is_room() -> None:
    long = ",".join(f"field{number}=value" for number in range(12))
    lines = render([row(long, long)], WIDE, 100)
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["name", "match", "actions", "bytes"]
    narrow = render([row(long, long)], WIDE, 50)
    assert max(map(len, narrow)) <= 50
    assert narrow[1].split() == ["→", "actions"]
    assert "".join(line[6:42].strip() for line in narrow[3:]).replace("→ ", "") == f"{long}{long}"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.0k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (2**63, "9.22E"),
        (10**22, "10000E"),
    ],
)
def test_large_numbers_in_short(count: int, text: str) -> None:
    column = Column("bytes", "bytes", right=True, compact=True)
    assert column.text({"bytes": count}, short=True) == text
    assert column.text({"bytes": count}) == f"{count:,}"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert Column("name", "name").text({"name": "a\x1b[31mb\rc"}) == "a?[31mb?c"


@given(st.text(alphabet="ab,>=(: \n→", max_size=120), st.integers(3, 40))
def test_folding_loses_nothing_and_keeps_to_the_width(text: str, width: int) -> None:
    lines = fold(text, width)
    assert all(len(line) <= width for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("in_port(1),eth_type(0x0800)", 20, ["in_port(1),", "eth_type(0x0800)"]),
        ("set_field:02:00:00:00:00:02->eth_src", 32, ["set_field:02:00:00:00:00:02->", "eth_src"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("→ output:1,output:2", 12, ["→ output:1,", "  output:2"]),
    ],
)
def test_where_texts_are_folded(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, width) == lines


def test_watching_on_a_terminal_repaints_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "8")
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    rounds = iter([[{"name": f"row{n}", "count": n} for n in range(20)], None])

    def fetch() -> list[dict[str, object]]:
        rows = next(rounds)
        if rows is None:
            raise KeyboardInterrupt
        return rows

    present(fetch, COLUMNS, as_json=False, watch=0.1, empty="")
    screen = terminal.getvalue().split("\033[H")[-1]
    shown = [re.sub(r"\x1b\[\d*[mKJ]", "", line) for line in screen.splitlines()]
    assert shown[2].split() == ["row0", "0"]
    assert "... 17 more lines" in shown
    assert len(shown) <= 8


def test_rule_where_the_terminal_knows_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr("sys.stdout", stream)
    table(ROWS, COLUMNS, "nothing")
    assert b"\n-------" in stream.buffer.getvalue()  # type: ignore[attr-defined]  # it is a BytesIO
