"""What staff and the EHR read of a talk about symptoms: complaint, answers, the record's facts, disposition and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from carethread.safety.triage import UNSURE, Disposition, Fact, TriageTable, Value

TITLE: Final = "Symptom conversation"
LEVELS: Final[Mapping[str, str]] = {
    "emergency_now": "emergency now",
    "today": "today",
    "within_3_days": "within 3 days",
    "routine": "routine",
    "self_care": "care at home",
}
_DAY: Final = 24
_HOURS_SHOWN: Final = 48


def shown(fact: Fact, value: Value) -> str:
    """A value as staff read it."""
    if value == UNSURE:
        return "does not know"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if fact.kind == "duration":
        hours = float(value)
        return f"{hours:g} hours" if hours < _HOURS_SHOWN else f"{round(hours / _DAY)} days"
    if fact.kind == "age":
        years = float(value)
        return f"{years * 12:.0f} months" if years < 2 else f"{years:.0f} years"
    return f"{value:g}" + (" °F" if fact.kind == "temperature" else "") if not isinstance(value, str) else value


def answers(known: Mapping[str, Mapping[str, Any]], table: TriageTable, *origins: str) -> dict[str, str]:
    """Fact → value with the patient's words, for what came from one of `origins`, in the order it came."""
    found = {}
    for name, held in known.items():
        fact = table.facts.get(name)
        if fact is None or held["from"] not in origins:
            continue
        words = f" (“{held['words']}”)" if held.get("words") else ""
        found[fact.name] = f"{shown(fact, held['value'])}{words}"
    return found


def details(
    what: str, known: Mapping[str, Mapping[str, Any]], found: Disposition, table: TriageTable, **more: Any
) -> dict[str, Any]:
    """For the staff inbox: `why` is the line on top."""
    kept = {
        "why": found.reason,
        "what": what,
        "complaint": table.complaints[found.complaint].names["en"],
        "disposition": LEVELS[found.level],
        "answers": answers(known, table, "asked", "said"),
        "from the record": answers(known, table, "chart"),
        **more,
    }
    return {name: value for name, value in kept.items() if value}


def text(
    what: str,
    known: Mapping[str, Mapping[str, Any]],
    found: Disposition,
    table: TriageTable,
    *,
    now: datetime,
    corrected: bool,
) -> str:
    """The note for the record."""
    lines = [
        f"{TITLE}, {now:%Y-%m-%d %H:%M %Z}" + (" (corrected; replaces the note before)" if corrected else ""),
        "Asked and answered by an automated assistant. Not a diagnosis.",
        "",
        f"In the patient's words: {what}",
        f"Complaint: {table.complaints[found.complaint].names['en']}",
        f"Disposition: {LEVELS[found.level]}",
        f"Reason: {found.reason}",
        f"Rule: {found.rule}",
        f"Source: {found.source}",
    ]
    parts = (("Answers", ("asked",)), ("Said besides", ("said",)), ("From the record", ("chart",)))
    for heading, origins in parts:
        rows = answers(known, table, *origins)
        if rows:
            lines += ["", f"{heading}:", *(f"- {name}: {value}" for name, value in rows.items())]
    return "\n".join(lines)
