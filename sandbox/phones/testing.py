"""Starts the phone simulator for a test, as its own process on a free port, and holds a phone for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote, urlencode

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Phones:
    """A running phone simulator. The gateway's CARETHREAD_TWILIO_API_URL is `url`."""

    url: str  # http://127.0.0.1:PORT
    process: subprocess.Popen[str]

    def send(self, phone: str, channel: str, text: str = "", **more: Any) -> str:
        """A person sends `text`; gives its sid."""
        answer = self._call(f"/api/phones/{quote(phone)}/messages", {"channel": channel, "text": text, **more})
        return str(answer["sid"])

    def messages(
        self, phone: str, channel: str | None = None, *, after: int = 0, direction: str | None = None, wait: int = 0
    ) -> list[dict[str, Any]]:
        """A phone's messages with an id above `after`; waits up to `wait` seconds for the first."""
        args = {"channel": channel, "after": after, "direction": direction, "wait": wait}
        query = urlencode({name: value for name, value in args.items() if value})
        found: list[dict[str, Any]] = self._call(f"/api/phones/{quote(phone)}/messages?{query}")["messages"]
        return found

    def faults(self, **switches: Any) -> None:
        """Set the switches of `sandbox.phones.faults.Faults`, all others off."""
        self._call("/faults", switches)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End it politely; harmless when it has ended."""
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self.url + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=90) as answer:  # noqa: S310
            return json.load(answer)


def start_phones(
    data_dir: Path,
    gateway_url: str,
    *,
    faults: bool = False,
    port: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Phones:
    """Start one on `data_dir` and wait until it is healthy; what it says on stderr is in `data_dir/phones.log`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sandbox.phones", "--attached", "--data", str(data_dir), "--port", str(port)]
    command += ["--faults"] if faults else []
    log = data_dir / "phones.log"
    with log.open("a") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, **(environment or {}), "CARETHREAD_PUBLIC_URL": gateway_url},
        )
    assert process.stdout is not None
    announcement = process.stdout.readline()
    if not announcement:
        process.wait(STOP_TIMEOUT_S)
        raise RuntimeError(f"the phone simulator did not start: {log.read_text()[-2000:]}")
    phones = Phones(announcement.rpartition(" ")[2].strip(), process)
    _wait_for_health(phones, log)
    return phones


@contextmanager
def running_phones(
    data_dir: Path, gateway_url: str, faults: bool = False, *, environment: Mapping[str, str] | None = None
) -> Iterator[Phones]:
    """A phone simulator whose messages go to the gateway at `gateway_url`, ended when the block ends."""
    phones = start_phones(data_dir, gateway_url, faults=faults, environment=environment)
    try:
        yield phones
    finally:
        phones.stop()


def _wait_for_health(phones: Phones, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if phones.process.poll() is not None:
            raise RuntimeError(f"the phone simulator ended while starting: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{phones.url}/health", timeout=5):  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.05)
    phones.stop()
    raise RuntimeError(f"the phone simulator was not healthy within {START_TIMEOUT_S} s: {log.read_text()[-2000:]}")
