"""Line format, levels by module and destination, patterns, files, rate limits."""

import logging
import re
from pathlib import Path

import pytest

from jackfield import log


@pytest.fixture
def bridge() -> logging.Logger:
    return log.get_logger("bridge")


def test_nothing_is_attached_before_configure(bridge: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    bridge.warning("hello %d", 1)
    assert caplog.messages == ["hello 1"]
    with pytest.raises(ValueError, match="not configured"):
        log.sink()


def test_lines_in_a_file_look_like_open_vswitchs(bridge: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log.configure("prog", console=log.OFF, syslog=log.OFF, file=str(path))
    bridge.info("added %s", "br0")
    bridge.debug("not shown")
    bridge.critical("the end")
    lines = path.read_text().splitlines()
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|0000%d\|%s\|%s\|%s"
    assert re.fullmatch(pattern % (1, "vlog", "INFO", f"opened log file {path}"), lines[0])
    assert re.fullmatch(pattern % (2, "bridge", "INFO", "added br0"), lines[1])
    assert re.fullmatch(pattern % (3, "bridge", "EMER", "the end"), lines[2])
    assert len(lines) == 3


def test_a_traceback_follows_its_message(bridge: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log.configure("prog", console=log.OFF, syslog=log.OFF, file=str(path))
    try:
        raise ValueError("inner cause")
    except ValueError:
        bridge.exception("it failed")
    text = path.read_text()
    assert "|ERR|it failed\nTraceback" in text
    assert text.endswith("ValueError: inner cause\n")


def test_the_console_has_no_milliseconds(bridge: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("prog", syslog=log.OFF)
    bridge.warning("careful")
    assert re.fullmatch(r"[-\d]+T[:\d]+Z\|00001\|bridge\|WARN\|careful\n", capsys.readouterr().err)


def test_levels_are_set_by_module_and_destination(
    bridge: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.log"
    log.configure("prog", syslog=log.OFF, file=str(path))
    other = log.get_logger("unixctl")
    log.set_levels("bridge:file:dbg")
    log.set_levels("console err")
    bridge.debug("to the file")
    bridge.info("to the file too")
    other.debug("nowhere")
    other.error("everywhere")
    console = [line.rpartition("|")[2] for line in capsys.readouterr().err.splitlines()]
    assert console[1:] == ["everywhere"]
    written = [line.rpartition("|")[2] for line in path.read_text().splitlines()]
    assert written[1:] == ["to the file", "to the file too", "everywhere"]
    # A level that no destination wants costs one comparison.
    assert not other.isEnabledFor(logging.DEBUG)
    log.set_levels("ANY:ANY:off")
    bridge.critical("silence")
    assert path.read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ("nonsense", 'no destination, level, or module "nonsense"'),
        ("bridge:file:loud", 'no destination, level, or module "loud"'),
        ("PATTERN:printer:%m", 'unknown destination "printer"'),
        ("FACILITY:nonsense", 'unknown facility "nonsense"'),
    ],
)
def test_a_word_that_means_nothing_is_refused_by_name(bridge: logging.Logger, spec: str, refusal: str) -> None:
    log.configure("prog", console=log.OFF, syslog=log.OFF)
    before = log.list_levels()
    with pytest.raises(ValueError, match=re.escape(refusal)):
        log.set_levels(spec)
    assert log.list_levels() == before


def test_a_word_alone_means_debug(bridge: logging.Logger) -> None:
    log.configure("prog", console=log.OFF, syslog=log.OFF)
    log.set_levels("bridge,console")
    assert "bridge             DBG        OFF       INFO\n" in log.list_levels()
    log.set_levels("FACILITY:local0")


def test_list_has_stock_columns() -> None:
    log.configure("prog")
    lines = log.list_levels().splitlines()
    assert lines[0] == "                 console    syslog    file"
    assert lines[1] == "                 -------    ------    ------"
    assert "bridge            INFO       INFO       INFO" in lines


def test_patterns(bridge: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("prog", syslog=log.OFF)
    log.set_levels("PATTERN:console:%A[%c]%%%-6p|%6p|%03N %m%n-")
    bridge.info("x")
    assert capsys.readouterr().err == "prog[bridge]%INFO  |  INFO|001 x\n-\n"
    assert "CONSOLE  none                              %A[%c]" in log.list_patterns()


def test_a_renamed_log_file_is_opened_again(bridge: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    sink = log.configure("prog", console=log.OFF, syslog=log.OFF, file=str(path))
    path.rename(tmp_path / "x.log.1")
    bridge.info("one")
    sink.reopen_file()
    bridge.info("two")
    assert "one" in (tmp_path / "x.log.1").read_text()
    assert "two" in path.read_text()
    assert "one" not in path.read_text()


def test_a_log_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        log.configure("prog", file=str(tmp_path / "missing" / "x.log"))


def test_the_rate_limit_allows_a_burst_then_its_rate_and_says_what_it_dropped(
    bridge: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0
    limit = log.RateLimit(per_minute=60, burst=3, now=lambda: now)
    assert [limit.log(bridge, log.WARN, "again") for _ in range(5)] == [True, True, True, False, False]
    now = 2_500
    assert [limit.log(bridge, log.WARN, "again") for _ in range(3)] == [True, True, False]
    assert caplog.messages == [
        *["again"] * 3,
        "Dropped 2 log messages in last 2 seconds (most recently, 2 seconds ago) due to excessive rate",
        *["again"] * 2,
    ]


def test_a_disabled_level_uses_no_tokens(bridge: logging.Logger) -> None:
    limit = log.RateLimit(burst=1, now=lambda: 0)
    assert not limit.log(bridge, log.DBG, "hidden")
    assert limit.log(bridge, log.WARN, "shown")
