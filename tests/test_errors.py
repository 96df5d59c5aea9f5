"""What errors say in one line, and which errno they answer with."""

import errno

import pytest

from jackfield.errors import ProtocolError, describe, errno_of, refuse


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (refuse(errno.EEXIST, "type x is registered already"), "type x is registered already (File exists)"),
        (OSError(errno.ENOENT, "No such file or directory", "/a"), "/a: No such file or directory"),
        (OSError("no number"), "no number"),
        (ValueError("bad word"), "bad word"),
        (ProtocolError(), "ProtocolError"),
    ],
)
def test_describe_is_one_line_with_the_meaning_of_the_errno(error: BaseException, text: str) -> None:
    assert describe(error) == text


def test_errno_of_falls_back_to_einval() -> None:
    assert errno_of(refuse(errno.EBUSY, "busy")) == errno.EBUSY
    assert errno_of(ValueError("x")) == errno.EINVAL
    assert errno_of(OSError("no number"), errno.EIO) == errno.EIO


def test_refuse_makes_the_errnos_own_class() -> None:
    assert isinstance(refuse(errno.EEXIST, "x"), FileExistsError)
