import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_LOCAL, OfPort
from jackfield.openflow import actions as a
from jackfield.openflow.check import check_flow
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_text import (
    format_duration,
    format_flow_stats,
    format_rule,
    parse_flow,
    parse_flow_filter,
    parse_flow_line,
)
from jackfield.openflow.messages import ALL_TABLES, FlowMod, FlowModCommand, FlowModFlags
from jackfield.openflow.multipart import FlowStats, FlowStatsReply
from tests.openflow.strategies import actions10, matches, needs_ofctl, ofctl, ofp_print, u16, u64

ADD, MODIFY, MODIFY_STRICT, DELETE, DELETE_STRICT = FlowModCommand
IP = Match.from_fields({"eth_type": 0x0800})


def test_everything_a_rule_may_say():
    flow = parse_flow(
        "table=1, priority=5,cookie=0x5,idle_timeout=3,hard_timeout=4,importance=6,send_flow_rem check_overlap,"
        "ip nw_src=10.0.0.1 actions=1,LOCAL"
    )
    assert flow == FlowMod(
        ADD,
        Match.from_fields({"eth_type": 0x0800, "nw_src": 0x0A000001}),
        (a.Output(1), a.Output(OFPP_LOCAL)),
        priority=5,
        table_id=1,
        new_cookie=5,
        idle_timeout=3,
        hard_timeout=4,
        importance=6,
        flags=FlowModFlags.SEND_FLOW_REM | FlowModFlags.CHECK_OVERLAP,
    )


def test_defaults():
    assert parse_flow("actions=drop") == FlowMod(ADD, Match(), table_id=ALL_TABLES, priority=0x8000, new_cookie=0)


def test_lines_of_a_dump_can_be_read_back():
    line = " cookie=0x9, duration=1.2s, table=0, n_packets=1, n_bytes=2, idle_age=3, priority=7,ip actions=NORMAL"
    flow = parse_flow(line)
    assert (flow.new_cookie, flow.priority, flow.match) == (9, 7, IP)


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        (MODIFY, "ip,actions=1", {"new_cookie": 0}),
        (MODIFY, "cookie=3,ip,actions=1", {"new_cookie": 3}),
        (MODIFY, "cookie=3/0xf,ip,actions=1", {"cookie": 3, "cookie_mask": 15, "new_cookie": None}),
        (MODIFY_STRICT, "priority=9,ip,actions=1", {"priority": 9}),
        (DELETE, "ip,out_port=3", {"out_port": OfPort(3), "new_cookie": None}),
        (DELETE, "cookie=3/-1,table=2", {"cookie": 3, "cookie_mask": (1 << 64) - 1, "table_id": 2}),
        (DELETE, "out_group=3", {"out_group": 3}),
        (DELETE_STRICT, "priority=9,ip", {"priority": 9}),
    ],
)
def test_commands(command, text, expected):
    flow = parse_flow(text, command)
    assert flow.command is command
    assert {name: getattr(flow, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("ip,actions=1", ADD),
        ("modify ip,actions=1", MODIFY),
        ("delete_strict priority=5,ip", DELETE_STRICT),
        ("delete", DELETE),
    ],
)
def test_lines_of_a_file(line, command):
    assert parse_flow_line(line).command is command


def test_filter():
    request = parse_flow_filter("table=3,ip,out_port=LOCAL,cookie=1/3")
    assert (request.match, request.table_id, request.out_port, request.cookie, request.cookie_mask) == (
        IP, 3, OFPP_LOCAL, 1, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        (ADD, "ip", "ip: must specify an action"),
        (ADD, "", "nothing: must specify an action"),
        (ADD, "foo=1,actions=1", "foo=1: unknown keyword foo"),
        (ADD, "foo,actions=1", "foo: unknown keyword"),
        (ADD, "priority=70000,actions=1", "priority=70000: invalid priority (expected a number from 0 to 65535)"),
        (ADD, "table=256,actions=1", "table=256: invalid table"),
        (ADD, "idle_timeout=x,actions=1", "idle_timeout=x: invalid idle_timeout"),
        (ADD, "cookie=1/1,actions=1", "cookie=1/1: flow additions cannot use a cookie mask"),
        (ADD, "cookie=x,actions=1", "cookie=x: invalid cookie"),
        (ADD, "out_port=1,actions=1", "out_port=1: unknown keyword"),
        (MODIFY, "priority=1,actions=1", "priority=1: unknown keyword"),
        (DELETE, "cookie=1", "cookie=1: cannot set a cookie here"),
        (DELETE, "ip,actions=1", "actions: a delete takes no actions"),
        (DELETE, "idle_timeout=5", "idle_timeout=5: unknown keyword"),
        (DELETE, "out_port=nope", "nope: unknown port"),
        (ADD, "nw_src=10.0.0.1,actions=1", "nw_src=10.0.0.1: nw_src needs a match on IPv4"),
        (ADD, "ip,tcp_dst=80,actions=1", "tcp_dst=80: tcp_dst needs a match on TCP"),
        (ADD, "ip,nw_src=nope,actions=1", "nw_src=nope"),
        (ADD, "actions=set_field:5->tcp_dst", "tcp_dst needs a match on TCP"),
        (ADD, "table=5,actions=goto_table:3", "OFPBIC_BAD_TABLE_ID"),
        (ADD, "ip,actions=bogus", "bogus: unknown action"),
    ],
)
def test_errors_are_one_line_that_names_the_token(command, text, message):
    with pytest.raises(ValueError) as raised:
        parse_flow(text, command)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [(0, "0s"), (5_000_000_000, "5s"), (1_234_000_000, "1.234s"), (1_500_000_000, "1.500s"), (1, "0.000000001s")],
)
def test_durations(duration_ns, text):
    assert format_duration(duration_ns) == text


def test_line_of_a_dump():
    entry = FlowStats(IP, (a.Output(1),), 0, 5, 0, 1_234_000_000, idle_age=3, packet_count=1, byte_count=42)
    assert format_flow_stats(entry) == (
        " cookie=0x0, duration=1.234s, table=0, n_packets=1, n_bytes=42, idle_age=3, priority=5,ip actions=output:1"
    )
    assert format_flow_stats(entry, statistics=False) == " cookie=0x0, priority=5,ip actions=output:1"


@given(matches(metadata=False), st.lists(actions10, max_size=3).map(tuple), u16)
@settings(max_examples=200)
def test_rule_means_what_was_printed(match, actions, priority):
    text = format_rule(FlowStats(match, actions, priority=priority))
    try:
        check_flow(actions, match, ALL_TABLES, 1)
    except OpenFlowError:
        with pytest.raises(ValueError, match="invalid with the specified match"):
            parse_flow(text)
        return
    flow = parse_flow(text)
    assert format_rule(flow) == text
    assert flow.match == match


@needs_ofctl
@given(
    matches(),
    st.lists(actions10, max_size=2).map(tuple),
    u16,
    u64,
    st.integers(0, 100000).map(lambda milliseconds: milliseconds * 1_000_000),
    u16,
    st.none() | st.integers(0, 60000),
    st.none() | st.integers(0, 60000),
)
@settings(max_examples=40, deadline=None)
def test_stock_client_prints_the_same_line(match, actions, priority, cookie, duration, timeout, idle_age, hard_age):
    entry = FlowStats(
        match, actions, 3, priority, cookie, duration, timeout, 0, idle_age, hard_age, packet_count=1, byte_count=2
    )
    data = encode(FlowStatsReply((entry,), nxm=True), 1, 1)
    ours = format_flow_stats(decode(data, 1)[1].entries[0])
    assert ofp_print(data).partition("\n")[2] == ours


@needs_ofctl
@pytest.mark.parametrize("flags", range(0, 32, 3))
@pytest.mark.parametrize("importance", [0, 7])
def test_stock_client_prints_the_same_flags(flags, importance):
    entry = FlowStats(IP, (a.Output(1),), flags=FlowModFlags(flags), importance=importance, hard_timeout=5)
    data = encode(FlowStatsReply((entry,)), 5, 1)
    assert ofp_print(data).partition("\n")[2] == format_flow_stats(entry, version=5)


RULES = [
    "table=1,priority=5,cookie=0x5,idle_timeout=3,hard_timeout=4,ip,nw_src=10.0.0.1,actions=1",
    "in_port=LOCAL,dl_vlan=5,dl_vlan_pcp=3,actions=strip_vlan,2",
    "arp,arp_tpa=10.0.0.0/8,actions=NORMAL",
    "tcp,tp_dst=80,actions=mod_tp_dst:81,IN_PORT",
    "reg0=5/0xff,metadata=3,ip,nw_tos=16,actions=load:5->NXM_NX_REG1[],resubmit(,3)",
    "ipv6,ipv6_src=fe80::/10,actions=dec_ttl,FLOOD",
    "dl_src=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop",
]


@needs_ofctl
@pytest.mark.parametrize("rule", RULES)
def test_stock_client_reads_rules_as_we_do(rule):
    stdout, stderr, status = ofctl("-O", "OpenFlow13", "parse-flow", rule)
    assert status == 0, stderr
    flow = parse_flow(rule)
    assert ofp_print(encode(flow, 4, 1)).partition(": ")[2] == stdout.strip().rpartition("): ")[2]
