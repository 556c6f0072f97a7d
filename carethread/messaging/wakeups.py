"""The port to the job queue. A wake-up says that there is work; what the work is stands in the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pgqueuer.adapters.persistence.qb import QueryQueueBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.database import raw

# The kinds of work; each is an entrypoint of the worker.
Work = Literal["inbound", "outbound", "ehr_write", "touchpoints"]

QUEUE = DBSettings(db_schema="jobs")
_BUILDER = QueryQueueBuilder(QUEUE)


@dataclass(frozen=True, slots=True)
class Wakeup:
    """`subject` is an id of the tenant's: a conversation, a write."""

    work: Work
    tenant: str
    subject: str

    def payload(self) -> bytes:
        return json.dumps([self.tenant, self.subject]).encode()

    @classmethod
    def parse(cls, work: Work, payload: bytes | None) -> Wakeup:
        tenant, subject = json.loads(payload or b"[]")
        return cls(work, tenant, subject)


async def wake(session: AsyncSession, wakeup: Wakeup, *, after: timedelta | None = None) -> None:
    """Enqueue in `session`'s transaction: the job exists exactly when the row it is about does."""
    queries = Queries(AsyncpgDriver(raw(session)), qbq=_BUILDER)
    await queries.enqueue(wakeup.work, wakeup.payload(), execute_after=after)
