"""What is promised of each parser of bytes or text from outside, as a function that fails when it does not hold."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from jackfield.daemon.unixctl import Commands, _Connection
from jackfield.errors import ProtocolError
from jackfield.flow.parse import parse_packet
from jackfield.flow.text import format_match, parse_match
from jackfield.flow.text_flow import parse_flow as parse_packet_text
from jackfield.flow.text_odp import format_odp, parse_odp
from jackfield.netdev.pcapfile import PcapReader
from jackfield.openflow.action_text import format_actions, parse_actions
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.connection import Closed, Connection
from jackfield.openflow.dialect import OF13, STANDARD, VERSION_TEXT
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_text import parse_flow_filter, parse_flow_line

CORPUS = Path(__file__).parent / "corpus"


def openflow(data: bytes) -> None:
    """One message of any version and direction: understood or refused; what was understood can be said again."""
    if len(data) < 6:
        return
    version = sorted(VERSION_TEXT)[data[0] % len(VERSION_TEXT)]
    frame = bytes((version, data[1])) + (len(data) + 2).to_bytes(2, "big") + data[2:6] + data[6:]
    try:
        xid, message = decode(frame, version)
    except OpenFlowError:
        return
    try:
        again = encode(message, version, xid, STANDARD)
    except ValueError:
        return  # understood, but nothing that a switch or controller of ours would say
    assert decode(again, version)[0] == xid


def connection(data: bytes) -> None:
    """A stream in pieces: an end with a reason or none, and answers that are whole messages."""
    if len(data) < 2:
        return
    machine = Connection(0)
    size, rest = data[0] + 1, data[2:]
    # As a rule the hello is right, or little else would ever be reached.
    stream = (bytes((OF13, 0, 0, 8, 0, 0, 0, 1)) if data[1] & 1 else b"") + rest
    for start in range(0, len(stream), size):
        machine.feed(stream[start : start + size], start)
        while (event := machine.next_event()) is not None:
            if isinstance(event, Closed):
                assert event.reason
                assert machine.is_closed
    sent = machine.to_send()
    while sent:
        length = int.from_bytes(sent[2:4], "big")
        assert 8 <= length <= len(sent)
        sent = sent[length:]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _one_line(error: ValueError) -> None:
    assert str(error), "a refusal without a word"


def flow_text(data: bytes) -> None:
    """A rule's text: read, or refused with a ValueError that says why."""
    for read in (parse_flow_line, parse_flow_filter):
        try:
            read(_text(data))
        except ValueError as error:
            _one_line(error)


def action_text(data: bytes) -> None:
    """Actions: read, or refused; what was read is written in a form that is read as the same."""
    try:
        actions = parse_actions(_text(data))
    except ValueError as error:
        _one_line(error)
        return
    assert parse_actions(format_actions(actions, version=OF13)) == actions


def match_text(data: bytes) -> None:
    """A match: read, or refused; what was read is written in a form that is read, and written as the same."""
    try:
        text = format_match(parse_match(_text(data)))
    except ValueError as error:
        _one_line(error)
        return
    assert format_match(parse_match(text)) == text


def odp_text(data: bytes) -> None:
    """The datapath's flow text: read, or refused; what was read can be written."""
    try:
        match = parse_odp(_text(data))
    except ValueError as error:
        _one_line(error)
        return
    assert format_odp(match.value, match.mask)


def packet_text(data: bytes) -> None:
    """What `trace` takes: read, or refused."""
    try:
        assert parse_packet_text(_text(data)) >= 0
    except ValueError as error:
        _one_line(error)


def packet(data: bytes) -> None:
    """A packet of any length: never an error."""
    assert parse_packet(data[:65535]).key >= 0


class _Peer:
    """Takes the place of a stream."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def unixctl(data: bytes) -> None:
    """The control socket: requests, or an end of the connection."""
    machine = _Connection(Commands())
    machine.working = True  # type: ignore[assignment]  # nobody answers: there is no loop
    size = data[0] + 1 if data else 1
    try:
        for start in range(1, len(data), size):
            machine.received(data[start : start + size], start)
    except ProtocolError:
        return
    for identity, name, arguments in machine._waiting:
        json.dumps([identity, name, arguments])


def pcap(data: bytes) -> None:
    """A capture file: packets, or a ValueError that names the place."""
    descriptor = os.memfd_create("pcap")
    try:
        os.write(descriptor, data)
        with PcapReader(f"/proc/self/fd/{descriptor}") as reader:
            for record in reader:
                assert len(record.data) <= len(data)
    except ValueError as error:
        _one_line(error)
    finally:
        os.close(descriptor)


Target = Callable[[bytes], None]

TARGETS: dict[str, Target] = {
    "openflow": openflow,
    "connection": connection,
    "flow-text": flow_text,
    "action-text": action_text,
    "match-text": match_text,
    "odp-text": odp_text,
    "packet-text": packet_text,
    "packet": packet,
    "unixctl": unixctl,
    "pcap": pcap,
}

ENGINE = "engine"
"""The compiled datapath is no function of bytes: it has a driver of its own, with bounds checks on."""


def corpus(name: str) -> list[bytes]:
    """The kept inputs of a target, in a fixed order."""
    return [path.read_bytes() for path in sorted((CORPUS / name).glob("*")) if path.is_file()]
