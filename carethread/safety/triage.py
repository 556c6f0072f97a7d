"""Where a symptom belongs: emergency now, today, within three days, routine, or self-care. Never a diagnosis.

    table = load_triage(Path("content/safety/triage.yml"))
    dispose("me arde al orinar", severity=6, table=table).level   # 'today'

A complaint is found by its words; its rules are tried from the most to the least urgent, and the first that fits
decides. What no rule speaks of is settled by how bad it is and how long it lasts, and errs toward care.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from carethread.safety.tables import LANGUAGES, Entry, read_table
from carethread.safety.text import fold

Level = Literal["emergency_now", "today", "within_3_days", "routine", "self_care"]

LEVELS: Final[tuple[Level, ...]] = ("emergency_now", "today", "within_3_days", "routine", "self_care")
"""From most to least urgent."""

_WORD = re.compile(r"[a-z0-9]+")
_DURATION = re.compile(r"^(\d+)([hdw])$")
_UNITS: Mapping[str, timedelta] = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_CONDITIONS = ("severity", "severity_below", "lasts", "lasts_below", "age", "age_below", "pregnant", "says")


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that must all hold. `severity` and `age` are least values; `lasts` a least duration."""

    level: Level
    reason: str
    where: str
    severity: int | None = None
    severity_below: int | None = None
    lasts: timedelta | None = None
    lasts_below: timedelta | None = None
    age: int | None = None
    age_below: int | None = None
    pregnant: bool = False
    says: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Complaint:
    """A group of symptoms that patients name alike. `phrases` are words in a row, in either language."""

    id: str
    source: str
    phrases: tuple[tuple[str, ...], ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class TriageTable:
    """All complaints, and the rules for what none of them settles."""

    complaints: tuple[Complaint, ...]
    otherwise: Complaint


@dataclass(frozen=True, slots=True)
class Disposition:
    """Where the symptom belongs. `reason` and `source` are for staff; `rule` is `<complaint>:<file line>`."""

    level: Level
    rule: str
    reason: str
    source: str
    complaint: str


@dataclass(frozen=True, slots=True)
class _Facts:
    words: tuple[str, ...]
    severity: int | None
    duration: timedelta | None
    age: int | None
    pregnant: bool | None


def dispose(
    complaint_text: str,
    *,
    severity: int | None = None,
    duration: timedelta | None = None,
    age_years: int | None = None,
    pregnant: bool | None = None,
    table: TriageTable,
) -> Disposition:
    """Decide from the patient's words, how bad it is (0–10), how long it lasts, and what the chart says.

    Where the words name several complaints, the most urgent disposition stands. An unknown fact fits no condition.
    """
    facts = _Facts(_words(complaint_text), severity, duration, age_years, pregnant)
    found = [
        complaint for complaint in table.complaints if any(_has(facts.words, phrase) for phrase in complaint.phrases)
    ]
    decided = [made for complaint in found if (made := _decide(complaint, facts)) is not None]
    decided.append(
        _certain(_decide(table.otherwise, facts)) if not decided else _floor(table.otherwise, facts, decided[0])
    )
    return min(decided, key=lambda made: LEVELS.index(made.level))


def load_triage(path: Path) -> TriageTable:
    """Load the table; raises `TableError` with file, line and mend for a bad one."""
    root = read_table(path).fields("the triage table", required=("complaints", "otherwise"))
    complaints = tuple(_complaint(entry) for entry in root["complaints"].items("complaints"))
    seen: set[str] = set()
    for entry, complaint in zip(root["complaints"].items("complaints"), complaints, strict=True):
        if complaint.id in seen:
            raise entry.fail(f"complaint '{complaint.id}' stands twice; give each its own id")
        seen.add(complaint.id)
    fields = root["otherwise"].fields("'otherwise'", required=("source", "rules"))
    rules = tuple(_rule(entry) for entry in fields["rules"].items("rules"))
    last = rules[-1] if rules else None
    if last is None or any(getattr(last, name) for name in _CONDITIONS):
        raise root["otherwise"].fail(
            "the last rule of 'otherwise' must have no conditions, so that everything is settled"
        )
    return TriageTable(complaints, Complaint("otherwise", fields["source"].text("source"), (), rules))


def _decide(complaint: Complaint, facts: _Facts) -> Disposition | None:
    rule = next((rule for rule in complaint.rules if _fits(rule, facts)), None)
    if rule is None:
        return None
    return Disposition(rule.level, f"{complaint.id}:{rule.where}", rule.reason, complaint.source, complaint.id)


def _certain(made: Disposition | None) -> Disposition:
    assert made is not None, "load_triage sees to it that 'otherwise' settles everything"
    return made


def _floor(otherwise: Complaint, facts: _Facts, known: Disposition) -> Disposition:
    """What is very bad is never less urgent than the general rules say, whatever it is called."""
    if facts.severity is not None and facts.severity >= 7:
        return _certain(_decide(otherwise, facts))
    return known


def _fits(rule: Rule, facts: _Facts) -> bool:
    return (
        (rule.severity is None or (facts.severity is not None and facts.severity >= rule.severity))
        and (rule.severity_below is None or (facts.severity is not None and facts.severity < rule.severity_below))
        and (rule.lasts is None or (facts.duration is not None and facts.duration >= rule.lasts))
        and (rule.lasts_below is None or (facts.duration is not None and facts.duration < rule.lasts_below))
        and (rule.age is None or (facts.age is not None and facts.age >= rule.age))
        and (rule.age_below is None or (facts.age is not None and facts.age < rule.age_below))
        and (not rule.pregnant or facts.pregnant is True)
        and (not rule.says or any(_has(facts.words, phrase) for phrase in rule.says))
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(fold(text)[0].replace("'", "")))


def _has(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    """Whether the words of `phrase` stand in `words` in a row; a word ending in * stands for any ending."""
    size = len(phrase)
    return any(
        all(_same(words[start + at], wanted) for at, wanted in enumerate(phrase))
        for start in range(len(words) - size + 1)
    )


def _same(word: str, wanted: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted


def _complaint(entry: Entry) -> Complaint:
    fields = entry.fields("a complaint", required=("id", "source", "words", "rules"))
    words = fields["words"].fields("'words'", required=LANGUAGES)
    phrases = tuple(_phrase(text) for language in LANGUAGES for text in words[language].texts("words"))
    rules = tuple(_rule(item) for item in fields["rules"].items("rules"))
    order = [LEVELS.index(rule.level) for rule in rules]
    if order != sorted(order):
        raise fields["rules"].fail("rules must go from the most to the least urgent, or a lower one hides a higher one")
    return Complaint(fields["id"].text("id"), fields["source"].text("source"), phrases, rules)


def _rule(entry: Entry) -> Rule:
    fields = entry.fields("a rule", required=("level", "reason"), optional=_CONDITIONS)
    level = fields["level"].text("level")
    if level not in LEVELS:
        raise fields["level"].fail(f"level '{level}' is not known (levels: {', '.join(LEVELS)})")

    def number(name: str) -> int | None:
        given = fields.get(name)
        return given.number(name) if given else None

    def length(name: str) -> timedelta | None:
        given = fields.get(name)
        if given is None:
            return None
        if not (match := _DURATION.match(given.text(name))):
            raise given.fail(f"{name} is no duration; write 12h, 3d or 2w")
        return int(match[1]) * _UNITS[match[2]]

    says = fields.get("says")
    pregnant = fields.get("pregnant")
    return Rule(
        level=level,
        reason=fields["reason"].text("reason"),
        where=str(entry.line),
        severity=number("severity"),
        severity_below=number("severity_below"),
        lasts=length("lasts"),
        lasts_below=length("lasts_below"),
        age=number("age"),
        age_below=number("age_below"),
        pregnant=pregnant is not None and pregnant.text("pregnant") == "yes",
        says=tuple(_phrase(text) for text in says.texts("says")) if says else (),
    )


def _phrase(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z0-9]+\*?", fold(text)[0].replace("'", "")))
