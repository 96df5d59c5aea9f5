"""Netlink: sockets, links, and who may see a link's packets.

* `socket`: one netlink socket, its messages and attributes.
* `link`: what the kernel says about a network interface, and the requests that read and change one.
* `watcher`: one process-wide watcher of links.
* `background`: closing what takes the kernel long to close.
* `ingress`: keeps the host's own stack from answering for packets the switch owns.

Messages are read and written here rather than with pyroute2: its synchronous calls refuse to run while an asyncio loop
runs in the thread, and a dump of 1,000 links costs it 300 ms where this folder's tables need 15.
"""
