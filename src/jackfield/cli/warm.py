"""`jackfield warm`: compile the userspace datapath once, showing what happens."""

from __future__ import annotations

import click


@click.command()
def warm() -> None:
    """Compile the userspace datapath into its cache.

    `jackfield up` does this by itself when needed; afterwards it starts in about a second.
    """
    from jackfield.dpif.userspace.warm import warm as compile_all

    seconds = compile_all(progress=lambda text: click.echo(f"  {text}"))
    click.echo(f"ready in {seconds:.1f} s")
