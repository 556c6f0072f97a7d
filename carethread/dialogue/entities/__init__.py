"""What a message names, read by tables and rules: when, how long, how much, how bad, where, which medicine, who.

The same text gives the same answer, in either language and through the usual slips. Values are resolved where they can
be: days and times are the clinic's, relative to now; what only the patient knows ("before my trip") has none and is to
be asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path

from carethread.dialogue.entities.amounts import read_quantities, read_severity
from carethread.dialogue.entities.found import Found, apart
from carethread.dialogue.entities.names import names_in
from carethread.dialogue.entities.people import practitioners_in
from carethread.dialogue.entities.times import read_times

__all__ = ["KINDS", "Found", "read_entities"]

# Kinds, with what a value is. An interval is ISO 8601's, with ".." for an open end.
KINDS = {
    "date": "an ISO date, or two as an interval",
    "time": "a local time HH:MM, or two as an interval",
    "duration": "an ISO 8601 duration",
    "quantity": "a number and a UCUM unit",
    "severity": "0 to 10, or mild, moderate, severe",
    "symptom": "a name of data/nlu/lookups.yml, or pain",
    "body_part": "a name of data/nlu/lookups.yml",
    "specialty": "a name of data/nlu/lookups.yml",
    "language": "en or es",
    "medication": "an ingredient as RxNorm names it",
    "practitioner": "a name, as the clinic's record has it where it does",
}


def read_entities(
    text: str, *, language: str, now: datetime, lookups: Path, practitioners: Sequence[str] = ()
) -> tuple[Found, ...]:
    """Everything named in `text`, in its order. `now` is aware, in the clinic's zone; `lookups` is Rasa's table.

    `practitioners` are the clinic's own, by full name: a title with a family name of theirs means that one.
    """
    if now.tzinfo is None:
        raise ValueError("read_entities: now needs a time zone, the clinic's own")
    named = names_in(text, language, lookups)
    severity = read_severity(text, language, named)
    quantities = read_quantities(text, language, [one for one in severity if one.value and one.value.isdigit()])
    amounts = [*severity, *quantities]
    people = practitioners_in(text, practitioners)
    times = read_times(text, language, now, [*amounts, *people, *named])
    everything = apart([*people, *times, *amounts, *named])
    return tuple(sorted(_with_moments(everything, now), key=lambda one: (one.start, one.end, one.kind)))


def _with_moments(found: Sequence[Found], now: datetime) -> list[Found]:
    """Where one day and one time are named, the time also says when that is, with the zone."""
    days = [one for one in found if one.kind == "date"]
    times = [one for one in found if one.kind == "time"]
    if len(days) != 1 or len(times) != 1 or not days[0].value or not times[0].value:
        return list(found)
    try:
        at = datetime.combine(date.fromisoformat(days[0].value), time.fromisoformat(times[0].value), now.tzinfo)
    except ValueError:  # intervals
        return list(found)
    return [replace(one, at=at.isoformat()) if one is times[0] else one for one in found]
