"""What a message says about complaints and facts: by the phrases of the triage tables, in both languages at once.

A phrase with a "no", "sin" or "without" shortly before it is a no. Numbers, times and plain answers are read elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import OSA

from carethread.safety.text import fold
from carethread.safety.triage import OTHER, TriageTable

FUZZY_LETTERS: Final = 6  # words from this length may hold one slip
FEW: Final = 4  # words of a short answer
GAP: Final = 2  # words that a `*` stands for at most
REACH: Final = 4  # words that a "no" reaches over
NEAR: Final = 5  # words between a measure and its number
LEAD: Final = 25  # characters between a word for temperature and its number
OLDEST: Final = 120  # years
COLDEST_F: Final = 50  # below it a body temperature is in °C
STOP: Final = "."
_GOES_ON: Final = frozenset({"con", "que", "de"})
_YEARS: Final[Mapping[str, float]] = {"year": 1, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25}
_DEGREES: Final = re.compile(
    r"(?<![\d.])(?P<n>\d{2,3}(?:[.,]\d{1,2})?)\s*(?P<sign>[°º]|degrees?\b|grados?\b|deg\b)?\s*"
    r"(?P<unit>fahrenheit|celsius|centigrados?|[fc])?\b"
)
_TOKEN: Final = re.compile(r"[a-z0-9]+|[.,;:!?\n]")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A way to say a fact or a complaint; `says` is False for a phrase that says it is not so."""

    id: str
    words: tuple[str, ...]
    says: bool


@dataclass(frozen=True, slots=True)
class About:
    """Somebody other than the writer whom a message may be about."""

    id: str
    child: bool
    sex: str | None
    phrases: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Everything by which a message is read."""

    spelling: Mapping[str, str]
    negators: frozenset[str]
    breakers: frozenset[str]
    cannot: frozenset[str]
    no_puede: frozenset[str]
    facts: tuple[Phrase, ...]
    numbers: tuple[Phrase, ...]
    complaints: tuple[Phrase, ...]
    about: tuple[About, ...]
    age_units: Mapping[str, tuple[str, ...]]
    age_before: frozenset[str]
    age_after: frozenset[str]
    age_third: frozenset[str]
    age_mine: frozenset[str]
    age_verbs: frozenset[str]
    temperature_marks: frozenset[str]


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a message names. `left` is the rest of it, in plain words: a "no" that belongs to a phrase is not in it."""

    complaints: tuple[str, ...]
    facts: Mapping[str, bool]
    about: About | None
    left: str


@dataclass(frozen=True, slots=True)
class _Hit:
    phrase: Phrase
    start: int
    end: int
    negator: int | None  # where the "no" stands that turns it round

    @property
    def says(self) -> bool:
        return self.phrase.says is (self.negator is None)

    def within(self, other: _Hit) -> bool:
        """Whether `other` says the same fact in more words: then those count."""
        inside = other.start <= self.start and self.end <= other.end
        return self.phrase.id == other.phrase.id and inside and other.end - other.start > self.end - self.start


def mentions(text: str, table: TriageTable) -> Mentions:
    """Return what `text` says."""
    words = table.words
    assert isinstance(words, Words)
    tokens = normal(text, words.spelling)
    hits = _hits(tokens, words.facts, words)
    facts: dict[str, bool] = {}
    used: set[int] = set()
    for hit in hits:
        if not any(hit.within(other) for other in hits):
            # Of several a yes counts: "no fever now, but fever last night".
            facts[hit.phrase.id] = facts.get(hit.phrase.id, False) or hit.says
        used |= {*range(hit.start, hit.end), *([hit.negator] if hit.negator is not None else [])}
    about = next((who for who in words.about if any(_found(p, tokens) for p in who.phrases)), None)
    left = " ".join(token for place, token in enumerate(tokens) if place not in used)
    return Mentions(_named(tokens, words), facts, about, left)


def numbers_said(text: str, table: TriageTable) -> dict[str, float]:
    """Numbers beside the words for what they measure: "my sugar is 310", "180/95 bp". Impossible ones do not count."""
    words = table.words
    assert isinstance(words, Words)
    tokens = normal(text, words.spelling)
    found: dict[str, float] = {}
    for hit in _hits(tokens, words.numbers, words):
        fact = table.facts[hit.phrase.id]
        near = [*tokens[hit.end : hit.end + NEAR], *tokens[max(0, hit.start - NEAR) : hit.start]]
        fitting = [float(token) for token in near if token.isdigit() and fact.low <= float(token) <= fact.high]
        if fitting:
            found.setdefault(fact.id, fitting[0])
    return found


def age_said(text: str, table: TriageTable, *, asked: bool = False) -> tuple[float, str] | None:
    """An age in years and the text without it: "my 2 year old", "tiene 3 meses". Asked for, a number alone is years."""
    words = table.words
    assert isinstance(words, Words)
    tokens = normal(text, words.spelling)
    units = {name: unit for unit, names in words.age_units.items() for name in names}
    for place, token in enumerate(tokens):
        if not token.isdigit():
            continue
        after = tokens[place + 1 : place + 2]
        unit = units.get(after[0]) if after else None
        if not asked and not _is_age(tokens, place, unit, words):
            continue
        years = float(token) * _YEARS[unit or "year"]
        if years <= OLDEST:
            left = tokens[:place] + tokens[place + (2 if unit else 1) :]
            return round(years, 3), " ".join(left)
    return None


def _is_age(tokens: list[str], place: int, unit: str | None, words: Words) -> bool:
    """Whether a number with its unit is how old somebody is, and not how long something has been going on."""
    persons = {phrase[-1] for who in words.about for phrase in who.phrases}
    before, after = tokens[:place], tokens[place + 1 : place + 3]
    if words.age_after & set(after):
        # "my 6 month old has", and not "my 3 week old incision"
        follows = tokens[place + 3] if place + 3 < len(tokens) else STOP
        somebody = bool(before) and before[-1] in words.age_mine and follows in words.age_verbs | {STOP, ","}
        third = bool(persons & set(tokens)) or bool(words.age_third & set(before))
        return unit in (None, "year") or somebody or third
    if unit is None or not before or before[-1] not in words.age_before:
        return False
    if before[-1] == "de":  # "mi hijo de 3 meses", and not "tos de 3 meses"
        return len(before) > 1 and before[-2] in persons
    return not (len(after) > 1 and after[1] in _GOES_ON)  # "tengo 3 dias con tos"


def temperature_said(text: str, table: TriageTable) -> float | None:
    """A body temperature in °F, where a degree sign or a word for it stands beside the number; else None."""
    words = table.words
    assert isinstance(words, Words)
    plain = fold(text)[0]
    for found in _DEGREES.finditer(plain):
        value = float(found["n"].replace(",", "."))
        near = set(re.findall(r"[a-z]+", plain[max(0, found.start() - LEAD) : found.start()]))
        if found["sign"] or found["unit"] or near & words.temperature_marks:
            return fahrenheit(value, found["unit"], table)
    return None


def fahrenheit(value: float, unit: str | None, table: TriageTable) -> float | None:
    """A body temperature in °F, from °C where that is what it must be; None where nobody could have it."""
    fact = next(fact for fact in table.facts.values() if fact.kind == "temperature")
    celsius = unit is not None and unit.startswith("c")
    if celsius or (unit is None and value < COLDEST_F):
        value = value * 9 / 5 + 32
    return round(value, 1) if fact.low <= value <= fact.high else None


def opens_with_no(text: str, table: TriageTable) -> bool:
    """Whether a few words begin with a plain no: "no le cuesta", and not "no puedo"."""
    words = table.words
    assert isinstance(words, Words)
    tokens = [token for token in normal(text, words.spelling) if token.isalnum()]
    return 1 < len(tokens) <= FEW and tokens[0] == "no" and tokens[1] not in words.no_puede


def complaints_of(text: str, table: TriageTable) -> tuple[str, ...]:
    """The complaints that a text names, in the order they stand in it; `other` alone when it names none."""
    return mentions(text, table).complaints or (OTHER,)


def normal(text: str, spelling: Mapping[str, str]) -> list[str]:
    """Plain words and marks: lower case, no accents, no apostrophes, short forms written out."""
    plain = fold(text)[0].replace("'", "")
    return [word for token in _TOKEN.findall(plain) for word in spelling.get(token, token).split(" ")]


def phrase_of(text: str, spelling: Mapping[str, str]) -> tuple[str, ...]:
    """A phrase of a table as words, with `*` kept."""
    return tuple(
        word for part in text.split() for word in (["*"] if part == "*" else normal(part, spelling)) if word not in ",."
    )


def _named(tokens: list[str], words: Words) -> tuple[str, ...]:
    """Complaints: of phrases that share words only the longest counts ("sore throat" is no sore)."""
    hits = [hit for hit in _hits(tokens, words.complaints, words) if hit.negator is None]
    if not hits:
        hits = [hit for hit in _hits(tokens, words.complaints, words, _nearly) if hit.negator is None]
    kept: list[_Hit] = []
    for hit in sorted(hits, key=lambda h: (-(h.end - h.start), h.start)):
        if all(hit.end <= other.start or other.end <= hit.start for other in kept):
            kept.append(hit)
    return tuple(dict.fromkeys(hit.phrase.id for hit in sorted(kept, key=lambda h: h.start)))


def _same(written: str, wanted: str) -> bool:
    return written == wanted


def _nearly(written: str, wanted: str) -> bool:
    long = len(wanted) >= FUZZY_LETTERS and len(written) >= FUZZY_LETTERS - 1
    return written == wanted or (long and OSA.distance(written, wanted, score_cutoff=1) <= 1)


def _hits(
    tokens: list[str], phrases: tuple[Phrase, ...], words: Words, alike: Callable[[str, str], bool] = _same
) -> list[_Hit]:
    found = []
    present = set(tokens)
    for phrase in phrases:
        if alike is _same and phrase.words[0] not in present:
            continue
        for start in range(len(tokens)):
            end = _ends(phrase.words, tokens, start, alike)
            if end is not None:
                found.append(_Hit(phrase, start, end, _negator(tokens, start, words)))
    return found


def _found(phrase: tuple[str, ...], tokens: list[str]) -> bool:
    return any(_ends(phrase, tokens, start, _same) is not None for start in range(len(tokens)))


def _ends(
    phrase: tuple[str, ...], tokens: list[str], start: int, alike: Callable[[str, str], bool], at: int = 0
) -> int | None:
    """Where `phrase` from its word `at` ends, if it begins at `start`."""
    if at == len(phrase):
        return start
    if phrase[at] == "*":
        for skipped in range(GAP + 1):
            if start + skipped <= len(tokens) and not any(t in ".,;:!?\n" for t in tokens[start : start + skipped]):
                end = _ends(phrase, tokens, start + skipped, alike, at + 1)
                if end is not None:
                    return end
        return None
    if start >= len(tokens) or not alike(tokens[start], phrase[at]):
        return None
    return _ends(phrase, tokens, start + 1, alike, at + 1)


def _negator(tokens: list[str], start: int, words: Words) -> int | None:
    for place in range(start - 1, max(-1, start - 1 - REACH), -1):
        word = tokens[place]
        if word in words.negators:
            after = tokens[place + 1] if place + 1 < len(tokens) else ""
            if word == "not" and place and tokens[place - 1] in words.cannot:
                return None
            if word == "no" and after in words.no_puede:
                return None
            return place
        if word in words.breakers or word in ".,;:!?\n":
            return None
    return None
