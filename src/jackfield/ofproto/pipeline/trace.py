"""What would become of a packet, for people: the text of `ovs-appctl ofproto/trace` (ovs-vswitchd(8))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from jackfield.dpif.actions import Userspace
from jackfield.dpif.text import format_actions, format_userspace
from jackfield.errors import ProtocolError
from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.parse import ETH_TYPE_VLAN, parse_packet
from jackfield.flow.ports import DPP_NONE, DpPort, OfPort
from jackfield.flow.text import format_flow, format_match, parse_match
from jackfield.flow.text_odp import parse_odp
from jackfield.ofproto.pipeline import cookie
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.report import Report
from jackfield.ofproto.pipeline.translate import Translation
from jackfield.ofproto.provider import NO_COOKIE

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.backer import Backer
    from jackfield.ofproto.pipeline.bridge import XBridge, XPort

_OTHER_TAG_BITS: Final = k.VLAN_TCI & ~k.VLAN_PRESENT


def trace_flow(
    backer: Backer, bridge: XBridge, text: str, names: Mapping[str, OfPort], packet: bytes | None = None
) -> str:
    """Trace a packet given as an OpenFlow match, or the bytes `packet` with the metadata of the match.

    Raises:
        ValueError: the text is no match.
    """
    match = parse_match(text, names)
    number = f.IN_PORT.get(match.value)
    in_port = bridge.ports.get(number)
    dp_port = DPP_NONE if in_port is None or in_port.dp_port is None else in_port.dp_port
    if packet is None:
        key = match.value & k.DATAPATH
        if key & k.VLAN_PRESENT and not key & k.VLAN_TPID:
            key = f.VLAN_TPID.put(key, ETH_TYPE_VLAN)
    else:
        metadata = match.value & (f.PKT_MARK.mask | f.SKB_PRIORITY.mask)
        key = parse_packet(packet, metadata=metadata).key
    return _trace(backer, bridge, key & ~k.DP_IN_PORT | dp_port, in_port, number, learn=packet is not None)


def trace_datapath_flow(backer: Backer, text: str, names: Mapping[str, DpPort], packet: bytes | None = None) -> str:
    """Trace a packet given as a datapath flow.

    Raises:
        ValueError: the text is no datapath flow, or its port belongs to no bridge.
    """
    key = parse_odp(text, names).value
    port = backer.ports.get(key & k.DP_IN_PORT)
    if port is None:
        raise ValueError("Invalid datapath flow: no bridge has its in_port")
    if packet is not None:
        key = parse_packet(packet, key & k.DP_IN_PORT).key
    return _trace(backer, port.bridge, key, port, port.ofp_port, learn=packet is not None)


def _trace(backer: Backer, bridge: XBridge, key: int, in_port: XPort | None, number: int, *, learn: bool) -> str:
    report = Report()
    report.bridge(bridge.name)
    t = Translation(bridge, key, in_port, backer.clock.now(), backer.frozen, learn=learn, report=report)
    if in_port is None:
        t.key = t.key & ~k.IN_PORT | number << k.IN_PORT_OFF
    before = t.key
    t.start(in_port)
    t.run()
    shown = ~(k.ACTSET_OUTPUT | k.DP_IN_PORT)
    final = "unchanged" if (t.key ^ before) & shown == 0 else format_flow(t.key & shown)
    lines = [
        f"Flow: {format_flow(before & shown)}",
        report.text(),
        "",
        f"Final flow: {final}",
        f"Megaflow: {_megaflow(before, t.wildcards)}",
        f"Datapath actions: {format_actions(t.result, key, userspace=describe_userspace)}",
    ]
    if t.error is not None:
        lines += ["", f"Translation failed ({t.error}), packet is dropped."]
    t.release()
    return "\n".join(lines) + "\n"


def _megaflow(key: int, wildcards: int) -> str:
    """A megaflow as a match of OpenFlow; that a frame has no tag, or some tag, goes without saying."""
    mask = wildcards & ~k.DP_IN_PORT | k.IN_PORT
    if not mask & _OTHER_TAG_BITS:
        mask &= ~k.VLAN_PRESENT
    return format_match(Match.masked(key, mask))


def describe_userspace(action: Userspace) -> str:
    """A `Userspace` action with what its cookie says."""
    try:
        found = cookie.decode(action.userdata)
    except ProtocolError:
        return format_userspace(action)
    max_len = 0xFFFF if found.max_len is None else found.max_len
    rule_cookie = f"{found.rule_cookie:#x}" if found.rule_cookie not in (0, NO_COOKIE) else "0"
    return (
        f"userspace(pid={action.pid},controller(reason={found.reason},dont_send=0,continuation=0,recirc_id=0,"
        f"rule_cookie={rule_cookie},controller_id={found.controller_id},max_len={max_len}))"
    )
