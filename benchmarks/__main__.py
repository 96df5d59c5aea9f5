"""`./run bench [RIG ...]`: measure, print the table, and keep it in benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from benchmarks.result import Figure, markdown

RIGS = {
    "inmemory": "switching alone, packets from memory to nowhere, against Open vSwitch with DPDK",
    "forwarding": "veth pairs and kernel stacks: small packets, TCP, ping, flow set-ups",
    "control": "flow-mods, dumps, memory, start",
}


def main() -> None:
    """Run the rigs asked for, all by default."""
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Measure Jackfield and, where it is installed, Open vSwitch in the same run.",
        epilog="; ".join(f"{name}: {text}" for name, text in RIGS.items()),
    )
    parser.add_argument("rigs", nargs="*", choices=[*RIGS, []], metavar="RIG", help=" | ".join(RIGS))
    parser.add_argument("--output", type=Path, help="where the Markdown goes [default: benchmarks/RESULTS.md]")
    options = parser.parse_args()
    chosen = options.rigs or list(RIGS)
    figures: list[Figure] = []
    for name in chosen:
        print(f"measuring: {name} ({RIGS[name]})", flush=True)
        figures += importlib.import_module(f"benchmarks.{name}").measure()
    text = markdown(figures, " ".join(["./run bench", *options.rigs]))
    print(f"\n{text}")
    output = options.output
    if output is None and not options.rigs:
        output = Path(__file__).parent / "RESULTS.md"
    if output is not None:
        output.write_text(f"# Measured\n\n{text}")


if __name__ == "__main__":
    main()
