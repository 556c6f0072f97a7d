"""How long one message takes to screen, by rules, alarm and judge together, and by the rules alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

from benchmarks.tables import percentile, show
from carethread.config import PROJECT
from carethread.safety.screening import load_screener

DATA = PROJECT / "tests" / "data"
TARGET_MS = 5.0
ROUNDS = 2
SETS = {
    "everyday messages": "intents",
    "look-alikes": "safety_lookalikes",
    "emergencies": "safety_emergencies",
    "crises": "safety_crisis",
}


async def main() -> None:
    began = time.perf_counter()
    screener = load_screener(PROJECT / "content" / "safety")
    loaded = time.perf_counter() - began
    screener.warm()
    warmed = time.perf_counter() - began - loaded
    kinds = {name: _texts(file) for name, file in SETS.items()}
    everything = [text for texts in kinds.values() for text in texts]
    kinds["of 1,000 characters"] = [" ".join(everything[first : first + 25])[:1000] for first in range(0, 500, 25)]
    kinds["of 10,000 characters"] = [" ".join(everything)[:10_000]]
    rows = []
    for name, texts in kinds.items():
        whole, rules = _times(screener.screen, texts), _times(screener.rules.screen, texts)
        p50 = percentile(whole, 0.5)
        cells = [f"{ms:.2f}" for ms in (p50, percentile(whole, 0.95), percentile(whole, 0.99), percentile(rules, 0.5))]
        rows.append([name, str(len(texts)), *cells, f"{p50 / TARGET_MS:.2f} ×"])
    columns = ["", "texts", "p50 ms", "p95", "p99", "rules alone p50", f"of {TARGET_MS:g} ms"]
    show("Screening one message", columns, rows)
    show("Making ready", ["", "seconds"], [["loading", f"{loaded:.1f}"], ["warming", f"{warmed:.1f}"]])


def _times(screen: Callable[[str], object], texts: Sequence[str]) -> list[float]:
    """Milliseconds of each."""
    spent = []
    for text in [*texts] * ROUNDS:
        began = time.perf_counter()
        screen(text)
        spent.append((time.perf_counter() - began) * 1e3)
    return spent


def _texts(name: str) -> list[str]:
    lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]
