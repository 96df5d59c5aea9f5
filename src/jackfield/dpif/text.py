"""Datapath actions and flows as text, in the form of ``ovs-appctl dpctl/dump-flows`` (ovs-vswitchd(8)), both ways.

The key part of a flow is `jackfield.flow.text_odp`'s. What a `SetMasked` rewrites is written by the same attributes,
``set(ipv4(ttl=63))``; which header a shared field belongs to (ports of TCP or UDP, addresses of IPv4 or ARP) only the
packet's key can say, so the flow's key is given along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from jackfield.dpif.actions import (
    Clone,
    DpAction,
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
from jackfield.dpif.provider import DpFlow, FlowStats
from jackfield.flow import fields as f
from jackfield.flow.hash import format_ufid
from jackfield.flow.ports import DpPort
from jackfield.flow.text_odp import format_odp, parse_odp

_EVERY: Final = 0xFFFFFFFF
_VLAN_TPID: Final = 0x8100
_TCP_FLAG_LETTERS: Final = (
    (0x002, "S"),
    (0x001, "F"),
    (0x008, "P"),
    (0x004, "R"),
    (0x020, "U"),
    (0x010, "."),
    (0x040, "E"),
    (0x080, "C"),
    (0x100, "N"),
    (0x200, "[200]"),
    (0x400, "[400]"),
    (0x800, "[800]"),
)
#: Headers to try where no key says which a field is of: (eth_type, protocol).
_GUESSES: Final = ((0x0800, 6), (0x86DD, 6), (0x0806, 1), (0x0800, 17), (0x86DD, 58), (0x8847, 0))


def format_userspace(action: Userspace) -> str:
    """A `Userspace` action, what is in its userdata unread."""
    userdata = f",userdata({action.userdata.hex()})" if action.userdata else ""
    return f"userspace(pid={action.pid}{userdata}{',actions' if action.actions_wanted else ''})"


def format_actions(
    actions: DpActions,
    key: int | None = None,
    ports: Mapping[DpPort, str] | None = None,
    userspace: Callable[[Userspace], str] = format_userspace,
) -> str:
    """The text of an action list.

    Args:
        actions: the list; an empty one drops.
        key: of the flow; None where there is none.
        ports: names to print for ports.
        userspace: writes `Userspace` actions, for one who can read their userdata.
    """
    return ",".join(_format(action, key, ports or {}, userspace) for action in actions) or "drop"


def format_flow(flow: DpFlow, now: int, ports: Mapping[DpPort, str] | None = None, *, verbose: bool = False) -> str:
    """A flow as dpctl/dump-flows prints it.

    Args:
        flow: the flow; a terse one has only its identifier and counters.
        now: the time in ms.
        ports: names to print for ports.
        verbose: with the UFID and every field.
    """
    parts = [f"ufid:{format_ufid(flow.ufid)}"] if verbose or flow.key is None else []
    if flow.key is not None:
        parts.append(format_odp(flow.key, flow.mask, ports, verbose))
    parts.append(format_stats(flow.stats, now))
    if flow.offloaded:
        parts.append(f"offloaded:yes, dp:{flow.offloaded}")
    elif verbose:
        parts.append("dp:ovs")
    if flow.actions is not None:
        parts.append(f"actions:{format_actions(flow.actions, flow.key, ports)}")
    return ", ".join(parts)


def format_stats(stats: FlowStats, now: int) -> str:
    """The counters of a flow; `now` in ms."""
    used = f"{max(now - stats.used, 0) / 1000:.3f}s" if stats.used else "never"
    text = f"packets:{stats.packets}, bytes:{stats.bytes}, used:{used}"
    return f"{text}, flags:{format_tcp_flags(stats.tcp_flags)}" if stats.tcp_flags else text


def format_tcp_flags(flags: int) -> str:
    """TCP flags as letters, as in tcpdump: SYN and ACK are ``S.``."""
    return "".join(letter for bit, letter in _TCP_FLAG_LETTERS if flags & bit) or "none"


def _format(
    action: DpAction, key: int | None, ports: Mapping[DpPort, str], userspace: Callable[[Userspace], str]
) -> str:
    match action:
        case Output(port):
            return ports.get(port, str(port))
        case Userspace():
            return userspace(action)
        case SetMasked(value, mask):
            return ",".join(f"set({part})" for part in _set_attributes(value, mask, key))
        case PushVlan(tpid, tci):
            tag = f"vid={tci & 0xFFF},pcp={tci >> 13}" + ("" if tci & f.VLAN_CFI else ",cfi=0")
            return f"push_vlan({tag})" if tpid == _VLAN_TPID else f"push_vlan(tpid=0x{tpid:04x},{tag})"
        case PopVlan():
            return "pop_vlan"
        case Truncate(max_len):
            return f"trunc({max_len})"
        case Hash(algorithm, basis):
            return f"hash(l4({basis}))" if algorithm == 0 else f"hash(algorithm{algorithm}({basis}))"
        case Recirc(recirc_id):
            return f"recirc({recirc_id:#x})"
        case Sample(probability, actions):
            percentage = f"{100 * probability / _EVERY:.1f}"
            return f"sample(sample={percentage}%,actions({format_actions(actions, key, ports, userspace)}))"
        case Clone(actions):
            return f"clone({format_actions(actions, key, ports, userspace)})"
        case Drop():
            return "drop"


def _set_attributes(value: int, mask: int, key: int | None) -> Iterator[str]:
    tci = f.VLAN_TCI.get(mask)
    if tci:
        yield f"vlan(vid={f.VLAN_TCI.get(value) & 0xFFF},pcp={f.VLAN_TCI.get(value) >> 13})"
        mask &= ~f.VLAN_TCI.mask
    if mask:
        context = _guess(mask) if key is None else key
        text = format_odp(context & ~mask & ~f.VLAN_TCI.mask | value & mask, mask)
        yield from (part for part in split_top(text) if part != "eth()")


def _guess(mask: int) -> int:
    """A key whose headers have as many of the fields as possible."""
    contexts = [f.ETH_TYPE.put(f.NW_PROTO.put(0, protocol), eth_type) for eth_type, protocol in _GUESSES]
    return max(contexts, key=lambda context: parse_odp(_without_empty(format_odp(context, mask))).mask.bit_count())


def _without_empty(text: str) -> str:
    return ",".join(part for part in split_top(text) if part != "eth()")


# -- reading -------------------------------------------------------------------------------------------------------


def parse_actions(text: str, ports: Mapping[str, DpPort] | None = None) -> DpActions:
    """The action list of a text.

    Args:
        text: as `format_actions` writes it.
        ports: numbers of named ports.

    Raises:
        ValueError: names the action at fault and what was expected, in one line.
    """
    if text.strip() in ("", "drop"):
        return ()
    return tuple(action for part in split_top(text) for action in _parse(part.strip(), ports or {}))


def _parse(text: str, ports: Mapping[str, DpPort]) -> Iterator[DpAction]:
    name, bracket, rest = text.partition("(")
    if not bracket:
        yield _parse_word(text, ports)
        return
    if not rest.endswith(")"):
        raise ValueError(f"{text}: syntax error (expected a closing parenthesis at the end)")
    body = rest[:-1]
    match name:
        case "set":
            yield _parse_set(body)
        case "push_vlan":
            yield _parse_push_vlan(body)
        case "trunc":
            yield Truncate(_number(body, text, 1 << 32))
        case "recirc":
            yield Recirc(_number(body, text, 1 << 32))
        case "hash":
            inner = body.removeprefix("l4(")
            if inner == body or not inner.endswith(")"):
                raise ValueError(f"{text}: unknown hash (expected l4(BASIS))")
            yield Hash(0, _number(inner[:-1], text, 1 << 32))
        case "clone":
            yield Clone(parse_actions(body, ports))
        case "sample":
            yield _parse_sample(body, text, ports)
        case "userspace":
            yield _parse_userspace(body, text)
        case _:
            raise ValueError(f"{text}: unknown action")


def _parse_word(text: str, ports: Mapping[str, DpPort]) -> DpAction:
    if text == "pop_vlan":
        return PopVlan()
    if text == "drop":
        return Drop()
    if text in ports:
        return Output(ports[text])
    if text.isascii() and text.isdigit() and int(text) < 1 << 32:
        return Output(DpPort(int(text)))
    raise ValueError(f"{text}: unknown action (expected a port, pop_vlan, drop or an action with arguments)")


def _parse_set(body: str) -> SetMasked:
    if body.startswith("vlan("):
        options = _options(body.removeprefix("vlan(").removesuffix(")"), {"vid": 0x1000, "pcp": 8})
        tci = options.get("pcp", 0) << 13 | options.get("vid", 0)
        mask = (0xE000 if "pcp" in options else 0) | (0xFFF if "vid" in options else 0)
        return SetMasked(tci << f.VLAN_TCI.offset, mask << f.VLAN_TCI.offset)
    found = parse_odp(body)
    if not found.mask:
        raise ValueError(f"set({body}): sets nothing")
    return SetMasked(found.value, found.mask)


def _parse_push_vlan(body: str) -> PushVlan:
    options = _options(body, {"tpid": 1 << 16, "vid": 0x1000, "pcp": 8, "cfi": 2})
    if "vid" not in options:
        raise ValueError(f"push_vlan({body}): vid is missing")
    tci = options.get("pcp", 0) << 13 | options.get("cfi", 1) << 12 | options["vid"]
    return PushVlan(options.get("tpid", _VLAN_TPID), tci)


def _parse_sample(body: str, text: str, ports: Mapping[str, DpPort]) -> Sample:
    parts = split_top(body)
    if len(parts) != 2 or not parts[0].startswith("sample=") or not parts[0].endswith("%"):
        raise ValueError(f"{text}: syntax error (expected sample(sample=N%,actions(...)))")
    if not parts[1].startswith("actions(") or not parts[1].endswith(")"):
        raise ValueError(f"{text}: syntax error (expected sample(sample=N%,actions(...)))")
    try:
        percentage = float(parts[0].removeprefix("sample=").removesuffix("%"))
    except ValueError:
        raise ValueError(f"{parts[0]}: expected a percentage") from None
    if not 0 <= percentage <= 100:
        raise ValueError(f"{parts[0]}: expected 0 to 100 percent")
    return Sample(round(percentage / 100 * _EVERY), parse_actions(parts[1][len("actions(") : -1], ports))


def _parse_userspace(body: str, text: str) -> Userspace:
    pid, userdata, actions_wanted = 0, b"", False
    for part in split_top(body):
        if part == "actions":
            actions_wanted = True
        elif part.startswith("pid="):
            pid = _number(part.removeprefix("pid="), text, 1 << 32)
        elif part.startswith("userdata(") and part.endswith(")"):
            try:
                userdata = bytes.fromhex(part[len("userdata(") : -1])
            except ValueError:
                raise ValueError(f"{part}: expected hexadecimal digits") from None
        else:
            raise ValueError(f"{part}: unknown argument of userspace (expected pid=, userdata() or actions)")
    return Userspace(userdata, pid, actions_wanted)


def _options(body: str, limits: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in body.split(","):
        name, _, value = part.partition("=")
        if name not in limits:
            raise ValueError(f"{part}: unknown argument (expected one of {', '.join(limits)})")
        found[name] = _number(value, part, limits[name])
    return found


def _number(text: str, whole: str, limit: int) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        raise ValueError(f"{whole}: {text or 'nothing'} is not a number") from None
    if not 0 <= value < limit:
        raise ValueError(f"{whole}: {text} is out of range (expected 0 to {limit - 1})")
    return value


def split_top(text: str) -> list[str]:
    """The parts of a list between the commas that stand outside all parentheses.

    Raises:
        ValueError: parentheses that do not match.
    """
    parts: list[str] = []
    depth = start = 0
    for i, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                raise ValueError(f"{text[: i + 1]}: a closing parenthesis too many")
        elif char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    if depth:
        raise ValueError(f"{text}: a closing parenthesis is missing")
    return [*parts, text[start:]] if text else []
