"""A note for the record: as a DocumentReference or a Communication, by what the EHR takes. A later one replaces it."""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Final, Literal
from weakref import WeakKeyDictionary

from carethread.ehr import writes
from carethread.ehr.capabilities import read_capabilities
from carethread.ehr.client import Ehr, Json
from carethread.ehr.errors import EhrError

NoteKind = Literal["DocumentReference", "Communication"]
# Best first: a document stands in the chart, a message beside it.
KINDS: Final[tuple[NoteKind, ...]] = ("DocumentReference", "Communication")
ASKED_AGAIN: Final = timedelta(hours=1)
WAIT_S: Final = 2.0

_known: WeakKeyDictionary[Ehr, tuple[NoteKind, datetime]] = WeakKeyDictionary()


async def note_kind(ehr: Ehr, now: datetime) -> NoteKind:
    """What this EHR takes a note as, from its capability statement, asked once an hour; else the first of `KINDS`."""
    kept = _known.get(ehr)
    if kept is not None and now - kept[1] < ASKED_AGAIN:
        return kept[0]
    try:
        async with asyncio.timeout(WAIT_S):
            capabilities = await read_capabilities(ehr)
    except (EhrError, TimeoutError):
        return kept[0] if kept is not None else KINDS[0]
    kind = next((kind for kind in KINDS if capabilities.can(kind, "create")), KINDS[0])
    _known[ehr] = kind, now
    return kind


def note(
    kind: NoteKind,
    *,
    tenant: str,
    patient_id: str,
    title: str,
    text: str,
    now: datetime,
    replaces: str | None = None,
) -> Json:
    """The resource. `replaces` is the write key of the note that this one takes the place of."""
    subject = {"reference": f"Patient/{patient_id}"}
    at = now.isoformat(timespec="seconds")
    earlier = {"type": kind, "identifier": writes.identifier(tenant, replaces)} if replaces else None
    if kind == "Communication":
        sent: Json = {
            "resourceType": "Communication",
            "status": "completed",
            "category": [{"text": title}],
            "subject": subject,
            "sender": subject,
            "sent": at,
            "payload": [{"contentString": text}],
        }
        return {**sent, "inResponseTo": [earlier]} if earlier else sent
    document: Json = {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": {
            "coding": [{"system": "http://loinc.org", "code": "34748-4", "display": "Telephone encounter Note"}],
            "text": title,
        },
        "subject": subject,
        "date": at,
        "description": title,
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(text.encode()).decode(),
                    "title": title,
                    "creation": at,
                }
            }
        ],
    }
    return {**document, "relatesTo": [{"code": "replaces", "target": earlier}]} if earlier else document
