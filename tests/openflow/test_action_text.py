import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_CONTROLLER, OFPP_FLOOD, OFPP_LOCAL, OFPP_NORMAL, OfPort
from jackfield.flow.subfield import Subfield
from jackfield.openflow import actions as a
from jackfield.openflow.action_text import UNSUPPORTED, format_actions, parse_actions
from tests.openflow.strategies import actions10, behaviours13, needs_ofctl, ofctl

REG0 = Subfield(f.REGS[0], 0, 32)
REG0_LOW = Subfield(f.REGS[0], 0, 16)


@pytest.mark.parametrize(
    ("text", "actions", "printed"),
    [
        ("drop", (), "drop"),
        ("", (), "drop"),
        ("1,output:2 normal", (a.Output(1), a.Output(2), a.Output(OFPP_NORMAL)), "output:1,output:2,NORMAL"),
        ("FLOOD,local", (a.Output(OFPP_FLOOD), a.Output(OFPP_LOCAL)), "FLOOD,LOCAL"),
        ("controller", (a.Output(OFPP_CONTROLLER, 65535),), "CONTROLLER:65535"),
        ("controller:128", (a.Output(OFPP_CONTROLLER, 128),), "CONTROLLER:128"),
        ("controller(max_len=9)", (a.Output(OFPP_CONTROLLER, 9),), "CONTROLLER:9"),
        (
            "controller(id=5,reason=invalid_ttl,max_len=9)",
            (a.Controller(9, 5, 2),),
            "controller(reason=invalid_ttl,max_len=9,id=5)",
        ),
        ("controller(userdata=01.0a)", (a.Controller(userdata=b"\1\n"),), "controller(userdata=01.0a)"),
        ("output:reg0", (a.OutputReg(REG0),), "output:NXM_NX_REG0[]"),
        ("output:NXM_NX_REG0[0..15]", (a.OutputReg(REG0_LOW),), "output:NXM_NX_REG0[0..15]"),
        ("output(port=3,max_len=100)", (a.OutputTruncated(3, 100),), "output(port=3,max_len=100)"),
        ("enqueue(1,2)", (a.Enqueue(1, 2),), "enqueue:1:2"),
        ("mod_vlan_vid:5,set_vlan_pcp:3", (a.SetVlanVid(5), a.SetVlanPcp(3, False)), "mod_vlan_vid:5,set_vlan_pcp:3"),
        ("pop_vlan", (a.StripVlan(),), "strip_vlan"),
        ("push_vlan:0x8100", (a.PushVlan(0x8100),), "push_vlan:0x8100"),
        ("mod_dl_src:0:1:2:3:4:5", (a.SetEthSrc(0x102030405),), "mod_dl_src:00:01:02:03:04:05"),
        ("mod_nw_dst:10.0.0.1", (a.SetIpDst(0x0A000001),), "mod_nw_dst:10.0.0.1"),
        ("dec_ttl,dec_ttl(1, 2)", (a.DecTtl(), a.DecTtl((1, 2))), "dec_ttl,dec_ttl(1,2)"),
        ("load:0x5->reg0[]", (a.RegLoad(REG0, 5),), "load:0x5->NXM_NX_REG0[]"),
        ("set_field:5/0xff->reg0", (a.SetField(f.REGS[0], 5, 0xFF),), "set_field:0x5/0xff->reg0"),
        ("set_field:10.0.0.1->nw_src", (a.SetField(f.IP_SRC, 0x0A000001, 0xFFFFFFFF),), "set_field:10.0.0.1->ip_src"),
        ("move:reg0[0..15]->reg0[]", None, None),
        ("push:reg0[]", (a.StackPush(REG0),), "push:NXM_NX_REG0[]"),
        ("pop:reg0[0..15]", (a.StackPop(REG0_LOW),), "pop:NXM_NX_REG0[0..15]"),
        ("resubmit:1", (a.Resubmit(OfPort(1)),), "resubmit:1"),
        ("resubmit(,5)", (a.Resubmit(table_id=5),), "resubmit(,5)"),
        ("resubmit(in_port,6)", (a.Resubmit(table_id=6),), "resubmit(,6)"),
        ("note:01.02", (a.Note(b"\1\2\0\0\0\0"),), "note:01.02.00.00.00.00"),
        ("set_tunnel:0x123456789", (a.SetTunnel(0x123456789, True),), "set_tunnel64:0x123456789"),
        ("set_mpls_label:5", (a.SetMplsLabel(5),), "set_mpls_label(5)"),
        (
            "exit,clear_actions,write_actions(output:1),write_metadata:5/0xf,goto_table:2",
            (a.Exit(), a.ClearActions(), a.WriteActions((a.Output(1),)), a.WriteMetadata(5, 15), a.GotoTable(2)),
            "exit,clear_actions,write_actions(output:1),write_metadata:0x5/0xf,goto_table:2",
        ),
    ],
)  # fmt: skip
def test_forms(text, actions, printed):
    if actions is None:
        with pytest.raises(ValueError, match="16 bits wide but destination is 32"):
            parse_actions(text)
        return
    assert parse_actions(text) == actions
    assert format_actions(actions) == printed


def test_port_names():
    assert parse_actions("output:veth0,veth1", {"veth0": OfPort(3), "veth1": OfPort(4)}) == (a.Output(3), a.Output(4))
    assert format_actions((a.Output(OfPort(3)),), {OfPort(3): "veth0"}) == "output:veth0"


def test_later_versions_pop():
    assert format_actions((a.StripVlan(),), version=4) == "pop_vlan"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bogus", "bogus: unknown action"),
        ("output", "output: nothing: unknown port"),
        ("output:nope", "output:nope: nope: unknown port"),
        ("output(port=3)", "incomplete output"),
        ("output(port=3,max_len=13)", "13: max_len is too small (expected at least 14)"),
        ("mod_vlan_vid:5000", "mod_vlan_vid:5000: 5000: not a valid VLAN VID"),
        ("mod_vlan_pcp:8", "not a valid VLAN PCP"),
        ("mod_nw_tos:3", "expected a multiple of 4"),
        ("mod_nw_src:10.0.0", "invalid IP address"),
        ("mod_dl_src:1", "invalid Ethernet address"),
        ("push_vlan:0x0800", "expected 0x8100 or 0x88a8"),
        ("enqueue:1", "expected enqueue:PORT:QUEUE"),
        ("strip_vlan:5", "unexpected argument"),
        ("load:5", "expected load:VALUE->FIELD"),
        ("load:0x10->reg0[0..3]", "not a valid value of 4 bits"),
        ("load:5->eth_type[]", "eth_type: field is read-only"),
        ("set_field:5->nope", "nope: unknown field"),
        ("set_field:5/1->nw_ttl", "takes no mask"),
        ("resubmit()", "at least one of port and table"),
        ("resubmit(,300)", "300: not a valid table"),
        ("controller(reason=why)", "why: unknown reason"),
        ("controller(colour=red)", "colour: unknown key"),
        ("note:0g", "not bytes"),
        ("drop,output:1", "drop: must not be accompanied"),
        ("goto_table:1,output:1", "an action: must not come after goto_table"),
        ("goto_table:1,goto_table:2", "goto_table: must not come after goto_table"),
        ("write_metadata:1,clear_actions", "clear_actions: must not come after write_metadata"),
        ("write_actions(goto_table:1)", "goto_table: not allowed in write_actions"),
        ("output:1)", "unexpected )"),
        ("resubmit(1", "missing )"),
    ],
)
def test_errors_are_one_line_that_names_the_token(text, message):
    with pytest.raises(ValueError) as raised:
        parse_actions(text)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", sorted(UNSUPPORTED))
def test_unsupported_actions_are_named(name):
    with pytest.raises(ValueError, match=f"{name}: action is not supported by this switch"):
        parse_actions(f"{name}(x=1)")


@given(st.lists(actions10, max_size=5).map(tuple) | behaviours13())
@settings(max_examples=300)
def test_text_means_what_was_printed(actions):
    text = format_actions(actions)
    assert format_actions(parse_actions(text)) == text


@given(st.text(max_size=40) | st.sampled_from(["load:", "->", "(", ")", ",", "set_field:"]).flatmap(
    lambda word: st.text("0123456789abcdefx:->[](),reg_fildsto ", max_size=30).map(lambda rest: word + rest)
))  # fmt: skip
@settings(max_examples=300)
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        format_actions(parse_actions(text))


TEXTS = [
    "output:1,LOCAL,ALL", "controller(max_len=100,id=3)", "output:NXM_NX_REG0[0..15]", "output(port=3,max_len=100)",
    "enqueue:1:2", "mod_vlan_vid:5,mod_vlan_pcp:3,strip_vlan", "mod_dl_src:00:01:02:03:04:05",
    "load:0x5->NXM_NX_REG0[0..3]", "move:NXM_NX_REG0[0..15]->NXM_NX_REG1[16..31]",
    "push:NXM_NX_REG0[],pop:NXM_NX_REG1[]",
    "resubmit:1,resubmit(,5),resubmit(1,5)", "note:01.02.03.04.05.06.07", "set_tunnel:0x5,set_tunnel64:0x5",
    "set_queue:5,pop_queue,exit",
]  # fmt: skip


@needs_ofctl
@pytest.mark.parametrize("text", TEXTS)
def test_stock_client_prints_the_same(text):
    stdout, stderr, status = ofctl("-O", "OpenFlow10", "parse-flow", f"actions={text}")
    assert status == 0, stderr
    assert stdout.strip().rpartition("actions=")[2] == format_actions(parse_actions(text))
