"""The short form of `./run fuzz`: kept inputs, and the same few thousand changes of them each time."""

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fuzz.mutate import mutations
from fuzz.targets import CORPUS, ENGINE, TARGETS, corpus

ROOT = Path(__file__).parents[1]
SECONDS = 0.5
"""For each target, whatever the machine; a quick one gets further."""

MOST = 4000


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    inputs = corpus(name)
    assert inputs, f"fuzz/corpus/{name} is empty"
    for data in inputs:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs(name: str) -> None:
    seeds = corpus(name)
    end = time.monotonic() + SECONDS
    for count, data in enumerate(itertools.islice(mutations(seeds, 1), MOST)):
        if time.monotonic() > end and count > 50:
            break
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"fails with {data!r}") from error


def test_changes_are_the_same_each_time() -> None:
    seeds = corpus("packet")
    first, second = (list(itertools.islice(mutations(seeds, 7), 50)) for _ in range(2))
    assert first == second
    assert list(itertools.islice(mutations(seeds, 8), 50)) != first


def test_the_corpus_is_small_and_of_known_targets() -> None:
    folders = [path for path in CORPUS.iterdir() if path.is_dir()]
    assert {path.name for path in folders} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 300_000


def test_the_command_runs_targets_by_name() -> None:
    command = [sys.executable, "-m", "fuzz", "pcap", "--seconds", "1", "--no-atheris"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "without atheris" in shown.stdout
    assert "nothing found" in shown.stdout
    refused = subprocess.run([*command[:3], "nosuch"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "no target nosuch" in refused.stderr
    assert ENGINE in refused.stderr
