"""What to do about a complaint that is no red flag: a first disposition by table, with its reason for staff.

The table is `content/safety/triage.yml`: complaint words in each language, then rules of which the first that
fits decides. This never tells a patient what they have.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from rapidfuzz.distance import OSA

from carethread.safety.tables import LANGUAGES, Entry, Fields, TableError, read_table
from carethread.safety.text import fold

DispositionLevel = Literal["emergency_now", "today", "within_3_days", "routine", "self_care"]
DISPOSITIONS: Final[tuple[DispositionLevel, ...]] = (
    "emergency_now",
    "today",
    "within_3_days",
    "routine",
    "self_care",
)
OTHER: Final = "other"  # the complaint that is in no list
ANY: Final = "any"
FUZZY_LETTERS: Final = 6  # words from this length may hold one slip

_WORD = re.compile(r"[a-z0-9]+")
_RANGE = re.compile(r"(\d+(?:\.\d+)?[hdw]?)-(\d+(?:\.\d+)?[hdw]?)?")
_HOURS = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True, slots=True)
class Disposition:
    """Where a complaint goes. `reason` and `source` are for staff, never for the patient."""

    level: DispositionLevel
    rule: str
    reason: str
    source: str
    complaint: str


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends belong to it."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class TriageRule:
    """One row. A condition that is None always fits."""

    id: str
    complaints: frozenset[str] | None
    severity: Range | None
    hours: Range | None
    age: Range | None
    pregnant: bool | None
    says: frozenset[tuple[str, ...]]
    unknown_fits: bool
    level: DispositionLevel
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class TriageTable:
    """Complaint words (in the order of the table) and rules."""

    complaints: Mapping[str, tuple[tuple[str, ...], ...]]
    rules: tuple[TriageRule, ...]


def dispose(
    complaint_text: str,
    severity: int | None,
    duration: timedelta | None,
    age_years: float | None,
    pregnant: bool | None,
    table: TriageTable,
) -> Disposition:
    """Return the disposition of a complaint. A text that names several goes by the most urgent rule of any.

    `severity` is 0-10, `age_years` may be a fraction for babies; what is unknown is None. Screen the text for
    red flags first: this table does not repeat them.
    """
    words = tuple(_WORD.findall(fold(complaint_text)[0].replace("'", "")))
    complaints = _complaints(words, table)
    hours = None if duration is None else duration.total_seconds() / 3600
    for rule in table.rules:
        about = [name for name in complaints if rule.complaints is None or name in rule.complaints]
        if not about:
            continue
        if rule.says and not any(_said(phrase, words) for phrase in rule.says):
            continue
        if rule.pregnant is not None and rule.pregnant != bool(pregnant):
            continue
        measured = ((rule.severity, severity), (rule.hours, hours), (rule.age, age_years))
        if all(_fits(wanted, value, rule.unknown_fits) for wanted, value in measured):
            return Disposition(rule.level, rule.id, rule.reason, rule.source, about[0])
    raise AssertionError("load_triage makes sure that the last rule fits everything")


def complaint_of(complaint_text: str, table: TriageTable) -> str:
    """Return the first complaint group of a text, or `other`."""
    return _complaints(tuple(_WORD.findall(fold(complaint_text)[0].replace("'", ""))), table)[0]


def load_triage(path: Path) -> TriageTable:
    """Load the triage table; raise `TableError` with file, line and mend for a bad one."""
    file = read_table(path).fields("the triage table", required=("levels", "complaints", "rules"))
    if tuple(file["levels"].texts("levels")) != DISPOSITIONS:
        raise file["levels"].fail(f"levels must be {', '.join(DISPOSITIONS)}, most urgent first")
    complaints: dict[str, tuple[tuple[str, ...], ...]] = {}
    for entry in file.items("complaints"):
        fields = entry.fields("a complaint", required=("id", *LANGUAGES))
        phrases = [_phrase(item) for code in LANGUAGES for item in fields[code].items(code)]
        complaints[fields["id"].text("id")] = tuple(dict.fromkeys(phrases))
    rules = tuple(_rule(entry, complaints) for entry in file.items("rules"))
    ids = [rule.id for rule in rules]
    for entry, name in zip(file.items("rules"), ids, strict=True):
        if ids.count(name) > 1:
            raise entry.fail(f"rule '{name}' stands twice; rename one")
    last = rules[-1] if rules else None
    if last is None or last.complaints or last.severity or last.hours or last.age or last.pregnant or last.says:
        raise TableError(f"{path}:{file['rules'].line}: the last rule must fit everything; add one with only a level")
    return TriageTable(complaints, rules)


def _rule(entry: Entry, complaints: Mapping[str, object]) -> TriageRule:
    fields = entry.fields(
        "a rule",
        required=("id", "complaint", "level", "reason", "source"),
        optional=("severity", "duration", "age", "pregnant", "says", "unknown"),
    )
    level = fields["level"].text("level")
    if level not in DISPOSITIONS:
        raise fields["level"].fail(f"level '{level}' is not known (levels: {', '.join(DISPOSITIONS)})")
    pregnant = fields.get("pregnant")
    unknown = fields.get("unknown")
    if unknown is not None and unknown.text("unknown") != "fits":
        raise unknown.fail("unknown can only be 'fits'; remove the line otherwise")
    return TriageRule(
        id=fields["id"].text("id"),
        complaints=_groups(fields["complaint"], complaints),
        severity=_range(fields, "severity"),
        hours=_range(fields, "duration"),
        age=_range(fields, "age"),
        pregnant=None if pregnant is None else pregnant.text("pregnant") == "true",
        says=frozenset(_phrase(item) for item in fields.items("says")),
        unknown_fits=unknown is not None,
        level=level,
        reason=fields["reason"].text("reason"),
        source=fields["source"].text("source"),
    )


def _groups(entry: Entry, complaints: Mapping[str, object]) -> frozenset[str] | None:
    if entry.value == ANY:
        return None
    names = entry.texts("complaint")
    for name in names:
        if name not in complaints:
            raise entry.fail(f"complaint '{name}' is not in the list above ({', '.join(complaints)})")
    return frozenset(names)


def _range(fields: Fields, key: str) -> Range | None:
    entry = fields.get(key)
    if entry is None:
        return None
    text = entry.text(key)
    found = _RANGE.fullmatch(text)
    if not found:
        raise entry.fail(f"{key} is {text!r}, not a range; write for example 3-5, 12h-3d or 2w-")
    low, high = found.groups()
    return Range(_amount(low), math.inf if high is None else _amount(high))


def _amount(text: str) -> float:
    return float(text[:-1]) * _HOURS[text[-1]] if text[-1] in _HOURS else float(text)


def _phrase(entry: Entry) -> tuple[str, ...]:
    words = tuple(_WORD.findall(fold(entry.text("a word"))[0].replace("'", "")))
    if not words:
        raise entry.fail("this entry holds no word; write one or remove it")
    return words


def _fits(wanted: Range | None, value: float | None, unknown_fits: bool) -> bool:
    if wanted is None:
        return True
    return unknown_fits if value is None else wanted.holds(value)


def _complaints(words: tuple[str, ...], table: TriageTable) -> list[str]:
    """Return every complaint with a phrase in the text, in the table's order; slips count when none is exact."""
    for alike in (_same, _nearly):
        named = [
            name for name, phrases in table.complaints.items() if any(_said(phrase, words, alike) for phrase in phrases)
        ]
        if named:
            return named
    return [OTHER]


def _same(written: str, wanted: str) -> bool:
    return written == wanted


def _nearly(written: str, wanted: str) -> bool:
    long = len(wanted) >= FUZZY_LETTERS and len(written) >= FUZZY_LETTERS - 1
    return written == wanted or (long and OSA.distance(written, wanted, score_cutoff=1) <= 1)


def _said(phrase: tuple[str, ...], words: tuple[str, ...], alike: Callable[[str, str], bool] = _same) -> bool:
    size = len(phrase)
    return any(
        all(alike(written, wanted) for written, wanted in zip(words[at : at + size], phrase, strict=True))
        for at in range(len(words) - size + 1)
    )
