"""Keys that describe one packet and nothing else."""

from __future__ import annotations

from hypothesis import strategies as st

from jackfield.flow import fields as f

U8, U16, U32, U48, U128 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 48, 128))

ETHERNET = {"eth_src": U48, "eth_dst": U48}
ONE_TAG = {"vlan_tpid": st.sampled_from([0x8100, 0x88A8]), "vlan_tci": U16.map(lambda tci: tci | f.VLAN_CFI)}
TWO_TAGS = {**ONE_TAG, "vlan2_tpid": st.just(0x8100), "vlan2_tci": U16.map(lambda tci: tci | f.VLAN_CFI)}
IPV4 = {"eth_type": st.just(0x0800), "ip_src": U32, "ip_dst": U32, "ip_tos": U8, "nw_ttl": U8}
IPV6 = {
    "eth_type": st.just(0x86DD),
    "ipv6_src": U128,
    "ipv6_dst": U128,
    "ip_tos": U8,
    "nw_ttl": U8,
    "ipv6_label": st.integers(0, 0xFFFFF),
    "ipv6_exthdr": st.sampled_from([0, 1 << 6, 1 << 3, 1 << 5, 1 << 4, 1 << 2, 1 << 6 | 1 << 2, 0x7C]),
}
PORTS = {"tp_src": U16, "tp_dst": U16, "ip_frag": st.sampled_from([0, 1])}


def proto(number: int) -> dict[str, st.SearchStrategy[int]]:
    return {"nw_proto": st.just(number)}


def neighbour(kind: int) -> dict[str, st.SearchStrategy[int]]:
    return {
        **IPV6,
        **proto(58),
        "tp_src": st.just(kind),
        "nd_target": U128,
        "nd_reserved": U32,
        "nd_sll": U48,
        "nd_tll": U48,
    }


L3 = [
    {**IPV4, **proto(6), **PORTS, "tcp_flags": st.integers(0, 0xFFF)},
    {**IPV4, **proto(17), **PORTS},
    {**IPV4, **proto(132), **PORTS},
    {**IPV4, **proto(1), "tp_src": U8, "tp_dst": U8},
    {**IPV4, **proto(2), "tp_src": U8, "tp_dst": U8, "igmp_group_ip4": U32},
    {**IPV4, "nw_proto": U8.filter(lambda number: number not in (1, 2, 6, 17, 132))},
    {**IPV4, "nw_proto": U8, "ip_frag": st.just(3)},
    {**IPV6, **proto(6), **PORTS, "tcp_flags": st.integers(0, 0xFFF)},
    {**IPV6, **proto(17), **PORTS},
    {**IPV6, **proto(132), **PORTS},
    {**IPV6, **proto(58), "tp_src": U8.filter(lambda kind: kind not in (135, 136)), "tp_dst": U8},
    neighbour(135),
    neighbour(136),
    {**IPV6, **proto(44), "ip_frag": st.just(3), "ipv6_exthdr": st.sampled_from([1 << 4, 1 << 4 | 1 << 6])},
    {
        "eth_type": st.sampled_from([0x0806, 0x8035]),
        "arp_op": U8,
        "arp_spa": U32,
        "arp_tpa": U32,
        "arp_sha": U48,
        "arp_tha": U48,
    },
    {"eth_type": st.sampled_from([0x8847, 0x8848]), "mpls_lse0": U32.map(lambda lse: lse | 0x100)},
    {
        "eth_type": st.just(0x8847),
        "mpls_lse0": U32.map(lambda lse: lse & ~0x100),
        "mpls_lse1": U32.map(lambda lse: lse & ~0x100),
        "mpls_lse2": U32.map(lambda lse: lse | 0x100),
    },
    {
        "eth_type": st.just(0x894F),
        "nsh_flags": st.integers(0, 3),
        "nsh_ttl": st.integers(0, 63),
        "nsh_mdtype": st.just(1),
        "nsh_np": U8,
        "nsh_path_header": U32,
        "nsh_c1": U32,
        "nsh_c2": U32,
        "nsh_c3": U32,
        "nsh_c4": U32,
    },
    {"eth_type": st.just(0x05FF)},
    {"eth_type": st.sampled_from([0x88CC, 0x9000, 0xFFFF])},
]


@st.composite
def packet_keys(draw: st.DrawFn) -> int:
    """Keys that describe one packet and nothing else."""
    parts = {**ETHERNET, **draw(st.sampled_from([{}, ONE_TAG, TWO_TAGS])), **draw(st.sampled_from(L3))}
    key = 0
    for name, values in parts.items():
        key = f.ANY_FIELD_BY_NAME[name].put(key, draw(values))
    # What follows from the rest.
    if f.ETH_TYPE.get(key) == 0x86DD:
        kinds = [kind for address, kind in ((f.ND_SLL, 1), (f.ND_TLL, 2)) if address.get(key)]
        key = f.ND_OPTIONS_TYPE.put(key, draw(st.sampled_from(kinds)) if kinds else 0)
    if f.ETH_TYPE.get(key) == 0x86DD and f.NW_FRAG.get(key):
        key |= 1 << 4 << f.IPV6_EXTHDR.offset
    return key
