"""Run the benchmarks one after the other and print their tables."""

from __future__ import annotations

import argparse
import asyncio

from benchmarks import long_conversation, start, turns

BENCHMARKS = {"turns": turns.main, "start": start.main, "long-conversation": long_conversation.main}


def main() -> None:
    """`python -m benchmarks [NAME …]`"""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)} (benchmarks: {', '.join(BENCHMARKS)})")
    for name in names:
        asyncio.run(BENCHMARKS[name]())


if __name__ == "__main__":
    main()
