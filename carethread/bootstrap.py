"""The one place where parts are put together: settings in, running parts out. A test swaps one part here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import structlog

from carethread.channels.twilio import TwilioChannel, claimed_in
from carethread.channels.web import WebChannel
from carethread.clinic import Clinics, load_clinics
from carethread.config import Settings
from carethread.conversations.context import Parts as ConversationParts
from carethread.dialogue.content import ContentStore
from carethread.dialogue.engine import Engine
from carethread.dialogue.plain import clinic_texts, refuse_hard
from carethread.ehr.client import Ehr
from carethread.messaging.intake import Intake
from carethread.messaging.outbound import Outbound
from carethread.messaging.pipeline import Patience, Pipeline
from carethread.messaging.screens import Screens, load_screens
from carethread.messaging.types import Channels
from carethread.messaging.updates import Updates
from carethread.programs.library import Programs, load_programs
from carethread.programs.links import Links
from carethread.questionnaires.meaning import MeaningError
from carethread.questionnaires.requests import Learned
from carethread.safety.encoder import encoder
from carethread.safety.guard import load_guard
from carethread.safety.reading import Reading, load_reading
from carethread.safety.triage import TriageTable
from carethread.safety.triage_loading import load_triage
from carethread.storage.database import Database
from carethread.sweeper import Sweeper

_log = structlog.get_logger(__name__)


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


def content(settings: Settings, clinics: Clinics) -> ContentStore:
    """The reviewed words, checked against the facts every clinic has, what none may say, and how hard they read."""
    guard, measure = load_guard(settings.content_dir / "safety" / "guard.yml"), reading(settings)
    refuse_hard(clinic_texts(clinics), measure)
    return ContentStore(settings.content_dir, facts=clinics.shared_facts(), guard=guard, reading=measure)


def reading(settings: Settings) -> Reading:
    """How hard a text is to read, by the clinics' table of words that count as easy."""
    return load_reading(settings.content_dir / "reading.yml")


def screens(settings: Settings) -> Screens:
    return load_screens(settings.content_dir / "safety")


def ehrs(settings: Settings, clinics: Clinics) -> dict[str, Ehr]:
    """One EHR a clinic."""
    return {
        clinic.id: Ehr(settings.ehr_url or clinic.ehr_url, zone=clinic.zone, timeout=settings.ehr_timeout)
        for clinic in clinics.values()
    }


def triage(settings: Settings, texts: ContentStore) -> TriageTable:
    """The triage tables, whose questions must all be written."""
    return load_triage(settings.content_dir / "safety" / "triage", {message.key for message in texts.current})


def programs(settings: Settings, clinics: Clinics) -> Programs:
    return load_programs(settings.programs_dir, clinics, reading(settings))


def links(settings: Settings) -> Links:
    return Links(settings.public_url, settings.session_secret.get_secret_value())


@lru_cache(maxsize=1)
def meaning() -> Learned | None:
    """What reads answers by their meaning, and requests put as sentences. None, and a loud log, where its models
    cannot be loaded: answers are then read by grammar alone. The encoder is loaded at the first answer that needs it.
    """
    try:
        return Learned.load(encoder())
    except MeaningError as error:
        _log.error("meaning_not_loaded", error=str(error))
        return None


def conversations(parts: Core) -> ConversationParts:
    """What the custom actions work with."""
    texts = content(parts.settings, parts.clinics)
    return ConversationParts(
        database=parts.database,
        clinics=parts.clinics,
        ehrs=ehrs(parts.settings, parts.clinics),
        programs=programs(parts.settings, parts.clinics),
        triage=triage(parts.settings, texts),
        content=texts,
        links=links(parts.settings),
        clock=utc_now,
        meaning=meaning(),
    )


@dataclass(slots=True)
class WorkerParts:
    """What the worker process works with."""

    core: Core
    engine: Engine
    pipeline: Pipeline
    outbound: Outbound
    sweeper: Sweeper
    twilio: TwilioChannel

    async def close(self) -> None:
        await self.engine.close()
        await self.twilio.close()
        await self.core.close()


def worker(settings: Settings) -> WorkerParts:
    """The worker's parts; raises `ConfigError` on a bad file."""
    parts = core(settings)
    words = content(settings, parts.clinics)
    engine = Engine(settings.engine_url, settings.engine_token.get_secret_value(), timeout=settings.turn_timeout)
    patience = Patience(settings.lease_seconds, settings.holding_after, settings.give_up_after)
    safety = screens(settings)
    safety.screener.warm()  # no patient waits for it
    pipeline = Pipeline(parts.database, parts.clinics, words, safety, engine, patience, utc_now)
    twilio = TwilioChannel(parts.clinics, settings, utc_now, claimed_in(parts.database))
    # Takes a second, which the first patient of the day should not wait for.
    importlib.import_module("twilio.rest.api.v2010")
    channels: dict[str, Channels] = {"web": WebChannel(), "sms": twilio, "whatsapp": twilio}
    outbound = Outbound(parts.database, parts.clinics, channels, utc_now)
    sweeper = Sweeper(
        database=parts.database,
        clinics=parts.clinics,
        pipeline=pipeline,
        outbound=outbound,
        ehrs=ehrs(settings, parts.clinics),
        programs=programs(settings, parts.clinics),
        content=words,
        clock=utc_now,
    )
    return WorkerParts(parts, engine, pipeline, outbound, sweeper, twilio)
