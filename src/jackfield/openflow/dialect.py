"""What two peers have agreed on the wire: the version, and the Nicira choices that change how messages are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jackfield.openflow.messages import FlowFormat, PacketInFormat

OF10: Final = 1
OF11: Final = 2
OF12: Final = 3
OF13: Final = 4
OF14: Final = 5
OF15: Final = 6
"""Wire version numbers (ofp_header.version)."""

VERSION_NAMES: Final = {
    OF10: "OpenFlow10",
    OF11: "OpenFlow11",
    OF12: "OpenFlow12",
    OF13: "OpenFlow13",
    OF14: "OpenFlow14",
    OF15: "OpenFlow15",
}
"""Names that ovs-ofctl -O and the Bridge table's protocols column use."""

VERSION_TEXT: Final = {OF10: "1.0", OF11: "1.1", OF12: "1.2", OF13: "1.3", OF14: "1.4", OF15: "1.5"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The Nicira choices of a connection; those of flows and tables exist on OpenFlow 1.0 only.

    `flow_format` NXM makes the switch write NXT_FLOW_REMOVED and lets this side, as a client, send NXT_FLOW_MOD; what
    arrives is understood in either form. With `table_id`, the high byte of a flow-mod's command is the table.
    """

    flow_format: FlowFormat = FlowFormat.OPENFLOW10
    table_id: bool = False
    packet_in_format: PacketInFormat = PacketInFormat.STANDARD


STANDARD: Final = Dialect()
"""How every connection begins."""
