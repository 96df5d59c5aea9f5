import re

import pytest

from jackfield.errors import ProtocolError
from jackfield.openflow.errors import ERRORS, NX, ONF, OpenFlowError, WireError, error_name, wire_error
from tests.openflow.strategies import needs_ofctl, ofctl


def test_error_says_its_name_and_detail():
    error = OpenFlowError("OFPBMC_BAD_PREREQ", "nw_src needs ip")
    assert isinstance(error, ProtocolError)
    assert str(error) == "OFPBMC_BAD_PREREQ: nw_src needs ip"
    assert error.name == "OFPBMC_BAD_PREREQ"


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="OFPXX_NOPE: unknown"):
        OpenFlowError("OFPXX_NOPE")


@pytest.mark.parametrize(
    ("name", "version", "wire"),
    [
        ("OFPBMC_BAD_PREREQ", 1, (NX, 1, 260)),
        ("OFPBMC_BAD_PREREQ", 4, (0, 4, 9)),
        ("OFPFMFC_OVERLAP", 1, (0, 3, 1)),
        ("OFPFMFC_OVERLAP", 2, (0, 5, 3)),
        ("OFPBIC_DUP_INST", 4, (ONF, 2600, 0)),
        ("NXBRC_MUST_BE_ZERO", 3, (NX, 4, 0)),
    ],
)
def test_codes_by_version(name, version, wire):
    assert wire_error(name, version) == wire
    assert error_name(WireError(*wire), version) == name


def test_error_without_a_code_is_unencodable():
    assert wire_error("OFPBMC_BAD_LEN", 1) == wire_error("NXBRC_UNENCODABLE_ERROR", 1)


def test_shared_code_reads_as_the_broader_error():
    assert error_name(WireError(0, 1, 5), 1) == "OFPBRC_EPERM"
    assert error_name(WireError(0, 3, 5), 2) == "OFPBIC_BAD_EXPERIMENTER"


def test_unknown_code_has_no_name():
    assert error_name(WireError(0, 99, 1), 4) is None


@needs_ofctl
@pytest.mark.parametrize("name", sorted(ERRORS)[::7])
def test_codes_are_those_of_the_stock_client(name):
    stdout, stderr, status = ofctl("print-error", name)
    assert status == 0, stderr
    found = {}
    for minor, experimenter, kind, code in re.findall(
        r"OpenFlow 1\.(\d): vendor (0x[0-9a-f]+|0), type (\d+), code (\d+)", stdout
    ):
        found[int(minor) + 1] = (int(experimenter, 0), int(kind), int(code))
    assert found
    assert {version: tuple(wire_error(name, version)) for version in found} == found
