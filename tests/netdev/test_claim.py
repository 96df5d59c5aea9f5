"""One interface, one switch."""

import errno
import subprocess
import sys

import pytest

from jackfield.netdev.claim import Claim


def test_a_second_claim_is_refused_until_the_first_is_released() -> None:
    first = Claim(1 << 30, "eth9")
    with pytest.raises(OSError, match="eth9: the interface is a port of another switch") as refusal:
        Claim(1 << 30, "eth9")
    assert refusal.value.errno == errno.EBUSY
    first.release()
    Claim(1 << 30, "eth9").release()


def test_other_interfaces_are_free() -> None:
    first = Claim(1 << 30, "eth9")
    Claim((1 << 30) + 1, "eth10").release()
    first.release()


def test_a_claim_ends_with_its_process() -> None:
    code = "import os, signal; from jackfield.netdev.claim import Claim; Claim(1 << 30, 'x'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    Claim(1 << 30, "eth9").release()
