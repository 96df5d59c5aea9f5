"""Starts os-ken's manager, as its own script would: `.venv-osken/bin/python tests/osken_manager.py [OPTION...] APP...`.

The last os-ken that brings applications expects a name that eventlet has dropped since; it is only used for web
sockets, which no test opens.
"""

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402 - after the patch

eventlet.wsgi.ALREADY_HANDLED = None

from os_ken.cmd.manager import main  # noqa: E402 - after the name is there

if __name__ == "__main__":
    main()
