"""The commands that every daemon has; texts as ovs-appctl(8) describes and stock daemons print them."""

from collections.abc import Awaitable, Callable

from jackfield import log as logging
from jackfield.clock import Clock
from jackfield.daemon.coverage import Coverage, MemoryReport
from jackfield.daemon.lag import LagMonitor
from jackfield.daemon.unixctl import Commands


def register_common(commands: Commands, version: str, on_exit: Callable[[bool], Awaitable[None]]) -> None:
    """Add `list-commands`, `version` and `exit [--cleanup]`.

    Args:
        commands: where to add them.
        version: the line that `version` prints.
        on_exit: called with whether `--cleanup` was given; stops the daemon, and comes back when its work is undone,
            so that whoever sent the command finds everything as it was.
    """

    async def leave(arguments: list[str]) -> str:
        if arguments and arguments != ["--cleanup"]:
            raise ValueError(f'"exit" takes only --cleanup, not "{arguments[0]}"')
        await on_exit(bool(arguments))
        return ""

    commands.register("list-commands", "", 0, 0, lambda arguments: commands.list_commands())
    commands.register("version", "", 0, 0, lambda arguments: version)
    commands.register("exit", "[--cleanup]", 0, 1, leave)


def register_log(commands: Commands) -> None:
    """Add the commands of the group "vlog"."""

    def set_levels(arguments: list[str]) -> str:
        for spec in arguments:
            logging.set_levels(spec)
        return ""

    def reopen(arguments: list[str]) -> str:
        sink = logging.sink()
        if sink.path is None:
            raise ValueError("Logging to file not configured")
        sink.reopen_file()
        return ""

    def close(arguments: list[str]) -> str:
        logging.sink().close_file()
        return ""

    commands.register("vlog/set", "{spec | PATTERN:destination:pattern}", 0, None, set_levels)
    commands.register("vlog/list", "", 0, 0, lambda arguments: logging.list_levels())
    commands.register("vlog/list-pattern", "", 0, 0, lambda arguments: logging.list_patterns())
    commands.register("vlog/reopen", "", 0, 0, reopen)
    commands.register("vlog/close", "", 0, 0, close)


def register_reports(commands: Commands, coverage: Coverage, memory: MemoryReport) -> None:
    """Add `coverage/show`, `coverage/read-counter` and `memory/show`."""
    commands.register("coverage/show", "", 0, 0, lambda arguments: coverage.show())
    commands.register("coverage/read-counter", "COUNTER", 1, 1, lambda arguments: str(coverage.read(arguments[0])))
    commands.register("memory/show", "", 0, 0, lambda arguments: memory.show())


def register_time(commands: Commands, clock: Clock) -> None:
    """Add `time/stop` and `time/warp [TOTAL] STEP`, in ms."""

    def stop(arguments: list[str]) -> str:
        clock.stop()
        return ""

    async def warp(arguments: list[str]) -> str:
        numbers = [_milliseconds(each) for each in arguments]
        total, step = numbers[0], numbers[-1]
        if step > total:
            raise ValueError("cannot warp by steps longer than the total")
        await clock.warp(total, step)
        return "warped"

    commands.register("time/stop", "", 0, 0, stop)
    commands.register("time/warp", "[large_msecs] msecs", 1, 2, warp)


def _milliseconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:12]) <= 0 or len(text) > 12:
        raise ValueError("invalid MSECS")
    return int(text)


def register_lag(commands: Commands, monitor: LagMonitor) -> None:
    """Add `loop/lag [reset]`: how long passes of the event loop took."""

    def show(arguments: list[str]) -> str:
        if arguments and arguments != ["reset"]:
            raise ValueError(f'"loop/lag" takes only reset, not "{arguments[0]}"')
        text = monitor.show()
        if arguments:
            monitor.reset()
        return text

    commands.register("loop/lag", "[reset]", 0, 1, show)
