"""The ledger of writes: each is a row before it is sent, and is sent until the EHR takes it or says no for good."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import fhirkit
import structlog
from fhirclient.models.fhirelementfactory import FHIRElementFactory
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.ehr.client import Ehr, Json, Record, escaped, query
from carethread.ehr.errors import EhrConflict, EhrRefused, EhrUnavailable
from carethread.storage.database import Database
from carethread.storage.models import EhrWrite

log = structlog.get_logger()

# Identifier.system of what we write: its value leads back to the ledger row.
WRITE_KEY = "urn:carethread:write"
CREATE = "create"
# Wait between tries: doubled from the first to the last, with up to a quarter of jitter.
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=30)
# What a turn is working on is left alone by the sweeper for so long.
TURN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The EHR has it."""

    resource_type: str
    resource_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The EHR says no for good; `reason` is for staff and goes to no log."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The EHR does not answer, so the outcome is open: the worker goes on until it is known."""

    key: str


def write_id(tenant: str, key: str) -> str:
    """The identifier value of the write `key`: the same for every try, and telling nothing to who reads it."""
    return hashlib.sha256(f"{tenant}\n{key}".encode()).hexdigest()[:40]


def identifier(tenant: str, key: str) -> Json:
    """The identifier that marks what the write `key` made or holds."""
    return {"system": WRITE_KEY, "value": write_id(tenant, key)}


def made_by(kind: str, tenant: str, key: str) -> dict[str, str]:
    """The search that finds the `kind` made by the write `key`: by identifier, or by tag where a type has none."""
    name = "identifier" if _identifier_form(kind) else "_tag"
    return {name: f"{escaped(WRITE_KEY)}|{write_id(tenant, key)}"}


async def record(
    session: AsyncSession,
    key: str,
    kind: str,
    payload: Json,
    *,
    now: datetime,
    conversation_id: UUID | None = None,
    retry_at: datetime | None = None,
) -> bool:
    """Put a write into the ledger, in the caller's transaction; False when `key` is there already (and stays as it is).

    `create` has `{"resource": …}` as payload. The worker delivers from `retry_at` on (default: at once).
    """
    statement = (
        insert(EhrWrite)
        .values(
            key=key,
            kind=kind,
            payload=_storable(payload),
            progress={},
            conversation_id=conversation_id,
            retry_at=retry_at or now,
            created_at=now,
        )
        .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
        .returning(EhrWrite.id)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def load(database: Database, tenant: str, key: str) -> EhrWrite | None:
    """The row of `key`."""
    async with database.begin(tenant) as session:
        return (await session.execute(select(EhrWrite).where(EhrWrite.key == key))).scalar_one_or_none()


async def pending(database: Database, tenant: str, *, now: datetime, limit: int = 50) -> list[EhrWrite]:
    """Writes whose next try is due, oldest first. What a turn works on is not due for 30 seconds."""
    async with database.begin(tenant) as session:
        due = select(EhrWrite).where(EhrWrite.state == "pending", EhrWrite.retry_at <= now)
        return list((await session.execute(due.order_by(EhrWrite.retry_at, EhrWrite.id).limit(limit))).scalars())


async def note(database: Database, tenant: str, row: EhrWrite, **steps: Any) -> None:
    """Keep what is done so far, so that another process can go on from there."""
    row.progress = {**row.progress, **steps}
    async with database.begin(tenant) as session:
        await session.execute(
            update(EhrWrite).where(EhrWrite.id == row.id).values(progress=EhrWrite.progress.concat(steps))
        )


async def settle(
    database: Database,
    tenant: str,
    row: EhrWrite,
    *,
    state: str,
    now: datetime,
    resource: tuple[str, str] | None = None,
    error: str | None = None,
    outcome: Json | None = None,
) -> bool:
    """Close the row as `done` or `refused`; False when somebody else has."""
    kind, resource_id = resource or (None, None)
    values = {
        "state": state,
        "resource_type": kind,
        "resource_id": resource_id,
        "error": error,
        "done_at": now,
        "progress": EhrWrite.progress.concat({"outcome": outcome} if outcome else {}),
    }
    async with database.begin(tenant) as session:
        closed = await session.execute(
            update(EhrWrite)
            .where(EhrWrite.id == row.id, EhrWrite.state == "pending")
            .values(values)
            .returning(EhrWrite.id)
        )
        first = closed.scalar_one_or_none() is not None
    return first


async def postpone(database: Database, tenant: str, row: EhrWrite, *, now: datetime, error: Exception) -> None:
    """Try again later, the later the more often it was tried."""
    wait = backoff(row.attempts + 1)
    row.attempts += 1
    async with database.begin(tenant) as session:
        await session.execute(
            update(EhrWrite)
            .where(EhrWrite.id == row.id, EhrWrite.state == "pending")
            .values(attempts=EhrWrite.attempts + 1, retry_at=now + wait, error=str(error))
        )
    log.info("ehr.write_postponed", kind=row.kind, attempts=row.attempts, seconds=round(wait.total_seconds()))


def backoff(attempt: int) -> timedelta:
    """How long to wait after the `attempt`th failure."""
    doublings: int = min(attempt - 1, 20)
    wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    return wait * (1 + random.random() / 4)  # noqa: S311 (spreads load)


async def deliver(
    database: Database, ehr: Ehr, tenant: str, row: EhrWrite, now: datetime
) -> Delivered | Refused | Waiting:
    """Send a `create` row. Safe to call again, from any process: the EHR never gets a second one."""
    if row.state == "done":
        return Delivered(row.resource_type or "", row.resource_id or "")
    if row.state == "refused":
        return Refused(row.error or "")
    resource = marked(row.payload["resource"], tenant, row.key)
    if wrong := problems(resource):
        return await _refuse(database, tenant, row, f"not valid FHIR R4: {'; '.join(wrong)}", now)
    try:
        made = await _once(ehr, resource, tenant, row)
    except EhrRefused as error:
        return await _refuse(database, tenant, row, error.reason(), now)
    except (EhrUnavailable, EhrConflict) as error:
        await postpone(database, tenant, row, now=now, error=error)
        return Waiting(row.key)
    await settle(database, tenant, row, state="done", now=now, resource=(made.type, made.id))
    return Delivered(made.type, made.id)


async def _once(ehr: Ehr, resource: Json, tenant: str, row: EhrWrite) -> Record:
    kind = str(resource["resourceType"])
    if row.attempts:
        # The last try may have arrived. Not every server knows If-None-Exist, so it is looked up as well.
        found = await find_written(ehr, kind, tenant, row.key)
        if found is not None:
            return found
    try:
        return await ehr.create(resource, if_none_exist=query(made_by(kind, tenant, row.key)))
    except EhrConflict:  # several have the identifier: the first is ours, and there will be no more
        found = await find_written(ehr, kind, tenant, row.key)
        if found is None:
            raise
        return found


async def find_written(ehr: Ehr, kind: str, tenant: str, key: str) -> Record | None:
    """What the write `key` made, if it did; None also where a server cannot search for it."""
    try:
        found = await ehr.search(kind, made_by(kind, tenant, key), pages=1)
    except EhrRefused:
        return None
    ours = write_id(tenant, key)
    # A server that ignores an unknown parameter answers with everything.
    mine = [r for r in found if r.type == kind and ours in written_ids(r.raw)]
    return min(mine, key=lambda r: (len(r.id), r.id), default=None)


def written_ids(raw: Json) -> set[str]:
    """The write ids that a resource carries."""
    held = raw.get("identifier")
    entries = [*(held if isinstance(held, list) else [held]), *raw.get("meta", {}).get("tag", ())]
    return {
        str(entry.get("value") or entry.get("code"))
        for entry in entries
        if isinstance(entry, dict) and entry.get("system") == WRITE_KEY
    }


def marked(resource: Json, tenant: str, key: str) -> Json:
    """`resource` with our identifier; a type that has no identifier gets it as a tag."""
    mark = identifier(tenant, key)
    match _identifier_form(str(resource.get("resourceType"))):
        case "many":
            return {**resource, "identifier": [*resource.get("identifier", ()), mark]}
        case "one":
            return {**resource, "identifier": mark}
        case _:
            meta = resource.get("meta", {})
            tag = {"system": mark["system"], "code": mark["value"]}
            return {**resource, "meta": {**meta, "tag": [*meta.get("tag", ()), tag]}}


@cache
def _identifier_form(kind: str) -> str | None:
    model = FHIRElementFactory.instantiate(kind, None)
    for name, _json, _type, is_list, _of, _needed in model.elementProperties():
        if name == "identifier":
            return "many" if is_list else "one"
    return None


def problems(resource: Json) -> Sequence[str]:
    """Why `resource` is not FHIR R4, each with its path."""
    if resource.get("resourceType") not in fhirkit.RESOURCE_TYPES:
        return ["resourceType: not a resource type of R4"]
    return [f"{issue.path}: {issue.message}" for issue in fhirkit.validate(resource) if issue.severity == "error"]


def _storable(value: Any) -> Any:
    """`value` without what neither PostgreSQL nor a FHIR string takes: control characters and halves of surrogates."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if isinstance(value, dict):
        return {name: _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return value


_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


async def _refuse(database: Database, tenant: str, row: EhrWrite, reason: str, now: datetime) -> Refused:
    await settle(database, tenant, row, state="refused", now=now, error=reason)
    log.warning("ehr.write_refused", kind=row.kind, attempts=row.attempts)
    return Refused(reason)
