from jackfield.openflow.messages import AsyncConfig, AsyncKind, PortReason


def test_async_config_by_role_and_reason():
    config = AsyncConfig(primary=(0b11, 0b111, 0b1111), secondary=(0, 0b010, 0))
    assert config.wants(AsyncKind.PACKET_IN, 1, secondary=False)
    assert not config.wants(AsyncKind.PACKET_IN, 2, secondary=False)
    assert not config.wants(AsyncKind.PACKET_IN, 0, secondary=True)
    assert config.wants(AsyncKind.PORT_STATUS, PortReason.DELETE, secondary=True)
