from jackfield.flow import fields as f
from jackfield.ofproto.pipeline import keybits as k


def test_parts_do_not_overlap_and_lie_where_they_should() -> None:
    assert k.PIPELINE & k.DATAPATH == 0
    for mask in (k.REGISTERS, k.METADATA, k.IN_PORT, k.ACTSET_OUTPUT):
        assert mask & k.DATAPATH == 0
    for mask in (k.TUNNEL, k.CONNTRACK, k.ALWAYS, k.ANY_VLAN_TAG):
        assert mask & k.PIPELINE == 0
    assert all(field.mask & k.TUNNEL == field.mask for field in (f.TUN_ID, f.TUN_SRC, f.TUN_IPV6_DST, f.TUN_DP_FLAGS))
    assert k.TUNNEL & (f.CT_IPV6_DST.mask | f.IP_SRC.mask | f.RECIRC_ID.mask) == 0
    assert k.WITHOUT_TAGS & k.ANY_VLAN_TAG == k.VLAN_PRESENT
    assert k.WITHOUT_TAG2 & k.ANY_VLAN_TAG == k.VLAN_TAG | k.VLAN2_PRESENT
