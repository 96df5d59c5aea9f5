import pytest

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_CONTROLLER, OFPP_IN_PORT, OFPP_NONE, OFPP_NORMAL, OfPort
from jackfield.flow.subfield import Subfield
from jackfield.openflow import actions as a
from jackfield.openflow.check import check_flow, check_packet_out
from jackfield.openflow.errors import OpenFlowError

ANY = Match()
IP = Match.from_fields({"eth_type": 0x0800})
TCP = IP.with_field(f.NW_PROTO, 6)
TAGGED = Match().with_field(f.VLAN_TCI, 0x1000, 0x1000)
MPLS = Match.from_fields({"eth_type": 0x8847})
SET_NW_SRC = a.SetField(f.IP_SRC, 1, 0xFFFFFFFF)
SET_VID = a.SetField(f.VLAN_VID, 0x1005, 0x1FFF)


@pytest.mark.parametrize(
    ("actions", "match", "version"),
    [
        ((), ANY, 4),
        ((a.Output(OFPP_NORMAL),), ANY, 4),
        ((a.SetIpSrc(1),), ANY, 1),
        ((a.SetIpSrc(1),), IP, 4),
        ((a.SetL4Src(1),), TCP, 4),
        ((SET_NW_SRC,), IP, 4),
        ((SET_VID,), TAGGED, 4),
        ((a.PushVlan(0x8100), SET_VID), ANY, 4),
        ((a.SetVlanVid(1), SET_VID), ANY, 4),
        ((a.PushMpls(0x8847), a.DecMplsTtl()), ANY, 4),
        ((a.PopMpls(0x0800), SET_NW_SRC), MPLS, 4),
        ((a.RegLoad(Subfield(f.REGS[0], 0, 4), 1),), ANY, 1),
        ((a.WriteActions((SET_NW_SRC,)), a.GotoTable(5)), IP, 4),
        ((a.Enqueue(OFPP_IN_PORT, 1),), ANY, 1),
    ],
)
def test_allowed(actions, match, version):
    check_flow(actions, match, 0, version)


@pytest.mark.parametrize(
    ("actions", "match", "version", "name"),
    [
        ((a.Output(OFPP_NONE),), ANY, 1, "OFPBAC_BAD_OUT_PORT"),
        ((a.Exit(), a.Output(OFPP_NONE)), ANY, 1, "OFPBAC_BAD_OUT_PORT"),
        ((a.Output(OfPort(0xFFFFFF10)),), ANY, 4, "OFPBAC_BAD_OUT_PORT"),
        ((a.Enqueue(OFPP_CONTROLLER, 1),), ANY, 1, "OFPBAC_BAD_OUT_PORT"),
        ((a.SetIpSrc(1),), ANY, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.SetL4Src(1),), IP, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((SET_NW_SRC,), ANY, 1, "OFPBAC_MATCH_INCONSISTENT"),
        ((SET_VID,), ANY, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.StripVlan(), SET_VID), TAGGED, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.SetField(f.VLAN_VID, 5, 0x1FFF),), TAGGED, 4, "OFPBAC_BAD_SET_ARGUMENT"),
        ((a.PushMpls(0x8847), SET_NW_SRC), IP, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.DecMplsTtl(),), IP, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.RegMove(Subfield(f.TCP_SRC, 0, 16), Subfield(f.REGS[0], 0, 16)),), ANY, 1, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.WriteActions((SET_NW_SRC,)),), ANY, 4, "OFPBAC_MATCH_INCONSISTENT"),
        ((a.GotoTable(3),), ANY, 4, "OFPBIC_BAD_TABLE_ID"),
        ((a.GotoTable(2),), ANY, 4, "OFPBIC_BAD_TABLE_ID"),
        ((a.GotoTable(254),), ANY, 4, "OFPBIC_BAD_TABLE_ID"),
    ],
)
def test_refused(actions, match, version, name):
    with pytest.raises(OpenFlowError) as raised:
        check_flow(actions, match, 3, version)
    assert raised.value.name == name


def test_packet_out():
    check_packet_out((a.Output(OFPP_NORMAL), a.SetIpSrc(1), SET_NW_SRC), OFPP_CONTROLLER, 4)
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_PORT"):
        check_packet_out((), OFPP_NORMAL, 4)
    with pytest.raises(OpenFlowError, match="OFPBAC_BAD_OUT_PORT"):
        check_packet_out((a.Output(OFPP_NONE),), OfPort(1), 4)
