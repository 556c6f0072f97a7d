"""What `carethread up` checks before it starts, and what it says when everything runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from carethread.bootstrap import content, programs, reading, screens, triage
from carethread.channels.twilio import check_accounts
from carethread.channels.words import load_words
from carethread.clinic import load_clinics
from carethread.config import PROJECT, Settings


def check_files(settings: Settings) -> None:
    """Read every configuration, content and program file; raises `ConfigError` with file, line and mend."""
    clinics = load_clinics(settings.clinics_dir)
    texts = content(settings, clinics)
    programs(settings, clinics)
    screens(settings)
    triage(settings, texts)
    load_words(settings.content_dir, reading(settings))
    check_accounts(clinics, settings)


def check_model() -> None:
    if not model_path().exists():
        raise click.ClickException("there is no trained model; run `make train`")


def welcome(settings: Settings) -> str:
    gateway = f"http://{settings.host}:{settings.port}"
    return f"""
Carethread is running.

  Patient page      {gateway}/
  Phone simulator   http://127.0.0.1:{settings.phones_port}/
  Staff inbox       {gateway}/staff/
  Terminal          carethread chat --as maria --channel sms

Logs are in {settings.data_dir}/logs. Ctrl-C stops everything; your data stays until `make demo-reset`.
"""


def remove_data(settings: Settings) -> None:
    """Remove what the demo keeps. Refuses in production and while it runs."""
    if settings.production:
        raise click.ClickException("this is production; nothing was removed")
    from sandbox.postgres import EmbeddedPostgres

    postgres = EmbeddedPostgres(settings.data_dir / "postgres")
    if postgres.running():
        raise click.ClickException("Carethread is running; stop it first (Ctrl-C where it was started)")
    for folder in (postgres.home, *(settings.data_dir / name for name in ("postgres", "ehr", "phones", "logs", "run"))):
        shutil.rmtree(folder, ignore_errors=True)
    click.echo("Removed. The next start is a fresh one.")


def model_path() -> Path:
    return PROJECT / "models" / "carethread.tar.gz"
