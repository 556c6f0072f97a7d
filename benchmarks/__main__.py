"""Run the benchmarks one after the other and print their tables."""

from __future__ import annotations

import argparse
import asyncio

from benchmarks import answers, long_conversation, questionnaires, safety_screen, start, turns, understanding

BENCHMARKS = {
    "answers": answers.main,
    "safety-screen": safety_screen.main,
    "turns": turns.main,
    "start": start.main,
    "long-conversation": long_conversation.main,
    "questionnaires": questionnaires.main,
    "understanding": understanding.main,
}
LONG = frozenset({"understanding"})  # trains Rasa's default pipeline, which takes an hour or more: only when named


def main() -> None:
    """`python -m benchmarks [NAME …]`"""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all that take minutes)"
    )
    names = parser.parse_args().names or [name for name in BENCHMARKS if name not in LONG]
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark {', '.join(unknown)} (benchmarks: {', '.join(BENCHMARKS)})")
    for name in names:
        asyncio.run(BENCHMARKS[name]())


if __name__ == "__main__":
    main()
