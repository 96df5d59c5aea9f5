"""`jackfield datapath ...`: ports and megaflows of the datapath below the bridges."""

from __future__ import annotations

import click

from jackfield.cli.output import Column, present, shown
from jackfield.cli.target import Target

FLOW_COLUMNS = (
    Column("match", "match", wrap=True),
    Column("actions", "actions", wrap=True, beneath=True),
    Column("packets", "packets", right=True, compact=True),
    Column("bytes", "bytes", right=True, compact=True),
    Column("used", lambda row: "never" if row["used"] is None else f"{row['used']:.1f}s", right=True),
)

SHOW_COLUMNS = (
    Column("datapath", "name"),
    Column("hits", "hits", right=True, compact=True),
    Column("misses", "misses", right=True, compact=True),
    Column("lost", "lost", right=True),
    Column("flows", "flows", right=True),
    Column("masks", "masks", right=True),
    Column("ports", lambda row: ", ".join(f"{port['number']}:{port['name']}" for port in row["ports"]), wrap=True),
)


@click.group()
def datapath() -> None:
    """Look into the datapath."""


@datapath.command("flows")
@shown
@click.pass_obj
def datapath_flows(target: Target, as_json: bool, watch: float | None) -> None:
    """List the megaflows: what the datapath does with packets by itself."""
    present(
        lambda: target.query("jackfield/datapath-flows", "used"),
        FLOW_COLUMNS,
        as_json=as_json,
        watch=watch,
        empty="no datapath flows",
    )


@datapath.command("show")
@shown
@click.pass_obj
def datapath_show(target: Target, as_json: bool, watch: float | None) -> None:
    """Show the datapaths with their counters and ports."""
    present(
        lambda: target.query("jackfield/datapath-show", "ports"),
        SHOW_COLUMNS,
        as_json=as_json,
        watch=watch,
        empty="no datapaths",
    )
