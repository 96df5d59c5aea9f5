from jackfield.ofproto.connections.async_config import default_async_config
from jackfield.openflow.dialect import OF10
from jackfield.openflow.messages import AsyncKind, FlowRemovedReason, PacketInReason, PortReason


def test_the_default_is_open_vswitchs() -> None:
    config = default_async_config(OF10, invalid_ttl=False)
    assert config.wants(AsyncKind.PACKET_IN, PacketInReason.NO_MATCH, secondary=False)
    assert not config.wants(AsyncKind.PACKET_IN, PacketInReason.NO_MATCH, secondary=True)
    assert not config.wants(AsyncKind.PACKET_IN, PacketInReason.INVALID_TTL, secondary=False)
    assert all(config.wants(AsyncKind.PORT_STATUS, reason, secondary=True) for reason in PortReason)
    assert all(config.wants(AsyncKind.FLOW_REMOVED, reason, secondary=False) for reason in FlowRemovedReason)
    assert not config.wants(AsyncKind.FLOW_REMOVED, FlowRemovedReason.DELETE, secondary=True)
    asked = default_async_config(OF10, invalid_ttl=True)
    assert asked.wants(AsyncKind.PACKET_IN, PacketInReason.INVALID_TTL, secondary=False)
