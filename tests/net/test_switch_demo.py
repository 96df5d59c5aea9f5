"""`./run demo`, as root and as root of a user namespace: it passes, and nothing stays behind."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.namespaces import sh

pytestmark = [pytest.mark.net, pytest.mark.slow, pytest.mark.usefixtures("net_lane"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def traces() -> dict[str, object]:
    """What a demo could leave on a machine."""
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout if has("nft") else ""
    return {
        "links": sorted(each["ifname"] for each in json.loads(sh("ip -j link show"))),
        "rules": rules,
        "folders": sorted(path.name for path in Path(tempfile.gettempdir()).glob("jackfield-demo-*")),
        "processes": sorted(_demo_processes()),
    }


def has(tool: str) -> bool:
    return shutil.which(tool) is not None


def _demo_processes() -> list[str]:
    return [line for line in sh("ps -eo args").splitlines() if "demo_host.py" in line or "jackfield-demo-" in line]


def demo(*wrapper: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*wrapper, str(ROOT / "run"), "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        stdin=subprocess.DEVNULL,
    )


def passes_and_leaves_nothing(run: Callable[[], subprocess.CompletedProcess[str]]) -> None:
    before = traces()
    done = run()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "FAILED" not in done.stdout
    assert "all as it should be" in done.stdout
    assert traces() == before


def test_as_root() -> None:
    passes_and_leaves_nothing(demo)


def test_without_root() -> None:
    """As an ordinary user, inside a user namespace that the demo makes for itself.

    Root becomes one by a user namespace without capabilities, which may read whatever root may.
    """
    wrapper = [] if os.geteuid() else ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    probe = subprocess.run([*wrapper, "unshare", "-Urnm", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"ordinary users make no namespaces here: {probe.stderr.strip()}")
    passes_and_leaves_nothing(lambda: demo(*wrapper))
