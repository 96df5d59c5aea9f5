import pytest

from jackfield.openflow.codec_table import Row, by_message, by_number, empty
from jackfield.openflow.dialect import STANDARD
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import BarrierReply, BarrierRequest

EXACT = Row(BarrierRequest, 18, *empty(BarrierRequest), length=4, last=1)
LONGER = Row(BarrierReply, 20, *empty(BarrierReply), length=4, longer=True, first=2, last=3)


def test_lengths():
    EXACT.check_length(bytes(4))
    LONGER.check_length(bytes(5))
    for row, n_bytes in ((EXACT, 3), (EXACT, 5), (LONGER, 3)):
        with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
            row.check_length(bytes(n_bytes))


def test_indexes_cover_the_versions_of_a_row():
    assert by_number((EXACT, LONGER)) == {(1, 18): EXACT, (2, 20): LONGER, (3, 20): LONGER}
    assert by_message((EXACT, LONGER)) == {
        (BarrierRequest, 1): EXACT, (BarrierReply, 2): LONGER, (BarrierReply, 3): LONGER,
    }  # fmt: skip


def test_message_without_a_body():
    read, write = empty(BarrierRequest)
    assert read(b"", 1, STANDARD) == BarrierRequest()
    assert write(BarrierRequest(), 1, STANDARD) == b""
