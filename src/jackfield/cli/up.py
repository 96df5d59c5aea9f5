"""`jackfield up`: a switch in the foreground, with a live status."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jackfield import __version__
from jackfield.cli.completion import complete_interface
from jackfield.cli.target import DAEMON, Target

if TYPE_CHECKING:
    from jackfield.daemon.service import Service
    from jackfield.vswitchd.config import BridgeConfig


@click.command()
@click.option("--bridge", default="br0", show_default=True, metavar="NAME", help="Name of the bridge.")
@click.option(
    "--port",
    "port_texts",
    multiple=True,
    metavar="NAME[,type=TYPE][,OPTION=VALUE]",
    shell_complete=complete_interface,
    help="A port: an interface of this machine, unless another type is given. May be repeated.",
)
@click.option(
    "--controller",
    "controllers",
    multiple=True,
    metavar="TARGET",
    help="A controller: tcp:HOST[:PORT], ssl:..., unix:FILE, or ptcp:[PORT] to be connected to. May be repeated.",
)
@click.option("--datapath", default="netdev", show_default=True, metavar="TYPE", help="Datapath type.")
@click.option("--datapath-id", metavar="ID", help="Up to 16 hexadecimal digits [default: from the bridge's address].")
@click.option(
    "--fail-mode",
    type=click.Choice(["standalone", "secure"]),
    default="standalone",
    show_default=True,
    help="What to do while no controller answers: switch by learning, or by the rules that are there.",
)
@click.option("--private-key", type=click.Path(exists=True), help="PEM file for ssl: controllers.")
@click.option("--certificate", type=click.Path(exists=True), help="PEM file for ssl: controllers.")
@click.option("--ca-cert", type=click.Path(exists=True), help="PEM file for ssl: controllers.")
@click.option("--rundir", metavar="DIR", help="Run directory; as the global option.")
@click.option("--verbose", "-v", multiple=True, metavar="SPEC", help="Log more, as ovs-appctl vlog/set reads SPEC.")
@click.pass_obj
def up(
    target: Target,
    bridge: str,
    port_texts: tuple[str, ...],
    controllers: tuple[str, ...],
    datapath: str,
    datapath_id: str | None,
    fail_mode: str,
    private_key: str | None,
    certificate: str | None,
    ca_cert: str | None,
    rundir: str | None,
    verbose: tuple[str, ...],
) -> None:
    """Run a switch in the foreground until Ctrl-C; every device is then given back as it was."""
    from jackfield.daemon.options import DaemonOptions
    from jackfield.daemon.service import run
    from jackfield.vswitchd.config import BridgeConfig, check_name, parse_datapath_id, parse_port

    if fail_mode not in ("standalone", "secure"):
        raise click.BadParameter(fail_mode)
    config = BridgeConfig(
        check_name(bridge),
        tuple(parse_port(text) for text in port_texts),
        datapath,
        None if datapath_id is None else parse_datapath_id(datapath_id),
        controllers,
        "secure" if fail_mode == "secure" else "standalone",
    )
    tls_files = (private_key, certificate, ca_cert)
    _check(config, has_tls=None not in tls_files)
    home = _run_directory(Path(rundir) if rundir else target.rundir)
    # Whatever looks for the run directory below, sockets and pidfile alike, finds this one.
    os.environ["OVS_RUNDIR"] = str(home)
    _load(config)
    # On a terminal the status tells what the log would tell of ordinary events.
    console = "warn" if sys.stdout.isatty() else "info"
    options = DaemonOptions(
        DAEMON,
        pidfile=home / f"{DAEMON}.pid",
        verbosity=[f"console:{console}", *verbose],
        private_key=private_key,
        certificate=certificate,
        ca_cert=ca_cert,
    )
    # A closed terminal ends the switch, unless it was started with nohup(1).
    hangup_ends = signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    version = f"{DAEMON} (Jackfield) {__version__}"
    sys.exit(run(options, version, lambda service: _serve(service, config, home, hangup_ends=hangup_ends)))


def _check(config: BridgeConfig, *, has_tls: bool) -> None:
    """Refuse what cannot work, before anything is touched.

    Raises:
        ValueError: naming what is wrong.
    """
    from jackfield.io.address import parse_address

    names = [config.name, *(port.name for port in config.ports if (port.name, port.type) != (config.name, "internal"))]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is named twice: bridges and ports need names of their own")
    for controller in config.controllers:
        if parse_address(controller).transport == "ssl" and not has_tls:
            raise ValueError(f"controller {controller}: expected --private-key, --certificate and --ca-cert")


def _run_directory(path: Path) -> Path:
    """Make the run directory, and see that no switch runs in it.

    Raises:
        OSError: it cannot be had.
        ValueError: a switch runs there.
    """
    from jackfield.daemon.pidfile import holder

    home = path.absolute()
    try:
        home.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(home)) from None
    owner = home.stat().st_uid
    if os.geteuid() and owner != os.geteuid():
        raise PermissionError(errno.EPERM, f"the run directory belongs to somebody else (user {owner})", str(home))
    pid = holder(str(home / f"{DAEMON}.pid"))
    if pid is not None:
        raise ValueError(f"a switch is already running in {home} (process {pid}): give another --rundir, or stop it")
    return home


def _load(config: BridgeConfig) -> None:
    """Import and compile what the switch needs, before the event loop starts: it takes longer than a loop may stall.

    Raises:
        ValueError: there is no such type of datapath.
        OSError: it cannot be had.
    """
    from jackfield.cli import status
    from jackfield.cli.compiling import compile_kernels
    from jackfield.dpif.registry import DPIFS
    from jackfield.dpif.userspace.provider import UserspaceDpif
    from jackfield.vswitchd import bridge

    importlib.import_module("jackfield.vswitchd.commands")
    bridge.load(config)
    status.load()
    if issubclass(DPIFS.get(config.datapath_type), UserspaceDpif):
        compile_kernels(err=True)


async def _serve(service: Service, config: BridgeConfig, rundir: Path, *, hangup_ends: bool) -> None:
    """Start the bridge, show its status until told to stop, take it down."""
    import asyncio

    from jackfield.cli.status import Status
    from jackfield.netdev.files import confine
    from jackfield.vswitchd.bridge import Bridge
    from jackfield.vswitchd.commands import memory, register_commands

    if hangup_ends:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.stop)
    bridge = Bridge(config, service.clock, rundir, service.options.tls())
    register_commands(service.commands, lambda: [bridge])
    service.memory.register(lambda: memory([bridge]))
    try:
        await bridge.start()
        # The command line may name any file; whatever comes later, only files of ours.
        confine(str(rundir))
        service.ready()
        status = Status(bridge, rundir, service.clock)
        status.start()
        try:
            await service.stopping()
        finally:
            status.stop()
    finally:
        await bridge.stop()
