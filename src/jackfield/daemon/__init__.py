"""What makes a program a daemon that stock tools recognize.

* `options`: the flags of stock daemons.
* `paths`: run, log and database directories.
* `daemonize`: detach, readiness, and the parent that restarts a crashed daemon.
* `pidfile`: the locked file that tells tools which process to talk to.
* `service`: one event loop with control socket, signals and timers around a daemon's own work.
* `unixctl`, `commands`: the control socket and the commands every daemon has.
* `coverage`, `lag`: counters of events; how long the loop was busy.

`options`, `paths`, `daemonize` and `pidfile` import neither asyncio nor anything large: a daemon forks before it does.
"""
