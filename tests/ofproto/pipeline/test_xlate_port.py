from collections.abc import Callable

import pytest

from jackfield.flow import fields as f
from jackfield.openflow.messages import PortConfig
from tests.ofproto.pipeline.fake_dpif import Switch


@pytest.fixture
def patched(make_switch: Callable[[str], Switch]) -> tuple[Switch, Switch]:
    one, two = make_switch("br0"), make_switch("br1")
    one.add_port(1)
    one.add_port(9, "to-br1", peer="to-br0")
    two.add_port(2, "q2")
    two.add_port(9, "to-br0", peer="to-br1")
    return one, two


def sent(switch: Switch, packet: str) -> int:
    switch.run()
    switch.receive(1, packet)
    return len(switch.dpif.take_sent())


def test_a_packet_begins_anew_behind_a_patch(patched: tuple[Switch, Switch]) -> None:
    one, two = patched
    one.add_flow("", "load:1->NXM_NX_REG0[],set_field:2->metadata,output:9,resubmit(,1)")
    one.add_flow("reg0=1,metadata=2,in_port=1", "in_port", table=1)
    two.add_flow("reg0=0,metadata=0,in_port=9", "load:7->NXM_NX_REG0[],write_actions(output:2)")
    assert sent(one, "ip") == 2


def test_config_of_both_ends(patched: tuple[Switch, Switch]) -> None:
    one, two = patched
    one.add_flow("", "output:9")
    two.add_flow("", "output:2")
    assert sent(one, "ip") == 1
    two.reconfigure(9, config=PortConfig.NO_RECV)
    assert sent(one, "ip") == 0
    # Spanning tree frames have a bit of their own, so the megaflow must know the address.
    stp = "dl_dst=01:80:c2:00:00:00,dl_type=0x1234"
    assert sent(one, stp) == 1
    flows = [flow for flow in one.backer.flows.all() if flow.mask & f.ETH_DST.mask]
    assert len(flows) == 2
    two.reconfigure(9, config=PortConfig(0))
    one.reconfigure(9, config=PortConfig.NO_FWD)
    assert sent(one, "ip") == 0
    one.reconfigure(9, config=PortConfig(0))
    assert sent(one, "ip") == 1
