"""`carethread staff`: who can log in."""

from __future__ import annotations

import click

from carethread.cli.chat import database_url
from carethread.clinic import load_clinics
from carethread.config import Settings
from carethread.console import StaffRefused, create_staff
from carethread.storage.database import Database


async def add(settings: Settings, clinic_id: str, email: str, name: str, password: str) -> None:
    """Make a login; raises `ClickException` for an unknown clinic or a refused password."""
    clinics = load_clinics(settings.clinics_dir)
    if clinic_id not in clinics:
        raise click.ClickException(f"no clinic '{clinic_id}' (clinics: {', '.join(clinics)})")
    database = Database(database_url(settings), pool=1)
    try:
        await create_staff(database, clinics[clinic_id], email=email, name=name, password=password)
    except StaffRefused as error:
        raise click.ClickException(str(error)) from error
    finally:
        await database.close()
