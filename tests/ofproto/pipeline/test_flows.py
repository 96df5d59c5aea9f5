from jackfield.dpif.provider import FlowStats
from jackfield.ofproto.pipeline.flows import advance
from tests.ofproto.pipeline.fake_dpif import Switch


def test_found_by_what_it_rests_on(switch: Switch) -> None:
    rule = switch.add_flow("", "NORMAL")
    switch.receive(1, "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,dl_type=0x1234")
    flows = switch.backer.flows
    (flow,) = flows.all()
    bridge = switch.provider.bridge
    assert flows.get(flow.ufid) is flow
    for topic in (rule, bridge.topic, bridge.flood_topic, bridge.ports[1].topic, bridge.macs.key(0, 0x020000000002)):
        assert flows.of_topic(topic) == {flow}
    assert not flows.of_topic(bridge.ports[2].topic)
    flows.remove(flow)
    assert not flows.of_topic(rule)
    assert len(flows) == len(flows.searches) == 0


def test_only_what_is_new_is_credited(switch: Switch) -> None:
    rule = switch.add_flow("", "output:2")
    switch.receive(1, "ip")
    (flow,) = switch.backer.flows.all()
    now = switch.clock.now()
    advance(flow, FlowStats(packets=10, bytes=1_000, tcp_flags=2, used=now + 5))
    advance(flow, FlowStats(packets=10, bytes=1_000, tcp_flags=2, used=now + 5))
    advance(flow, FlowStats(packets=12, bytes=1_200, tcp_flags=1, used=now + 3))
    assert rule.stats.packets == 13
    assert rule.stats.bytes == 1_200 + 34
    assert rule.stats.used == now + 5
    assert flow.tcp_flags == 3
