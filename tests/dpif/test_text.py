import pytest

from jackfield.dpif.actions import (
    Clone,
    DpAction,
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
from jackfield.dpif.text import format_actions
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort
from jackfield.flow.text import parse_match

ONE = Output(DpPort(1))
NAT = parse_match("tcp,nw_src=1.2.3.4,nw_ttl=2,tp_dst=90")


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ((), "drop"),
        ((ONE, Output(DpPort(2))), "1,p2"),
        ((Userspace(b"\x01\xff", 7),), "userspace(pid=7,userdata(01ff))"),
        ((Userspace(actions_wanted=True),), "userspace(pid=0,actions)"),
        ((PushVlan(0x8100, 0x1007), ONE), "push_vlan(vid=7,pcp=0),1"),
        ((PushVlan(0x88A8, 0xF007), PopVlan()), "push_vlan(tpid=0x88a8,vid=7,pcp=7),pop_vlan"),
        ((PushVlan(0x8100, 0x0007),), "push_vlan(vid=7,pcp=0,cfi=0)"),
        ((Truncate(64), ONE), "trunc(64),1"),
        ((Hash(0, 5), Recirc(0x1F)), "hash(l4(5)),recirc(0x1f)"),
        ((Sample(0x7FFFFFFF, (ONE,)),), "sample(sample=50.0%,actions(1))"),
        ((Clone((PopVlan(), ONE)), ONE), "clone(pop_vlan,1),1"),
        ((Drop(),), "drop"),
    ],
)
def test_actions(actions: tuple[DpAction, ...], text: str) -> None:
    assert format_actions(actions, ports={DpPort(2): "p2"}) == text


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (f.IP_SRC.mask | f.NW_TTL.mask, "set(ipv4(src=1.2.3.4,ttl=2))"),
        (f.TCP_DST.mask, "set(tcp(dst=90))"),
        (0xFF << f.IP_SRC.offset, "set(ipv4(src=0.0.0.4/0.0.0.255))"),
        (f.SKB_PRIORITY.mask, "set(skb_priority(0))"),
    ],
)
def test_set(mask: int, text: str) -> None:
    key = parse_match("tcp").value
    assert format_actions((SetMasked(NAT.value & mask, mask),), key) == text
