"""How waiting for the compiler looks."""

import io
import re
import time

import pytest

from jackfield.cli import compiling
from jackfield.cli.compiling import Ticker, compile_kernels
from tests.cli.conftest import Terminal


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_TICK", 0.01)
    monkeypatch.setattr(compiling, "_PATIENCE", 0.05)
    monkeypatch.setenv("COLUMNS", "60")


def on_screen(text: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    return [re.split(r"\r\x1b\[K", line)[-1] for line in text.split("\n")]


def test_seconds_tick_behind_the_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    with Ticker(terminal) as ticker:
        ticker.say("compiling")
        ticker._started = time.monotonic() - 7
        time.sleep(0.1)
        seen = terminal.getvalue()
        ticker.say("done")
    assert "compiling  7 s" in seen
    assert on_screen(terminal.getvalue()) == ["compiling", "done", ""]


def test_a_line_wider_than_the_terminal_is_cut_while_it_ticks() -> None:
    terminal = Terminal()
    with Ticker(terminal) as ticker:
        ticker.say("x" * 100)
    shown = terminal.getvalue().split("\r\x1b[K")
    assert shown[1] == "x" * 59
    assert on_screen(terminal.getvalue()) == ["x" * 100, ""]


def test_waiting_without_news_is_told_and_leaves_nothing() -> None:
    terminal = Terminal()
    with Ticker(terminal):
        time.sleep(0.2)
        assert "loading the kernels" in terminal.getvalue()
    assert on_screen(terminal.getvalue()) == [""]


def test_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Ticker(stream) as ticker:
        ticker.say("compiling")
        time.sleep(0.1)
        ticker.say("done")
    assert stream.getvalue() == "compiling\ndone\n"


def test_a_failure_ends_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    with pytest.raises(OSError, match="no room"), Ticker(terminal) as ticker:
        ticker.say("compiling")
        raise OSError("no room")
    assert on_screen(terminal.getvalue()) == ["compiling", ""]


def test_what_the_compiler_says_goes_where_it_was_asked_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warm(progress: object) -> float:
        assert callable(progress)
        progress("run: 1 s")
        return 1.5

    monkeypatch.setattr("jackfield.dpif.userspace.warm.warm", warm)
    assert compile_kernels(err=True) == 1.5
    assert capsys.readouterr() == ("", "run: 1 s\n")
    compile_kernels()
    assert capsys.readouterr() == ("run: 1 s\n", "")
