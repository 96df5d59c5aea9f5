import asyncio
from collections.abc import Generator

from jackfield.ofproto.slices import begin


def steps(count: int, done: list[int]) -> Generator[None]:
    for _ in range(count):
        yield
    done.append(count)


def test_little_work_is_done_at_once() -> None:
    done: list[int] = []
    begin(steps(50, done), "little")
    assert done == [50]


def test_long_work_goes_on_in_the_background() -> None:
    done: list[int] = []

    async def main() -> None:
        begin(steps(5_000, done), "long")
        assert done == []
        while not done:
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(main(), 5))
    assert done == [5_000]
