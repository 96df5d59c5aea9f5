"""One daemon process: an event loop with a control socket, signals and reports around the program's own work.

    def main(arguments):
        options, rest = take_options("ovs-vswitchd", arguments)
        return run(options, version, lambda service: serve(service, rest))

    async def serve(service):
        ...                          # build what is served, register commands
        service.ready()              # the launcher may go
        await service.stopping()     # exit, SIGTERM, SIGINT
        ...                          # take it down again; service.cleanup says how thoroughly

`run` forks first and imports the rest in the daemon only. A second SIGTERM or SIGINT ends the process at once.
"""

import gc
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from jackfield import log as logging
from jackfield.daemon.daemonize import Daemon, daemonize
from jackfield.daemon.options import DaemonOptions
from jackfield.errors import describe
from jackfield.log import get_logger

if TYPE_CHECKING:
    import asyncio

    from jackfield.daemon.coverage import Coverage
    from jackfield.daemon.lag import LagMonitor
    from jackfield.daemon.unixctl import UnixctlServer

log = get_logger("daemon")

_GC_THRESHOLDS = (10_000, 3, 1_000_000)
"""Objects made before the youngest are collected; how often that, before the middle ones are; and the oldest."""

_TERMINATED = 128
"""A process ended by signal n exits with this plus n, as a shell counts it."""


class Service:
    """What a daemon's work has at hand.

    Attributes:
        options: the shared flags.
        clock: the daemon's clock.
        commands: its control commands.
        coverage: its counters of events.
        memory: its figures for `memory/show`.
        lag: how long its event loop was busy.
        cleanup: whether `exit --cleanup` asked for a thorough end.
    """

    def __init__(self, options: DaemonOptions, version: str, daemon: Daemon, lag: "LagMonitor") -> None:
        import asyncio

        from jackfield.clock import Clock
        from jackfield.daemon import commands as common
        from jackfield.daemon.coverage import COVERAGE, MemoryReport
        from jackfield.daemon.unixctl import Commands

        self.options = options
        self.clock: Clock = Clock()
        self.commands: Commands = Commands()
        self.coverage: Coverage = COVERAGE
        self.memory: MemoryReport = MemoryReport()
        self.lag: LagMonitor = lag
        self.cleanup = False
        self._daemon = daemon
        self._stop: asyncio.Event = asyncio.Event()
        self._undone: asyncio.Event = asyncio.Event()
        self._server: UnixctlServer | None = None
        common.register_common(self.commands, version, self._exit)
        common.register_log(self.commands)
        common.register_reports(self.commands, self.coverage, self.memory)
        common.register_time(self.commands, self.clock)
        common.register_lag(self.commands, lag)
        self.memory.register(_process_memory)

    @property
    def unixctl_path(self) -> str | None:
        """The file name of the control socket; None when there is none."""
        return None if self._server is None else self._server.path

    def ready(self) -> None:
        """The daemon serves: whoever launched it may go on.

        What has been loaded so far stays, and what comes in numbers (rules, megaflows) is not garbage: full collections
        would find nothing and stall the loop for tenths of a second, so that only young objects are looked through.
        """
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        self._daemon.ready()

    def stop(self, cleanup: bool = False) -> None:
        """Ask the daemon to end."""
        self.cleanup = self.cleanup or cleanup
        self._stop.set()

    async def stopping(self) -> None:
        """Wait until the daemon is asked to end."""
        await self._stop.wait()

    @property
    def is_stopping(self) -> bool:
        """Whether the daemon has been asked to end."""
        return self._stop.is_set()

    async def start(self) -> None:
        """Take signals, open the control socket, begin to sample.

        Raises:
            OSError: the control socket cannot be made.
        """
        import asyncio

        from jackfield.daemon import unixctl

        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_stray)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._terminate, number)
        loop.add_signal_handler(signal.SIGHUP, _reopen_log)
        if self.options.unixctl != "none":
            path = self.options.unixctl or unixctl.default_path(self.options.program)
            self._server = unixctl.UnixctlServer(path, self.commands, self.clock)
            await self._server.start()
        self._sample()

    async def close(self) -> None:
        """Answer those who asked for the end; remove the control socket and the pidfile."""
        self._undone.set()
        if self._server is not None:
            await self._server.close()
            self._server = None
        self._daemon.end()

    async def _exit(self, cleanup: bool) -> None:
        self.stop(cleanup)
        await self._undone.wait()

    def _terminate(self, number: int) -> None:
        if self._stop.is_set():
            self._daemon.end()
            os._exit(_TERMINATED + number)
        log.info("received signal %s, exiting", signal.Signals(number).name)
        self.stop()

    def _sample(self) -> None:
        from jackfield.daemon.coverage import SAMPLE_INTERVAL

        self.coverage.sample()
        self.clock.call_later(SAMPLE_INTERVAL, self._sample)


def _log_stray(loop: "asyncio.AbstractEventLoop", context: dict[str, object]) -> None:
    """What the loop caught because nobody else did."""
    error = context.get("exception")
    log.error("%s", context["message"], exc_info=error if isinstance(error, BaseException) else None)


def _process_memory() -> dict[str, int]:
    return {"maxrss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def _reopen_log() -> None:
    try:
        logging.sink().reopen_file()
    except OSError as error:
        log.error("failed to open log file again: %s", describe(error))


def run(options: DaemonOptions, version: str, work: Callable[[Service], Awaitable[None]]) -> int:
    """Run a daemon to its end.

    Args:
        options: the shared flags.
        version: the line that the command `version` prints.
        work: the daemon's own part; it calls `ready` when it serves and returns when it has been asked to stop.

    Returns:
        The exit status: 0, or 1 when it failed (the cause is in the log and, at the start, on standard error).
    """
    try:
        _configure_log(options)
        daemon = daemonize(
            detach=options.detach,
            monitor=options.monitor,
            pidfile=None if options.pidfile is None else str(options.pidfile),
            overwrite_pidfile=options.overwrite_pidfile,
            chdir=not options.no_chdir,
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{options.program}: {describe(error)}\n")
        return 1
    try:
        return _run_here(options, version, daemon, work)
    finally:
        daemon.end()


def _configure_log(options: DaemonOptions) -> None:
    # A launcher prints nothing unless something is wrong.
    sink = logging.configure(options.program, console=logging.WARN if options.detach else logging.INFO)
    for spec in options.verbosity:
        logging.set_levels(spec)
    if options.log_file is not None:
        sink.open_file(str(options.log_file))


def _run_here(options: DaemonOptions, version: str, daemon: Daemon, work: Callable[[Service], Awaitable[None]]) -> int:
    import asyncio

    from jackfield.daemon.lag import LagMonitor, new_event_loop

    lag = LagMonitor()

    async def main() -> int:
        service = Service(options, version, daemon, lag)
        try:
            await service.start()
            await work(service)
        except (OSError, ValueError) as error:
            log.critical("%s", describe(error))
            return 1
        except Exception:
            log.exception("the daemon failed")
            return 1
        finally:
            await service.close()
        return 0

    with asyncio.Runner(loop_factory=lambda: new_event_loop(lag)) as runner:
        return runner.run(main())
