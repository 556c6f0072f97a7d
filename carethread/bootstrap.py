"""The one place where parts are put together: settings in, running parts out. A test swaps one part here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from carethread.clinic import Clinics, load_clinics
from carethread.config import Settings
from carethread.messaging.intake import Intake
from carethread.messaging.updates import Updates
from carethread.storage.database import Database


def utc_now() -> datetime:
    """The clock that processes pass to everything below them."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Core:
    """What every process of the platform has."""

    settings: Settings
    clinics: Clinics
    database: Database
    updates: Updates
    intake: Intake

    async def close(self) -> None:
        await self.updates.stop()
        await self.database.close()


def core(settings: Settings) -> Core:
    """Read the clinics and open the database; raises `ConfigError` on a bad file."""
    if not settings.database_url:
        raise RuntimeError("CARETHREAD_DATABASE_URL is not set; `carethread up` sets it for the processes it starts")
    clinics = load_clinics(settings.clinics_dir)
    database = Database(settings.database_url, pool=settings.database_pool)
    return Core(settings, clinics, database, Updates(settings.database_url), Intake(database))
