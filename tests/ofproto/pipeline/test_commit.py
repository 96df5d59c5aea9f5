from hypothesis import given
from hypothesis import strategies as st

from jackfield.dpif.actions import DpAction, PopVlan, PushVlan, SetMasked
from jackfield.flow import fields as f
from jackfield.flow.text import parse_match
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.commit import commit, vlan_tags
from jackfield.ofproto.pipeline.xlate_normal import pop_vlan, push_vlan

TCP = parse_match("tcp,nw_src=1.2.3.4,nw_dst=5.6.7.8,nw_ttl=9,tp_src=1,tp_dst=2").value


def test_one_action_for_each_header_with_what_is_known_of_its_changed_fields() -> None:
    out: list[DpAction] = []
    key = f.TCP_DST.put(f.NW_TTL.put(f.ETH_SRC.put(TCP, 7), 8), 80)
    known = 0xFF << f.ETH_SRC.offset | f.NW_TTL.mask | f.TCP_DST.mask | f.IP_SRC.mask
    assert commit(TCP, key, known, out) == known
    assert out == [
        SetMasked(7 << f.ETH_SRC.offset, 0xFF << f.ETH_SRC.offset),
        SetMasked(8 << f.NW_TTL.offset, f.NW_TTL.mask),
        SetMasked(80 << f.TCP_DST.offset, f.TCP_DST.mask),
    ]


tags = st.lists(st.tuples(st.sampled_from((0x8100, 0x88A8)), st.integers(0x1000, 0x1003)), max_size=2)


def tagged(stack: list[tuple[int, int]]) -> int:
    key = TCP
    for tpid, tci in reversed(stack):
        key = push_vlan(key, tpid, tci)
    return key


@given(have=tags, want=tags)
def test_tags_become_the_wanted_ones(have: list[tuple[int, int]], want: list[tuple[int, int]]) -> None:
    out: list[DpAction] = []
    known = commit(tagged(have), tagged(want), 0, out)
    key = tagged(have)
    pops = 0
    for action in out:
        if isinstance(action, PopVlan):
            key = pop_vlan(key)
            pops += 1
        else:
            assert isinstance(action, PushVlan)
            key = push_vlan(key, action.tpid, action.tci)
    assert vlan_tags(key) == want
    assert known == (0, k.VLAN_TAG, k.ANY_VLAN_TAG)[pops]
