"""`jackfield show`: the bridges of a running switch."""

from __future__ import annotations

import click

from jackfield.cli.output import Column, Row, present, shown
from jackfield.cli.target import Target

COLUMNS = (
    Column("bridge", "name"),
    Column("datapath id", "datapath_id"),
    Column("datapath", "datapath", spare=True),
    Column("fail mode", "fail_mode", spare=True),
    Column("ports", lambda row: ", ".join(port["name"] for port in row["ports"]) or "-", wrap=True),
    Column("flows", "flows", right=True),
    Column("controllers", lambda row: "\n".join(_controller(each) for each in row["controllers"]) or "-", wrap=True),
    Column(
        "missing",
        lambda row: "\n".join(f"{name}: {text}" for name, text in row["errors"].items()) or None,
        wrap=True,
        optional=True,
    ),
)

KEYS = ("name", "datapath_id", "datapath", "fail_mode", "ports", "flows", "controllers", "errors")


@click.command()
@shown
@click.pass_obj
def show(target: Target, as_json: bool, watch: float | None) -> None:
    """Show the bridges of a running switch: ports, rules, controllers."""
    present(lambda: bridge_rows(target), COLUMNS, as_json=as_json, watch=watch, empty="no bridges")


def bridge_rows(target: Target) -> list[Row]:
    """A row for each bridge, as `--json` prints it."""
    return target.query("jackfield/show", *KEYS)


def _controller(controller: Row) -> str:
    state = controller["role"] if controller["connected"] else controller["state"].lower()
    return f"{controller['target']} ({state})"
