"""The text of datapath actions, as ``ovs-appctl dpctl/dump-flows`` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from jackfield.dpif.actions import (
    Clone,
    DpActions,
    Drop,
    Hash,
    Output,
    PopVlan,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    Truncate,
    Userspace,
)
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort
from jackfield.flow.text_odp import format_odp

_TPID_8021Q: Final = 0x8100
_ALWAYS_SAMPLED: Final = 0xFFFFFFFF
_HASHES: Final = {0: "l4", 1: "sym_l4"}


class _Writer:
    """Writes the actions of one flow."""

    def __init__(self, key: int, ports: Mapping[DpPort, str], userspace: Callable[[Userspace], str]) -> None:
        self.key = key
        self.ports = ports
        self.userspace = userspace

    def write(self, actions: DpActions) -> str:
        return ",".join([_FORMATS[type(action)](self, action) for action in actions]) or "drop"

    def output(self, action: Output) -> str:
        return self.ports.get(action.port, str(action.port))

    def set_masked(self, action: SetMasked) -> str:
        # Which header a place in the key belongs to is told by the packet's other fields.
        key = self.key & ~action.mask | action.value
        text = format_odp(key, action.mask)
        return ",".join(f"set({header})" for header in _split(text) if header != "eth()")

    def push_vlan(self, action: PushVlan) -> str:
        tpid = "" if action.tpid == _TPID_8021Q else f"tpid=0x{action.tpid:04x},"
        cfi = "" if action.tci & f.VLAN_CFI else ",cfi=0"
        return f"push_vlan({tpid}vid={action.tci & 0xFFF},pcp={action.tci >> 13}{cfi})"

    def hash(self, action: Hash) -> str:
        return f"hash({_HASHES.get(action.algorithm, action.algorithm)}({action.basis}))"

    def sample(self, action: Sample) -> str:
        share = 100 * action.probability / _ALWAYS_SAMPLED
        return f"sample(sample={share:.1f}%,actions({self.write(action.actions)}))"

    def clone(self, action: Clone) -> str:
        return f"clone({self.write(action.actions)})"


_FORMATS: Final[dict[type, Callable[[_Writer, Any], str]]] = {
    Output: _Writer.output,
    Userspace: lambda writer, action: writer.userspace(action),
    SetMasked: _Writer.set_masked,
    PushVlan: _Writer.push_vlan,
    PopVlan: lambda _writer, _action: "pop_vlan",
    Truncate: lambda _writer, action: f"trunc({action.max_len})",
    Hash: _Writer.hash,
    Recirc: lambda _writer, action: f"recirc({action.recirc_id:#x})",
    Sample: _Writer.sample,
    Clone: _Writer.clone,
    Drop: lambda _writer, _action: "drop",
}


def _split(text: str) -> list[str]:
    """The parts of a text between commas outside parentheses."""
    parts = [""]
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def format_userspace(action: Userspace) -> str:
    """A `Userspace` action, what is in its userdata unread."""
    userdata = f",userdata({action.userdata.hex()})" if action.userdata else ""
    return f"userspace(pid={action.pid}{userdata}{',actions' if action.actions_wanted else ''})"


def format_actions(
    actions: DpActions,
    key: int = 0,
    ports: Mapping[DpPort, str] | None = None,
    userspace: Callable[[Userspace], str] = format_userspace,
) -> str:
    """The text of a datapath flow's actions; ``drop`` for none.

    Args:
        actions: what to write.
        key: the flow's key, which says what headers its packets have.
        ports: names to print for ports.
        userspace: writes `Userspace` actions, for one who can read their userdata.
    """
    return _Writer(key, ports or {}, userspace).write(actions)
