"""How long one message takes to screen, and how it compares with reading it in Rasa's place.

Run: .venv/bin/python benchmarks/safety_screen.py
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from carethread.safety.screening import RuleSet, load_rules

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "unit" / "data"
TARGET_MS = 5.0


def timings(rules: RuleSet, texts: list[str], rounds: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of every screening, by the clock and by the processor."""
    clock: list[float] = []
    processor: list[float] = []
    for _ in range(rounds):
        for text in texts:
            start, begun = time.perf_counter(), time.thread_time()
            rules.screen(text)
            processor.append((time.thread_time() - begun) * 1000)
            clock.append((time.perf_counter() - start) * 1000)
    return clock, processor


def at(spent: list[float], share: float) -> float:
    """Return the value below which this share of sorted values lies."""
    return spent[min(len(spent) - 1, int(len(spent) * share))]


def sentences(name: str) -> list[str]:
    lines = (DATA / f"safety_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="how often every text is screened")
    rounds = parser.parse_args().rounds
    start = time.perf_counter()
    rules = load_rules(ROOT / "content" / "safety")
    loaded = time.perf_counter() - start
    rules.warm()
    warmed = time.perf_counter() - start - loaded
    kinds = {name: sentences(name) for name in ("emergencies", "crisis", "lookalikes")}
    everything = [text for texts in kinds.values() for text in texts]
    kinds["1,000 characters"] = [" ".join(everything[first : first + 25])[:1000] for first in range(0, 500, 25)]
    kinds["10,000 characters"] = [" ".join(everything)[:10_000]]
    table = Table(title=f"Screening one message (target: p50 below {TARGET_MS:g} ms)")
    for heading in ("texts", "number", "p50 ms", "p95 ms", "p99 ms", "p99 ms of processor", "target / p50"):
        table.add_column(heading, justify="left" if heading == "texts" else "right")
    for name, texts in kinds.items():
        clock, processor = (sorted(spent) for spent in timings(rules, texts, rounds))
        p50 = statistics.median(clock)
        tail = [at(clock, 0.95), at(clock, 0.99), at(processor, 0.99)]
        cells = [f"{value:.2f}" for value in (p50, *tail)]
        table.add_row(name, str(len(texts)), *cells, f"{TARGET_MS / p50:.1f}×")
    console = Console()
    console.print(table)
    console.print(f"Loading the tables: {loaded:.1f} s, compiling every pattern: {warmed:.1f} s")


if __name__ == "__main__":
    main()
