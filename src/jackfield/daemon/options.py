"""The flags that stock daemons share: ovs-vswitchd(8), "Daemon Options", "Logging Options" and "Other Options".

They are taken out of a command line; what is left over is the program's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jackfield.daemon import paths
from jackfield.io.tls import TlsFiles


@dataclass(slots=True)
class DaemonOptions:
    """What the shared flags say.

    Attributes:
        program: the program's name, which the default file names are made of.
        detach: run in the background.
        monitor: restart after a crash.
        no_chdir: stay in the current directory when detaching.
        pidfile: path of the pidfile, or None.
        overwrite_pidfile: take over a running daemon's pidfile.
        log_file: path of the log file, or None.
        unixctl: path of the control socket; None is the default one, "none" is no socket.
        verbosity: arguments of -v, in order, each as `vlog/set` takes it.
        private_key: PEM file for TLS.
        certificate: PEM file for TLS.
        ca_cert: PEM file for TLS, or "none".
    """

    program: str
    detach: bool = False
    monitor: bool = False
    no_chdir: bool = False
    pidfile: Path | None = None
    overwrite_pidfile: bool = False
    log_file: Path | None = None
    unixctl: str | None = None
    verbosity: list[str] = field(default_factory=list)
    private_key: str | None = None
    certificate: str | None = None
    ca_cert: str | None = None

    def tls(self) -> TlsFiles | None:
        """The TLS files, when all three were given."""
        if self.private_key is None or self.certificate is None or self.ca_cert is None:
            return None
        return TlsFiles(self.private_key, self.certificate, self.ca_cert)


def _set_pidfile(options: DaemonOptions, value: str | None) -> None:
    options.pidfile = paths.inside(paths.rundir(), value or f"{options.program}.pid").absolute()


def _set_log_file(options: DaemonOptions, value: str | None) -> None:
    options.log_file = paths.inside(paths.logdir(), value or f"{options.program}.log").absolute()


def _set_unixctl(options: DaemonOptions, value: str | None) -> None:
    name = value or ""
    options.unixctl = name if name == "none" else str(paths.inside(paths.rundir(), name).absolute())


def _flag(attribute: str) -> Callable[[DaemonOptions, str | None], None]:
    return lambda options, value: setattr(options, attribute, True)


def _value(attribute: str) -> Callable[[DaemonOptions, str | None], None]:
    return lambda options, value: setattr(options, attribute, value)


# How each flag takes its value: "no", "=" (after an equals sign, may be left out), "yes" (also as the next word).
_FLAGS: dict[str, tuple[str, Callable[[DaemonOptions, str | None], None]]] = {
    "--detach": ("no", _flag("detach")),
    "--monitor": ("no", _flag("monitor")),
    "--no-chdir": ("no", _flag("no_chdir")),
    "--overwrite-pidfile": ("no", _flag("overwrite_pidfile")),
    "--pidfile": ("=", _set_pidfile),
    "--log-file": ("=", _set_log_file),
    "--verbose": ("=", lambda options, value: options.verbosity.append(value or "any:any:dbg")),
    "--unixctl": ("yes", _set_unixctl),
    "--private-key": ("yes", _value("private_key")),
    "--certificate": ("yes", _value("certificate")),
    "--ca-cert": ("yes", _value("ca_cert")),
    "-p": ("yes", _value("private_key")),
    "-c": ("yes", _value("certificate")),
    "-C": ("yes", _value("ca_cert")),
}


def take_options(program: str, arguments: list[str]) -> tuple[DaemonOptions, list[str]]:
    """Take the shared flags out of a command line.

    Args:
        program: the program's name, as in "ovs-vswitchd.pid".
        arguments: the command line without the program.

    Returns:
        What they say, and the arguments that are not among them, in order.

    Raises:
        ValueError: a flag lacks its value, or has one that it does not take.
    """
    options = DaemonOptions(program)
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
            break
        if word.startswith("-v") and not word.startswith("--"):
            options.verbosity.append(word[2:] or "any:any:dbg")
            continue
        name, equals, value = word.partition("=")
        if name not in _FLAGS:
            rest.append(word)
            continue
        takes, apply = _FLAGS[name]
        if takes == "no" and equals:
            raise ValueError(f"{name} takes no value")
        if takes == "yes" and not equals:
            value = next(words, "")
        if takes == "yes" and not value:
            raise ValueError(f"{name} needs a value")
        apply(options, value or None)
    return options, rest
