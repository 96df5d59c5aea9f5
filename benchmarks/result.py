"""A measured figure beside the peer's from the same run, and the table of them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        what: what was measured.
        unit: of both figures.
        ours, peer: None where that side was not measured.
        more_is_better: False for times and sizes.
        must, aim: the ratio (or, without a peer, the figure) asked for.
        note: what a reader must know.
    """

    what: str
    unit: str
    ours: float | None
    peer: float | None
    more_is_better: bool = True
    must: str = ""
    aim: str = ""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours divided by the peer's."""
        return self.ours / self.peer if self.ours is not None and self.peer else None


def number(value: float | None) -> str:
    """A figure with three significant digits, thousands apart."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def markdown(figures: Sequence[Figure], command: str) -> str:
    """The table as Markdown."""
    lines = [
        f"Made by `{command}` on {platform.machine()}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}. Ratios are Jackfield's figure over Open vSwitch's of the same run.",
        "",
        "| what | Jackfield | Open vSwitch | unit | ratio | must | aim | note |",
        "| --- | ---: | ---: | --- | ---: | --- | --- | --- |",
    ]
    for figure in figures:
        ratio = f"{figure.ratio:.2f}x" if figure.ratio is not None else "-"
        lines.append(
            f"| {figure.what} | {number(figure.ours)} | {number(figure.peer)} | {figure.unit} | {ratio} "
            f"| {figure.must} | {figure.aim} | {figure.note} |"
        )
    return "\n".join(lines) + "\n"
