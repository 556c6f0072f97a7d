"""From a patient's words to triage facts: what a message states, answers or takes back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from carethread.ehr.chart import ChartFacts
from carethread.questionnaires.readings import (
    Control,
    read_control,
    read_correction,
    read_number,
    read_quantity,
    read_severity,
    read_since,
    read_yes_no,
)
from carethread.safety.triage import UNSURE, Fact, TriageTable, Value
from carethread.safety.triage_words import age_said, fahrenheit, mentions, numbers_said, opens_with_no, temperature_said

# What words stand for on the scale of 0 to 10, where no number was given.
_SCORES: Final = {"none": 0, "mild": 3, "moderate": 5, "severe": 8}
# A number that names itself as a score: "it's an 8", "8 out of 10", "un 8".
_SCORE: Final = re.compile(
    r"\b(?:10|\d)\s*(?:/|out of|de|sobre)\s*10\b|\b(?:an?|un)\s+(?:10|\d)(?=\s*(?:[.,;!]|$|now\b|ahora\b))",
    re.IGNORECASE,
)
_LITTLE: Final = 0.4  # from here on a doubtful yes ("a little") is one; below ("maybe") nobody knows
_BARE_NO: Final = re.compile(r"\W*no\W*", re.IGNORECASE)
# Not knowing, not wanting to say: to a question both leave it open.
_OPEN: Final = (Control.DONT_KNOW, Control.SKIP, Control.DECLINE)
_EXPLAIN: Final = (Control.WHAT, Control.WHY)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message gave. `answered`: the question that was asked is among it; `corrects`: it takes something back."""

    facts: Mapping[str, Value] = field(default_factory=dict)
    answered: bool = False
    corrects: bool = False
    wants: str | None = None  # "help" or "again": the question explained, or said once more


def stated(text: str, language: str, now: datetime, table: TriageTable, *, age_asked: bool = False) -> dict[str, Value]:
    """Facts that `text` states without being asked. Where the age was asked for, "30 años" is no duration."""
    found: dict[str, Value] = dict(mentions(text, table).facts)
    found |= numbers_said(text, table)
    warm = temperature_said(text, table)
    if warm is not None:
        found["temperature"] = warm
    aged = age_said(text, table, asked=age_asked)
    if aged is not None:
        found["age"], text = aged
    since = read_since(text, language, now)
    if since is not None and since.sure:
        found["duration"] = _hours(since.value.start, now)
    if _SCORE.search(text):
        severity = read_severity(text, language)
        if severity is not None and severity.sure and severity.value.score is not None:
            found["severity"] = severity.value.score
    return found


def answer(fact: Fact, text: str, language: str, now: datetime, table: TriageTable) -> Value | None:
    """What `text` answers to the question for `fact`; None when it does not."""
    control = read_control(text, language)
    if control is not None and control.value in _OPEN:
        return UNSURE
    match fact.kind:
        case "yes_no":
            return _yes_no(fact, text, language, table)
        case "severity":
            severity = read_severity(text, language)
            if severity is None or not severity.sure:
                return None
            said = severity.value
            return said.score if said.score is not None else _SCORES[said.level]
        case "duration":
            since = read_since(text, language, now)
            return _hours(since.value.start, now) if since is not None and since.sure else None
        case "age":
            aged = age_said(text, table, asked=True)
            return aged[0] if aged is not None else None
        case "temperature":
            warm = _temperature(text, language, table)
            return warm if warm is not None else _unmeasured(text, language, table)
        case _:
            numbers = [float(reading.value) for reading in read_number(text, language) if reading.sure]
            fits = next((number for number in numbers if fact.low <= number <= fact.high), None)
            return fits if fits is not None else _unmeasured(text, language, table)


def hear(
    text: str,
    language: str,
    now: datetime,
    table: TriageTable,
    *,
    known: Mapping[str, Value],
    asking: str | None = None,
    before: str | None = None,
) -> Heard:
    """Everything in a message: an answer to `asking`, other facts besides, or what it takes back.

    `before` is the question that was answered last: "no wait, yes" takes that answer back.
    """
    control = read_control(text, language)
    if control is not None and control.value in (*_EXPLAIN, Control.REPEAT):
        return Heard(wants="help" if control.value in _EXPLAIN else "again")
    fact = table.facts[asking] if asking else None
    instead = _instead(text, language, fact)
    body = instead or text
    said = stated(body, language, now, table, age_asked=asking == "age")
    if instead is not None:
        value = answer(table.facts[before], body, language, now, table) if before and not said else None
        # A plain "sorry, no" takes no earlier yes back: that has to be named.
        if before is not None and value is not None and value is not False and known.get(before) != value:
            return Heard({before: value}, corrects=True)
        if said:
            return Heard(said, answered=asking in said, corrects=True)
    # Without a correction a number only tells what nobody knew, and "yes, since Monday" tells of the fever alone.
    if fact is not None and fact.kind in ("yes_no", "age"):
        said.pop("duration", None)
    found = {
        name: v for name, v in said.items() if table.facts[name].kind == "yes_no" or known.get(name) in (None, UNSURE)
    }
    if fact is not None and fact.id not in found:
        value = answer(fact, body, language, now, table)
        if value is not None:
            found[fact.id] = value
    if asking == "fever" and "temperature" not in found:
        warm = _temperature(body, language, table)
        if warm is not None and re.search(r"\d{2}", body):
            found["temperature"] = warm
            if "fever" not in said and read_yes_no(body, language) is None:
                found.pop("fever", None)
                return Heard(found, answered=True)
    follows = fact is not None and any(condition.fact in found for condition in fact.derived)
    return Heard(found, answered=asking in found or follows)


def from_chart(chart: ChartFacts, table: TriageTable) -> dict[str, Value]:
    """The facts that the record answers."""
    found: dict[str, Value] = {}
    values: dict[str, Value | None] = {"age": chart.age_years, "sex": chart.sex}
    values |= {name: vital.value for name, vital in chart.vitals.items()}
    for fact in table.facts.values():
        if fact.kind == "yes_no":
            flags = [chart.flag(name) for name in fact.chart]
            if True in flags:
                found[fact.id] = True
            elif flags and None not in flags:
                found[fact.id] = False
        else:
            value = next((values[name] for name in fact.chart if values.get(name) is not None), None)
            if value is not None and (not fact.choices or value in fact.choices):
                found[fact.id] = value
    return found


def _instead(text: str, language: str, fact: Fact | None) -> str | None:
    """What a correction says instead; a bare "no" before it answers a yes-no question."""
    rest = read_correction(text, language)
    if rest is None:
        return None
    opening = text[: len(text) - len(rest)] if text.endswith(rest) else text.split(rest)[0]
    return None if _BARE_NO.fullmatch(opening) and (fact is None or fact.kind == "yes_no") else rest


def _yes_no(fact: Fact, text: str, language: str, table: TriageTable) -> Value | None:
    """A yes or no in what is left without phrases and their own "no": "no fever" answers for the fever alone."""
    said = mentions(text, table)
    if fact.id in said.facts:
        return said.facts[fact.id]
    reading = read_yes_no(said.left if said.facts else text, language)
    if reading is None or reading.how == "synonym":  # "ok" agrees, it does not state a fact
        return False if not said.facts and opens_with_no(text, table) else None
    if reading.sure:
        return reading.value
    if not reading.value:
        return False if not said.facts and opens_with_no(text, table) else None
    return reading.confidence >= _LITTLE or UNSURE


def _unmeasured(text: str, language: str, table: TriageTable) -> Value | None:
    """A "no" where a number is asked for: nobody has taken it."""
    said = read_yes_no(text, language)
    no = (said is not None and said.sure and not said.value) or opens_with_no(text, table)
    return UNSURE if no and not any(char.isdigit() for char in text) else None


def _temperature(text: str, language: str, table: TriageTable) -> float | None:
    said = temperature_said(text, table)
    if said is not None:
        return said
    for reading in read_quantity(text, language, ("[degF]",)):
        value = fahrenheit(float(reading.value.value), "f", table)
        if value is not None:
            return value
    return None


def _hours(start: datetime, now: datetime) -> float:
    return max(0.0, round((now - start).total_seconds() / 3600, 1))
