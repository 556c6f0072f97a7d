"""Answers of every item type: `understanding` reads free words, and what is written as FHIR writes it is taken here."""

import re
from collections.abc import Sequence
from datetime import datetime

from carethread.questionnaires.definition import Item
from carethread.questionnaires.keys import beyond
from carethread.questionnaires.outcomes import Beyond, NotUnderstood, Outcome, Second, Taken
from carethread.questionnaires.understanding import understand
from carethread.questionnaires.values import Reference, Value

_KINDS = {"dateTime": "DateTime", "time": "Time", "url": "Uri", "reference": "Reference", "attachment": "Attachment"}
_URL = re.compile(r"(?i)\b((?:https?|ftp)://[^\s<>]+|www\.[^\s<>]+|[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[^\s<>]*)?)")


def read(
    item: Item,
    text: str,
    language: str,
    now: datetime,
    *,
    between: Sequence[str] = (),
    again: bool = False,
    numbered: bool = False,
    meaning: Second | None = None,
) -> Outcome:
    """What a text answers to an item of any type; see `understanding.understand`."""
    kind = _KINDS.get(item.type)
    if kind is None:
        return understand(item, text, language, now, between=between, again=again, numbered=numbered, meaning=meaning)
    outcome = _of_kind(item, kind, text, language, now, between=between, again=again, numbered=numbered)
    return meaning(item, text, language, outcome) if meaning is not None else outcome


def _of_kind(
    item: Item,
    kind: str,
    text: str,
    language: str,
    now: datetime,
    *,
    between: Sequence[str],
    again: bool,
    numbered: bool,
) -> Outcome:
    outcome = understand(item, text, language, now, between=between, again=again, numbered=numbered)
    if not isinstance(outcome, Taken) or all(found.kind == kind for found in outcome.values):
        if not isinstance(outcome, NotUnderstood):
            return outcome
    elif item.type == "reference":
        return _as_reference(outcome)
    value = _plainly(item, text, now)
    if value is None:
        return NotUnderstood()
    return Beyond(text.strip()[:40]) if beyond(item, value) else Taken((value,), "exact", 1.0)


def _as_reference(outcome: Taken) -> Outcome:
    """Somebody or something in the patient's own words."""
    words = str(outcome.values[0].value)
    return Taken((Value("Reference", Reference(display=words)),), outcome.how, outcome.confidence, outcome.rest)


def _plainly(item: Item, text: str, now: datetime) -> Value | None:
    """The value where it is written as FHIR, or nearly so."""
    written = text.strip()
    if item.type == "dateTime":
        return _date_time(written, now)
    if item.type == "url":
        match = _URL.search(written)
        address = match.group(1).rstrip(".,;)") if match else ""
        return Value("Uri", address if "://" in address else f"https://{address}") if address else None
    return None


def _date_time(written: str, now: datetime) -> Value | None:
    try:
        moment = datetime.fromisoformat(written.upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    if len(written) <= len("2026-01-01"):
        return Value("DateTime", moment.date().isoformat())
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
    return Value("DateTime", zoned.isoformat(timespec="seconds"))
