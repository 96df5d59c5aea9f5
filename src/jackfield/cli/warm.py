"""`jackfield warm`: compile the userspace datapath once, showing what happens."""

from __future__ import annotations

import click

from jackfield.cli.compiling import compile_kernels


@click.command()
def warm() -> None:
    """Compile the userspace datapath into its cache.

    `jackfield up` does this by itself when needed; afterwards it starts in less than a second.
    """
    click.echo(f"ready in {compile_kernels():.1f} s")
