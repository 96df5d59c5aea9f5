"""How results are shown: an aligned table for people, JSON for programs, again and again with `--watch`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Row = dict[str, Any]


def shown(command: F) -> F:
    """Give a verb the options `--json` and `--watch`."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    return click.option(
        "--watch",
        type=click.FloatRange(min=0.1),
        is_flag=False,
        flag_value=1.0,
        default=None,
        metavar="[SECONDS]",
        help="Show again every SECONDS (1 unless given) until Ctrl-C.",
    )(command)


class Column:
    """A column of a table.

    Args:
        title: heading.
        key: what to show of a row, or a function of the row.
        right: align numbers at the right edge.
        wrap: may be folded over several lines when the terminal is narrow.
    """

    def __init__(self, title: str, key: str | Callable[[Row], object], *, right: bool = False, wrap: bool = False):
        self.title = title
        self.key = key
        self.right = right
        self.wrap = wrap

    def text(self, row: Row) -> str:
        """What stands in the table's cell."""
        value = self.key(row) if callable(self.key) else row.get(self.key)
        if value is None:
            return "-"
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and self.right else str(value)


def present(
    fetch: Callable[[], Sequence[Row]],
    columns: Sequence[Column],
    *,
    as_json: bool,
    watch: float | None,
    empty: str,
) -> None:
    """Show what `fetch` gives: once, or every `watch` seconds until interrupted.

    With JSON and `watch`, each round is one line.
    """
    try:
        while True:
            rows = fetch()
            if as_json:
                click.echo(json.dumps(list(rows), indent=None if watch else 2))
            else:
                if watch and sys.stdout.isatty():
                    click.clear()
                table(rows, columns, empty)
            if not watch:
                return
            sys.stdout.flush()
            time.sleep(watch)
    except KeyboardInterrupt:
        return


def table(rows: Sequence[Row], columns: Sequence[Column], empty: str) -> None:
    """Print an aligned table, as wide as it needs where nobody's terminal is the limit."""
    if not rows:
        click.echo(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shape = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        shape.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=not column.wrap,
            overflow="fold",
        )
    for row in rows:
        shape.add_row(*(Text(column.text(row)) for column in columns))
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    console.print(shape)
