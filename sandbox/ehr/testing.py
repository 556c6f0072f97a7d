"""Starts the sandbox EHR for a test, as its own process on a free port."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.error import URLError

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".var/cache/sandbox"
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox EHR."""

    base_url: str  # of FHIR: http://127.0.0.1:PORT/fhir
    process: subprocess.Popen[str]

    @property
    def root_url(self) -> str:
        """Where /health and /_sandbox/faults are."""
        return self.base_url.removesuffix("/fhir")

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """End it politely; harmless when it has ended."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()


def start_sandbox(
    data_dir: Path, *, faults: bool = False, today: date | None = None, port: int = 0, seed: int | None = None
) -> Sandbox:
    """Start one on `data_dir` and wait until it is loaded; what it says on stderr is in `data_dir/sandbox.log`."""
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sandbox.ehr", "--attached", "--data", str(data_dir), "--port", str(port)]
    command += ["--cache", str(CACHE)]
    command += ["--faults"] if faults else []
    command += ["--today", today.isoformat()] if today else []
    command += ["--seed", str(seed)] if seed is not None else []
    log = data_dir / "sandbox.log"
    with log.open("a") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=ROOT,
        )
    assert process.stdout is not None
    announcement = process.stdout.readline()
    if not announcement:
        process.wait(STOP_TIMEOUT_S)
        raise RuntimeError(f"the sandbox EHR did not start: {log.read_text()[-2000:]}")
    sandbox = Sandbox(announcement.rpartition(" ")[2].strip(), process)
    _wait_for_health(sandbox, log)
    return sandbox


@contextmanager
def running_sandbox(data_dir: Path, *, faults: bool = False, today: date | None = None) -> Iterator[str]:
    """Yield the FHIR base URL of a sandbox EHR with the synthetic clinic of `today` (default: the real day)."""
    sandbox = start_sandbox(data_dir, faults=faults, today=today)
    try:
        yield sandbox.base_url
    finally:
        sandbox.stop()


def _wait_for_health(sandbox: Sandbox, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if sandbox.process.poll() is not None:
            raise RuntimeError(f"the sandbox EHR ended while starting: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(f"{sandbox.root_url}/health", timeout=5) as answer:  # noqa: S310
                if json.load(answer)["status"] == "ok":
                    return
        except (URLError, OSError):
            time.sleep(0.05)
    sandbox.stop()
    raise RuntimeError(f"the sandbox EHR was not healthy within {START_TIMEOUT_S} s: {log.read_text()[-2000:]}")
