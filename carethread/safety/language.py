"""Which language a patient writes in, message by message, held for the conversation.

Short texts, numbers and names keep the language; a clear sentence in the other one changes it at once, and so
does an open wish ("español por favor"). Words and wishes are in `content/safety/language.yml`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from lingua import IsoCode639_1, LanguageDetector, LanguageDetectorBuilder

from carethread.safety.tables import LANGUAGES, read_table
from carethread.safety.text import fold

CLEAR: Final = 0.8  # confidence from which a message changes the language
LONG: Final = 4  # words from which the statistical guess is worth asking
MOST_WISH_WORDS: Final = 12  # a longer message that mentions a language tells a story, it asks for nothing
MOST_CHARACTERS: Final = 600  # the beginning of a long message is enough

_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"\b(?:(?:[Dd]e|[Ll]a|[Ll]as|[Ll]os|[Dd]el|[Ee]l|San|Santa)\s+)+[A-ZÁÉÍÓÚÑ]\w+")  # "de la Cruz"
_ONLY_A_NAME = re.compile(r"\s*[A-ZÁÉÍÓÚÑ][^\W\d_]+(?:[ -]+[A-ZÁÉÍÓÚÑ][^\W\d_]+){1,4}\W*")  # "María González"
_SPANISH_LETTERS = re.compile(r"[ñÑ¿¡]|[áéíóúÁÉÍÓÚ]")


@dataclass(frozen=True, slots=True)
class LanguageDecision:
    """The language to go on in. `explicit`: the patient asked for it. `confidence`: 0–1 that the text is in it."""

    language: str
    explicit: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class LanguageTable:
    """Words and wishes that tell languages apart."""

    wishes: Mapping[str, frozenset[tuple[str, ...]]]
    words: Mapping[str, frozenset[str]]
    neutral: frozenset[str]


def load_language_table(path: Path) -> LanguageTable:
    """Load the table; raise `TableError` with file, line and mend for a bad one."""
    file = read_table(path).fields("the language table", required=(*LANGUAGES, "neutral"))
    parts = {code: file[code].fields(f"'{code}'", required=("wishes", "words")) for code in LANGUAGES}
    neutral = frozenset(_words(" ".join(file["neutral"].texts("neutral"))))
    words = {code: frozenset(_words(" ".join(part.texts("words")))) for code, part in parts.items()}
    return LanguageTable(
        wishes={code: frozenset(_words(text) for text in part.texts("wishes")) for code, part in parts.items()},
        words={code: own - neutral for code, own in words.items()},
        neutral=neutral,
    )


def decide_language(text: str, current: str, supported: Collection[str], table: LanguageTable) -> LanguageDecision:
    """Decide in which of the supported languages to go on after this message."""
    text = text[:MOST_CHARACTERS]
    if not text.isupper():
        text = _NAME.sub(" ", text)
    words = _words(text)
    wish = _wish(words, table)
    if wish and wish in supported:
        return LanguageDecision(wish, True, 1.0)
    telling = [word for word in words if word not in table.neutral]
    hits = {code: sum(word in own for word in telling) for code, own in table.words.items()}
    if _SPANISH_LETTERS.search(text) and telling and not _ONLY_A_NAME.fullmatch(text):
        hits["es"] += 1
    scores = _scores(text, telling, hits)
    best = max(scores, key=lambda code: (scores[code], code == current))
    if best != current and best in supported and scores[best] >= CLEAR:
        return LanguageDecision(best, False, round(scores[best], 3))
    return LanguageDecision(current, False, round(scores.get(current, 0.5), 3))


def _scores(text: str, telling: list[str], hits: Mapping[str, int]) -> dict[str, float]:
    """Return for each language how likely the text is in it; they add up to 1, and say 0.5 of nothing."""
    total = sum(hits.values())
    known = {code: (count + 0.25) / (total + 0.25 * len(hits)) for code, count in hits.items()}
    if len(telling) < LONG:
        return known
    guessed = _guess(text)
    weight = min(1.0, total / 4)
    return {code: weight * known[code] + (1 - weight) * guessed.get(code, 0.0) for code in hits}


def _wish(words: tuple[str, ...], table: LanguageTable) -> str | None:
    """Return the language asked for: a wish that is the message, or the longest one of two or more words in it."""
    found: tuple[int, str] | None = None
    for code, wishes in table.wishes.items():
        if words in wishes:
            return code
        if len(words) > MOST_WISH_WORDS:
            continue
        for wish in wishes:
            size = len(wish)
            inside = size > 1 and any(words[at : at + size] == wish for at in range(len(words) - size + 1))
            if inside and (found is None or size > found[0]):
                found = (size, code)
    return found[1] if found else None


def _guess(text: str) -> dict[str, float]:
    values = _detector().compute_language_confidence_values(text)
    return {_code(value.language.iso_code_639_1): value.value for value in values}


def _code(iso: IsoCode639_1) -> str:
    return str(iso.name).lower()


@lru_cache(maxsize=1)
def _detector() -> LanguageDetector:
    codes = [getattr(IsoCode639_1, code.upper()) for code in LANGUAGES]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_low_accuracy_mode().build()


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(fold(text)[0].replace("'", " ")))
