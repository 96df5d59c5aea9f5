"""Real hosts, real traffic, real switches: what the tests of the net lane and the benchmarks share."""
