"""`jackfield up`: a switch in the foreground, with a live status."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jackfield import __version__
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
    names = [config.name, *(port.name for port in config.ports)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is named twice: bridges and ports need names of their own")
    home = (Path(rundir) if rundir else target.rundir).absolute()
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    # Whatever looks for the run directory below, sockets and pidfile alike, finds this one.
    os.environ["OVS_RUNDIR"] = str(home)
    options = DaemonOptions(
        DAEMON,
        pidfile=home / f"{DAEMON}.pid",
        verbosity=["console:info", *verbose],
        private_key=private_key,
        certificate=certificate,
        ca_cert=ca_cert,
    )
    _load(datapath)
    sys.exit(run(options, f"{DAEMON} (Jackfield) {__version__}", lambda service: _serve(service, config, home)))


def _load(datapath: str) -> None:
    """Import and compile what the switch needs, before the event loop starts: it takes longer than a loop may stall."""
    importlib.import_module("jackfield.vswitchd.commands")
    importlib.import_module("jackfield.ofproto.pipeline.provider")
    if datapath == "netdev":
        from jackfield.dpif.userspace.warm import warm

        warm(progress=lambda text: click.echo(f"compiling: {text}", err=True))


async def _serve(service: Service, config: BridgeConfig, rundir: Path) -> None:
    """Start the bridge, show its status until told to stop, take it down."""
    from jackfield.cli.status import Status
    from jackfield.vswitchd.bridge import Bridge
    from jackfield.vswitchd.commands import register_commands

    bridge = Bridge(config, service.clock, rundir, service.options.tls())
    register_commands(service.commands, lambda: [bridge])
    try:
        await bridge.start()
        service.ready()
        status = Status(bridge, rundir, service.clock)
        status.start()
        try:
            await service.stopping()
        finally:
            status.stop()
    finally:
        await bridge.stop()
