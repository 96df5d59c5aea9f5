"""A lint of types: in compiled code, signed and unsigned 64-bit words never meet.

Where they do, numba makes the result signed (or a floating-point number), and a comparison or a shift goes wrong for
the upper half of the values only.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_signed_and_unsigned_words_never_meet() -> None:
    command = [sys.executable, "-m", "tests.dpif.userspace.kernel_arithmetic"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *mixed, last = done.stdout.splitlines()
    assert mixed == []
    assert int(last.removeprefix("checked ")) > 1000
