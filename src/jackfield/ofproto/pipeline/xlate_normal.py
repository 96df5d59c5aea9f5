"""NORMAL: the bridge as IEEE 802.1Q knows it, with VLANs and learning.

A packet belongs to a VLAN by its tag and by what its port is configured to be. Its source address is learned there;
its destination is looked up, and the packet leaves by that port, or by all ports that carry the VLAN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_CONTROLLER, OFPP_NONE
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.commit import COMMITTED
from jackfield.ofproto.pipeline.frames import MAX_ACTIONS, Frame
from jackfield.ofproto.pipeline.xlate_port import send

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.bridge import XPort
    from jackfield.ofproto.pipeline.translate import Translation

_ADDRESSES: Final = k.ETH_SRC | k.ETH_DST
_TPID_8021Q: Final = 0x8100 << f.VLAN_TPID.offset
_GROUP_BIT: Final = 1 << k.ETH_DST_OFF + 40

# 01:80:c2:00:00:00 to 0f (IEEE 802.1Q table 8-1) and the ones Cisco uses for the same purposes.
_RESERVED_BLOCK: Final = 0x0180C2000000 << k.ETH_DST_OFF
_RESERVED_BLOCK_MASK: Final = 0xFFFFFFFFFFF0 << k.ETH_DST_OFF
_RESERVED: Final = frozenset(
    address << k.ETH_DST_OFF
    for address in (
        0x00E02B000000,
        0x00E02B000004,
        0x00E02B000006,
        0x01000C000000,
        0x01000CCCCCCC,
        0x01000CCCCCCD,
        0x01000CCDCDCD,
        0x01000CCCCCC0,
        0x01000CCCCCC1,
        0x01000CCCCCC2,
        0x01000CCCCCC3,
        0x01000CCCCCC4,
        0x01000CCCCCC5,
        0x01000CCCCCC6,
        0x01000CCCCCC7,
    )
)


def normal(t: Translation) -> None:
    """Forward as a learning switch does."""
    bridge = t.bridge
    key = t.key
    tagged = key & k.VLAN_PRESENT
    t.wildcards |= _ADDRESSES | k.VLAN_VID if tagged else _ADDRESSES
    number = (key & k.IN_PORT) >> k.IN_PORT_OFF
    in_port = bridge.ports.get(number)
    if in_port is None:
        if number not in (OFPP_CONTROLLER, OFPP_NONE):
            t.warn("no input bundle, dropping")
            return
        in_port = bridge.nowhere
    if key & k.ETH_TYPE == k.PARTIAL_VLAN and not tagged:
        t.warn("dropping packet with partial VLAN tag")
        return

    config = in_port.vlan
    vlan = (key & k.VLAN_VID) >> k.VLAN_TCI_OFF
    if vlan and not config.tagged:
        t.warn("dropping VLAN-tagged packet received on an access port")
        return
    if not vlan:
        vlan = config.native
    if not config.carries(vlan):
        t.warn("disallowed VLAN VID for this input port, dropping")
        return
    destination = key & k.ETH_DST
    if not bridge.forward_bpdu and (key & _RESERVED_BLOCK_MASK == _RESERVED_BLOCK or destination in _RESERVED):
        t.warn("packet has reserved destination MAC, dropping")
        return

    macs = bridge.macs
    if in_port is not bridge.nowhere and vlan not in bridge.flood_vlans:
        source = (key & k.ETH_SRC) >> k.ETH_SRC_OFF
        learned = macs.learn(vlan, source, in_port, t.now) if t.learn else macs.key(vlan, source)
        if learned is not None:
            t.macs.append((macs, learned, vlan, source, in_port))
    if key & _GROUP_BIT or vlan in bridge.flood_vlans:
        t.note("no learned MAC for destination, flooding")
        _flood(t, in_port, vlan)
        return
    mac_key = macs.key(vlan, destination >> k.ETH_DST_OFF)
    t.topics.append(mac_key)
    entry = macs.entries.get(mac_key)
    if entry is None:
        t.note("no learned MAC for destination, flooding")
        _flood(t, in_port, vlan)
    elif entry.port is in_port:
        t.note("learned port is input port, dropping")
    elif not entry.port.vlan.carries(vlan):
        t.topics.append(entry.port.topic)
        t.note("learned port does not carry the VLAN, dropping")
    else:
        t.topics.append(entry.port.topic)
        t.note("forwarding to learned port")
        _send(t, entry.port, vlan)


def _flood(t: Translation, in_port: XPort, vlan: int) -> None:
    """Send to every other port that floods and carries the VLAN."""
    bridge = t.bridge
    t.topics.append(bridge.flood_topic)
    plan = bridge.flood_plan(in_port, vlan)
    key = t.key
    if not ((t.base ^ key) & COMMITTED or t.stripped) and len(t.actions) + len(plan.ports) < MAX_ACTIONS:
        ready = plan.plain_tagged if key & k.VLAN_VID else None if key & k.VLAN_PRESENT else plan.plain_untagged
        if ready is not None:
            t.actions.extend(ready)
            return
    # One port after the other, each through before the next: behind a patch there may be more to do.
    t.frames.append(Frame(tuple((_send_one, (port, vlan), None) for port, _ in plan.ports)))


def _send_one(t: Translation, argument: tuple[XPort, int]) -> None:
    port, vlan = argument
    _send(t, port, vlan)


def _send(t: Translation, port: XPort, vlan: int) -> None:
    """Send by a port, with or without the VLAN's tag; the packet is as before afterwards."""
    key = t.key
    wanted = _retagged(key, vlan, tagged=port.vlan.leaves_tagged(vlan))
    if wanted == key:
        send(t, port)
        return
    changed = t.changed
    t.key = wanted
    t.changed |= k.ANY_VLAN_TAG
    t.wildcards |= k.VLAN_TAG | k.VLAN2_PRESENT if key & k.VLAN_PRESENT else k.VLAN_PRESENT
    if port.output is None:
        # The frame of the patch would come back to the key with the other tag: come back to this one after it.
        t.frames.append(Frame(((_restore_tags, (key & k.ANY_VLAN_TAG, changed), None),)))
        send(t, port)
    else:
        send(t, port)
        t.key = key
        t.changed = changed


def _restore_tags(t: Translation, saved: tuple[int, int]) -> None:
    tags, t.changed = saved
    t.key = t.key & ~k.ANY_VLAN_TAG | tags


def _retagged(key: int, vlan: int, *, tagged: bool) -> int:
    """The key with the tag a packet of a VLAN leaves with, or without one; the priority stays."""
    if not tagged:
        return pop_vlan(key) if key & k.VLAN_PRESENT else key
    if key & k.VLAN_PRESENT:
        return key & ~k.VLAN_VID | vlan << k.VLAN_TCI_OFF
    return key & ~k.VLAN_TAG | _TPID_8021Q | k.VLAN_PRESENT | vlan << k.VLAN_TCI_OFF


def pop_vlan(key: int) -> int:
    """A key without its outermost tag."""
    inner = f.VLAN2_TCI.get(key) << f.VLAN_TCI.offset | f.VLAN2_TPID.get(key) << f.VLAN_TPID.offset
    return key & ~k.ANY_VLAN_TAG | inner


def push_vlan(key: int, tpid: int, tci: int) -> int:
    """A key with one more tag outermost; of three tags the key holds two."""
    outer = f.VLAN_TCI.get(key) << f.VLAN2_TCI.offset | f.VLAN_TPID.get(key) << f.VLAN2_TPID.offset
    return key & ~k.ANY_VLAN_TAG | outer | tci << f.VLAN_TCI.offset | tpid << f.VLAN_TPID.offset
