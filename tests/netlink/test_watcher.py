"""The watcher fed with messages; with real links it is tested in tests/net/test_devices.py."""

import asyncio
import logging
import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackfield.netlink import watcher
from jackfield.netlink.link import RTM_DELLINK, RTM_NEWLINK, Link
from jackfield.netlink.socket import attribute, frame
from jackfield.netlink.watcher import LinkWatcher

BASE = 1_000_000  # indexes that the machine does not have


@pytest.fixture
def watching() -> Iterator[LinkWatcher]:
    made = LinkWatcher()
    yield made
    made.stop()


def new(ifindex: int, name: str, mtu: int = 1500) -> bytes:
    return event(RTM_NEWLINK, ifindex, name, mtu)


def gone(ifindex: int, name: str) -> bytes:
    return event(RTM_DELLINK, ifindex, name, 1500)


def event(kind: int, ifindex: int, name: str, mtu: int, family: int = 0) -> bytes:
    head = struct.pack("=BxHiII", family, 1, BASE + ifindex, 0, 0)
    return frame(kind, 0, 0, head + attribute(3, name.encode() + b"\0") + attribute(4, struct.pack("=I", mtu)))


def test_table_is_there_at_once(watching: LinkWatcher) -> None:
    lo = watching.by_name("lo")
    assert lo is not None
    assert watching.links[lo.ifindex] == lo


def test_life_of_a_link(watching: LinkWatcher) -> None:
    by_index: list[int | None] = []
    by_name: list[int | None] = []
    every: list[tuple[bool, bool]] = []
    watching.watch_index(BASE + 1, lambda link: by_index.append(link and link.mtu))
    watching.watch_name("jf1", lambda link: by_name.append(link and link.mtu))
    watching.watch_all(lambda before, after: every.append((before is not None, after is not None)))
    for data in (new(1, "jf1"), new(1, "jf1"), new(1, "jf1", 1400), gone(1, "jf1"), gone(1, "jf1")):
        watching.feed(data)
    assert by_index == [1500, 1400, None]
    assert by_name == by_index
    assert every == [(False, True), (True, True), (True, False)]
    assert watching.by_name("jf1") is None


def test_rename_leaves_one_name_and_takes_the_other(watching: LinkWatcher) -> None:
    seen: dict[str, list[Link | None]] = {"old": [], "new": []}
    for name, calls in seen.items():
        watching.watch_name(name, calls.append)
    watching.feed(new(1, "old") + new(1, "new"))
    assert [link and link.name for link in seen["old"]] == ["old", None]
    assert [link and link.name for link in seen["new"]] == ["new"]
    assert watching.by_name("old") is None


def test_name_that_another_link_took_meanwhile(watching: LinkWatcher) -> None:
    calls: list[Link | None] = []
    watching.feed(new(1, "a"))
    watching.watch_name("a", calls.append)
    watching.feed(new(2, "a") + gone(1, "a"))
    found = watching.by_name("a")
    assert found is not None
    assert found.ifindex == BASE + 2
    assert calls[-1] == found, "the last word is that the name is there"


def test_leaving_a_bridge_is_not_being_deleted(watching: LinkWatcher) -> None:
    watching.feed(new(1, "a") + event(RTM_DELLINK, 1, "a", 1500, family=7))
    assert watching.by_name("a") is not None


def test_nobody_hears_about_another_link(watching: LinkWatcher) -> None:
    calls: list[Link | None] = []
    watching.watch_index(BASE + 1, calls.append)
    watching.watch_name("a", calls.append)
    watching.feed(b"".join(new(index, f"b{index}") for index in range(2, 50)))
    assert calls == []


def test_cancelled_watches_are_silent_even_within_one_event(watching: LinkWatcher) -> None:
    calls: list[str] = []
    second = watching.watch_name("a", lambda _: calls.append("second"))
    second.cancel()
    second.cancel()
    watching.watch_name("a", lambda _: (calls.append("first"), third.cancel()))
    third = watching.watch_name("a", lambda _: calls.append("third"))
    watching.feed(new(1, "a"))
    assert calls == ["first"]


def test_failing_watch_is_logged_and_the_others_hear(watching: LinkWatcher, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[Link | None] = []
    watching.watch_name("a", lambda _: 1 // 0)
    watching.watch_name("a", calls.append)
    with caplog.at_level(logging.ERROR):
        watching.feed(new(1, "a"))
    assert len(calls) == 1
    assert "ZeroDivisionError" in caplog.text


def test_malformed_datagram_is_logged_and_survived(watching: LinkWatcher, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        watching.feed(new(1, "a") + b"\xff" * 20)
    assert "netlink" in caplog.text
    assert watching.by_name("a") is not None


@given(st.binary(max_size=100), st.sampled_from([RTM_NEWLINK, RTM_DELLINK, 2, 3]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_survived(watching: LinkWatcher, body: bytes, kind: int) -> None:
    watching.feed(body)
    watching.feed(frame(kind, 0, 0, body))


def test_resync_forgets_what_the_kernel_does_not_have(watching: LinkWatcher) -> None:
    calls: list[Link | None] = []
    watching.feed(new(1, "jf-ghost"))
    watching.watch_name("jf-ghost", calls.append)
    lo = watching.by_name("lo")
    watching.resync()
    watching.resync()
    for _ in range(1000):
        watching.process()
        if calls:
            break
    assert calls == [None]
    assert watching.by_name("lo") == lo


def test_shared_watcher_lives_as_long_as_its_users() -> None:
    one, two = watcher.acquire(), watcher.acquire()
    assert one is two
    watcher.release()
    assert watcher._shared is one
    watcher.release()
    assert watcher._shared is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(one._socket.fileno() if one._socket.fileno() >= 0 else 1 << 20)


def test_shared_watcher_moves_to_the_running_loop() -> None:
    made = watcher.acquire()
    assert made._loop is None

    async def use() -> None:
        assert watcher.acquire() is made
        assert made._loop is asyncio.get_running_loop()
        watcher.release()

    asyncio.run(use())
    asyncio.run(use())
    watcher.release()
    assert watcher._shared is None
