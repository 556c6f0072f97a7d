"""Answers written as FHIR writes them, for the types whose free words `understanding` does not read."""

import re
from collections.abc import Sequence
from datetime import date, datetime, time

from carethread.questionnaires.definition import Item
from carethread.questionnaires.readings import read_date
from carethread.questionnaires.understanding import Beyond, NotUnderstood, Outcome, Second, Taken, understand
from carethread.questionnaires.values import Reference, Value, compare

_KINDS = {"dateTime": "DateTime", "time": "Time", "url": "Uri", "reference": "Reference", "attachment": "Attachment"}
_URL = re.compile(r"(?i)\b((?:https?|ftp)://[^\s<>]+|www\.[^\s<>]+|[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[^\s<>]*)?)")
_CLOCK = re.compile(r"(?i)\b(\d{1,2})(?::(\d{2}))?(?::(\d{2}))?\s*([ap])?\.?\s*m?\b")


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
    outcome = understand(item, text, language, now, between=between, again=again, numbered=numbered)
    if not isinstance(outcome, Taken) or all(found.kind == kind for found in outcome.values):
        if not isinstance(outcome, NotUnderstood):
            return outcome
    elif item.type == "reference":
        return _as_reference(outcome)
    value = _plainly(item, text, language, now)
    if value is None:
        return NotUnderstood()
    return Beyond(text.strip()[:40]) if _beyond(item, value) else Taken((value,), "exact", 1.0)


def _as_reference(outcome: Taken) -> Outcome:
    """Somebody or something in the patient's own words."""
    words = str(outcome.values[0].value)
    return Taken((Value("Reference", Reference(display=words)),), outcome.how, outcome.confidence, outcome.rest)


def _plainly(item: Item, text: str, language: str, now: datetime) -> Value | None:
    """The value where it is written as FHIR, or nearly so."""
    written = text.strip()
    if item.type == "dateTime":
        return _date_time(written, language, now)
    if item.type == "time":
        clock = _clock(written)
        return None if clock is None else Value("Time", clock.isoformat())
    if item.type == "url":
        match = _URL.search(written)
        address = match.group(1).rstrip(".,;)") if match else ""
        return Value("Uri", address if "://" in address else f"https://{address}") if address else None
    return None


def _date_time(written: str, language: str, now: datetime) -> Value | None:
    try:
        moment = datetime.fromisoformat(written.upper().replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is not None and len(written) > len("2026-01-01"):
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)
        return Value("DateTime", zoned.isoformat(timespec="seconds"))
    found = [reading.value for reading in read_date(written, language, now.date()) if reading.sure]
    if len(found) != 1:
        return None
    clock = _clock(re.sub(r"\d{4}-\d\d-\d\d|\d{1,2}/\d{1,2}/\d{2,4}", " ", written)) if ":" in written else None
    if clock is None or len(found[0]) < len("2026-01-01"):
        return Value("DateTime", found[0])
    moment = datetime.combine(date.fromisoformat(found[0]), clock, tzinfo=now.tzinfo)
    return Value("DateTime", moment.isoformat(timespec="seconds"))


def _clock(written: str) -> time | None:
    for match in _CLOCK.finditer(written):
        hour, minute, second, half = match.groups()
        if minute is None and half is None:
            continue
        number = int(hour)
        if half is not None:
            if not 1 <= number <= 12:
                continue
            number = number % 12 + (12 if half.lower() == "p" else 0)
        if number < 24 and int(minute or 0) < 60 and int(second or 0) < 60:
            return time(number, int(minute or 0), int(second or 0))
    return None


def _beyond(item: Item, value: Value) -> bool:
    below = item.minimum is not None and (compare(value, item.minimum) or 0) < 0
    above = item.maximum is not None and (compare(value, item.maximum) or 0) > 0
    return below or above
