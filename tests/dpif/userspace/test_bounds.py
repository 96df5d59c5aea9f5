"""Random packets and actions with numba's bounds checks on, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUN = """
import random, sys, time
from fuzz import {target}
from jackfield.netdev import jit_memory
assert jit_memory.CHECKED
from tests.dpif.userspace.fuzz_engine import packet
chance = random.Random(11)
{target}.fuzz(bytes(70))
count, end = 0, time.monotonic() + 15
for length in [*range(300), *range(300, 65_536, 3301), 65_535]:
    {target}.fuzz(chance.randbytes(length))
while time.monotonic() < end:
    {target}.fuzz({prefix} + packet(chance))
    count += 1
assert count > 500, count
print("ok")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("target", "prefix"), [("fuzz_parse", "b''"), ("fuzz_actions", "chance.randbytes(11)")])
def test_nothing_is_touched_out_of_bounds(target: str, prefix: str) -> None:
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", RUN.format(target=target, prefix=prefix)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=115)
    assert done.stdout.strip() == "ok", done.stderr[-2000:]
