"""How results are shown: an aligned table for people, JSON for programs, again and again with `--watch`.

Where nobody's terminal is the limit, a table is as wide as it needs and shows everything. On a terminal that is too
narrow it gives up in steps: empty spare columns, the digits of large numbers, spare columns, and finally long texts are
folded, at commas where possible.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Row = dict[str, Any]

_GAP: Final = 2
_EMPTY: Final = "-"
_READABLE: Final = 32
"""A folded column is to have this many characters; otherwise columns are put beneath each other."""
_LEAST: Final = 12
_BREAKS: Final = (", ", ">", "=(:")
_UNITS: Final = "kMGTPE"


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


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: heading.
        key: what to show of a row, or a function of the row.
        right: align numbers at the right edge.
        wrap: may be folded over several lines when the terminal is narrow.
        beneath: may then stand beneath the column before it, too.
        spare: may be left out when the terminal is narrow.
        optional: is left out when it is empty in every row.
        compact: large numbers may be written short when the terminal is narrow.
    """

    title: str
    key: str | Callable[[Row], object]
    right: bool = False
    wrap: bool = False
    beneath: bool = False
    spare: bool = False
    optional: bool = False
    compact: bool = False

    def text(self, row: Row, *, short: bool = False) -> str:
        """What stands in the table's cell."""
        value = self.key(row) if callable(self.key) else row.get(self.key)
        if value is None:
            return _EMPTY
        if isinstance(value, int) and not isinstance(value, bool) and self.right:
            return _short(value) if short and self.compact else f"{value:,}"
        return "".join(each if each.isprintable() or each == "\n" else "?" for each in str(value))


def present(
    fetch: Callable[[], Sequence[Row]],
    columns: Sequence[Column],
    *,
    as_json: bool,
    watch: float | None,
    empty: str,
) -> None:
    """Show what `fetch` gives: once, or every `watch` seconds until interrupted.

    With JSON and `watch`, each round is one line. On a terminal a round takes the place of the one before.
    """
    live = bool(watch) and not as_json and sys.stdout.isatty()
    try:
        if live:
            click.clear()
        while True:
            rows = fetch()
            if as_json:
                click.echo(json.dumps(list(rows), indent=None if watch else 2))
            elif live:
                _repaint(table_lines(rows, columns, empty))
            else:
                table(rows, columns, empty)
            if not watch:
                return
            sys.stdout.flush()
            time.sleep(watch)
    except KeyboardInterrupt:
        if live:
            click.echo()  # the terminal has printed ^C


def _repaint(lines: Sequence[str]) -> None:
    """Write over the screen from its top, what does not fit is only counted."""
    room = shutil.get_terminal_size().lines - 2
    if len(lines) > room:
        lines = [*lines[: room - 1], f"... {len(lines) - room + 1} more lines"]
    click.echo("\033[H" + "".join(f"{line}\033[K\n" for line in lines) + "\033[J", nl=False)


def table(rows: Sequence[Row], columns: Sequence[Column], empty: str) -> None:
    """Print an aligned table."""
    for line in table_lines(rows, columns, empty):
        click.echo(line)


def table_lines(rows: Sequence[Row], columns: Sequence[Column], empty: str) -> list[str]:
    """The lines of an aligned table, folded to the terminal if standard output is one."""
    if not rows:
        return [empty]
    terminal = sys.stdout.isatty()
    lines = render(rows, columns, shutil.get_terminal_size().columns if terminal else None)
    if terminal:
        heading = next(number for number, line in enumerate(lines) if set(line) <= set("─-"))
        lines[:heading] = [click.style(line, bold=True) for line in lines[:heading]]
    return lines


# -- layout ------------------------------------------------------------------------------------------------------------


@dataclass
class _Strip:
    """A column that is laid out: its heading and cells, all of them texts of one or more lines."""

    title: str
    cells: list[str]
    right: bool
    wrap: bool

    @property
    def natural(self) -> int:
        """The width at which nothing is folded."""
        return max(len(line) for text in (self.title, *self.cells) for line in text.split("\n"))


def render(rows: Sequence[Row], columns: Sequence[Column], width: int | None) -> list[str]:
    """The lines of a table, at most `width` characters each where that can be; None is no limit."""
    *complete, last = _layouts(rows, columns)
    for strips in complete:
        if width is None or _total(each.natural for each in strips) <= width:
            return _draw(strips, [each.natural for each in strips])
    assert width is not None
    widths = _widths(complete[-1], width)
    folded = [(each.natural, share) for each, share in zip(complete[-1], widths, strict=True) if each.wrap]
    if all(share >= min(natural, _READABLE) for natural, share in folded) and _total(widths) <= width:
        return _draw(complete[-1], widths)
    return _draw(last, _widths(last, width))


def _layouts(rows: Sequence[Row], columns: Sequence[Column]) -> Iterator[list[_Strip]]:
    """From the most complete to the narrowest."""
    empty = {each for each in columns if all(each.text(row) == _EMPTY for row in rows)}
    columns = [each for each in columns if not (each.optional and each in empty)]
    yield _strips(rows, columns)
    filled = [each for each in columns if not (each.spare and each in empty)]
    yield _strips(rows, filled)
    yield _strips(rows, filled, short=True)
    few = [each for each in columns if not each.spare]
    yield _strips(rows, few, short=True)
    stacked: list[_Strip] = []
    for column, strip in zip(few, _strips(rows, few, short=True), strict=True):
        if not (column.beneath and stacked):
            stacked.append(strip)
            continue
        above, arrow = stacked[-1], _arrow()
        above.title = f"{above.title}\n{arrow} {strip.title}"
        above.cells = [f"{first}\n{arrow} {then}" for first, then in zip(above.cells, strip.cells, strict=True)]
    yield stacked


def _strips(rows: Sequence[Row], columns: Sequence[Column], *, short: bool = False) -> list[_Strip]:
    return [
        _Strip(each.title, [each.text(row, short=short) for row in rows], each.right, each.wrap) for each in columns
    ]


def _total(widths: Iterable[int]) -> int:
    every = list(widths)
    return sum(every) + _GAP * (len(every) - 1)


def _widths(strips: Sequence[_Strip], width: int) -> list[int]:
    """The room of each column: those that can be folded share what the others leave."""
    widths = [each.natural for each in strips]
    foldable = sorted((number for number, each in enumerate(strips) if each.wrap), key=lambda number: widths[number])
    room = width - _total(widths) + sum(widths[number] for number in foldable)
    for left, number in zip(range(len(foldable), 0, -1), foldable, strict=True):
        widths[number] = max(min(widths[number], room // left), min(widths[number], _LEAST))
        room -= widths[number]
    return widths


def _draw(strips: Sequence[_Strip], widths: Sequence[int]) -> list[str]:
    heading = _draw_row([each.title for each in strips], strips, widths)
    lines = [*heading, ("─" if _unicode() else "-") * _total(widths)]
    for cells in zip(*(each.cells for each in strips), strict=True):
        lines += _draw_row(cells, strips, widths)
    return lines


def _draw_row(cells: Sequence[str], strips: Sequence[_Strip], widths: Sequence[int]) -> list[str]:
    folded = [fold(text, width) for text, width in zip(cells, widths, strict=True)]
    lines = []
    for number in range(max(map(len, folded))):
        parts = [each[number] if number < len(each) else "" for each in folded]
        aligned = [
            part.rjust(width) if strip.right else part.ljust(width)
            for part, strip, width in zip(parts, strips, widths, strict=True)
        ]
        lines.append((" " * _GAP).join(aligned).rstrip())
    return lines


def fold(text: str, width: int) -> list[str]:
    """The lines of a text at a width: broken after a comma or blank, else within a word where it is least bad."""
    lines = []
    for line in text.split("\n"):
        indent = "  " if line.startswith(_arrow()) else ""
        while len(line) > width:
            at = next((found for each in _BREAKS if (found := _last_of(line, each, len(indent), width))), max(width, 3))
            lines.append(line[:at].rstrip())
            line = indent + line[at:].lstrip()
        lines.append(line)
    return lines


def _last_of(line: str, breaks: str, indent: int, width: int) -> int:
    """Where to break a line after one of some characters; 0 when there is none that leaves something before it."""
    start = 2 if line.startswith(_arrow()) else indent
    return max((line.rfind(each, start, width) + 1 for each in breaks), default=0)


def _short(value: int) -> str:
    """A number of at most five characters: 999, 14.2k, 4.14G."""
    if value < 10_000:
        return f"{value:,}"
    scaled, power = value / 1000, 0
    while scaled >= 999.5 and power < len(_UNITS) - 1:
        scaled, power = scaled / 1000, power + 1
    return f"{scaled:.{max(0, 3 - len(str(int(scaled))))}f}{_UNITS[power]}"


def _unicode() -> bool:
    # What stands in for standard output while a live display runs has no encoding.
    stream = sys.stdout if sys.stdout.encoding or sys.__stdout__ is None else sys.__stdout__
    return "utf" in (stream.encoding or "").lower()


def _arrow() -> str:
    return "→" if _unicode() else ">"
