from jackfield.openflow.dialect import STANDARD, VERSION_NAMES, VERSION_TEXT, Dialect
from jackfield.openflow.messages import FlowFormat, PacketInFormat


def test_connections_begin_without_choices():
    assert Dialect(FlowFormat.OPENFLOW10, table_id=False, packet_in_format=PacketInFormat.STANDARD) == STANDARD


def test_every_version_has_names():
    assert VERSION_NAMES.keys() == VERSION_TEXT.keys() == set(range(1, 7))
    assert VERSION_NAMES[4] == "OpenFlow13"
    assert VERSION_TEXT[6] == "1.5"
