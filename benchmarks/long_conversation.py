"""Whether a conversation gets slower as it grows: the 200th message beside the 5th, over several conversations."""

from __future__ import annotations

import random

from benchmarks.installation import TEXTS, installation
from benchmarks.tables import percentile, show

MESSAGES = 205
CONVERSATIONS = 3
# A single turn is noise: each end is the median of this many neighbours in every conversation.
WINDOW = 10


async def main() -> None:
    async with installation() as ours:
        early: list[float] = []
        late: list[float] = []
        for _ in range(CONVERSATIONS):
            phone = f"+1312{random.randint(2_000_000, 9_999_999)}"
            seconds = [await ours.turn(phone, TEXTS[number % len(TEXTS)]) for number in range(MESSAGES)]
            early += seconds[4 : 4 + WINDOW]
            late += seconds[-WINDOW:]
    fifth, two_hundredth = percentile(early, 0.5), percentile(late, 0.5)
    rows = [
        ["around the 5th message", f"{fifth * 1e3:.0f} ms", ""],
        ["around the 200th message", f"{two_hundredth * 1e3:.0f} ms", f"{two_hundredth / fifth:.2f} ×"],
    ]
    show("Latency of one conversation", ["", "p50", "ratio"], rows)
