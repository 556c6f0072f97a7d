"""A second `carethread up` with everything in place: seconds to all-healthy, and resident memory of all processes."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.installation import free_ports
from benchmarks.tables import show
from carethread.config import Settings
from carethread.supervisor import Supervisor

MOST_SECONDS, MOST_BYTES = 40.0, 2e9


async def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="carethread-bench-"))
    home.chmod(0o755)
    ports = free_ports(5)
    settings = Settings(
        env="demo", data_dir=home, port=ports[0], actions_port=ports[1], engine_port=ports[2],
        sandbox_ehr_port=ports[3], phones_port=ports[4],
    )  # fmt: skip
    rows: list[list[str]] = []
    supervisor = Supervisor(settings, say=lambda _text: None)
    try:
        for what in ("first start", "second start"):
            supervisor = Supervisor(settings, say=lambda _text: None)
            began = time.perf_counter()
            await supervisor.start()
            seconds = time.perf_counter() - began
            rows.append([what, f"{seconds:.1f} s", f"{seconds / MOST_SECONDS:.2f} ×"])
            if what == "second start":
                rows += _memory(supervisor)
            await supervisor.stop()
    finally:
        if supervisor.postgres:
            shutil.rmtree(supervisor.postgres.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
    show("Start and memory", ["", "", f"of {MOST_SECONDS:.0f} s or {MOST_BYTES / 1e9:.0f} GB"], rows)


def _memory(supervisor: Supervisor) -> list[list[str]]:
    """Resident bytes by process. PostgreSQL's share its buffers, so they are counted by proportion (PSS)."""
    sizes = {
        name: psutil.Process(process.popen.pid).memory_info().rss
        for name, process in supervisor.processes.items()
        if process.popen
    }
    if supervisor.postgres and (pid := supervisor.postgres.postmaster_pid()):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        sizes["postgres"] = sum(_own(process) for process in family)
    total = sum(sizes.values())
    rows = [[name, f"{size / 1e6:.0f} MB", ""] for name, size in sorted(sizes.items())]
    return [*rows, ["all processes", f"{total / 1e6:.0f} MB", f"{total / MOST_BYTES:.2f} ×"]]


def _own(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", 0) or full.rss)
