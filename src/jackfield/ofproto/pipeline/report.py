"""What a translation tells people: a tree of tables, actions and remarks, as `ovs-appctl ofproto/trace` prints it.

A `Translation` with a `Report` tells it every table it searches and every action it does. Lines are indented as stock
tools indent them: a list's tables and bridges stand further in when something follows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jackfield.flow.text import format_match
from jackfield.openflow.action_text import format_actions

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.bridge import XBridge
    from jackfield.ofproto.rule import Rule
    from jackfield.openflow.actions import Action


@dataclass(slots=True)
class _Node:
    text: str
    #: A line that never has others below it.
    is_leaf: bool
    is_bridge: bool = False
    below: list[_Node] = field(default_factory=list)


class Report:
    """Collects what a translation does.

    `enter` and `leave` are called as frames come and go; between them lines go below the last table or bridge.
    """

    def __init__(self) -> None:
        self._root: list[_Node] = []
        self._lists: list[list[_Node]] = [self._root]

    @property
    def depth(self) -> int:
        """How many tables and bridges are open."""
        return len(self._lists)

    def close_to(self, depth: int) -> None:
        """Close tables and bridges until `depth` are open."""
        del self._lists[depth:]

    def bridge(self, name: str) -> None:
        """The packet enters a bridge; what follows is below it."""
        title = f'bridge("{name}")'
        self._open(_Node(f"{title}\n{'-' * len(title)}", is_leaf=False, is_bridge=True))

    def table(self, bridge: XBridge, table_id: int, rule: Rule) -> None:
        """A rule is found; its actions follow below it."""
        match = format_match(rule.match)
        text = f"{_table(bridge, table_id)} {match + ', ' if match else ''}priority {rule.priority}"
        if rule.cookie:
            text += f", cookie {rule.cookie:#x}"
        self._open(_Node(text, is_leaf=False))
        if not rule.actions:
            self._add("drop")

    def miss(self, bridge: XBridge, table_id: int) -> None:
        """No rule of a table fits."""
        node = _Node(f"{_table(bridge, table_id)} No match.", is_leaf=False)
        node.below.append(_Node("drop", is_leaf=True))
        self._lists[-1].append(node)

    def thaw(self, text: str) -> None:
        """A frozen translation goes on."""
        self._open(_Node(text, is_leaf=False))

    def action(self, action: Action) -> None:
        """An action is done."""
        self._add(format_actions((action,)))

    def detail(self, text: str) -> None:
        """What came of it."""
        self._add(f" -> {text}")

    def warn(self, text: str) -> None:
        """Something unusual."""
        self._add(f" >> {text}")

    def error(self, text: str) -> None:
        """Why translation ends."""
        self._add(f" >>>> {text} <<<<")

    def text(self) -> str:
        """All lines."""
        lines: list[str] = []
        _render(self._root, 0, lines)
        return "\n".join(lines)

    def _add(self, text: str) -> None:
        self._lists[-1].append(_Node(text, is_leaf=True))

    def _open(self, node: _Node) -> None:
        self._lists[-1].append(node)
        self._lists.append(node.below)


def _table(bridge: XBridge, table_id: int) -> str:
    name = bridge.switch.tables[table_id].name
    return f"{table_id:2d}." if not name else f"{table_id:2d}({name})."


def _render(nodes: list[_Node], level: int, lines: list[str]) -> None:
    for place, node in enumerate(nodes):
        if node.is_bridge:
            lines.append("")
        further = node.is_leaf or place < len(nodes) - 1
        indent = "    " * (level + further)
        lines.extend(indent + line for line in node.text.split("\n"))
        _render(node.below, level + 2 * further, lines)
