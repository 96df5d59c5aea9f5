"""Control commands about bridges: those of ovs-appctl(8), and the `jackfield/...` ones that answer in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from jackfield.daemon.unixctl import Commands
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.ofproto.pipeline.backer import backers
from jackfield.ofproto.pipeline.commands import register_commands as register_pipeline
from jackfield.openflow.messages import PortState
from jackfield.vswitchd.bridge import Bridge


def register_commands(commands: Commands, bridges: Callable[[], Sequence[Bridge]]) -> None:
    """Add the commands; `bridges` gives those that run now."""
    register_pipeline(commands, lambda: [bridge.ofproto for bridge in bridges()])
    commands.register("jackfield/show", "", 0, 0, lambda arguments: json.dumps([_show(each) for each in bridges()]))


def memory(bridges: Sequence[Bridge]) -> dict[str, int]:
    """What `memory/show` tells of the bridges: how many ports and rules there are, and flows in their datapaths."""
    return {
        "ports": sum(len(bridge.ofproto.ports) for bridge in bridges),
        "rules": sum(len(table.classifier) for bridge in bridges for table in bridge.ofproto.tables),
        "udpif keys": sum(len(backer.flows) for backer in backers()),
    }


def _show(bridge: Bridge) -> dict[str, object]:
    ofproto = bridge.ofproto
    return {
        "name": ofproto.name,
        "datapath_id": f"{ofproto.datapath_id:016x}",
        "datapath": ofproto.type,
        "fail_mode": bridge.config.fail_mode,
        "flows": sum(len(table.classifier) for table in ofproto.tables),
        "ports": [
            {
                "number": "LOCAL" if port.ofp_port == OFPP_LOCAL else port.ofp_port,
                "name": port.name,
                "type": port.netdev.type,
                "link_up": not port.state & PortState.LINK_DOWN,
            }
            for port in sorted(ofproto.ports, key=lambda each: each.ofp_port)
        ],
        "errors": bridge.errors,
        "controllers": [
            {
                "target": each.target,
                "state": each.state,
                "connected": each.connected,
                "role": each.role,
                "error": each.last_error,
            }
            for each in ofproto.connections.controllers()
        ],
    }
