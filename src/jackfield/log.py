"""Log lines, levels and destinations as Open vSwitch has them, on top of `logging`.

    2026-01-01T00:00:00.000Z|00001|bridge|INFO|message

A *module* is a logger made by `get_logger`, named as stock tools know it ("bridge", "unixctl", ...). A message goes to
three *destinations* (console, syslog, file), each with a level for each module and a pattern (ovs-appctl(8)). Until
`configure` is called, nothing is attached and records go where Python's `logging` sends them: that is what a library
does, and what pytest's caplog sees.

`RateLimit` keeps a flood of one message out of the log and says afterwards how many were dropped.
"""

import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import SysLogHandler
from typing import Final

EMER: Final = logging.CRITICAL
ERR: Final = logging.ERROR
WARN: Final = logging.WARNING
INFO: Final = logging.INFO
DBG: Final = logging.DEBUG
OFF: Final = logging.CRITICAL + 10

LEVELS: Final = {"OFF": OFF, "EMER": EMER, "ERR": ERR, "WARN": WARN, "INFO": INFO, "DBG": DBG}
_LEVEL_NAMES: Final = {number: name for name, number in LEVELS.items()}
DESTINATIONS: Final = ("console", "syslog", "file")
PATTERNS: Final = {
    "console": "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m",
    "syslog": "ovs|%05N|%c%T|%p|%m",
    "file": "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
}
_ROOT: Final = "jackfield"

_modules: set[str] = set()


def get_logger(module: str) -> logging.Logger:
    """The logger of a module, named as `vlog/list` shows it (letters, digits and underscores)."""
    _modules.add(module)
    logger = logging.getLogger(f"{_ROOT}.{module}")
    if _sink is not None:
        _sink.apply(module)
    return logger


def modules() -> list[str]:
    """The names of all modules, sorted."""
    return sorted(_modules)


class Sink(logging.Handler):
    """The three destinations behind the "jackfield" logger.

    Args:
        program: what %A shows; the program's name.
        console: level of the console destination at the start, for all modules.
        syslog: the same for the system log.
    """

    def __init__(self, program: str, console: int = INFO, syslog: int = INFO) -> None:
        super().__init__()
        self.program = program
        self.path: str | None = None
        self._defaults = {"console": console, "syslog": syslog, "file": INFO}
        self._levels: dict[str, dict[str, int]] = {destination: {} for destination in DESTINATIONS}
        self._sequence = 0
        self._file: int | None = None
        self._syslog: SysLogHandler | None = None
        self._facility = SysLogHandler.LOG_DAEMON
        self.patterns: dict[str, str] = {}
        self._formats: dict[str, Callable[[logging.LogRecord, int], str]] = {}
        for destination, pattern in PATTERNS.items():
            self.set_pattern(destination, pattern)

    def level_of(self, module: str, destination: str) -> int:
        """The least severe level of `module` that reaches `destination`."""
        return self._levels[destination].get(module, self._defaults[destination])

    def set_level(self, module: str | None, destination: str | None, level: int) -> None:
        """Set the level of a module (None: all, also later ones) at a destination (None: all)."""
        for each in DESTINATIONS if destination is None else (destination,):
            if module is None:
                self._defaults[each] = level
                self._levels[each].clear()
            else:
                self._levels[each][module] = level
        for name in modules() if module is None else (module,):
            self.apply(name)

    def apply(self, module: str) -> None:
        """Let the module's logger refuse early what no destination wants."""
        wanted = [self.level_of(module, each) for each in DESTINATIONS if each != "file" or self._file is not None]
        logging.getLogger(f"{_ROOT}.{module}").setLevel(min(wanted))

    def set_pattern(self, destination: str, pattern: str) -> None:
        """Set how the lines of a destination look (ovs-appctl(8), vlog/set PATTERN)."""
        self._formats[destination] = _compile(pattern, self.program)
        self.patterns[destination] = pattern

    def set_facility(self, name: str) -> None:
        """Set the facility of messages to the system log, one of `SysLogHandler.facility_names`."""
        self._facility = SysLogHandler.facility_names[name]
        if self._syslog is not None:
            self._syslog.facility = self._facility

    def open_file(self, path: str) -> None:
        """Append to the file `path` from now on.

        Raises:
            OSError: the file cannot be opened; the old one stays in use.
        """
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.close_file()
        self._file, self.path = opened, path
        for name in modules():
            self.apply(name)
        get_logger("vlog").info("opened log file %s", path)

    def reopen_file(self) -> None:
        """Open the log file again, after it has been renamed (logrotate); does nothing when there is none."""
        if self.path is not None:
            get_logger("vlog").info("closing log file")
            self.open_file(self.path)

    def close_file(self) -> None:
        """Stop logging to a file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            for name in modules():
                self.apply(name)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to each destination that wants it."""
        self._sequence += 1
        module = record.name.removeprefix(f"{_ROOT}.").replace(".", "_")
        for destination in DESTINATIONS:
            if record.levelno < self.level_of(module, destination):
                continue
            line = self._formats[destination](record, self._sequence)
            try:
                self._write(destination, line, record)
            except OSError:
                self.handleError(record)

    def _write(self, destination: str, line: str, record: logging.LogRecord) -> None:
        if destination == "console":
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        elif destination == "file" and self._file is not None:
            os.write(self._file, (line + "\n").encode(errors="backslashreplace"))
        elif destination == "syslog":
            handler = self._open_syslog()
            if handler is not None:
                handler.emit(logging.makeLogRecord({"levelname": record.levelname, "msg": line}))

    def _open_syslog(self) -> SysLogHandler | None:
        """The system's log, when the machine has one; containers often do not."""
        if self._syslog is None and os.path.exists("/dev/log"):
            try:
                self._syslog = SysLogHandler("/dev/log", self._facility)
            except OSError:
                return None
            self._syslog.ident = f"{self.program}: "
        return self._syslog


_sink: Sink | None = None


def configure(program: str, *, console: int = INFO, syslog: int = INFO, file: str | None = None) -> Sink:
    """Attach the destinations to all modules; a second call replaces the first.

    Args:
        program: the program's name, for the system log and the pattern %A.
        console: level of messages on standard error.
        syslog: level of messages to the system log.
        file: path of a log file, or None.

    Raises:
        OSError: the log file cannot be opened.
    """
    global _sink
    unconfigure()
    sink = Sink(program, console, syslog)
    root = logging.getLogger(_ROOT)
    root.addHandler(sink)
    root.setLevel(DBG)
    _sink = sink
    for module in modules():
        sink.apply(module)
    if file is not None:
        sink.open_file(file)
    return sink


def unconfigure() -> None:
    """Detach what `configure` attached and give all levels back to `logging`."""
    global _sink
    if _sink is None:
        return
    root = logging.getLogger(_ROOT)
    root.removeHandler(_sink)
    root.setLevel(logging.NOTSET)
    _sink.close_file()
    _sink = None
    for module in modules():
        logging.getLogger(f"{_ROOT}.{module}").setLevel(logging.NOTSET)


def sink() -> Sink:
    """The configured destinations.

    Raises:
        ValueError: `configure` has not been called.
    """
    if _sink is None:
        raise ValueError("logging is not configured")
    return _sink


def set_levels(spec: str) -> None:
    """Apply one argument of `vlog/set` or `-v` (ovs-appctl(8)).

    Words separated by colons, commas or blanks name a module, a destination and a level in any order; what is left out
    means all modules, all destinations, DBG. Or `PATTERN:destination:pattern`, or `FACILITY:name`.

    Raises:
        ValueError: a word is none of these; nothing has been changed.
    """
    target = sink()
    if spec[:8].upper() == "PATTERN:":
        destination, _, pattern = spec[8:].partition(":")
        _set_pattern(target, destination, pattern)
        return
    if spec[:9].upper() == "FACILITY:":
        if spec[9:] not in SysLogHandler.facility_names:
            raise ValueError(f'unknown facility "{spec[9:]}"')
        target.set_facility(spec[9:])
        return
    module = destination_name = level = None
    for word in re.split(r"[ ,:]+", spec.strip()):
        if word.upper() == "ANY" or not word:
            continue
        if word.lower() in DESTINATIONS:
            destination_name = word.lower()
        elif word.upper() in LEVELS:
            level = LEVELS[word.upper()]
        elif word in _modules:
            module = word
        else:
            raise ValueError(f'no destination, level, or module "{word}"')
    target.set_level(module, destination_name, DBG if level is None else level)


def _set_pattern(target: Sink, destination: str, pattern: str) -> None:
    if destination.upper() == "ANY":
        for each in DESTINATIONS:
            target.set_pattern(each, pattern)
    elif destination.lower() in DESTINATIONS:
        target.set_pattern(destination.lower(), pattern)
    else:
        raise ValueError(f'unknown destination "{destination}"')


def list_levels() -> str:
    """The text of `vlog/list`."""
    target = sink()
    lines = [
        "                 console    syslog    file",
        "                 -------    ------    ------",
    ]
    for module in modules():
        names = [_LEVEL_NAMES[target.level_of(module, each)] for each in DESTINATIONS]
        lines.append(f"{module:<16}  {names[0]:>4}       {names[1]:>4}       {names[2]:>4}")
    return "\n".join(lines) + "\n"


def list_patterns() -> str:
    """The text of `vlog/list-pattern`."""
    target = sink()
    lines = [
        "         prefix                            format",
        "         ------                            ------",
    ]
    lines += [f"{each.upper():<7}  {'none':<32}  {target.patterns[each]}" for each in ("syslog", "console", "file")]
    return "\n".join(lines) + "\n"


# -- patterns ----------------------------------------------------------------------------------------------------------

_CONVERSION = re.compile(r"%(-?)(0?)(\d*)(?:([dD])(?:\{([^}]*)\})?|([AcEmNnpPrtT%]))")
_STARTED = time.monotonic()


def _timestamp(record: logging.LogRecord, form: str | None, local: bool) -> str:
    when = datetime.fromtimestamp(record.created, UTC)
    if local:
        when = when.astimezone()
    return when.strftime((form or "%Y-%m-%d %H:%M:%S").replace("###", f"{when.microsecond // 1000:03d}"))


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text


def _thread(record: logging.LogRecord) -> str:
    return "" if record.thread == threading.main_thread().ident else f"({record.threadName})"


def _compile(pattern: str, program: str) -> Callable[[logging.LogRecord, int], str]:
    """Turn a pattern into a function of a record and its number; what is not a conversion stands for itself."""
    plain: dict[str, Callable[[logging.LogRecord, int], str]] = {
        "A": lambda record, number: program,
        "c": lambda record, number: record.name.removeprefix(f"{_ROOT}.").replace(".", "_"),
        "E": lambda record, number: socket.gethostname(),
        "m": lambda record, number: _message(record),
        "N": lambda record, number: str(number),
        "n": lambda record, number: "\n",
        "p": lambda record, number: _LEVEL_NAMES.get(record.levelno, record.levelname),
        "P": lambda record, number: str(record.process),
        "r": lambda record, number: str(int((time.monotonic() - _STARTED) * 1000)),
        "t": lambda record, number: "" if not _thread(record) else str(record.threadName),
        "T": lambda record, number: _thread(record),
        "%": lambda record, number: "%",
    }

    def render(record: logging.LogRecord, number: int) -> str:
        def convert(found: re.Match[str]) -> str:
            left, zero, width, date, form, name = found.groups()
            text = _timestamp(record, form, date == "d") if date else plain[name](record, number)
            size = int(width or 0)
            if left:
                return text.ljust(size)
            return text.rjust(size, "0" if zero else " ")

        return _CONVERSION.sub(convert, pattern)

    return render


# -- rate limits -------------------------------------------------------------------------------------------------------


def _monotonic() -> int:
    return time.monotonic_ns() // 1_000_000


class RateLimit:
    """A token bucket for one kind of message.

    Args:
        per_minute: messages allowed per minute in the long run.
        burst: messages allowed at once.
        now: the time in ms; the machine's clock unless a test brings its own.
    """

    def __init__(self, per_minute: int = 60, burst: int = 5, now: Callable[[], int] = _monotonic) -> None:
        self._rate = per_minute
        self._capacity = burst * 60_000
        self._tokens = self._capacity
        self._now = now
        self._filled = now()
        self._dropped = 0
        self._first = 0
        self._last = 0

    def log(self, logger: logging.Logger, level: int, message: str, *args: object) -> bool:
        """Log the message if the limit and the level allow; returns whether it was logged."""
        if not logger.isEnabledFor(level):
            return False
        now = self._now()
        self._tokens = min(self._capacity, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        if self._tokens < 60_000:
            if not self._dropped:
                self._first = now
            self._last = now
            self._dropped += 1
            return False
        self._tokens -= 60_000
        if self._dropped:
            logger.log(
                level,
                "Dropped %d log messages in last %d seconds (most recently, %d seconds ago) due to excessive rate",
                self._dropped,
                (now - self._first) // 1000,
                (now - self._last) // 1000,
            )
            self._dropped = 0
        logger.log(level, message, *args)
        return True
