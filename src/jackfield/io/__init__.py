"""The stream shell: bytes in and out of protocols that do no I/O themselves.

* `address`: what users write ("tcp:127.0.0.1:6653", "punix:/run/x.sock"), parsed.
* `stream`: one connection; the interface between a socket and a protocol.
* `active`: connect, and connect again with exponential backoff.
* `passive`: listen.
* `unixsocket`: Unix sockets with paths of any length, stale ones replaced.
* `tls`: TLS contexts from the files that stock tools use.
* `jsonstream`: JSON values out of a byte stream, for unixctl and OVSDB.
"""
