"""Names by table: symptoms, parts of the body, specialties, languages and medicines, through the usual misspellings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from carethread.dialogue.entities.found import Found
from carethread.questionnaires.readings.lexicon import common_words
from carethread.questionnaires.readings.text import Token, fold, tokens
from carethread.safety.spelling import SOUNDS
from carethread.yamls import parse, parse_texts

FORGIVING = 5  # letters from which one slip is forgiven
LONG = 8  # and two
_SOUNDING = 4  # letters from which a word may be written as it sounds
_DOUBLED = re.compile(r"(.)\1+")

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """Phrases of folded words, what each names, and the words that may be mended towards."""

    phrases: dict[Phrase, tuple[str, str]]
    words: frozenset[str]
    sounds: dict[str, dict[str, str]]  # language → sound → word
    leave: frozenset[str]
    longest: int

    def at(self, spelled: Sequence[str], place: int) -> tuple[int, tuple[str, str]] | None:
        """The longest phrase that begins at a place: how many words, and its kind and value."""
        for size in range(min(self.longest, len(spelled) - place), 0, -1):
            if named := self.phrases.get(tuple(spelled[place : place + size])):
                return size, named
        return None

    def mended(self, word: str, language: str) -> str:
        """The table's spelling of a mistyped word, or the word itself."""
        if word in self.words or len(word) < _SOUNDING or word in common_words() or word in self.leave:
            return word
        if sounding := self.sounds[language].get(sound_of(word, language)):
            return sounding
        if len(word) < FORGIVING:
            return word
        slips = 2 if len(word) >= LONG else 1
        near = [other for other in self.words if other[0] == word[0] and len(other) >= FORGIVING]
        best = process.extractOne(word, sorted(near), scorer=OSA.distance, score_cutoff=slips)
        if best is None or (best[1] == 2 and len(best[0]) < LONG):
            return word
        return str(best[0])


def names_in(text: str, language: str, lookups: Path) -> list[Found]:
    """What the tables name in a text; what lies inside a longer name is part of it."""
    table = load_names(lookups)
    pieces = [token for token in tokens(text) if token.kind != "mark"]
    spelled = [_mended(table, token, language) for token in pieces]
    found: list[Found] = []
    place = 0
    while place < len(pieces):
        hit = table.at(spelled, place)
        if hit is None:
            place += 1
            continue
        size, (kind, value) = hit
        found.append(Found(kind, pieces[place].start, pieces[place + size - 1].end, value))
        place += size
    return _joined(_without_doubled_pain(_with_pain_in_place(found, text)), text)


def _mended(table: Names, token: Token, language: str) -> str:
    return token.text if token.kind != "word" else _cached(table, token.text, language if language == "es" else "en")


def _cached(table: Names, word: str, language: str) -> str:
    return _mend(id(table), word, language)


@lru_cache(maxsize=20_000)
def _mend(table: int, word: str, language: str) -> str:
    return _LOADED[table].mended(word, language)


# What hurts, where that has a name of its own, as in data/nlu/lookups.yml.
_PAIN_IN = {
    "throat": "sore_throat",
    "abdomen": "abdominal_pain",
    "head": "headache",
    "back": "back_pain",
    "chest": "chest_pain",
}
_BETWEEN_PAIN_AND_PLACE = re.compile(r"\s+(?:(?:is|are|so|my|the|me|el|la|los|las|mi|su|un|really|mucho)\s+)*")


def _with_pain_in_place(found: list[Found], text: str) -> list[Found]:
    """ "my throat hurts" and "me duele la garganta" name a sore throat."""
    kept: list[Found] = []
    for one in found:
        before = kept[-1] if kept else None
        if before and {before.kind, one.kind} == {"symptom", "body_part"} and "pain" in (before.value, one.value):
            place = before.value if before.kind == "body_part" else one.value
            together = _PAIN_IN.get(place or "")
            if together and _BETWEEN_PAIN_AND_PLACE.fullmatch(text[before.end : one.start].casefold()):
                kept[-1] = Found("symptom", before.start, one.end, together)
                continue
        kept.append(one)
    return kept


def _without_doubled_pain(found: list[Found]) -> list[Found]:
    """ "my throat hurts, a sore throat": pain alone is said once, and not beside a symptom that is a pain itself."""
    kept: list[Found] = []
    for one in found:
        again = one.value == "pain" and any(other.value == "pain" for other in kept)
        if not again:
            kept.append(one)
    return kept


def _joined(found: list[Found], text: str) -> list[Found]:
    """ "insulina lantus" is one medicine: the general name before or behind the special one is part of it."""
    joined: list[Found] = []
    for one in found:
        before = joined[-1] if joined else None
        if before and before.kind == one.kind == "medication" and not text[before.end : one.start].strip():
            general, special = sorted((before.value or "", one.value or ""), key=len)
            if special.startswith(general):
                joined[-1] = replace(before, end=one.end, value=special)
                continue
        joined.append(one)
    return joined


def sound_of(word: str, language: str) -> str:
    """How a word sounds: "rodiya" and "rodilla" are the same."""
    for pattern, sound in SOUNDS[language]:
        word = pattern.sub(sound, word)
    return _DOUBLED.sub(r"\1", word)


_LOADED: dict[int, Names] = {}


@cache
def load_names(lookups: Path) -> Names:
    """The names of Rasa's lookup tables and synonyms in `lookups`, our own words, and the medicines."""
    phrases: dict[Phrase, tuple[str, str]] = {}
    for kind, value, phrase in (*_of_words(), *_of_lookups(lookups), *_of_medicines()):
        split = tuple(token.text for token in tokens(phrase) if token.kind != "mark")
        if split:
            phrases[split] = (kind, value)
    words = frozenset(word for phrase in phrases for word in phrase if word.isalpha())
    # Vowels are silent in the English sounds, so only Spanish, written as it is spoken, is mended by them.
    spoken = {sound_of(word, "es"): word for word in sorted(words, reverse=True) if len(word) >= _SOUNDING}
    table = Names(
        phrases, words, {"en": {}, "es": spoken}, frozenset(word_table()["leave"]), max(map(len, phrases), default=1)
    )
    _LOADED[id(table)] = table
    return table


def _of_lookups(path: Path) -> Iterator[tuple[str, str, str]]:
    blocks = parse(path.read_text(encoding="utf-8"))["nlu"]
    canonical = {
        fold(phrase).text: block["synonym"] for block in blocks if "synonym" in block for phrase in _examples(block)
    }
    for block in blocks:
        if "lookup" in block:
            for phrase in _examples(block):
                yield block["lookup"], canonical.get(fold(phrase).text, phrase), phrase
    kinds = {value: kind for block in blocks if (kind := block.get("lookup")) for value in _values(block, canonical)}
    for phrase, value in canonical.items():
        if value in kinds:
            yield kinds[value], value, phrase


def _values(block: dict[str, Any], canonical: dict[str, str]) -> Iterator[str]:
    for phrase in _examples(block):
        yield canonical.get(fold(phrase).text, phrase)


def _examples(block: dict[str, Any]) -> list[str]:
    return [line.removeprefix("- ").strip() for line in block["examples"].splitlines() if line.strip()]


def _of_words() -> Iterator[tuple[str, str, str]]:
    for phrases in word_table()["pain"].values():
        yield from (("symptom", "pain", phrase) for phrase in phrases)


def _of_medicines() -> Iterator[tuple[str, str, str]]:
    for row in _read("medications.yml")["medications"]:
        yield from (("medication", row["name"], name) for name in (row["name"], *row["brands"], *row["es"]))


@cache
def word_table() -> dict[str, Any]:
    """The whole of `words.yml`."""
    return _read("words.yml")


def _read(name: str) -> dict[str, Any]:
    text = files("carethread.dialogue.entities").joinpath(name).read_text("utf-8")
    loaded: dict[str, Any] = parse_texts(text)
    return loaded
