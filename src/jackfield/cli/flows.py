"""`jackfield flows`, `add-flow`, `del-flows`: OpenFlow rules, in the syntax of ovs-ofctl(8)."""

from __future__ import annotations

from dataclasses import replace

import click

from jackfield.cli.common import connect, on_bridge, port_names
from jackfield.cli.completion import complete_flow
from jackfield.cli.openflow_client import Client
from jackfield.cli.output import Column, Row, present, shown
from jackfield.cli.target import Target
from jackfield.flow.ports import OfPort
from jackfield.flow.text import format_match
from jackfield.openflow.action_text import format_actions
from jackfield.openflow.dialect import OF13
from jackfield.openflow.flow_text import parse_flow, parse_flow_filter
from jackfield.openflow.messages import FlowModCommand
from jackfield.openflow.multipart import FlowStats, FlowStatsReply, FlowStatsRequest

COLUMNS = (
    Column("table", "table", right=True),
    Column("priority", "priority", right=True),
    Column("match", "match", wrap=True),
    Column("actions", "actions", wrap=True, beneath=True),
    Column("packets", "n_packets", right=True, compact=True),
    Column("bytes", "n_bytes", right=True, compact=True),
    Column("age", lambda row: f"{row['duration']:.1f}s", right=True),
    Column("cookie", lambda row: row["cookie"] if row["cookie"] != "0x0" else "-", spare=True),
)


@click.command()
@click.argument("table", required=False, type=click.IntRange(0, 254))
@click.option(
    "--match",
    "match_text",
    default="",
    metavar="MATCH",
    shell_complete=complete_flow,
    help="Only rules that MATCH includes.",
)
@shown
@on_bridge
def flows(
    target: Target, bridge: str | None, table: int | None, match_text: str, as_json: bool, watch: float | None
) -> None:
    """List a bridge's OpenFlow rules, of one TABLE or of all."""
    with connect(target, bridge) as client:
        names = port_names(client)
        request = _request(match_text, table, names)
        present(lambda: flow_rows(client, request, names), COLUMNS, as_json=as_json, watch=watch, empty="no flows")


@click.command("add-flow")
@click.argument("rule", shell_complete=complete_flow)
@on_bridge
def add_flow(target: Target, bridge: str | None, rule: str) -> None:
    """Add a RULE such as 'priority=10,ip,nw_dst=10.0.0.1,actions=output:2'."""
    with connect(target, bridge) as client:
        client.flow_mod(parse_flow(rule, FlowModCommand.ADD, _numbers(port_names(client))))


@click.command("del-flows")
@click.argument("match", default="", shell_complete=complete_flow)
@click.option("--strict", is_flag=True, help="Only the rule with exactly this match and priority.")
@on_bridge
def del_flows(target: Target, bridge: str | None, match: str, strict: bool) -> None:
    """Delete the rules that MATCH includes; all of them without MATCH."""
    command = FlowModCommand.DELETE_STRICT if strict else FlowModCommand.DELETE
    with connect(target, bridge) as client:
        client.flow_mod(parse_flow(match, command, _numbers(port_names(client))))


def flow_rows(client: Client, request: FlowStatsRequest, names: dict[OfPort, str]) -> list[Row]:
    """A row for each rule, by table and falling priority, as `--json` prints it."""
    found = [entry for part in client.dump(request, FlowStatsReply) for entry in part.entries]
    found.sort(key=lambda entry: (entry.table_id, -entry.priority))
    return [_row(entry, names) for entry in found]


def _row(entry: FlowStats, names: dict[OfPort, str]) -> Row:
    return {
        "table": entry.table_id,
        "priority": entry.priority,
        "match": format_match(entry.match, names) or "any",
        "actions": format_actions(entry.actions, names, OF13),
        "n_packets": entry.packet_count,
        "n_bytes": entry.byte_count,
        "duration": entry.duration_ns / 1e9,
        "idle_timeout": entry.idle_timeout,
        "hard_timeout": entry.hard_timeout,
        "cookie": f"{entry.cookie:#x}",
    }


def _request(match_text: str, table: int | None, names: dict[OfPort, str]) -> FlowStatsRequest:
    """What to ask for: the filters are those of a non-strict delete."""
    wanted = parse_flow_filter(match_text, _numbers(names))
    return wanted if table is None else replace(wanted, table_id=table)


def _numbers(names: dict[OfPort, str]) -> dict[str, OfPort]:
    return {name: number for number, name in names.items()}
