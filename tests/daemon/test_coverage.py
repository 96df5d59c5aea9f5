"""Counters, their averages and their text."""

import re

import pytest

from jackfield.daemon.coverage import Coverage, MemoryReport


def test_rates_over_five_seconds_a_minute_and_an_hour() -> None:
    coverage = Coverage()
    upcalls = coverage.counter("upcalls")
    coverage.counter("never")
    assert coverage.counter("upcalls") is upcalls
    for _ in range(12):
        upcalls.count += 60
        coverage.sample()
    upcalls.count += 10
    lines = coverage.show().splitlines()
    assert re.fullmatch(
        r"Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=[0-9a-f]{8}:", lines[0]
    )
    assert lines[1] == "upcalls                   12.0/sec    12.000/sec        0.2000/sec   total: 730"
    assert lines[2:] == ["1 events never hit"]


def test_old_events_leave_the_averages() -> None:
    coverage = Coverage()
    coverage.counter("a").count = 5
    coverage.sample()
    for _ in range(720):
        coverage.sample()
    assert " 0.0/sec     0.000/sec        0.0000/sec   total: 5" in coverage.show()


def test_reading_a_counter() -> None:
    coverage = Coverage()
    coverage.counter("a").count = 5
    assert coverage.read("a") == 5
    with pytest.raises(ValueError, match="No such counter"):
        coverage.read("b")


def test_memory_figures_are_sorted_and_summed() -> None:
    report = MemoryReport()
    report.register(lambda: {"rules": 3, "flows": 1})
    report.register(lambda: {"rules": 4})
    assert report.show() == "flows:1 rules:7\n"
