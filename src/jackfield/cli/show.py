"""`jackfield show`: the bridges of a running switch."""

from __future__ import annotations

import click

from jackfield.cli.common import connect
from jackfield.cli.output import Column, Row, present, shown
from jackfield.cli.ports import port_rows
from jackfield.cli.target import Target

COLUMNS = (
    Column("bridge", "name"),
    Column("datapath id", "datapath_id"),
    Column("datapath", "datapath"),
    Column("fail mode", "fail_mode"),
    Column("ports", lambda row: ", ".join(port["name"] for port in row["ports"]) or "-", wrap=True),
    Column("flows", "flows", right=True),
    Column("controllers", lambda row: "\n".join(_controller(each) for each in row["controllers"]) or "-", wrap=True),
)


@click.command()
@shown
@click.pass_obj
def show(target: Target, as_json: bool, watch: float | None) -> None:
    """Show the bridges of a running switch: ports, rules, controllers."""
    present(lambda: bridge_rows(target), COLUMNS, as_json=as_json, watch=watch, empty="no bridges")


def bridge_rows(target: Target) -> list[Row]:
    """A row for each bridge, as `--json` prints it."""
    rows: list[Row] = target.query("jackfield/show")
    for row in rows:
        with connect(target, row["name"]) as client:
            row["ports"] = port_rows(client)
    return rows


def _controller(controller: Row) -> str:
    state = "connected" if controller["connected"] else controller["state"].lower()
    return f"{controller['target']} ({state}, {controller['role']})"
