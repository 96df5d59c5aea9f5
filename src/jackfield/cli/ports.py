"""`jackfield ports`: a bridge's ports and their counters."""

from __future__ import annotations

import click

from jackfield.cli.common import connect, on_bridge, port_descriptions
from jackfield.cli.openflow_client import Client
from jackfield.cli.output import Column, Row, present, shown
from jackfield.cli.target import Target
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.openflow.messages import UNKNOWN_COUNT, PortConfig, PortDescription, PortState
from jackfield.openflow.multipart import PortStats, PortStatsReply, PortStatsRequest

COUNTERS = ("rx_packets", "rx_bytes", "rx_dropped", "rx_errors", "tx_packets", "tx_bytes", "tx_dropped", "tx_errors")

COLUMNS = (
    Column("port", "number", right=True),
    Column("name", "name"),
    Column("address", "mac", spare=True),
    Column("link", lambda row: "up" if row["link_up"] else "down"),
    Column("config", lambda row: " ".join(row["config"]) or "-", spare=True),
    Column("received", "rx_packets", right=True, compact=True),
    Column("bytes", "rx_bytes", right=True, compact=True),
    Column("sent", "tx_packets", right=True, compact=True),
    Column("bytes", "tx_bytes", right=True, compact=True),
    Column("dropped", lambda row: _sum(row, "rx_dropped", "tx_dropped"), right=True, compact=True),
)


@click.command()
@shown
@on_bridge
def ports(target: Target, bridge: str | None, as_json: bool, watch: float | None) -> None:
    """List a bridge's ports with their counters."""
    with connect(target, bridge) as client:
        present(lambda: port_rows(client), COLUMNS, as_json=as_json, watch=watch, empty="no ports")


def port_rows(client: Client) -> list[Row]:
    """A row for each port, as `--json` prints it; counters the device does not have are null."""
    counters = {
        entry.port_no: entry for part in client.dump(PortStatsRequest(), PortStatsReply) for entry in part.entries
    }
    return [_row(port, counters.get(port.port_no)) for port in port_descriptions(client)]


def _row(port: PortDescription, stats: PortStats | None) -> Row:
    row: Row = {
        "number": "LOCAL" if port.port_no == OFPP_LOCAL else port.port_no,
        "name": port.name,
        "mac": ":".join(f"{byte:02x}" for byte in port.hw_addr.to_bytes(6, "big")),
        "link_up": not port.state & PortState.LINK_DOWN,
        "config": [(bit.name or "").lower().replace("_", "-") for bit in PortConfig if port.config & bit],
    }
    for name in COUNTERS:
        value = getattr(stats, name) if stats is not None else UNKNOWN_COUNT
        row[name] = None if value == UNKNOWN_COUNT else value
    return row


def _sum(row: Row, *names: str) -> int | None:
    known = [row[name] for name in names if row[name] is not None]
    return sum(known) if known else None
