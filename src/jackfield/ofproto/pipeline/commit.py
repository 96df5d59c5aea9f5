"""From what actions made of a key to datapath actions that make a packet so.

Translation changes the key only; nothing is sent to the datapath until a packet leaves (or is looked at). Then the
difference between the key as the datapath has it (*base*) and the key as it should be is *committed*: one `SetMasked`
for each header, VLAN tags popped and pushed. The mask of a `SetMasked` is, in the fields that changed, what the
megaflow matches on: these bits are known, so that writing them is harmless, and equal changes of different flows look
equal.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final

from jackfield.dpif.actions import DpAction, PopVlan, PushVlan, SetMasked
from jackfield.flow import fields as f
from jackfield.flow.parse import ETH_TYPE_ARP, ETH_TYPE_IPV4, ETH_TYPE_IPV6, ETH_TYPE_RARP
from jackfield.ofproto.pipeline import keybits as k

_Header = tuple[int, ...]

_ETHERNET: Final = (f.ETH_SRC.mask, f.ETH_DST.mask)
_IPV4: Final = (f.IP_SRC.mask, f.IP_DST.mask, f.IP_TOS.mask, f.NW_TTL.mask)
_IPV6: Final = (f.IPV6_SRC.mask, f.IPV6_DST.mask, f.IPV6_LABEL.mask, f.IP_TOS.mask, f.NW_TTL.mask)
_ARP: Final = (f.ARP_OP.mask, f.ARP_SPA.mask, f.ARP_TPA.mask, f.ARP_SHA.mask, f.ARP_THA.mask)
_ND: Final = (f.ND_TARGET.mask, f.ND_SLL.mask, f.ND_TLL.mask)
_PORTS: Final = (k.TP_SRC, k.TP_DST)
_PKT_MARK: Final = f.PKT_MARK.mask

#: By eth_type, the headers that can be rewritten, in the order in which they are, each by its fields.
_HEADERS: Final[dict[int, tuple[_Header, ...]]] = {
    ETH_TYPE_IPV4 << k.ETH_TYPE_OFF: (_ETHERNET, _IPV4, _PORTS),
    ETH_TYPE_IPV6 << k.ETH_TYPE_OFF: (_ETHERNET, _IPV6, _PORTS, _ND),
    ETH_TYPE_ARP << k.ETH_TYPE_OFF: (_ETHERNET, _ARP),
    ETH_TYPE_RARP << k.ETH_TYPE_OFF: (_ETHERNET, _ARP),
}
_OTHER_HEADERS: Final = (_ETHERNET,)
_EVERY_FIELD: Final = (*_ETHERNET, *_IPV4, *_IPV6, *_ARP, *_ND, *_PORTS)

COMMITTED: Final = reduce(or_, _EVERY_FIELD) | _PKT_MARK | k.SKB_PRIORITY | k.ANY_VLAN_TAG
"""Everything `commit` looks at: where base and key agree in it, there is nothing to do."""


def commit(base: int, key: int, wildcards: int, out: list[DpAction]) -> int:
    """Append to `out` what turns a packet with key `base` into one with `key`.

    Returns:
        `wildcards`, with what the actions depend on besides.
    """
    changed = base ^ key
    known = wildcards | changed
    for header in _HEADERS.get(base & k.ETH_TYPE, _OTHER_HEADERS):
        mask = 0
        for field in header:
            if changed & field:
                mask |= known & field
        if mask:
            out.append(SetMasked(key & mask, mask))
    if changed & k.ANY_VLAN_TAG:
        wildcards |= _commit_vlans(base, key, out)
    for metadata in (k.SKB_PRIORITY, _PKT_MARK):
        if changed & metadata:
            mask = known & metadata
            out.append(SetMasked(key & mask, mask))
    return wildcards


_Tag = tuple[int, int]


def vlan_tags(key: int) -> list[_Tag]:
    """The VLAN tags in a key as (TPID, TCI), outermost first."""
    if not key & k.VLAN_PRESENT:
        return []
    tags = [(f.VLAN_TPID.get(key), f.VLAN_TCI.get(key))]
    if key & k.VLAN2_PRESENT:
        tags.append((f.VLAN2_TPID.get(key), f.VLAN2_TCI.get(key)))
    return tags


def _commit_vlans(base: int, key: int, out: list[DpAction]) -> int:
    """Pop the tags that differ and push the wanted ones; returns the bits that had to be known."""
    have, want = vlan_tags(base), vlan_tags(key)
    while have and want and have[-1] == want[-1]:
        del have[-1], want[-1]
    out.extend([PopVlan()] * len(have))
    out.extend(PushVlan(tpid, tci) for tpid, tci in reversed(want))
    return (0, k.VLAN_TAG, k.ANY_VLAN_TAG)[len(have)]
