"""The environment moves the directories."""

from pathlib import Path

import pytest

from jackfield.daemon import paths


@pytest.mark.parametrize(
    ("function", "variable", "default"),
    [
        (paths.rundir, "OVS_RUNDIR", "/var/run/openvswitch"),
        (paths.logdir, "OVS_LOGDIR", "/var/log/openvswitch"),
        (paths.sysconfdir, "OVS_SYSCONFDIR", "/etc"),
        (paths.dbdir, "OVS_DBDIR", "/etc/openvswitch"),
    ],
)
def test_defaults_and_environment(
    function: object, variable: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR", "OVS_DBDIR"):
        monkeypatch.delenv(name, raising=False)
    assert function() == Path(default)
    monkeypatch.setenv(variable, "/elsewhere")
    assert function() == Path("/elsewhere")
    monkeypatch.setenv(variable, "")
    assert function() == Path(default)


def test_databases_follow_the_system_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OVS_DBDIR", raising=False)
    monkeypatch.setenv("OVS_SYSCONFDIR", "/conf")
    assert paths.dbdir() == Path("/conf/openvswitch")


def test_inside_keeps_absolute_names() -> None:
    assert paths.inside(Path("/run"), "a.ctl") == Path("/run/a.ctl")
    assert paths.inside(Path("/run"), "/tmp/a.ctl") == Path("/tmp/a.ctl")
