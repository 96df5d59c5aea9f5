"""`./run fuzz [TARGET...] [--seconds N]`: each target in a process of its own, one after the other."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from fuzz.mutate import mutations
from fuzz.targets import CORPUS, ENGINE, TARGETS, corpus

ROOT = Path(__file__).parents[1]
FOUND = ROOT / ".fuzz"
"""What is found stays here until somebody has looked at it: inputs that fail, and new ones worth keeping."""


def run_engine(seconds: int) -> int:
    """Random packets, flows and actions through compiled code that checks its bounds."""
    seed = str(int(time.time()))
    print(f"{ENGINE}: seed {seed}; compiled once more with bounds checks on", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "tests.dpif.userspace.fuzz_engine", str(seconds), seed],
        cwd=ROOT,
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": str(ROOT)},
    ).returncode


def run_atheris(name: str, seconds: int) -> int:
    """Follow the code that inputs reach."""
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "fuzz.follow",
            name,
            f"-max_total_time={seconds}",
            f"-artifact_prefix={folder}/",
            "-max_len=70000",
            "-rss_limit_mb=4096",
            "-timeout=10",
            str(folder),
            str(CORPUS / name),
        ],
        cwd=ROOT,
    ).returncode


def run_mutations(name: str, seconds: int) -> int:
    """Change the kept inputs at random."""
    seeds = corpus(name)
    end = time.monotonic() + seconds
    seed = int(time.time())
    count = 0
    for data in mutations(seeds, seed):
        try:
            TARGETS[name](data)
        except Exception:
            folder = FOUND / name
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"crash-{seed}-{count}"
            path.write_bytes(data)
            print(f"{name}: fails with {path}", flush=True)
            raise
        count += 1
        if time.monotonic() > end:
            break
    print(f"{name}: {count} inputs", flush=True)
    return 0


def main() -> int:
    """See the module's text; 0 when nothing was found."""
    names = [*TARGETS, ENGINE]
    parser = argparse.ArgumentParser(prog="./run fuzz", description="Feed the parsers what nobody should send.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names)} [all]")
    parser.add_argument("--seconds", type=int, default=30, metavar="N", help="for each target [30]")
    parser.add_argument("--no-atheris", action="store_true", help="only change kept inputs at random")
    options = parser.parse_args()
    for name in options.targets:
        if name not in names:
            parser.error(f"there is no target {name} (there are {', '.join(names)})")
    followed = importlib.util.find_spec("atheris") is not None and not options.no_atheris
    if not followed:
        print("without atheris: kept inputs are changed at random, and nothing follows the code they reach", flush=True)
    failed = []
    for name in options.targets or names:
        print(f"== {name}", flush=True)
        if name == ENGINE:
            status = run_engine(options.seconds)
        elif followed:
            status = run_atheris(name, options.seconds)
        else:
            status = run_mutations(name, options.seconds)
        if status:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
