from jackfield.flow import fields as f
from jackfield.flow.text import parse_match
from jackfield.ofproto.pipeline.compile import compile_action_set, unsupported
from jackfield.openflow import actions as of
from jackfield.openflow.action_text import parse_actions


def test_what_is_supported() -> None:
    assert unsupported(parse_actions("output:1,dec_ttl,set_field:1->reg0,write_actions(output:2),goto_table:3")) is None
    assert isinstance(unsupported(parse_actions("output:1,push_mpls:0x8847")), of.PushMpls)
    assert isinstance(unsupported((of.WriteActions((of.DecMplsTtl(),)),)), of.WriteActions | of.DecMplsTtl)
    assert unsupported((of.SetField(f.MPLS_LABEL, 1, 0xFFFFF),)) is not None
    assert unsupported((of.SetField(f.NSH_SI, 1, 0xFF),)) is not None


def test_an_action_set_has_an_order_of_its_own() -> None:
    written = parse_actions(
        "output:1,set_field:1->reg0,dec_ttl,push_vlan:0x8100,set_queue:1,set_field:2->reg0,pop_vlan,output:2,set_queue:2"
    )
    done = [action for _, _, action in compile_action_set(written)]
    assert done == list(
        parse_actions("pop_vlan,push_vlan:0x8100,dec_ttl,set_field:1->reg0,set_field:2->reg0,set_queue:2,output:2")
    )
    assert compile_action_set(written[1:3]) == ()


def test_matches_used_here_parse() -> None:
    assert parse_match("reg0=1").mask == f.REGS[0].mask
