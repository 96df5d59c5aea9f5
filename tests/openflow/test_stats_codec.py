import pytest

from jackfield.flow.ports import OFPP_ANY, OfPort
from jackfield.openflow import multipart as mp
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.stats_codec import encode_table_features
from tests.openflow.strategies import needs_ofctl, ofp_print


def test_description_is_1056_bytes_and_cut():
    reply = mp.DescReply("m" * 300, "h", "s", "n" * 40, "d")
    data = encode(reply, 1, 1)
    assert len(data) == 12 + 1056
    assert decode(data, 1)[1] == mp.DescReply("m" * 255, "h", "s", "n" * 31, "d")


def test_any_port():
    assert encode(mp.PortStatsRequest(OFPP_ANY), 1, 1)[12:14] == b"\xff\xff"
    assert encode(mp.PortStatsRequest(OFPP_ANY), 4, 1)[16:20] == b"\xff\xff\xff\xff"


def test_unknown_duration():
    _, reply = decode(encode(mp.PortStatsReply((mp.PortStats(OfPort(1)),)), 4, 1), 4)
    assert reply.entries[0].duration_ns is None


@pytest.mark.parametrize(
    ("version", "kind", "n_bytes"),
    [(1, 3, 63), (1, 4, 103), (1, 5, 31), (4, 3, 23), (4, 4, 111), (5, 4, 20), (4, 12, 63)],
)
def test_entries_cut_short(version, kind, n_bytes):
    head = 4 if version == 1 else 8
    size = 8 + head + n_bytes
    data = bytes((version, 17 if version == 1 else 19)) + size.to_bytes(2, "big") + bytes(4)
    data += kind.to_bytes(2, "big") + bytes(head - 2) + bytes(n_bytes)
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        decode(data, version)


KINDS = mp.TablePropertyKind


def test_table_features_form():
    properties = (
        mp.TableProperty(KINDS.INSTRUCTIONS, (1, 4)),
        mp.TableProperty(KINDS.NEXT_TABLES, (1, 2, 3)),
        mp.TableProperty(KINDS.MATCH, (0x80000004,)),
    )
    data = encode_table_features(mp.TableFeatures(3, "t", 1, 2, 0, 5, properties))
    assert data == bytes.fromhex(
        "0060 03 0000000000" + b"t".ljust(32, b"\0").hex() + "0000000000000001 0000000000000002 00000000 00000005"
        "0000 000c 0001 0004 0004 0004 00000000 0002 0007 010203 00 0008 0008 80000004"
    )


@pytest.mark.parametrize(
    ("text", "name"), [("0063 0004 00000000", "OFPBPC_BAD_TYPE"), ("0008 0006 8000 0000", "OFPBPC_BAD_LEN")]
)
def test_bad_table_features(text, name):
    entry = encode_table_features(mp.TableFeatures(3, "t")) + bytes.fromhex(text)
    entry = len(entry).to_bytes(2, "big") + entry[2:]
    data = bytes.fromhex("04 12") + (16 + len(entry)).to_bytes(2, "big") + bytes(4) + bytes.fromhex("000c") + bytes(6)
    with pytest.raises(OpenFlowError) as raised:
        decode(data + entry, 4)
    assert raised.value.name == name


@needs_ofctl
def test_stock_client_prints_table_features():
    oxms = (0x80000004, 0x80000606, 0x80000A02)
    properties = [mp.TableProperty(kind, (1, 4)) for kind in (KINDS.INSTRUCTIONS, KINDS.INSTRUCTIONS_MISS)]
    properties += [mp.TableProperty(kind, (1, 2, 3)) for kind in (KINDS.NEXT_TABLES, KINDS.NEXT_TABLES_MISS)]
    properties += [mp.TableProperty(KINDS(number), (0, 25)) for number in (4, 5, 6, 7)]
    properties += [mp.TableProperty(KINDS(number), oxms) for number in (8, 10, 12, 13, 14, 15)]
    table = mp.TableFeatures(0, "classifier", max_entries=1000000, properties=tuple(properties))
    shown = ofp_print(encode(mp.TableFeaturesReply((table,)), 4, 1))
    assert 'table 0 ("classifier"):' in shown
    assert "max_entries=1000000" in shown
    assert "instructions: apply_actions goto_table" in shown
    assert "next tables: 1-3" in shown
    assert "actions: output set_field" in shown


@needs_ofctl
def test_stock_client_prints_port_stats():
    reply = mp.PortStatsReply((mp.PortStats(OfPort(3), 1, 2, 3, 4, 5, 6, 7, 8, duration_ns=1_500_000_000),))
    for version in (1, 4, 5):
        shown = ofp_print(encode(reply, version, 1))
        assert "rx pkts=1, bytes=3, drop=5, errs=7" in shown
        assert "tx pkts=2, bytes=4, drop=6, errs=8" in shown
        assert ("duration=1.500s" in shown) is (version > 1)
