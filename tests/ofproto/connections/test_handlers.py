"""What each request does to the switch or the connection."""

from jackfield.flow.ports import OFPP_CONTROLLER, OFPP_LOCAL, OFPP_TABLE, OfPort
from jackfield.ofproto.connections.handlers import HANDLERS
from jackfield.ofproto.tables import N_TABLES
from jackfield.openflow import messages as m
from jackfield.openflow.actions import Output
from jackfield.openflow.codec import encode
from jackfield.openflow.dialect import OF10
from tests.ofproto.fakes import FakeNetdev, Switch, add, both, connect


@both
def test_features(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    ofproto.set_datapath_id(0xABC)
    ofproto.add_port(FakeNetdev("p1"))
    (reply,) = connect(ofproto, version).ask(m.FeaturesRequest())
    assert isinstance(reply, m.FeaturesReply)
    assert (reply.datapath_id, reply.n_buffers, reply.n_tables) == (0xABC, 0, N_TABLES)
    assert [port.name for port in reply.ports] == (["p1"] if version == OF10 else [])
    assert not reply.capabilities & m.Capability.GROUP_STATS


@both
def test_configuration(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, version)
    (before,) = peer.ask(m.GetConfigRequest())
    assert before == m.GetConfigReply(m.FragmentHandling.NORMAL, 128)
    (after,) = peer.ask(m.SetConfig(m.FragmentHandling.DROP, 64), m.GetConfigRequest())
    assert after == m.GetConfigReply(m.FragmentHandling.DROP, 64)
    assert ofproto.fragments is m.FragmentHandling.DROP


@both
def test_packet_out(switch: Switch, version: int) -> None:
    ofproto, provider = switch
    peer = connect(ofproto, version)
    packet_out = m.PacketOut(b"\0" * 60, (Output(OfPort(1)),), in_port=OFPP_CONTROLLER)
    assert peer.ask(packet_out) == []
    assert provider.told[-1] == ("packet_out", packet_out)
    assert peer.ask(m.PacketOut(b"\0" * 60, (), in_port=OFPP_LOCAL)) == []
    (answer,) = peer.ask(m.PacketOut(b"\0" * 60, (), in_port=OFPP_TABLE))
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPBRC_BAD_PORT"


def test_a_secondary_controller_may_not_change_anything(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    peer.ask(m.RoleRequest(m.Role.SECONDARY, 1))
    changes = (
        add(1, table_id=0),
        m.PacketOut(b"", ()),
        m.PortMod(OfPort(1), 0, m.PortConfig(0), m.PortConfig(0)),
    )
    answers = peer.ask(*changes)
    assert [isinstance(a, m.ErrorMsg) and a.name for a in answers] == ["OFPBRC_IS_SECONDARY"] * 3
    assert {kind for kind, handler in HANDLERS.items() if handler.changes} == {type(change) for change in changes}
    peer.ask(m.SetConfig(m.FragmentHandling.DROP, 77))
    assert ofproto.fragments is m.FragmentHandling.NORMAL
    assert peer.ask(m.GetConfigRequest()) == [m.GetConfigReply(m.FragmentHandling.NORMAL, 77)]


def test_async_configuration_is_per_version_until_it_is_set(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    (default,) = peer.ask(m.GetAsyncRequest())
    assert isinstance(default, m.GetAsyncReply)
    assert default.config.secondary[m.AsyncKind.PACKET_IN] == 0
    wanted = m.AsyncConfig((1, 2, 3), (4, 5, 6))
    assert peer.ask(m.SetAsyncConfig(wanted), m.GetAsyncRequest()) == [m.GetAsyncReply(wanted)]


def test_nicira_choices_count_for_the_next_message(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, OF10)
    data = encode(m.FlowModTableId(True), OF10, 1)
    peer.connection.dialect = m_dialect = type(peer.connection.dialect)(table_id=True)
    data += encode(add(1, table_id=5), OF10, 2, m_dialect)
    peer.send_bytes(data)
    assert ofproto.tables[5].n_flows == 1
