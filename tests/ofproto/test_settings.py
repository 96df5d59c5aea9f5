from jackfield import __version__
from jackfield.ofproto.settings import Descriptions, Settings


def test_defaults_are_those_of_the_bridge_table() -> None:
    settings = Settings()
    assert (settings.forward_bpdu, settings.mac_aging_s, settings.mac_table_size) == (False, 300, 8192)
    assert settings.flood_vlans == frozenset()
    assert Descriptions().software == __version__
