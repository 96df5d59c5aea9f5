"""Protocols for the tests of streams."""

import asyncio
from collections.abc import Callable

from jackfield.io.stream import Stream


class Recorder:
    """Notes what happens; may answer."""

    def __init__(self, answer: Callable[["Recorder", bytes], None] | None = None) -> None:
        self.stream: Stream | None = None
        self.data = b""
        self.times: list[int] = []
        self.events: list[str] = []
        self.error: Exception | None = None
        self._answer = answer

    def opened(self, stream: Stream) -> None:
        self.stream = stream
        self.events.append("opened")

    def received(self, data: bytes, now: int) -> None:
        self.data += data
        self.times.append(now)
        if self._answer is not None:
            self._answer(self, data)

    def closed(self, error: Exception | None) -> None:
        self.error = error
        self.events.append("closed")


def echo(recorder: Recorder, data: bytes) -> None:
    assert recorder.stream is not None
    recorder.stream.send(data)


async def until(condition: Callable[[], object], timeout: float = 5.0) -> None:
    """Wait until the condition holds."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.002)

    await asyncio.wait_for(wait(), timeout)
