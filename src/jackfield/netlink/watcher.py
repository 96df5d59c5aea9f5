"""One watcher of links for everybody.

It holds a table of all interfaces of the network namespace, read once at the start and kept true by the kernel's
notifications (RTNLGRP_LINK). Whoever is interested in one interface says so by index or by name; an event costs the
same whether there are ten links or ten thousand, and nobody hears about another's link.

When notifications are lost (ENOBUFS), a dump is asked for on the same socket, so that its parts and further
notifications stay in the order in which things happened; it is read in slices between other work, and what it does not
mention is gone.

All calls are made on the main thread. Watches are called from the loop, one event at a time; what one raises is logged.
"""

import asyncio
import errno
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from jackfield.errors import describe
from jackfield.log import get_logger
from jackfield.netlink.link import DUMP_REQUEST, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, Link, LinkSocket, parse_link
from jackfield.netlink.socket import (
    F_DUMP,
    F_DUMP_INTR,
    F_REQUEST,
    NETLINK_ROUTE,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    NetlinkError,
    NetlinkSocket,
    check,
    frame,
    messages,
)

log = get_logger("netlink_watcher")

_RTMGRP_LINK: Final = 1
_ROOM: Final = 4 << 20  # bytes: some two thousand notifications
_BUDGET_NS: Final = 2_000_000  # of one turn of the loop

LinkCallback = Callable[[Link | None], object]
ChangeCallback = Callable[[Link | None, Link | None], object]


class Watch:
    """Somebody's interest in a link; `cancel` ends it."""

    __slots__ = ("_holders", "_key", "callback")

    def __init__(self, holders: dict[object, list["Watch"]], key: object, callback: Callable[..., object]) -> None:
        self._holders = holders
        self._key = key
        self.callback: Callable[..., object] | None = callback
        holders.setdefault(key, []).append(self)

    def cancel(self) -> None:
        """Call back no more; may be repeated."""
        if self.callback is None:
            return
        self.callback = None
        watches = self._holders[self._key]
        watches.remove(self)
        if not watches:
            del self._holders[self._key]


class LinkWatcher:
    """The table of links and who wants to know about changes.

    The table is complete when the constructor returns. `attach` has the running loop read notifications; without a
    loop, call `process`.

    Args:
        room: bytes of notifications that may wait to be read.

    Attributes:
        links: all interfaces by index, a live view.
        requests: a socket for synchronous requests about links, for the watcher's users.

    Raises:
        OSError: no netlink on this machine.
    """

    def __init__(self, room: int = _ROOM) -> None:
        self._links: dict[int, Link] = {}
        self._names: dict[str, int] = {}
        self.links: Mapping[int, Link] = MappingProxyType(self._links)
        self._by_index: dict[object, list[Watch]] = {}
        self._by_name: dict[object, list[Watch]] = {}
        self._by_all: dict[object, list[Watch]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dump_seq = 0
        self._dump_seen: set[int] = set()
        self._dump_again = False
        self._processing = False
        self._socket = NetlinkSocket(NETLINK_ROUTE, _RTMGRP_LINK, room)
        self.requests = LinkSocket()
        self._start_dump()
        while self._dump_seq:
            self.feed(self._socket.wait())

    def by_name(self, name: str) -> Link | None:
        """The interface that has this name now."""
        index = self._names.get(name)
        return None if index is None else self._links[index]

    def watch_index(self, index: int, callback: LinkCallback) -> Watch:
        """Call `callback(link)` when anything about the interface changes, `callback(None)` when it is gone."""
        return Watch(self._by_index, index, callback)

    def watch_name(self, name: str, callback: LinkCallback) -> Watch:
        """The same for whichever interface has this name; a renamed one leaves one name and takes another."""
        return Watch(self._by_name, name, callback)

    def watch_all(self, callback: ChangeCallback) -> Watch:
        """Call `callback(before, after)` for every change; None stands for "not there"."""
        return Watch(self._by_all, None, callback)

    def attach(self) -> None:
        """Have the running loop read notifications from now on; may be repeated, also under another loop.

        Raises:
            RuntimeError: no loop is running.
        """
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        self._detach()
        loop.add_reader(self._socket.fileno(), self.process)
        self._loop = loop

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._socket.fileno())
        self._loop = None

    def stop(self) -> None:
        """Close the sockets and forget all watches; may be repeated."""
        self._detach()
        self._socket.close()
        self.requests.close()
        for holders in (self._by_index, self._by_name, self._by_all):
            for watches in list(holders.values()):
                for watch in list(watches):
                    watch.cancel()

    def process(self) -> None:
        """Take in what the kernel has said, for at most some 2 ms; never waits."""
        if self._processing:  # called by a watch: what is left is taken in when it returns
            return
        self._processing = True
        deadline = time.perf_counter_ns() + _BUDGET_NS
        try:
            while time.perf_counter_ns() < deadline:
                try:
                    data = self._socket.receive()
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    log.info("link notifications were lost, reading all links again")
                    self.resync()
                    continue
                if data is None:
                    return
                self.feed(data)
        finally:
            self._processing = False

    def resync(self) -> None:
        """Compare with the kernel's table; differences are reported as changes, from the loop."""
        if self._dump_seq:
            self._dump_again = True
        else:
            self._start_dump()

    def _start_dump(self) -> None:
        self._dump_again = False
        self._dump_seen = set()
        self._dump_seq = self._socket.next_seq()
        self._socket.send(frame(RTM_GETLINK, F_REQUEST | F_DUMP, self._dump_seq, DUMP_REQUEST))

    def feed(self, datagram: bytes) -> None:
        """Take in one datagram; what cannot be understood is logged and the rest of it skipped."""
        try:
            for message in messages(datagram):
                self._take_message(message)
        except NetlinkError as error:
            log.warning("%s", describe(error))

    def _take_message(self, message: Message) -> None:
        of_dump = self._dump_seq and message.seq == self._dump_seq
        if of_dump and message.flags & F_DUMP_INTR:
            self._dump_again = True  # the kernel's table changed under the dump, which may have missed a link
        if message.type == RTM_NEWLINK:
            link = parse_link(message.body)
            if link is not None:
                self._dump_seen.add(link.ifindex)
                self._set(link)
        elif message.type == RTM_DELLINK:
            link = parse_link(message.body)
            if link is not None:
                self._remove(link.ifindex)
        elif of_dump and message.type in (NLMSG_DONE, NLMSG_ERROR):
            self._end_dump(message)

    def _end_dump(self, message: Message) -> None:
        try:
            check(message)
        except OSError as error:
            log.warning("reading all links failed, trying again: %s", describe(error))
            self._dump_again = True
        seen = self._dump_seen
        self._dump_seq = 0
        self._dump_seen = set()
        if self._dump_again:
            self._start_dump()
            return
        for index in [index for index in self._links if index not in seen]:
            self._remove(index)

    def _set(self, link: Link) -> None:
        before = self._links.get(link.ifindex)
        if before == link:
            return
        self._links[link.ifindex] = link
        if before is not None and before.name != link.name and self._names.get(before.name) == link.ifindex:
            del self._names[before.name]
        self._names[link.name] = link.ifindex
        self._tell(before, link)

    def _remove(self, index: int) -> None:
        before = self._links.pop(index, None)
        if before is None:
            return
        if self._names.get(before.name) == index:
            del self._names[before.name]
        self._tell(before, None)

    def _tell(self, before: Link | None, after: Link | None) -> None:
        index = after.ifindex if after is not None else before.ifindex if before is not None else 0
        self._call(self._by_index.get(index), after)
        if before is not None and (after is None or after.name != before.name):
            self._call(self._by_name.get(before.name), self.by_name(before.name))
        if after is not None:
            self._call(self._by_name.get(after.name), after)
        self._call(self._by_all.get(None), before, after)

    def _call(self, watches: list[Watch] | None, *arguments: Link | None) -> None:
        for watch in list(watches or ()):
            if watch.callback is None:
                continue
            try:
                watch.callback(*arguments)
            except Exception:  # one watch's failure must not keep the news from the others
                log.exception("a watch of a link failed")


_shared: LinkWatcher | None = None
_users = 0


def acquire() -> LinkWatcher:
    """The process's watcher, made for its first user and attached to the running loop if there is one.

    Each call is matched by one of `release`.

    Raises:
        OSError: no netlink on this machine.
    """
    global _shared, _users
    if _shared is None:
        _shared = LinkWatcher()
    _users += 1
    if _loop_is_running():
        _shared.attach()
    return _shared


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def release() -> None:
    """Give the process's watcher back; the last user stops it."""
    global _shared, _users
    _users -= 1
    if _users == 0 and _shared is not None:
        _shared.stop()
        _shared = None
