import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackfield.netdev import files
from jackfield.netdev.dummy import DummyNetdev
from jackfield.netdev.pcap import PcapNetdev


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[Path]:
    inside = tmp_path / "run"
    inside.mkdir()
    files.confine(str(inside))
    yield inside
    files.confine(None)


def test_unconfined_names_are_taken_as_they_are() -> None:
    assert files.resolve("/some/where") == "/some/where"


def test_relative_names_belong_to_the_directory(confined: Path) -> None:
    assert files.resolve("a.pcap") == str(confined / "a.pcap")
    assert files.resolve(str(confined / "sub" / "b")) == str(confined / "sub" / "b")


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "link/x", "/"])
def test_nothing_leads_out(confined: Path, name: str) -> None:
    (confined / "link").symlink_to("/tmp")
    with pytest.raises(OSError, match="only files below") as caught:
        files.resolve(name)
    assert caught.value.errno == errno.EACCES


def test_a_directory_with_the_same_beginning_is_outside(confined: Path) -> None:
    with pytest.raises(PermissionError):
        files.resolve(str(confined) + "-other/x")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_not_a_file_name(name: str) -> None:
    with pytest.raises(OSError) as caught:
        files.resolve(name)
    assert caught.value.errno == errno.EINVAL


def test_devices_ask(confined: Path) -> None:
    for device in (
        PcapNetdev("p", {"rx_pcap": "/etc/passwd"}),
        PcapNetdev("p", {"tx_pcap": "../out"}),
        DummyNetdev("d", {"pcap": "../out"}),
    ):
        with pytest.raises(PermissionError):
            device.open()
    assert not (confined.parent / "out").exists()
