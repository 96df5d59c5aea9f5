"""Compiled actions against their plain twin, on the same packets."""

from itertools import chain
from typing import NamedTuple

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from jackfield.dpif import actions as a
from jackfield.dpif.userspace import rewrite
from jackfield.dpif.userspace.actions_code import SETTABLE_FIELDS, SETTABLE_MASK, compile_actions
from jackfield.dpif.userspace.jit_actions import DONE, UPCALL
from jackfield.flow import fields as f
from jackfield.flow.compose import compose_packet
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev import compiled as c
from jackfield.netdev.provider import CompiledQueue, QueueKind
from tests.dpif.userspace.packets import ANY, REAL
from tests.flow.strategies import packet_keys
from tests.netdev.jit_rig import CODE, IO, N_PORTS, Rig, execute, next_recirc, resume

OUT, OTHER = DpPort(1), DpPort(2)


class Result(NamedTuple):
    """What compiled code did; user space and recirculation with the packet as it was then."""

    sent: list[rewrite.Sent]
    handed_up: list[rewrite.HandedUp]
    recirculated: list[rewrite.Recirculated]
    key: int


def run_compiled(packet: bytes, actions: a.DpActions, vnet: rewrite.Vnet = rewrite.NO_OFFLOAD) -> Result:
    """Run actions on a packet; what would go out is read back from the rows that are pending."""
    rig = Rig()
    ports = {rig.add(number, CompiledQueue(QueueKind.TAP, (-1,))): DpPort(number) for number in range(1, N_PORTS)}
    userspace: list[a.Userspace] = []

    def number(action: a.Userspace) -> int:
        userspace.append(action)
        return len(userspace) - 1

    program = compile_actions(actions, number)
    rig.arena[CODE : CODE + len(program)] = program
    row = rig.put(packet, *vnet.words())
    handed_up = []
    status = execute(rig.arena, rig.buffers, IO, row, CODE)
    while status == UPCALL:
        at = int(rig.arena[IO + c.IO_ROW])
        data = rig.packet(at)[: rig.arena[IO + c.IO_LENGTH]]
        action = userspace[rig.arena[IO + c.IO_USERSPACE]]
        handed_up.append(rewrite.HandedUp(action, data, rewrite.Vnet.from_words(*rig.vnet(at))))
        status = resume(rig.arena, rig.buffers, IO)
    assert status == DONE
    recirculated = []
    while (at := next_recirc(rig.arena, IO)) >= 0:
        header = rewrite.Vnet.from_words(*rig.vnet(at))
        recirculated.append(rewrite.Recirculated(rig.packet(at), rig.key(at), header))
    pending = []
    for index in range(rig.arena[IO + c.IO_DIRTY_USED]):
        q = rig.arena[IO + c.IO_DIRTY + index]
        entry = int(rig.arena[q + c.QUEUE_TX_FIRST])
        while entry != c.PENDING:
            at, following = (int(word) for word in rig.arena[IO + c.IO_PENDING + 2 * entry :][:2])
            header = rewrite.Vnet.from_words(*rig.vnet(at))
            pending.append((entry, rewrite.Sent(ports[int(q)], rig.packet(at), header)))
            entry = following
    return Result(
        [sent for _, sent in sorted(pending, key=lambda pair: pair[0])], handed_up, recirculated, rig.key(row)
    )


def run_plain(packet: bytes, actions: a.DpActions, vnet: rewrite.Vnet = rewrite.NO_OFFLOAD) -> Result:
    effects = rewrite.execute_actions(packet, parse_packet(packet).key, actions, vnet)
    return Result(
        [effect for effect in effects if isinstance(effect, rewrite.Sent)],
        [effect for effect in effects if isinstance(effect, rewrite.HandedUp)],
        [effect for effect in effects if isinstance(effect, rewrite.Recirculated)],
        0,
    )


def set_field(field: f.Field, value: int) -> a.SetMasked:
    return a.SetMasked(field.put(0, value), field.mask)


@st.composite
def sets(draw: st.DrawFn) -> a.SetMasked:
    """Some fields set to something, whole or in part."""
    mask = value = 0
    for field in draw(st.lists(st.sampled_from(SETTABLE_FIELDS), min_size=1, max_size=4)):
        bits = draw(
            st.one_of(st.just(field.mask), st.integers(0, field.max_value).map(lambda m, at=field: m << at.offset))
        )
        mask |= bits & SETTABLE_MASK
        value |= draw(st.integers(0, field.max_value)) << field.offset
    return a.SetMasked(value & mask, mask)


SIMPLE = st.one_of(
    st.builds(a.Output, st.integers(1, 5).map(DpPort)),
    st.builds(a.Output, st.integers(1, 5).map(DpPort)),
    sets(),
    sets(),
    st.builds(a.PushVlan, st.sampled_from([0x8100, 0x88A8]), st.integers(0, 0xFFFF).map(lambda tci: tci | f.VLAN_CFI)),
    st.just(a.PopVlan()),
    st.builds(a.Truncate, st.integers(14, 100)),
    st.builds(a.Hash, st.just(0), st.integers(0, 0xFFFFFFFF)),
    st.builds(a.Userspace, st.binary(max_size=3)),
    st.builds(a.Recirc, st.integers(1, 0xFFFFFFFF)),
)
NESTED = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(a.Clone, st.lists(inner, max_size=4).map(tuple)),
        st.builds(a.Sample, st.sampled_from([0, 0xFFFFFFFF]), st.lists(inner, max_size=4).map(tuple)),
    ),
    max_leaves=8,
)
ACTIONS = st.lists(NESTED, max_size=7).map(tuple)


def without_icmp_type(packet: bytes, actions: a.DpActions) -> None:
    """Neighbour discovery that becomes something else, or the other way round, has fields the key did not have."""
    assume(f.NW_PROTO.get(parse_packet(packet).key) != 58)


@settings(max_examples=500, deadline=None)
@given(ANY, ACTIONS)
def test_compiled_actions_do_what_the_plain_twin_says(packet: bytes, actions: a.DpActions) -> None:
    compiled, plain = run_compiled(packet, actions), run_plain(packet, actions)
    assert compiled.sent == plain.sent
    assert compiled.handed_up == plain.handed_up
    assert sorted(compiled.recirculated, key=str) == sorted(plain.recirculated, key=str)


@settings(max_examples=300, deadline=None)
@given(REAL, sets())
def test_the_key_stays_the_key_of_the_packet(packet: bytes, action: a.SetMasked) -> None:
    without_icmp_type(packet, (action,))
    result = run_compiled(packet, (action, a.Output(OUT)))
    metadata = result.key & rewrite.METADATA_MASK
    assert result.key == parse_packet(result.sent[0].packet, metadata=metadata).key


@settings(max_examples=300, deadline=None)
@given(packet_keys(), sets())
def test_right_checksums_stay_right(key: int, action: a.SetMasked) -> None:
    packet = compose_packet(key)
    without_icmp_type(packet, (action,))
    (sent,) = run_compiled(packet, (action, a.Output(OUT))).sent
    composed = compose_packet(parse_packet(sent.packet).key, len(sent.packet))
    parsed = parse_packet(sent.packet)
    if f.ETH_TYPE.get(parsed.key) == 0x0800 and parsed.l4 >= 0:
        checksum = slice(parsed.l3 + 10, parsed.l3 + 12)
        assert sent.packet[checksum] == composed[checksum]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(packet_keys(), sets(), st.booleans())
def test_a_partial_checksum_completes_to_what_a_whole_one_becomes(key: int, action: a.SetMasked, push: bool) -> None:
    packet = bytearray(compose_packet(key))
    parsed = parse_packet(packet)
    proto = f.NW_PROTO.get(parsed.key)
    assume(proto in (6, 17) and parsed.l4 >= 0 and not f.NW_FRAG.get(parsed.key) and f.TP_SRC.get(parsed.key))
    offset = 16 if proto == 6 else 6
    actions = (action, *((a.PushVlan(0x8100, 0x1005),) if push else ()), a.Output(OUT))
    (whole,) = run_compiled(bytes(packet), actions).sent
    # What a kernel leaves: the sum of the pseudo header. It is the inverse of the sum over the rest.
    at = parsed.l4 + offset
    checksum = int.from_bytes(packet[at : at + 2], "big")
    packet[at : at + 2] = b"\0\0"
    rest = rewrite._sum(bytes(packet[parsed.l4 :]))
    packet[at : at + 2] = rewrite._fold((~checksum & 0xFFFF) + (~rest & 0xFFFF)).to_bytes(2, "big")
    vnet = rewrite.Vnet(1, 0, 0, 0, parsed.l4, offset)
    (partial,) = run_compiled(bytes(packet), actions, vnet).sent
    assert partial.vnet.flags == 1
    assert partial.vnet.csum_start == parsed.l4 + (4 if push else 0)
    done = rewrite.complete_checksum(partial.packet, *partial.vnet.words())
    place = partial.vnet.csum_start + offset
    same = {done[place : place + 2], whole.packet[place : place + 2]}
    assert len(same) == 1 or same == {b"\0\0", b"\xff\xff"}
    assert done[:place] + done[place + 2 :] == whole.packet[:place] + whole.packet[place + 2 :]


def test_many_copies_in_one_list_flush_and_go_on() -> None:
    """More tagged copies than there are spare rows; a closed descriptor counts what was flushed as refused."""
    rig = Rig()
    q = rig.add(1, CompiledQueue(QueueKind.TAP, (-1,)))
    changes = [(set_field(f.ETH_SRC, vid + 1), a.Output(OUT)) for vid in range(100)]
    actions = (*chain.from_iterable(changes), set_field(f.ETH_SRC, 1000))
    program = compile_actions(actions, lambda action: 0)
    rig.arena[CODE : CODE + len(program)] = program
    row = rig.put(compose_packet(parse_packet(bytes(60)).key))
    assert execute(rig.arena, rig.buffers, IO, row, CODE) == DONE
    rig.flush()
    assert rig.counter(q, c.QUEUE_TX_ERRORS) == 100
    assert rig.arena[IO + c.IO_COPY_DROPS] == 0


def test_a_port_that_is_not_there_is_counted() -> None:
    rig = Rig()
    for number in (7, N_PORTS, 0xFFFFFFFF):
        program = compile_actions((a.Output(DpPort(number)),), lambda action: 0)
        rig.arena[CODE : CODE + len(program)] = program
        assert execute(rig.arena, rig.buffers, IO, rig.put(bytes(60)), CODE) == DONE
    assert rig.arena[IO + c.IO_NO_PORT_DROPS] == 3


def test_samples_come_about_as_often_as_asked_for() -> None:
    rig = Rig()
    rig.add(1, CompiledQueue(QueueKind.NULL, ()))
    program = compile_actions((a.Sample(1 << 30, (a.Output(OUT),)),), lambda action: 0)
    rig.arena[CODE : CODE + len(program)] = program
    row = rig.put(bytes(60))
    for _ in range(4000):
        execute(rig.arena, rig.buffers, IO, row, CODE)
    assert 900 < rig.counter(rig.arena[rig.arena[IO + c.IO_PORTS] + 1], c.QUEUE_TX_PACKETS) < 1100


def test_recirculation_ends_and_is_counted() -> None:
    rig = Rig()
    program = compile_actions((a.Recirc(9),), lambda action: 0)
    rig.arena[CODE : CODE + len(program)] = program
    row = rig.put(bytes(60))
    for _ in range(c.MAX_RECIRCULATIONS):
        execute(rig.arena, rig.buffers, IO, row, CODE)
        assert next_recirc(rig.arena, IO) == row
        assert f.RECIRC_ID.get(rig.key(row)) == 9
    execute(rig.arena, rig.buffers, IO, row, CODE)
    assert next_recirc(rig.arena, IO) == -1
    assert rig.arena[IO + c.IO_RECIRC_DROPS] == 1
