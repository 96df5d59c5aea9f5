"""The command line as a user meets it before any switch runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from jackfield.cli.main import VERBS, cli, main

JACKFIELD = str(Path(sys.executable).parent / "jackfield")


def jackfield(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([JACKFIELD, *arguments], capture_output=True, text=True, timeout=60)


def test_help_lists_every_verb() -> None:
    done = jackfield("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"  {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str) -> None:
    done = jackfield(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: jackfield")


@pytest.mark.parametrize("words", [["show"], ["ports"], ["flows"], ["trace", "ip"], ["datapath", "flows"]])
def test_without_a_switch_one_line_says_so(words: list[str], tmp_path: Path) -> None:
    done = jackfield("--rundir", str(tmp_path), *words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"jackfield: no switch runs in {tmp_path}: start one with `jackfield up`\n"


def test_unknown_verb() -> None:
    done = jackfield("swich")
    assert done.returncode == 2
    assert done.stderr == "jackfield: No such command 'swich'. (see `jackfield --help`)\n"


@pytest.mark.parametrize("words", [[], ["datapath"]])
def test_without_a_verb_there_is_help(words: list[str]) -> None:
    done = jackfield(*words)
    assert done.returncode in (0, 2)
    assert "Commands:" in done.stdout + done.stderr


def test_run_directory_that_may_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for words in (["show"], ["ports"], ["flows"], ["datapath", "show"], ["trace", "ip"]):
        done = jackfield("--rundir", str(tmp_path / "file"), *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Not a directory" in done.stderr
        assert done.stderr.count("\n") == 1


def test_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr() == ("", "")


def test_names_that_the_terminal_cannot_show_are_no_failure() -> None:
    code = """
import sys, click
from jackfield.cli.main import main
sys.argv[1:] = ["--version"]
try:
    main()
finally:
    click.echo("br\u2192cke")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={"PYTHONIOENCODING": "latin-1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert b"br?cke" in done.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--bridge", "a/b"], '"a/b" is not a name'),
        (["--port", "x,y"], 'port x: "y" is not an option'),
        (["--port", "x", "--port", "x"], "x is named twice"),
        (["--datapath-id", "zz"], '"zz" is not a datapath id'),
    ],
)
def test_up_refuses_what_it_cannot_read(words: list[str], named: str, tmp_path: Path) -> None:
    done = jackfield("--rundir", str(tmp_path), "up", *words)
    assert done.returncode == 1
    assert named in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("up", "warm")])
def test_verbs_that_talk_to_a_switch_load_no_compiler(verb: str) -> None:
    module = VERBS[verb][0]
    code = f"import sys, {module}; print([m for m in ('numba', 'llvmlite', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_completion_names_the_verbs() -> None:
    done = subprocess.run(
        [JACKFIELD],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "_JACKFIELD_COMPLETE": "bash_complete",
            "COMP_WORDS": "jackfield ad",
            "COMP_CWORD": "1",
            "PATH": "/usr/bin",
        },
    )
    assert "plain,add-flow" in done.stdout
