"""`jackfield trace`: what would become of a packet."""

from __future__ import annotations

import click

from jackfield.cli.common import on_bridge
from jackfield.cli.completion import complete_flow
from jackfield.cli.target import Target


@click.command()
@click.argument("flow", shell_complete=complete_flow)
@click.option("--packet", metavar="HEX", help="The packet's bytes, instead of one made from FLOW.")
@on_bridge
def trace(target: Target, bridge: str | None, flow: str, packet: str | None) -> None:
    """Show each table and rule a packet of FLOW would meet, and what the datapath would do.

    FLOW is written as a match: 'in_port=veth0,icmp,nw_dst=10.0.0.1'.
    """
    arguments = [target.bridge(bridge), flow]
    if packet is not None:
        arguments.append(packet)
    click.echo(target.unixctl("ofproto/trace", *arguments), nl=False)
