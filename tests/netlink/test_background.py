import threading

from jackfield.netlink.background import close_in_background


def test_the_caller_does_not_wait() -> None:
    go, done = threading.Event(), threading.Event()
    seen: list[str] = []

    def close() -> None:
        seen.append(threading.current_thread().name)
        go.wait(10)
        done.set()

    close_in_background(close)
    assert not done.is_set()
    go.set()
    assert done.wait(10)
    assert seen == ["close"]
