"""A turn through the whole path (webhook in → reply row committed) beside plain Rasa's REST channel.

Plain Rasa is `rasa init`'s bot with its default pipeline, trained and run here by the same Rasa. The two are measured
in alternating rounds, so that a machine whose speed drifts is fair to both.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.installation import TEXTS, free_ports, installation
from benchmarks.tables import percentile, show
from carethread.config import PROJECT

ROUNDS = 3
TURNS = 160  # of a round, all users together
RASA = PROJECT / "engine" / ".venv" / "bin" / "rasa"
# What `rasa init`'s bot knows.
PLAIN_TEXTS = ("hello", "hi there", "i am great", "so sad", "are you a bot?", "bye", "yes", "no", "good morning")

Turn = Callable[[str, str], Awaitable[float]]


@dataclass(slots=True)
class Figures:
    """Seconds of every turn, and turns a second of every round."""

    latencies: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


async def main() -> None:
    async with plain_rasa() as plain, installation() as ours:
        both: dict[str, tuple[Turn, tuple[str, ...]]] = {
            "Carethread, whole path": (ours.turn, TEXTS),
            "plain Rasa, REST": (plain, PLAIN_TEXTS),
        }
        rows = []
        for users in (1, 8):
            figures = {name: Figures() for name in both}
            for turn, texts in both.values():
                await _round(turn, texts, users, 40, Figures())  # warm-up
            for _ in range(ROUNDS):
                for name, (turn, texts) in both.items():
                    await _round(turn, texts, users, TURNS, figures[name])
            a, b = figures.values()
            for name, found in figures.items():
                rows.append(
                    [
                        f"{name}, {users} at once",
                        f"{percentile(found.rates, 0.5):.1f}",
                        f"{percentile(found.latencies, 0.5) * 1e3:.0f}",
                        f"{percentile(found.latencies, 0.99) * 1e3:.0f}",
                    ]
                )
            rate = percentile(a.rates, 0.5) / percentile(b.rates, 0.5)
            middle = percentile(a.latencies, 0.5) / percentile(b.latencies, 0.5)
            last = percentile(a.latencies, 0.99) / percentile(b.latencies, 0.99)
            rows.append([f"  ratio, {users} at once", f"{rate:.2f} ×", f"{middle:.2f} ×", f"{last:.2f} ×"])
    show("Turns", ["", "turns/s", "p50 ms", "p99 ms"], rows)


async def _round(turn: Turn, texts: tuple[str, ...], users: int, turns: int, figures: Figures) -> None:
    """`users` talk at once, each waiting for every answer."""

    async def user() -> None:
        phone = f"+1312{random.randint(2_000_000, 9_999_999)}"
        for number in range(turns // users):
            figures.latencies.append(await turn(phone, texts[(number * 7) % len(texts)]))

    began = time.perf_counter()
    await asyncio.gather(*(user() for _ in range(users)))
    figures.rates.append(turns // users * users / (time.perf_counter() - began))


@asynccontextmanager
async def plain_rasa() -> AsyncIterator[Turn]:
    """`rasa init`, `rasa train`, `rasa run` in a folder of its own; yields a turn over the REST channel."""
    folder = Path(tempfile.mkdtemp(prefix="plain-rasa-"))
    environment = {**os.environ, "RASA_TELEMETRY_ENABLED": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
    port = free_ports(1)[0]
    process: subprocess.Popen[bytes] | None = None
    try:
        print("plain Rasa: rasa init and training with the default pipeline (a few minutes)", flush=True)
        await asyncio.to_thread(
            subprocess.run, [RASA, "init", "--no-prompt", "--init-dir", folder], check=True, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        process = subprocess.Popen(
            [RASA, "run", "--port", str(port), "-i", "127.0.0.1", "--credentials", "credentials.yml"],
            cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{port}"
            await _wait_for(http, url)

            async def turn(sender: str, text: str) -> float:
                began = time.perf_counter()
                body = {"sender": sender + str(uuid.uuid4()), "message": text}
                async with http.post(f"{url}/webhooks/rest/webhook", json=body) as response:
                    response.raise_for_status()
                    await response.json()  # its bot has nothing to say to some of these, which is a turn all the same
                return time.perf_counter() - began

            yield turn
    finally:
        if process:
            process.terminate()
            await asyncio.to_thread(process.wait)
        shutil.rmtree(folder, ignore_errors=True)


async def _wait_for(http: aiohttp.ClientSession, url: str) -> None:
    for _ in range(600):
        try:
            body = {"sender": "warm-up", "message": "hello"}
            async with http.post(f"{url}/webhooks/rest/webhook", json=body) as response:
                if response.status == 200 and await response.json():
                    return  # the channel answers before a model is loaded, but says nothing then
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.5)
    raise RuntimeError("plain Rasa did not start within five minutes")
