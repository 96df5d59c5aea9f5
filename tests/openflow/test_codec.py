import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ANY, OFPP_CONTROLLER, OFPP_LOCAL, OFPP_NONE
from jackfield.openflow import actions as a
from jackfield.openflow import messages as m
from jackfield.openflow import multipart as mp
from jackfield.openflow.codec import decode, encode, error_message, error_reply, multipart_parts
from jackfield.openflow.dialect import OF10, OF13, STANDARD, VERSION_TEXT, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_codec import needs_nx_flow_mod
from jackfield.openflow.flow_stats_codec import encode_entry
from jackfield.openflow.match10 import fits_match10
from tests.openflow.strategies import (
    actions10,
    behaviours13,
    mac,
    matches,
    needs_ofctl,
    ofp_print,
    ordinary_ports,
    u8,
    u16,
    u32,
    u64,
)

NXM = Dialect(m.FlowFormat.NXM, table_id=True)
texts = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=15)
durations = st.integers(0, (1 << 32) * 10**9 - 1)
xids = u32

port_config = st.integers(0, 0x7F).map(m.PortConfig)
config11 = st.integers(0, 0x7F).map(lambda bits: m.PortConfig(bits & 0x65))
state10 = st.sampled_from([0, 1, 0x100, 0x201, 0x300]).map(m.PortState)
state11 = st.integers(0, 7).map(m.PortState)
features10 = st.integers(0, 0xFFFF).map(lambda bits: m.PortFeature(bits & 0xF87F))
features11 = st.integers(0, 0xFFFF).map(m.PortFeature)
fragments = st.sampled_from(m.FragmentHandling)


def ports(version):
    if version == OF10:
        return st.builds(
            m.PortDescription,
            ordinary_ports | st.just(OFPP_LOCAL),
            mac,
            texts,
            port_config,
            state10,
            *[features10] * 4,
        )
    return st.builds(m.PortDescription, ordinary_ports, mac, texts, config11, state11, *[features11] * 4, u32, u32)


def capabilities(version):
    known = 0xE7 | m.Capability.STP if version == OF10 else 0x6F
    return st.integers(0, 0x1FFFF).map(lambda bits: m.Capability(bits & known))


def flow_mods(version, dialect):
    commands = st.sampled_from(m.FlowModCommand)

    @st.composite
    def build(draw):
        command = draw(commands)
        adds, deletes = command is m.FlowModCommand.ADD, command in (3, 4)
        values = {
            "idle_timeout": draw(u16),
            "hard_timeout": draw(u16),
            "priority": draw(u16),
            "flags": draw(st.integers(0, 31)) & {OF10: 0x3, 3: 0x7}.get(version, 0x1F),
        }
        if version == OF10 and adds:
            values["flags"] |= m.FlowModFlags.RESET_COUNTS
        values["flags"] = m.FlowModFlags(values["flags"])
        if deletes:
            values["out_port"] = draw(ordinary_ports | st.just(OFPP_ANY))
            if version > OF10:
                values["out_group"] = draw(u32)
        if version == OF10:
            values["new_cookie"] = draw(st.integers(0, (1 << 64) - 2))
        else:
            values["new_cookie"] = draw(u64) if adds else None
        if dialect.table_id or version > OF10:
            values["table_id"] = draw(st.integers(0, 250))
        if not adds and (version > OF10 or dialect.flow_format is m.FlowFormat.NXM) and draw(st.booleans()):
            values["cookie_mask"] = draw(st.integers(1, (1 << 64) - 1))
            values["cookie"] = draw(u64) & values["cookie_mask"]
        if version > OF10:
            actions = draw(behaviours13(values["table_id"]))
        else:
            actions = tuple(draw(st.lists(actions10, max_size=3)))
        match = draw(matches(metadata=version > OF10 or dialect.flow_format is m.FlowFormat.NXM))
        return m.FlowMod(command, match, actions, **values)

    return build()


def removals(version, nxm):
    return st.builds(
        m.FlowRemoved,
        matches(metadata=version > OF10 or nxm),
        u16,
        u64,
        st.sampled_from(list(m.FlowRemovedReason)[:3]),
        st.integers(0, 253) if nxm or version > OF10 else st.just(255),
        durations,
        u16,
        u16 if version > OF10 else st.just(0),
        u64,
        u64,
    )


metadatas = st.lists(st.sampled_from([*f.REGS, f.TUN_ID, f.METADATA]), max_size=3, unique=True).map(
    lambda fields: Match.from_fields({field.name: 5 for field in fields})
)


def packet_ins(version, form):
    standard10 = version == OF10 and form is m.PacketInFormat.STANDARD
    reasons = list(m.PacketInReason)[:3]
    return st.builds(
        m.PacketIn,
        ordinary_ports if standard10 else ordinary_ports | st.just(OFPP_NONE),
        st.binary(max_size=80),
        u16,
        st.sampled_from(reasons),
        st.just(0) if standard10 else u8,
        st.just((1 << 64) - 1) if standard10 else u64,
        st.just(Match()) if standard10 else metadatas,
        u32,
        st.binary(max_size=9) if form is m.PacketInFormat.NXT_PACKET_IN2 else st.just(b""),
    )


masks3 = st.tuples(u32, u32, u32)
asyncs = st.builds(m.AsyncConfig, masks3, masks3)

BY_VERSION = {}
for version in (OF10, 3, OF13, 5):
    configs = [fragments, u16] + ([st.booleans()] if version == 3 else [])
    BY_VERSION[version] = [
        st.builds(m.Hello, st.sets(st.integers(1, 6), min_size=1).map(frozenset)),
        st.builds(m.EchoRequest, st.binary(max_size=20)),
        st.builds(m.EchoReply, st.binary(max_size=20)),
        st.builds(m.BarrierRequest),
        st.builds(m.BarrierReply),
        st.builds(m.FeaturesRequest),
        st.builds(
            m.FeaturesReply,
            u64,
            u32,
            u8,
            capabilities(version),
            u8 if version >= OF13 else st.just(0),
            u32 if version == OF10 else st.just(0),
            st.lists(ports(version), max_size=3).map(tuple) if version < OF13 else st.just(()),
        ),
        st.builds(m.GetConfigRequest),
        st.builds(m.GetConfigReply, *configs),
        st.builds(m.SetConfig, *configs),
        st.builds(m.PortStatus, st.sampled_from(m.PortReason), ports(version)),
        st.builds(
            lambda port, address, config, mask, advertise: m.PortMod(port, address, config & mask, mask, advertise),
            ordinary_ports,
            mac,
            port_config,
            port_config if version == OF10 else config11,
            features10 if version == OF10 else features11,
        ),
        st.builds(
            m.PacketOut,
            st.binary(max_size=60),
            st.lists(st.builds(a.Output, ordinary_ports, u16), max_size=3).map(tuple),
            ordinary_ports | st.just(OFPP_CONTROLLER),
            u32,
        ),
        packet_ins(version, m.PacketInFormat.STANDARD)
        if version >= OF13 or version == OF10
        else st.just(m.EchoReply()),
        removals(version, nxm=False) if version > OF10 else st.just(m.EchoReply()),
        st.builds(m.SetControllerId, u16),
        st.builds(m.SetPacketInFormat, st.sampled_from(m.PacketInFormat)),
        st.builds(mp.DescRequest),
        st.builds(mp.DescReply, *[texts] * 5, st.booleans()),
        st.builds(mp.TableStatsRequest),
        st.builds(mp.PortStatsRequest, ordinary_ports | st.just(OFPP_ANY)),
        st.builds(mp.PortDescRequest),
        st.builds(mp.PortDescReply, st.lists(ports(version), max_size=3).map(tuple), st.booleans()),
        st.builds(mp.QueueStatsRequest, ordinary_ports | st.just(OFPP_ANY), u32),
        st.builds(mp.AggregateReply, u64, u64, u32, st.just(False), st.booleans()),
        st.builds(
            mp.PortStatsReply,
            st.lists(
                st.builds(mp.PortStats, ordinary_ports, *[u64] * 12, durations if version >= OF13 else st.none()),
                max_size=3,
            ).map(tuple),
            st.booleans(),
        ),
        st.builds(
            mp.QueueStatsReply,
            st.lists(
                st.builds(mp.QueueStats, ordinary_ports, *[u32] * 4, durations if version >= OF13 else st.none()),
                max_size=3,
            ).map(tuple),
            st.booleans(),
        ),
    ]
    if version < 5:
        queues = st.builds(m.PacketQueue, u32, ordinary_ports, st.none() | st.integers(0, 1000), st.none())
        BY_VERSION[version].append(st.builds(m.QueueGetConfigRequest, ordinary_ports))
        if version > OF10:
            BY_VERSION[version].append(
                st.builds(m.QueueGetConfigReply, ordinary_ports, st.lists(queues, max_size=3).map(tuple))
            )
    if version > OF10:
        roles = st.sampled_from([m.Role.PRIMARY, m.Role.SECONDARY])
        BY_VERSION[version].append(st.builds(m.RoleRequest, roles, u64))
        BY_VERSION[version].append(st.builds(m.RoleReply, st.sampled_from(m.Role), u64))
        requests = [matches(), u8, ordinary_ports | st.just(OFPP_ANY), u32, st.just(0), st.just(0)]
        BY_VERSION[version].append(st.builds(mp.FlowStatsRequest, *requests))
        BY_VERSION[version].append(st.builds(mp.AggregateRequest, *requests))
    if version in (OF13, 5):
        tables = st.builds(mp.TableStats, u8, u32, u64, u64)
        BY_VERSION[version].append(st.builds(mp.TableStatsReply, st.lists(tables, max_size=3).map(tuple)))
        properties = st.one_of(
            st.builds(
                mp.TableProperty, st.sampled_from([mp.TablePropertyKind(n) for n in (0, 1, 4, 5, 6, 7)]),
                st.lists(u16, max_size=3).map(tuple),
            ),
            st.builds(
                mp.TableProperty, st.sampled_from([mp.TablePropertyKind(n) for n in (2, 3)]),
                st.lists(u8, max_size=9).map(tuple),
            ),
            st.builds(
                mp.TableProperty, st.sampled_from([mp.TablePropertyKind(n) for n in (8, 10, 12, 13, 14, 15)]),
                st.lists(st.sampled_from([0x80000004, 0x80001608, 0xFFFF570A4F4E4600]), max_size=3).map(tuple),
            ),
        )  # fmt: skip
        features = st.builds(
            mp.TableFeatures, u8, texts, u64, u64, u32, u32, st.lists(properties, max_size=4).map(tuple)
        )
        entries = st.lists(features, max_size=2).map(tuple)
        BY_VERSION[version].append(st.builds(mp.TableFeaturesRequest, entries))
        some = st.lists(features, min_size=1, max_size=2).map(tuple)
        BY_VERSION[version].append(st.builds(mp.TableFeaturesReply, some, st.booleans()))
    if version == OF13:
        BY_VERSION[version].append(st.builds(m.GetAsyncRequest))
        BY_VERSION[version].append(st.builds(m.GetAsyncReply, asyncs))
    if version in (OF10, OF13):
        BY_VERSION[version].append(st.builds(m.SetAsyncConfig, asyncs))
    if version == OF10:
        tables10 = st.builds(mp.TableStats, u8, u32, u64, u64, texts, u32, u32)
        BY_VERSION[version] += [
            st.builds(m.RoleRequest, st.sampled_from(list(m.Role)[1:])),
            st.builds(m.RoleReply, st.sampled_from(list(m.Role)[1:])),
            st.builds(m.SetFlowFormat, st.sampled_from(m.FlowFormat)),
            st.builds(m.FlowModTableId, st.booleans()),
            st.builds(mp.TableStatsReply, st.lists(tables10, max_size=3).map(tuple)),
            st.builds(mp.AggregateReply, u64, u64, u32, st.just(True), st.booleans()),
        ]


@pytest.mark.parametrize("version", BY_VERSION)
@given(st.data(), xids)
@settings(max_examples=400, deadline=None)
def test_round_trip(version, data, xid):
    message = data.draw(st.one_of(BY_VERSION[version]))
    assert decode(encode(message, version, xid), version) == (xid, message)


@pytest.mark.parametrize("version", [OF10, OF13])
@given(st.data())
@settings(max_examples=20, deadline=None)
@needs_ofctl
def test_stock_client_understands_every_message(version, data):
    message = data.draw(st.one_of(BY_VERSION[version]))
    # Random features of tables contradict one another, which the stock client does not print.
    assume(not isinstance(message, mp.TableFeaturesRequest | mp.TableFeaturesReply))
    shown = ofp_print(encode(message, version, 1))
    assert "decode error" not in shown
    assert "***" not in shown


@pytest.mark.parametrize(
    ("version", "dialect"), [(OF10, STANDARD), (OF10, NXM), (3, STANDARD), (OF13, STANDARD), (5, STANDARD)]
)
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_flow_mods(version, dialect, data):
    flow_mod = data.draw(flow_mods(version, dialect))
    if version == OF10 and dialect is STANDARD and needs_nx_flow_mod(flow_mod):
        with pytest.raises(ValueError, match="needs the NXM flow format"):
            encode(flow_mod, version, 1, dialect)
        return
    _, back = decode(_checked(encode(flow_mod, version, 1, dialect), version, dialect), version, dialect)
    assert back == flow_mod


def _checked(data, version, dialect):
    """Passes over flow-mods whose random actions contradict their random match."""
    try:
        decode(data, version, dialect)
    except OpenFlowError as error:
        if error.name != "OFPBAC_MATCH_INCONSISTENT":
            raise
        reject()
    return data


@given(removals(OF10, nxm=True))
def test_removal_in_nicira_form(removal):
    assert decode(encode(removal, OF10, 1, NXM), OF10)[1] == removal


@pytest.mark.parametrize("version", [OF10, OF13])
@pytest.mark.parametrize("form", list(m.PacketInFormat)[1:])
@given(st.data())
def test_packet_ins_in_nicira_forms(version, form, data):
    packet_in = data.draw(packet_ins(version, form))
    dialect = Dialect(packet_in_format=form)
    assert decode(encode(packet_in, version, 1, dialect), version)[1] == packet_in


@pytest.mark.parametrize("nxm", [False, True])
@given(matches(metadata=False), u64, u64)
def test_flow_requests_of_openflow_10(nxm, match, cookie, cookie_mask):
    request = mp.FlowStatsRequest(match, 5, OFPP_LOCAL, nxm=nxm)
    if nxm and cookie_mask:
        request = mp.FlowStatsRequest(
            match, 5, OFPP_LOCAL, cookie=cookie & cookie_mask, cookie_mask=cookie_mask, nxm=True
        )
    if nxm or fits_match10(match):
        assert decode(encode(request, OF10, 1), OF10)[1] == request
    else:
        with pytest.raises(ValueError, match="needs the NXM flow format"):
            encode(request, OF10, 1)


def test_openflow_10_port_stats_of_the_local_port():
    reply = mp.PortStatsReply((mp.PortStats(OFPP_LOCAL, 1, 2),))
    data = encode(reply, OF10, 1)
    assert data[12:14] == b"\xff\xfe"
    assert decode(data, OF10)[1] == reply


@pytest.mark.parametrize("version", sorted(VERSION_TEXT))
def test_messages_of_every_version(version):
    for message in (
        m.EchoRequest(b"x"),
        m.BarrierRequest(),
        m.FeaturesRequest(),
        m.SetConfig(m.FragmentHandling.DROP, 9),
    ):
        data = encode(message, version, 3)
        assert data[0] == version
        assert decode(data, version) == (3, message)


def test_what_a_version_does_not_have_cannot_be_written():
    with pytest.raises(ValueError, match=r"GetAsyncRequest: OpenFlow 1.0 has no such message"):
        encode(m.GetAsyncRequest(), OF10, 1)
    with pytest.raises(ValueError, match=r"TableStatsRe.*OpenFlow 1.1 has no such message"):
        encode(mp.TableStatsReply(()), 2, 1)


def test_too_long_message_cannot_be_written():
    with pytest.raises(ValueError, match="at most 65535 fit"):
        encode(m.EchoRequest(bytes(65528)), OF10, 1)


BAD = [
    (1, "04 05 0008 00000001", "OFPBRC_BAD_VERSION"),
    (1, "01 05 0009 00000001", "OFPBRC_BAD_LEN"),
    (1, "01 05 0009 00000001 00", "OFPBRC_BAD_LEN"),
    (1, "01 1e 0008 00000001", "OFPBRC_BAD_TYPE"),
    (4, "04 0f 0008 00000001", "OFPBRC_BAD_TYPE"),
    (4, "04 1d 0010 00000001 0000000000000000", "OFPBRC_BAD_TYPE"),
    (1, "01 04 000c 00000001 00002320", "OFPBRC_BAD_LEN"),
    (1, "01 04 0010 00000001 12345678 00000001", "OFPBRC_BAD_VENDOR"),
    (1, "01 04 0010 00000001 00002320 000003e7", "OFPBRC_BAD_SUBTYPE"),
    (4, "04 04 0014 00000001 00002320 0000000c 00000002", "OFPBRC_BAD_SUBTYPE"),
    (1, "01 10 000a 00000001 0000", "OFPBRC_BAD_LEN"),
    (1, "01 10 000c 00000001 0063 0000", "OFPBRC_BAD_STAT"),
    (4, "04 12 0010 00000001 0006 0000 00000000", "OFPBRC_BAD_STAT"),
    (4, "04 12 0010 00000001 0009 0000 00000000", "OFPBRC_BAD_STAT"),
    (1, "01 10 000d 00000001 0000 0000 00", "OFPBRC_BAD_LEN"),
    (1, "01 10 0010 00000001 ffff 0000 00002320", "OFPBRC_BAD_LEN"),
    (1, "01 10 0018 00000001 ffff 0000 00112233 00000000 00000000", "OFPBRC_BAD_VENDOR"),
    (1, "01 10 0018 00000001 ffff 0000 00002320 00000063 00000000", "OFPBRC_BAD_SUBTYPE"),
    (4, "04 12 0018 00000001 ffff 0000 00000000 00002320 00000000", "OFPBRC_BAD_SUBTYPE"),
    (1, "01 09 000c 00000001 0008 0080", "OFPSCFC_BAD_FLAGS"),
    (4, "04 09 000c 00000001 0004 0080", "OFPSCFC_BAD_FLAGS"),
    (4, "04 18 0018 00000001 00000007 00000000 0000000000000000", "OFPRRFC_BAD_ROLE"),
    (1, "01 04 0014 00000001 00002320 0000000a 00000007", "OFPRRFC_BAD_ROLE"),
    (1, "01 04 0014 00000001 00002320 0000000c 00000007", "OFPBRC_EPERM"),
    (1, "01 04 0018 00000001 00002320 00000014 01000000 00000000", "NXBRC_MUST_BE_ZERO"),
    (1, "01 0d 0010 00000001 ffffffff 0001 0008", "OFPBAC_BAD_LEN"),
    (4, "04 0d 0018 00000001 ffffffff fffffffa 0000 000000000000", "OFPBRC_BAD_PORT"),
]


@pytest.mark.parametrize(("version", "text", "name"), BAD)
def test_errors(version, text, name):
    with pytest.raises(OpenFlowError) as raised:
        decode(bytes.fromhex(text.replace(" ", "")), version)
    assert raised.value.name == name


def flow_mod13(**changes):
    values = {
        "cookie": 0, "cookie_mask": 0, "table_id": 0, "command": 0, "times": 0, "out_port": 0xFFFFFFFF, "flags": 0,
        "match": "0001000400000000", "instructions": "",
    } | changes  # fmt: skip
    body = (
        values["cookie"].to_bytes(8, "big")
        + values["cookie_mask"].to_bytes(8, "big")
        + bytes((values["table_id"], values["command"]))
        + bytes(4)
        + b"\x80\0"
        + b"\xff" * 4
        + values["out_port"].to_bytes(4, "big")
        + b"\xff" * 4
        + values["flags"].to_bytes(2, "big")
        + bytes(2)
        + bytes.fromhex(values["match"] + values["instructions"])
    )
    return bytes((4, 14)) + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"command": 5}, "OFPFMFC_BAD_COMMAND"),
        ({"table_id": 255}, "OFPFMFC_BAD_TABLE_ID"),
        ({"flags": 0x20}, "OFPFMFC_BAD_FLAGS"),
        ({"match": "0000000400000000"}, "OFPBMC_BAD_TYPE"),
        ({"match": "0001000300000000"}, "OFPBMC_BAD_LEN"),
        ({"match": "0001000c00000000"}, "OFPBMC_BAD_LEN"),
        ({"command": 3, "out_port": 0xFFFFFE11}, "OFPBAC_BAD_OUT_PORT"),
        ({"instructions": "0001000800000000"}, "OFPBIC_BAD_TABLE_ID"),
        ({"instructions": "000400180000000000000010ffffffff0000000000000000"}, "OFPBAC_BAD_OUT_PORT"),
        ({"instructions": "000400180000000000190010800016040a00000100000000"}, "OFPBAC_MATCH_INCONSISTENT"),
    ],
)
def test_bad_flow_mods(changes, name):
    assert decode(flow_mod13(), OF13)[1] == m.FlowMod(m.FlowModCommand.ADD, Match(), table_id=0)
    with pytest.raises(OpenFlowError) as raised:
        decode(flow_mod13(**changes), OF13)
    assert raised.value.name == name


def test_delete_in_any_table_is_allowed():
    assert decode(flow_mod13(table_id=255, command=3), OF13)[1].table_id == m.ALL_TABLES


@pytest.mark.parametrize(("hard_timeout", "name"), [(0, "OFPFMFC_TABLE_FULL"), (1, "OFPFMFC_BAD_EMERG_TIMEOUT")])
def test_emergency_flows_are_refused(hard_timeout, name):
    flow_mod = m.FlowMod(m.FlowModCommand.ADD, Match(), hard_timeout=hard_timeout, flags=m.FlowModFlags.EMERG)
    with pytest.raises(OpenFlowError) as raised:
        decode(encode(flow_mod, OF10, 1), OF10)
    assert raised.value.name == name


def test_exact_flow_of_openflow_10_has_the_highest_priority():
    data = bytes.fromhex("01 0e 0048 00000001") + bytes(40) + bytes(8) + bytes(6) + b"\0\5" + b"\xff" * 6 + bytes(2)
    assert decode(data, OF10)[1].priority == 0xFFFF


def test_added_flow_cannot_match_on_a_cookie():
    entries = bytes.fromhex("00013c080000000000000005") + bytes(4)
    fixed = bytes(8) + bytes(8) + b"\xff" * 4 + b"\xff\xff" + bytes(2) + b"\0\x0c" + bytes(6)
    body = bytes.fromhex("00002320 0000000d") + fixed + entries
    data = b"\1\4" + (8 + len(body)).to_bytes(2, "big") + bytes(4) + body
    with pytest.raises(OpenFlowError, match="NXBRC_NXM_INVALID"):
        decode(data, OF10)


@pytest.mark.parametrize("name", ["OFPBMC_BAD_PREREQ", "OFPFMFC_OVERLAP", "OFPBIC_DUP_INST", "OFPBRC_BAD_TYPE"])
@pytest.mark.parametrize("version", sorted(VERSION_TEXT))
def test_errors_come_back_by_name(name, version):
    request = bytes((version, 14, 0, 100, 0, 0, 0, 9)) + bytes(92)
    reply = error_reply(OpenFlowError(name), version, request)
    xid, message = decode(reply, version)
    assert xid == 9
    assert message == error_message(OpenFlowError(name), version, request)
    assert message.data == request[:64]
    assert message.name in (name, "NXBRC_UNENCODABLE_ERROR")


@needs_ofctl
def test_stock_client_names_our_errors():
    request = encode(m.FeaturesRequest(), OF10, 9)
    for name in ("OFPBMC_BAD_PREREQ", "OFPBRC_BAD_TYPE", "OFPBMC_BAD_FIELD"):
        for version in (OF10, 3, OF13):
            assert name in ofp_print(error_reply(OpenFlowError(name), version, request))


def test_own_data_of_an_error():
    assert error_message(OpenFlowError("OFPBRC_BAD_TYPE", echo=b"mine"), OF13, bytes(8)).data == b"mine"


@pytest.mark.parametrize(("version", "nxm"), [(OF10, False), (OF10, True), (OF13, False)])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_long_replies_are_split(version, nxm, count):
    stats = [
        mp.FlowStats(Match().with_field(f.IN_PORT, number), (a.Output(1),), priority=number, cookie=7, packet_count=1)
        for number in range(count)
    ]
    reply = mp.FlowStatsReply((), nxm=nxm)
    parts = list(multipart_parts(reply, (encode_entry(entry, version, nxm) for entry in stats), version, 5, limit=600))
    assert all(len(part) <= 600 for part in parts)
    messages = [decode(part, version) for part in parts]
    assert {xid for xid, _ in messages} == {5}
    assert [message.more for _, message in messages] == [True] * (len(parts) - 1) + [False]
    assert [entry for _, message in messages for entry in message.entries] == stats
