"""What to do about a complaint that is no red flag: the next question that matters, or a disposition and why.

The tables are `content/safety/triage/`: facts, and one file of rules for each complaint. Rules are three-valued: true,
false, or unknown until a question is asked. This never tells a patient what they have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal

DispositionLevel = Literal["emergency_now", "today", "within_3_days", "routine", "self_care"]
DISPOSITIONS: Final[tuple[DispositionLevel, ...]] = (
    "emergency_now",
    "today",
    "within_3_days",
    "routine",
    "self_care",
)
OTHER: Final = "other"  # the complaint that is in no other file
UNSURE: Final = "unsure"  # the value of a fact that was asked and that the patient does not know
MAX_QUESTIONS: Final = 8  # asked in one conversation; what is still unknown then counts as `unsure` says

Kind = Literal["yes_no", "severity", "duration", "temperature", "age", "number", "choice"]
KINDS: Final[tuple[Kind, ...]] = ("yes_no", "severity", "duration", "temperature", "age", "number", "choice")
Unsure = Literal["yes", "no", "unknown"]
# A fact's value: yes or no, a number (hours, years, °F, …), a choice, or UNSURE.
Value = bool | float | str


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` on, up to `high`; an open range ends just below `high`."""

    low: float
    high: float = math.inf
    open: bool = False

    def holds(self, value: float) -> bool:
        return self.low <= value and (value < self.high if self.open else value <= self.high)

    def covers(self, other: Range) -> bool:
        """Whether everything in `other` is in this one."""
        return self.low <= other.low and (
            other.high < self.high or (other.high == self.high and (not self.open or other.open))
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """What a rule wants of one fact: True for a yes, a range, or one of some choices.

    Without `asks` it only holds if the fact is known by itself: nobody is asked for it here.
    """

    fact: str
    wanted: Literal[True] | Range | frozenset[str]
    asks: bool = True

    def holds(self, value: Value) -> bool:
        if isinstance(self.wanted, Range):
            return isinstance(value, int | float) and not isinstance(value, bool) and self.wanted.holds(value)
        if isinstance(self.wanted, frozenset):
            return value in self.wanted
        return value is True

    def covers(self, other: Condition) -> bool:
        """Whether this holds whenever `other` does."""
        if self.fact != other.fact or (other.asks and not self.asks):
            return False
        if isinstance(self.wanted, Range) and isinstance(other.wanted, Range):
            return self.wanted.covers(other.wanted)
        if isinstance(self.wanted, frozenset) and isinstance(other.wanted, frozenset):
            return other.wanted <= self.wanted
        return self.wanted is other.wanted is True


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that may be known. `question` is its content key, None when nobody is asked."""

    id: str
    kind: Kind
    name: str  # for staff
    question: str | None = None
    unsure: Unsure = "unknown"
    chart: tuple[str, ...] = ()
    derived: tuple[Condition, ...] = ()
    only: tuple[Condition, ...] = ()
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. Without conditions it always fits. `tells` is "crisis" where the patient needs a crisis line at once."""

    id: str
    complaint: str
    when: tuple[Condition, ...]
    level: DispositionLevel
    reason: str
    source: str
    unknown_fits: bool = False
    tells: str | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """One file: what it is called by staff, in each language, and its rules, most urgent first."""

    id: str
    names: Mapping[str, str]
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the patient for this fact; its answer can still change the disposition."""

    fact: str


@dataclass(frozen=True, slots=True)
class Disposition:
    """Where it goes. `reason`, `source` and `because` (the facts that decided) are for staff, never for the patient."""

    level: DispositionLevel
    rule: str
    reason: str
    source: str
    complaint: str
    because: tuple[str, ...] = ()
    tells: str | None = None


@dataclass(frozen=True, slots=True)
class TriageTable:
    """Everything in the folder, checked."""

    facts: Mapping[str, Fact]
    complaints: Mapping[str, Complaint]
    words: object = field(repr=False, default=None)  # read by `triage_words`


def next_step(
    complaints: Sequence[str], facts: Mapping[str, Value], table: TriageTable, room: int = MAX_QUESTIONS
) -> Ask | Disposition:
    """Return what to ask next, or the disposition, for all `complaints` together (none: `other`).

    Level by level, most urgent first: the first rule that is true decides, else a question that could still make one of
    this level true is asked. `room` is how many questions may still be asked. Running it again with a changed fact is
    all there is to a correction: facts that no rule reads any more do not count. Screen for red flags first.
    """
    for _level, rules in groupby(ordered(complaints, table), key=lambda rule: rule.level):
        ask: Ask | None = None
        for rule in rules:
            found = verdict(rule, facts, table, may_ask=room > 0)
            if isinstance(found, Ask):
                ask = ask or found
            elif found:
                because = tuple(condition.fact for condition in rule.when)
                name = f"{rule.complaint}:{rule.id}"
                return Disposition(rule.level, name, rule.reason, rule.source, rule.complaint, because, rule.tells)
        if ask is not None:
            return ask
    raise AssertionError("load_triage makes sure that the last rule of each complaint fits everything")


def ordered(complaints: Sequence[str], table: TriageTable) -> Iterator[Rule]:
    """The rules of all complaints, most urgent first; of equals the complaint named first."""
    known = [name for name in dict.fromkeys(complaints) if name in table.complaints] or [OTHER]
    for level in DISPOSITIONS:
        for name in known:
            yield from (rule for rule in table.complaints[name].rules if rule.level == level)


def verdict(rule: Rule, facts: Mapping[str, Value], table: TriageTable, *, may_ask: bool) -> bool | Ask:
    """Whether a rule fits, or what to ask for to know. One condition that fails decides before anything is asked."""
    ask: Ask | None = None
    for condition in rule.when:
        found = value_of(condition.fact, facts, table, may_ask=may_ask and condition.asks)
        if (
            not condition.asks
            and facts.get(condition.fact) in (None, UNSURE)
            and not _follows(condition.fact, facts, table)
        ):
            found = None
        if isinstance(found, Ask):
            ask = ask or found
        elif not (rule.unknown_fits if found is None else condition.holds(found)):
            return False
    return ask or True


def _follows(name: str, facts: Mapping[str, Value], table: TriageTable) -> bool:
    """Whether a fact that nobody said follows from another one."""
    return any(facts.get(c.fact) not in (None, UNSURE) for c in table.facts[name].derived)


def value_of(name: str, facts: Mapping[str, Value], table: TriageTable, *, may_ask: bool) -> Value | Ask | None:
    """What a fact is: said, known from another fact, a no for whom it is not asked, to be asked, or unknown (None)."""
    fact = table.facts[name]
    said = facts.get(name)
    waits: Ask | None = None
    for condition in fact.only:
        whose = value_of(condition.fact, facts, table, may_ask=may_ask and said is None)
        if isinstance(whose, Ask):
            waits = waits or whose
        elif whose is not None and not condition.holds(whose):
            return False
    if said is not None and said != UNSURE:
        return said
    for condition in fact.derived:
        other = facts.get(condition.fact)
        if other is not None and other != UNSURE:
            return condition.holds(other)
    if said is None and fact.question is not None and may_ask:
        return waits or Ask(name)
    if said == UNSURE or fact.question is not None:
        return None if fact.kind != "yes_no" or fact.unsure == "unknown" else fact.unsure == "yes"
    return None


def askable(complaint: Complaint, table: TriageTable) -> frozenset[str]:
    """Every fact that a conversation about this complaint alone may ask for."""
    found: set[str] = set()
    left = [condition.fact for rule in complaint.rules for condition in rule.when if condition.asks]
    while left:
        fact = table.facts[left.pop()]
        if fact.question is not None and fact.id not in found:
            found.add(fact.id)
            left += [condition.fact for condition in fact.only]
    return frozenset(found)
