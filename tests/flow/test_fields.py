"""The field table against ovs-fields(7), and the layout rules of keys."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.fields import Field, Masking
from jackfield.flow.prerequisites import ALTERNATIVES, Prerequisite

MANUAL = Path("/usr/share/man/man7/ovs-fields.7.gz")
VERSIONS = {"1.2": 3, "1.3": 4, "1.5": 6}
OF10_SUPPORT = {
    "not supported": None,
    "yes (exact match only)": Masking.EXACT,
    "yes (CIDR match only)": Masking.PREFIX,
    "yes": Masking.ANY,
}


def manual_entries() -> list[dict[str, str]]:
    """The tables of ovs-fields(7), one for each field it describes on its own."""
    if not MANUAL.exists():
        return []
    lines = gzip.decompress(MANUAL.read_bytes()).decode().replace("\\fB", "").replace("\\fR", "")
    entries = []
    for block in re.findall(r"^Name:;.*?^\.TE$", lines, re.MULTILINE | re.DOTALL):
        block = block.replace("T{\n", "").replace("\\[char59]", ";").replace("\\[char46]", ".")
        entries.append(dict(re.findall(r"^([^;\n]+):;(.*)$", block, re.MULTILINE)))
    return entries


ENTRIES = [entry for entry in manual_entries() if not entry["Name"].startswith("tun_metadata")]


def test_the_manual_is_read_whole() -> None:
    if not MANUAL.exists():
        pytest.skip("ovs-fields(7) is not installed")
    assert len(ENTRIES) > 80


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["Name"].split()[0] for entry in ENTRIES])
def test_field_is_as_in_the_manual(entry: dict[str, str]) -> None:
    name, *aliases = re.findall(r"[\w]+", entry["Name"].replace("(aka ", " ").replace(")", ""))
    field = f.FIELD_BY_NAME[name]
    assert field.name == name
    assert set(aliases) <= set(field.aliases)
    found = re.match(r"(\d+) bits(?: \(only the least-significant (\d+) bits)?", entry["Width"])
    assert found is not None
    assert field.n_bytes == int(found[1]) // 8
    assert field.width == int(found[2] or found[1])
    assert field.form.value == entry["Format"]
    assert (field.masking is Masking.ANY) == (entry["Masking"] == "arbitrary bitwise masks")
    assert field.prerequisite.value == entry["Prerequisites"]
    assert field.writable == (entry["Access"] == "read/write")
    assert field.of10 is OF10_SUPPORT[entry["OpenFlow 1.0"]]
    assert field.of11 is OF10_SUPPORT[entry["OpenFlow 1.1"]]
    wanted = {
        (oxm, int(number), VERSIONS[version] if version else 1)
        for text in (entry["OXM"], entry["NXM"])
        for oxm, number, version in re.findall(r"(\w+) \((\d+)\) since (?:OpenFlow ([\d.]+))?", text)
    }
    assert {(oxm.name, oxm.number, oxm.since) for oxm in field.oxm} == wanted


@pytest.mark.parametrize("field", f.FIELDS + f.INTERNAL_FIELDS, ids=repr)
def test_field_stays_in_its_words(field: Field) -> None:
    top = field.mask.bit_length() - 1
    if field.width <= 64:
        assert field.offset // 64 == top // 64
    else:
        assert (field.offset % 64, top - field.offset) == (0, 127)
    assert field.offset // 64 < f.PIPELINE_WORDS
    assert field.mask & ~(field.max_value << field.offset) == 0


def test_fields_share_bits_only_where_they_exclude_one_another_or_are_parts() -> None:
    for one, other in combinations(f.FIELDS, 2):
        if not one.mask & other.mask:
            continue
        is_part = one.offset == other.offset or not (one.mask & ~other.mask and other.mask & ~one.mask)
        assert is_part or _exclude(one.prerequisite, other.prerequisite), (one, other)


def _exclude(one: Prerequisite, other: Prerequisite) -> bool:
    return all((a.value ^ b.value) & a.mask & b.mask for a in ALTERNATIVES[one] for b in ALTERNATIVES[other])


def test_numbers_and_names_are_unique() -> None:
    numbers = [(oxm.oxm_class, oxm.experimenter, oxm.number) for field in f.FIELDS for oxm in field.oxm]
    assert len(numbers) == len(set(numbers)) == len(f.FIELD_BY_OXM)
    names = [name for field in f.FIELDS for name in (field.name, *field.aliases)]
    assert len(names) == len(set(names))


def test_headers() -> None:
    assert f.ETH_TYPE.oxm[0].header(2).hex() == "00000602"
    assert f.ETH_TYPE.oxm[1].header(2).hex() == "80000a02"
    assert f.IP_SRC.oxm[1].header(4, has_mask=True).hex() == "80001708"
    assert f.TCP_FLAGS.oxm[1].header(2).hex() == "ffff5406" + "4f4e4600"
    assert f.NSH_FLAGS.oxm[0].header(1, has_mask=True).hex() == "ffff0306" + "005ad650"
    assert f.XREGS[0].oxm[0].header(8).hex() == "80010008"
    assert f.ND_RESERVED.oxm[0].header(4).hex() == "10000204"


@pytest.mark.parametrize(
    ("field", "version", "name"),
    [
        (f.TCP_FLAGS, 1, "NXM_NX_TCP_FLAGS"),
        (f.TCP_FLAGS, 3, "NXM_NX_TCP_FLAGS"),
        (f.TCP_FLAGS, 4, "ONFOXM_ET_TCP_FLAGS"),
        (f.TCP_FLAGS, 6, "OXM_OF_TCP_FLAGS"),
        (f.REGS[3], 6, "NXM_NX_REG3"),
        (f.PACKET_TYPE, 1, "OXM_OF_PACKET_TYPE"),
        (f.METADATA, 4, "OXM_OF_METADATA"),
    ],
)
def test_number_for_a_version(field: Field, version: int, name: str) -> None:
    oxm = field.oxm_for(version)
    assert oxm is not None
    assert oxm.name == name
    assert f.SKB_PRIORITY.oxm_for(version) is None


def test_registers_overlay() -> None:
    key = 0
    for i, reg in enumerate(f.REGS):
        key = reg.put(key, 0xA0 + i)
    assert [xreg.get(key) for xreg in f.XREGS] == [(0xA0 + 2 * i) << 32 | 0xA1 + 2 * i for i in range(8)]
    assert f.XXREGS[1].get(key) == 0xA4 << 96 | 0xA5 << 64 | 0xA6 << 32 | 0xA7


def test_what_a_datapath_sees() -> None:
    for field in (f.IN_PORT, f.ACTSET_OUTPUT, f.METADATA, f.CONJ_ID, *f.REGS, f.TUN_METADATA_PRESENT):
        assert not field.mask & f.DATAPATH_MASK
    for field in (f.DP_IN_PORT, f.PACKET_TYPE, f.CT_LABEL, f.TUN_ID, f.TUN_GTPU_MSGTYPE, f.ETH_TYPE):
        assert not field.mask & ~f.DATAPATH_MASK


@given(st.sampled_from(f.FIELDS), st.integers(0, (1 << 64 * f.KEY_WORDS) - 1), st.integers(0, (1 << 140) - 1))
def test_put_and_get(field: Field, key: int, value: int) -> None:
    changed = field.put(key, value)
    assert field.get(changed) == value & field.max_value
    assert changed & ~field.mask == key & ~field.mask


def test_lookup_by_name() -> None:
    assert f.field_by_name("nw_src") is f.IP_SRC
    assert f.field_by_name("OXM_OF_IPV4_SRC") is f.IP_SRC
    with pytest.raises(ValueError, match="foo: unknown field"):
        f.field_by_name("foo")


def test_fields_come_after_their_prerequisites() -> None:
    seen = 0
    for field in f.FIELDS:
        needed = min(
            (alternative.mask for alternative in ALTERNATIVES[field.prerequisite]), key=lambda mask: mask.bit_count()
        )
        if field.prerequisite is not Prerequisite.ETHERNET and field not in (f.VLAN_PCP, f.ETH_TYPE):
            late = f.NW_FRAG.mask | f.CT_STATE.mask
            assert not needed & ~seen & ~late, field
        seen |= field.mask


def test_import_is_quick_and_light() -> None:
    """No numba, no numpy; the time is a tenth of a second to leave room for a busy machine."""
    code = (
        "import time, sys; t = time.perf_counter(); import jackfield.flow.fields, jackfield.flow.match;"
        "print(time.perf_counter() - t, 'numpy' in sys.modules, 'numba' in sys.modules)"
    )
    best = min(
        float(line.split()[0])
        for _ in range(3)
        if (line := subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        and line.split()[1:] == ["False", "False"]
    )
    assert best < 0.1
