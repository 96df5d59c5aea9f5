"""Hypothesis strategies for OpenFlow values, and the stock client as a judge of bytes."""

import shutil
import subprocess

import pytest
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ALL, OFPP_CONTROLLER, OFPP_FLOOD, OFPP_IN_PORT, OFPP_LOCAL, OFPP_NORMAL, OfPort
from jackfield.flow.subfield import Subfield
from jackfield.openflow import actions as a

needs_ofctl = pytest.mark.skipif(shutil.which("ovs-ofctl") is None, reason="ovs-ofctl is not installed")

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
u64 = st.integers(0, 0xFFFFFFFFFFFFFFFF)
mac = st.integers(0, 0xFFFFFFFFFFFF)
ordinary_ports = st.integers(0, 0xFEFF).map(OfPort)
out_ports = ordinary_ports | st.sampled_from(
    [OFPP_ALL, OFPP_CONTROLLER, OFPP_FLOOD, OFPP_IN_PORT, OFPP_LOCAL, OFPP_NORMAL]
)

_ALWAYS = (f.IN_PORT, f.ETH_SRC, f.ETH_DST, f.TUN_ID, *f.REGS, f.METADATA, f.PKT_MARK, f.CT_MARK, f.TUN_SRC, f.CT_LABEL)
_IP_ANY = (f.NW_TOS, f.NW_ECN, f.NW_TTL)
_IPV4 = (f.IP_SRC, f.IP_DST, *_IP_ANY)
_IPV6 = (f.IPV6_SRC, f.IPV6_DST, f.IPV6_LABEL, *_IP_ANY)
_ARP = (f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA)
_TRANSPORT = {
    6: (f.TCP_SRC, f.TCP_DST, f.TCP_FLAGS),
    17: (f.UDP_SRC, f.UDP_DST),
    132: (f.SCTP_SRC, f.SCTP_DST),
}
_SMALL = {f.NW_TOS: 0xFC, f.ICMP_TYPE: 0xFF, f.ICMP_CODE: 0xFF, f.ICMPV6_TYPE: 0x7F, f.ICMPV6_CODE: 0xFF}


@st.composite
def field_values(draw, field):
    limit = _SMALL.get(field, field.max_value)
    if field is f.IN_PORT:
        return draw(ordinary_ports | st.just(OFPP_LOCAL)), field.max_value
    value = draw(st.integers(0, field.max_value)) & limit
    mask = field.max_value
    if field.masking is f.Masking.ANY and draw(st.booleans()):
        mask = draw(st.integers(1, field.max_value))
    return value & mask, mask


@st.composite
def matches(draw, metadata=True):
    """Matches whose prerequisites are met, over every layer."""
    always = _ALWAYS if metadata else _ALWAYS[:3]
    fields = draw(st.lists(st.sampled_from(always), max_size=3, unique=True))
    match = Match()
    layer = draw(st.sampled_from(["any", "ip", "ipv6", "arp", "mpls"]))
    if layer == "ip":
        match = match.with_field(f.ETH_TYPE, 0x0800)
        fields += draw(st.lists(st.sampled_from(_IPV4), max_size=3, unique=True))
    elif layer == "ipv6":
        match = match.with_field(f.ETH_TYPE, 0x86DD)
        fields += draw(st.lists(st.sampled_from(_IPV6), max_size=3, unique=True))
    elif layer == "arp":
        match = match.with_field(f.ETH_TYPE, 0x0806)
        fields += draw(st.lists(st.sampled_from(_ARP), max_size=3, unique=True))
    elif layer == "mpls":
        match = match.with_field(f.ETH_TYPE, 0x8847)
        fields += draw(st.lists(st.sampled_from([f.MPLS_LABEL, f.MPLS_TC]), max_size=2, unique=True))
    if layer in ("ip", "ipv6") and draw(st.booleans()):
        proto = draw(st.sampled_from([6, 17, 132, 1 if layer == "ip" else 58]))
        match = match.with_field(f.NW_PROTO, proto)
        icmp = (f.ICMP_TYPE, f.ICMP_CODE) if proto == 1 else (f.ICMPV6_TYPE, f.ICMPV6_CODE)
        fields += draw(st.lists(st.sampled_from(_TRANSPORT.get(proto, icmp)), max_size=2, unique=True))
    vlan = draw(st.sampled_from(["any", "none", "vid", "pcp", "both", "bits"]))
    if vlan == "none":
        match = match.with_field(f.VLAN_TCI, 0, 0x1FFF)
    elif vlan == "bits":
        mask = draw(u16)
        match = match.with_field(f.VLAN_TCI, draw(u16) & mask, mask)
    elif vlan != "any":
        vid_mask = 0xFFF if vlan != "pcp" else 0
        pcp_mask = 0xE000 if vlan != "vid" else 0
        tci = draw(u16) & (vid_mask | pcp_mask) | 0x1000
        match = match.with_field(f.VLAN_TCI, tci, vid_mask | pcp_mask | 0x1000)
    for field in fields:
        match = match.with_field(field, *draw(field_values(field)))
    return match


@st.composite
def subfields(draw, fields=(*f.REGS, f.TUN_ID, f.ETH_SRC, f.METADATA)):
    field = draw(st.sampled_from(fields))
    n_bits = draw(st.integers(1, min(field.width, 64)))
    return Subfield(field, draw(st.integers(0, field.width - n_bits)), n_bits)


@st.composite
def loads(draw):
    dst = draw(subfields())
    return a.RegLoad(dst, draw(st.integers(0, dst.max_value)))


@st.composite
def moves(draw):
    n_bits = draw(st.integers(1, 32))
    src, dst = (Subfield(draw(st.sampled_from(f.REGS)), draw(st.integers(0, 32 - n_bits)), n_bits) for _ in range(2))
    return a.RegMove(src, dst)


@st.composite
def set_fields(draw):
    """Set-fields of fields that every packet has, whole."""
    field = draw(st.sampled_from([f.ETH_SRC, f.ETH_DST, *f.REGS, f.METADATA, f.XXREGS[0]]))
    return a.SetField(field, draw(st.integers(0, field.max_value)), field.max_value)


notes = st.binary(max_size=20).map(lambda data: a.Note(data + bytes((6 - len(data)) % 8)))

# Actions that every version has in the same form, for any match.
common_actions = st.one_of(
    st.builds(a.Output, out_ports, u16),
    st.builds(a.OutputReg, subfields(), u16),
    st.builds(a.OutputTruncated, ordinary_ports, st.integers(14, 0xFFFFFFFF)),
    st.builds(a.Controller, u16, u16, st.integers(0, 5), st.binary(max_size=20)),
    st.builds(a.SetQueue, u32),
    st.builds(a.PopQueue),
    st.builds(a.StripVlan),
    loads(),
    moves(),
    st.builds(a.StackPush, subfields()),
    st.builds(a.StackPop, subfields()),
    st.builds(a.Resubmit, ordinary_ports | st.just(a.RESUBMIT_IN_PORT), u8),
    notes,
    st.builds(a.Exit),
)

# Actions of OpenFlow 1.0 alone.
actions10 = st.one_of(
    common_actions,
    st.builds(a.Enqueue, ordinary_ports, u32),
    st.builds(a.SetVlanVid, st.integers(0, 0xFFF)),
    st.builds(a.SetVlanPcp, st.integers(0, 7)),
    st.builds(a.SetEthSrc, mac),
    st.builds(a.SetEthDst, mac),
    st.builds(a.SetIpSrc, u32),
    st.builds(a.SetIpDst, u32),
    st.builds(a.SetTos, st.integers(0, 63).map(lambda dscp: dscp << 2)),
    st.builds(a.SetL4Src, u16),
    st.builds(a.SetL4Dst, u16),
    st.builds(a.DecTtl, st.just((0,)) | st.lists(u16, min_size=1, max_size=6).map(tuple)),
    st.builds(a.SetTunnel, u32),
    st.builds(a.SetTunnel, u64, st.just(True)),
    st.builds(a.PushMpls, st.sampled_from([0x8847, 0x8848])),
    st.builds(a.PopMpls, u16),
    st.builds(a.SetMplsLabel, st.integers(0, 0xFFFFF)),
    st.builds(a.SetMplsTc, st.integers(0, 7)),
    st.builds(a.SetMplsTtl, u8),
    st.builds(a.DecMplsTtl),
)

# Actions of OpenFlow 1.2 to 1.4, for any match.
actions13 = st.one_of(
    common_actions,
    set_fields(),
    st.builds(a.PushVlan, st.sampled_from([0x8100, 0x88A8])),
    st.builds(a.PushMpls, st.sampled_from([0x8847, 0x8848])),
)

set_actions = st.one_of(st.builds(a.Output, out_ports, u16), set_fields(), st.builds(a.SetQueue, u32))


@st.composite
def behaviours13(draw, table_id=0):
    """Actions, then instructions, in OpenFlow 1.3."""
    actions = draw(st.lists(actions13, max_size=4))
    if draw(st.booleans()):
        actions.append(a.ClearActions())
    if draw(st.booleans()):
        actions.append(a.WriteActions(tuple(draw(st.lists(set_actions, min_size=1, max_size=3)))))
    if draw(st.booleans()):
        mask = draw(u64)
        actions.append(a.WriteMetadata(draw(u64) & mask, mask))
    if draw(st.booleans()):
        actions.append(a.GotoTable(draw(st.integers(table_id + 1, 253))))
    return tuple(actions)


def ofp_print(data):
    """What stock ovs-ofctl says a message is, without its xid, in one line."""
    shown = subprocess.run(
        ["ovs-ofctl", "ofp-print", data.hex()], capture_output=True, text=True, check=False, timeout=20
    )
    return (shown.stdout + shown.stderr).strip()


def ofctl(*arguments):
    """Output, errors and exit status of stock ovs-ofctl."""
    done = subprocess.run(["ovs-ofctl", *arguments], capture_output=True, text=True, check=False, timeout=20)
    return done.stdout, done.stderr, done.returncode
