"""What the verbs that talk to a bridge share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from jackfield.cli.completion import complete_bridge

if TYPE_CHECKING:
    from jackfield.cli.openflow_client import Client
    from jackfield.cli.target import Target
    from jackfield.flow.ports import OfPort
    from jackfield.openflow.messages import PortDescription

F = TypeVar("F", bound=Callable[..., Any])


def on_bridge(command: F) -> F:
    """Give a verb the option `--bridge` and the target."""
    decorated: F = click.option(
        "--bridge", metavar="NAME", shell_complete=complete_bridge, help="Which bridge, when there are several."
    )(command)
    return cast(F, click.pass_obj(decorated))


def connect(target: Target, bridge: str | None) -> Client:
    """An OpenFlow connection to a bridge.

    Raises:
        ValueError: there is no switch or no such bridge.
        OSError: it cannot be reached.
    """
    from jackfield.cli.openflow_client import Client

    try:
        return Client(target.management_socket(bridge))
    except (ConnectionRefusedError, FileNotFoundError) as error:
        # A switch that was killed leaves its sockets behind.
        raise target.nobody() from error


def port_descriptions(client: Client) -> list[PortDescription]:
    """The bridge's ports by number."""
    from jackfield.openflow.multipart import PortDescReply, PortDescRequest

    found = [port for part in client.dump(PortDescRequest(), PortDescReply) for port in part.ports]
    return sorted(found, key=lambda port: port.port_no)


def port_names(client: Client) -> dict[OfPort, str]:
    """Names of the ports by number, for text."""
    return {port.port_no: port.name for port in port_descriptions(client)}
