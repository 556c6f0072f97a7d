"""Lay words: what patients call a specialty, a doctor, a visit. The words are in `lay.yml`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from rapidfuzz.distance import DamerauLevenshtein

from carethread.clinic import Specialty
from carethread.yamls import parse

# Words at least so long may have one typo, and two from LONG on.
FORGIVING = 5
LONG = 9


@cache
def table() -> dict[str, Any]:
    """The whole of `lay.yml`."""
    loaded: dict[str, Any] = parse(files("carethread.scheduling").joinpath("lay.yml").read_text("utf-8"))
    return loaded


def plain(text: str) -> str:
    """Lower case, without accents; what is no letter or digit becomes one space, and apostrophes join."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("'", "").replace("’", ""))
    return " ".join(re.findall(r"[a-z0-9]+", "".join(c for c in folded if not unicodedata.combining(c))))


def specialty_of(text: str, specialties: Sequence[Specialty]) -> str | None:
    """The code of the one specialty that `text` names; None when it names none, or several."""
    found = specialties_in(text, specialties)
    return found[0] if len(found) == 1 else None


def specialties_in(text: str, specialties: Sequence[Specialty]) -> tuple[str, ...]:
    """The codes of the clinic's specialties that `text` names in either language, in the order they are said.

    A longer phrase hides a shorter one inside it: "heart doctor" is not also somebody's "doctor".
    """
    spoken = plain(text).split()
    phrases = [(phrase, code) for code, phrases in _phrases(tuple(specialties)).items() for phrase in phrases]
    phrases.sort(key=lambda pair: -len(pair[0]))
    taken: set[int] = set()
    found: list[tuple[int, str]] = []
    for phrase, code in phrases:
        for at in range(len(spoken) - len(phrase) + 1):
            span = range(at, at + len(phrase))
            if taken.isdisjoint(span) and all(alike(spoken[at + i], word) for i, word in enumerate(phrase)):
                taken.update(span)
                found.append((at, code))
    return tuple(dict.fromkeys(code for _, code in sorted(found)))


def _phrases(specialties: Sequence[Specialty]) -> dict[str, frozenset[tuple[str, ...]]]:
    lay = _lay_phrases()
    return {
        specialty.code: lay.get(specialty.code, frozenset())
        | {tuple(plain(label).split()) for label in specialty.display.values()}
        for specialty in specialties
    }


@cache
def _lay_phrases() -> dict[str, frozenset[tuple[str, ...]]]:
    return {
        code: frozenset(tuple(plain(phrase).split()) for phrases in by_language.values() for phrase in phrases)
        for code, by_language in table()["specialties"].items()
    }


def alike(word: str, other: str) -> bool:
    """Whether two plain words are the same but for a typo; short words must be equal."""
    if word == other:
        return True
    shorter = min(len(word), len(other))
    if shorter < FORGIVING:
        return False
    allowed = 2 if shorter >= LONG else 1
    return DamerauLevenshtein.distance(word, other, score_cutoff=allowed) <= allowed


def names_person(said: str, name: str) -> bool:
    """Whether the plain text `said` has a family name of `name`, or its given name after a title ("doctora Karin")."""
    titles = set(table()["titles"])
    parts = [word for word in plain(name).split() if word not in titles]
    if not parts:
        return False
    given, family = parts[0], parts[1:] or parts
    titled = False
    for word in said.split():
        if word in titles:
            titled = True
            continue
        # A typo is forgiven after a title, and in a long name; "books" alone is not Dr. Brooks.
        if any(word == part or ((titled or len(word) > FORGIVING) and alike(word, part)) for part in family):
            return True
        if titled and alike(word, given):
            return True
        titled = False
    return False
