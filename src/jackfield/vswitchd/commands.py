"""Control commands about bridges: those of ovs-appctl(8), and the `jackfield/...` ones that answer in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from jackfield.daemon.unixctl import Commands
from jackfield.ofproto.pipeline.commands import register_commands as register_pipeline
from jackfield.vswitchd.bridge import Bridge


def register_commands(commands: Commands, bridges: Callable[[], Sequence[Bridge]]) -> None:
    """Add the commands; `bridges` gives those that run now."""
    register_pipeline(commands, lambda: [bridge.ofproto for bridge in bridges()])
    commands.register("jackfield/show", "", 0, 0, lambda arguments: json.dumps([_show(each) for each in bridges()]))


def _show(bridge: Bridge) -> dict[str, object]:
    ofproto = bridge.ofproto
    return {
        "name": ofproto.name,
        "datapath_id": f"{ofproto.datapath_id:016x}",
        "datapath": ofproto.type,
        "fail_mode": bridge.config.fail_mode,
        "flows": sum(len(table.classifier) for table in ofproto.tables),
        "errors": bridge.errors,
        "controllers": [
            {"target": each.target, "state": each.state, "connected": each.connected, "role": each.role}
            for each in ofproto.connections.controllers()
        ],
    }
