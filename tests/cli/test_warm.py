"""`jackfield warm`."""

import re

import pytest

from tests.cli.conftest import Run


def test_says_when_it_is_ready(jackfield: Run) -> None:
    done = jackfield("warm")
    assert done.code == 0
    assert re.search(r"^ready in [\d.]+ s$", done.out, re.MULTILINE)


def test_cache_that_cannot_be_had(jackfield: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(progress: object) -> float:
        raise PermissionError(13, "Permission denied", "/nowhere")

    monkeypatch.setattr("jackfield.dpif.userspace.warm.warm", refuse)
    done = jackfield("warm")
    assert (done.code, done.err) == (1, "jackfield: /nowhere: Permission denied\n")
