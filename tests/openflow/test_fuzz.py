"""Whatever bytes come, the codec gives a message or an OpenFlow error, and what it gives it can write again."""

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jackfield.flow.match import Match
from jackfield.openflow import actions as a
from jackfield.openflow import messages as m
from jackfield.openflow import multipart as mp
from jackfield.openflow.codec import decode, encode, error_reply
from jackfield.openflow.dialect import STANDARD, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_text import parse_flow

REG0 = Match.from_fields({"reg0": 1})
NXM = Dialect(m.FlowFormat.NXM, table_id=True)
VERSIONS = (1, 2, 3, 4, 5, 6)

_RULES = [
    "ip,nw_src=10.0.0.0/8,actions=mod_nw_dst:1.2.3.4,dec_ttl(1,2),output:1",
    "tcp,in_port=1,tp_dst=80,reg0=5/0xff,actions=load:5->NXM_NX_REG1[0..3],move:reg0[]->reg1[],resubmit(,5),note:01",
    "dl_vlan=5,actions=controller(id=3,userdata=01.02.03),push:reg0[],pop:reg1[],output:reg0[],set_queue:5",
    "ipv6,ipv6_src=fe80::1,actions=set_field:5->reg0,set_field:1/1->metadata,output(port=3,max_len=99)",
]


def _seeds():
    """Valid messages of every kind, to be damaged."""
    for version in VERSIONS:
        for rule in _RULES:
            flow = parse_flow("table=0," + rule)
            with contextlib.suppress(ValueError):
                yield encode(flow, version, 1, NXM)
            entry = mp.FlowStats(flow.match, flow.actions)
            for nxm in (False, True):
                for message in (
                    mp.FlowStatsReply((entry, entry), nxm=nxm),
                    mp.FlowStatsRequest(flow.match, nxm=nxm),
                    mp.AggregateReply(1, 2, 3, nxm=nxm),
                ):
                    with contextlib.suppress(ValueError):
                        yield encode(message, version, 1)
            removed = m.FlowRemoved(flow.match, 5, 6, m.FlowRemovedReason.DELETE, 0, 7, 8, 9, 10, 11)
            for dialect in (STANDARD, NXM):
                with contextlib.suppress(ValueError):
                    yield encode(removed, version, 1, dialect)
        port = m.PortDescription(m.OfPort(1), 5, "veth0")
        for message in (
            m.Hello(frozenset({1, 4})),
            m.ErrorMsg("OFPBMC_BAD_PREREQ", 1, 260, b"request", 0x2320),
            m.FeaturesReply(1, 0, 254, m.Capability.FLOW_STATS, ports=(port,) if version < 4 else ()),
            m.SetConfig(m.FragmentHandling.NORMAL, 128),
            m.PortStatus(m.PortReason.ADD, port),
            m.PortMod(m.OfPort(1), 5, m.PortConfig.PORT_DOWN, m.PortConfig.PORT_DOWN),
            m.PacketOut(b"frame", (a.Output(m.OfPort(1)),)),
            m.RoleRequest(m.Role.PRIMARY, 5),
            m.SetAsyncConfig(m.AsyncConfig((1, 2, 3), (4, 5, 6))),
            m.QueueGetConfigReply(m.OfPort(1), (m.PacketQueue(1, m.OfPort(1), 500),)),
            m.SetControllerId(5),
            m.SetFlowFormat(m.FlowFormat.NXM),
            mp.DescReply("a", "b", "c", "d", "e"),
            mp.TableStatsReply((mp.TableStats(0, 1, 2, 3),)),
            mp.PortStatsReply((mp.PortStats(m.OfPort(1)),)),
            mp.QueueStatsReply((mp.QueueStats(m.OfPort(1), 2),)),
            mp.PortDescReply((port,)),
            mp.TableFeaturesReply(
                (mp.TableFeatures(0, "t", properties=(mp.TableProperty(mp.TablePropertyKind.MATCH, (0x80000004,)),)),)
            ),
        ):
            with contextlib.suppress(ValueError):
                yield encode(message, version, 1)
        for form in m.PacketInFormat:
            packet_in = m.PacketIn(m.OfPort(1), b"frame", 5, m.PacketInReason.ACTION, metadata=REG0)
            yield encode(packet_in, version, 1, Dialect(packet_in_format=form))


SEEDS = list(_seeds())


def _read(data, version, dialect):
    """Read a message; refuse it if it must be; write again what was read."""
    try:
        xid, message = decode(data, version, dialect)
    except OpenFlowError as error:
        reply = error_reply(error, version, data)
        assert decode(reply, version)[0] == int.from_bytes(data[4:8], "big")
        return
    # Not everything can be written in the form it came in (the dialect may have another), but nothing else may happen.
    with contextlib.suppress(ValueError):
        again = encode(message, version, xid, dialect)
        assert decode(again, version, dialect)[0] == xid


def _framed(data):
    """The bytes with the length that a frame of them has."""
    return data[:2] + len(data).to_bytes(2, "big") + data[4:]


def test_there_are_seeds_of_every_version():
    assert {seed[0] for seed in SEEDS} == set(VERSIONS)
    assert len(SEEDS) > 200


@given(st.sampled_from(VERSIONS), st.integers(0, 35), st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_random_bodies(version, kind, body):
    _read(_framed(bytes((version, kind, 0, 0, 0, 0, 0, 9)) + body), version, STANDARD)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(8, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 40),
    st.binary(max_size=9),
    st.sampled_from([STANDARD, NXM]),
)
@settings(max_examples=1500, deadline=None)
@example(SEEDS[0], [], 0, b"", NXM)
def test_damaged_messages(seed, damages, cut, tail, dialect):
    data = bytearray(seed[: max(8, len(seed) - cut)] + tail)
    for place, value in damages:
        if place < len(data):
            data[place] = value
    _read(_framed(bytes(data)), seed[0], dialect)


@given(st.sampled_from(SEEDS), st.integers(8, 400), st.integers(0, 7))
@settings(max_examples=1500, deadline=None)
def test_flipped_bits(seed, place, bit):
    data = bytearray(seed)
    if place < len(data):
        data[place] ^= 1 << bit
    _read(_framed(bytes(data)), seed[0], NXM)
