"""Detaching, telling when the daemon is ready, and restarting it when it crashes.

    launcher --fork--> monitor (with --monitor) --fork--> daemon

The launcher waits until the daemon says that it is ready, by a byte on a pipe, and exits 0; when the daemon ends before
that, the launcher exits as it did. Errors at the start still reach the launcher's standard error, because the daemon
lets go of it only when it is ready.

The monitor waits for the daemon. A death by a signal that means a crash makes it start another, at most one in ten
seconds; after any other end it exits the same way. SIGTERM, SIGINT and SIGHUP that reach the monitor are passed on.

Everything here runs before asyncio, numba or threads exist: a fork would take their locks along in any state.
"""

import os
import signal
import sys
import time
from types import FrameType
from typing import Final

from jackfield import log as logging
from jackfield.daemon.pidfile import Pidfile
from jackfield.log import get_logger

log = get_logger("daemon_unix")

_CRASHES: Final = frozenset(
    {
        signal.SIGABRT,
        signal.SIGALRM,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGPIPE,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    }
)
_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RESTART_INTERVAL: Final = 10.0  # seconds


class Daemon:
    """The daemon process's hold on its start and end; made by `daemonize`.

    Args:
        ready_pipe: where to write the readiness byte; None when nobody waits.
        pidfile: the locked pidfile, if one was asked for.
        detached: whether standard streams are to be let go of.
    """

    def __init__(self, ready_pipe: int | None, pidfile: Pidfile | None, detached: bool) -> None:
        self._ready_pipe = ready_pipe
        self._pidfile = pidfile
        self._detached = detached

    def ready(self) -> None:
        """Let the launcher go; later calls do nothing."""
        if self._detached:
            self._detached = False
            null = os.open(os.devnull, os.O_RDWR)
            for standard in (0, 1, 2):
                os.dup2(null, standard)
            if null > 2:
                os.close(null)
        if self._ready_pipe is not None:
            pipe, self._ready_pipe = self._ready_pipe, None
            try:
                os.write(pipe, b"\0")
            except BrokenPipeError:
                log.info("the launching process has not waited until the start was complete")
            os.close(pipe)

    def end(self) -> None:
        """Remove the pidfile; the process is about to exit."""
        if self._pidfile is not None:
            pidfile, self._pidfile = self._pidfile, None
            pidfile.remove()


def daemonize(
    *,
    detach: bool = False,
    monitor: bool = False,
    pidfile: str | None = None,
    overwrite_pidfile: bool = False,
    chdir: bool = True,
) -> Daemon:
    """Become a daemon; returns in the daemon process only.

    Args:
        detach: leave the terminal and run in the background.
        monitor: restart the daemon when it crashes.
        pidfile: absolute path of the pidfile, or None.
        overwrite_pidfile: take over the pidfile of a running daemon.
        chdir: when detaching, change to the root directory, so as to keep no file system busy.

    Raises:
        OSError: the pidfile is held by a running daemon, or cannot be written.
    """
    ready_pipe: int | None = None
    if detach:
        ready_pipe = _launch()
        os.setsid()
        if chdir:
            os.chdir("/")
    if monitor:
        ready_pipe = _watch(ready_pipe, detach)
    held = Pidfile.create(pidfile, overwrite=overwrite_pidfile) if pidfile is not None else None
    return Daemon(ready_pipe, held, detach)


def _launch() -> int:
    """Fork; the parent waits and exits, the child gets the pipe on which to report."""
    pid, reading, writing = _fork()
    if pid == 0:
        return writing
    if os.read(reading, 1):
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def _fork() -> tuple[int, int, int]:
    """Fork with a pipe from the child: (pid, reading end, writing end), the unused end closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
    else:
        os.close(writing)
    return pid, reading, writing


def _watch(report: int | None, detached: bool) -> int:
    """Fork the daemon and stay as its monitor; returns in each daemon, with the pipe on which to report."""
    child = 0

    def pass_on(number: int, frame: FrameType | None) -> None:
        if child:
            os.kill(child, number)

    started = 0.0
    while True:
        before = {number: signal.signal(number, pass_on) for number in _PASSED_ON}
        pause = started + _RESTART_INTERVAL - time.monotonic()
        if started and pause > 0:
            time.sleep(pause)
        started = time.monotonic()
        child, reading, writing = _fork()
        if child == 0:
            for number, handler in before.items():
                signal.signal(number, handler)
            return writing
        is_ready = bool(os.read(reading, 1))
        os.close(reading)
        if is_ready:
            monitoring = Daemon(report, None, detached)
            monitoring.ready()
            report, detached = None, False
        _, status = os.waitpid(child, 0)
        ended, child = child, 0
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) in _CRASHES):
            _exit_like(status)
        log.error("pid %d died, killed (%s), restarting", ended, signal.strsignal(os.WTERMSIG(status)))
        _reopen_log()


def _reopen_log() -> None:
    """The log file may have been renamed while the monitor slept."""
    try:
        logging.sink().reopen_file()
    except ValueError:
        return  # the program logs through Python's logging only


def _exit_like(status: int) -> None:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)
