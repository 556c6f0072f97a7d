"""How hard a text is to read, as a school grade, in English and Spanish.

English: Flesch-Kincaid grade level (Kincaid, Fishburne, Rogers and Chissom, 1975, Naval Technical Training
Command report 8-75). Spanish: Fernández Huerta's reading ease ("Medidas sencillas de lecturabilidad", 1959),
turned into a grade along its own bands (very easy = grade 4 … very hard = university).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_SENTENCE = re.compile(r"[.!?…:;]+(?:\s|$)|\n+")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_ENGLISH_GROUPS = re.compile(r"[aeiouy]+")
_STRONG: Final = "aeoáéó"
_STRESSED_WEAK: Final = "íú"
_WEAK: Final = "iuüy"
# Fernández Huerta's bands: ease -> school grade.
_BANDS: Final = (
    (100.0, 3.0),
    (90.0, 4.0),
    (80.0, 5.0),
    (70.0, 6.0),
    (60.0, 8.0),
    (50.0, 10.0),
    (30.0, 13.0),
    (0.0, 17.0),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the formulas are made of."""

    sentences: int
    words: int
    syllables: int


def grade(text: str, language: str) -> float:
    """Return the school grade a text asks for; an empty text asks for none."""
    counts = count(text, language)
    if not counts.words:
        return 0.0
    per_sentence = counts.words / counts.sentences
    per_word = counts.syllables / counts.words
    if language == "es":
        return _grade_of_ease(fernandez_huerta(counts))
    return 0.39 * per_sentence + 11.8 * per_word - 15.59


def fernandez_huerta(counts: Counts) -> float:
    """Return the reading ease of a Spanish text: 100 is very easy, 0 very hard."""
    return 206.84 - 60 * counts.syllables / counts.words - 1.02 * counts.words / counts.sentences


def count(text: str, language: str) -> Counts:
    """Count sentences, words and syllables. A placeholder counts as a word of two syllables, a number as none."""
    plain = _PLACEHOLDER.sub(" data ", text)
    sentences = [part for part in _SENTENCE.split(plain) if part and _WORD.search(part)]
    words = _WORD.findall(plain)
    syllables = spanish_syllables if language == "es" else english_syllables
    return Counts(len(sentences), len(words), sum(syllables(word) for word in words))


def english_syllables(word: str) -> int:
    """Estimate the syllables of an English word from its vowel groups."""
    word = word.lower().replace("\u2019", "'").split("'")[0]
    if len(word) <= 3:
        return 1
    groups = len(_ENGLISH_GROUPS.findall(word))
    silent_e = word.endswith("e") and not re.search(r"([^aeiouyw]l|e|y|i|o)e$", word)
    silent_es = word.endswith("es") and not word.endswith(
        ("ses", "zes", "ces", "ges", "ches", "shes", "xes", "ies", "oes")
    )
    silent_ed = word.endswith("ed") and not word.endswith(("ted", "ded", "eed", "ied"))
    if silent_e or silent_es or silent_ed:
        groups -= 1
    groups += len(re.findall(r"ia(?!n)|io(?!u|n)|deo|rea$|ua(?!r)|iu", word))
    return max(1, groups)


def spanish_syllables(word: str) -> int:
    """Count the syllables of a Spanish word: strong vowels stand alone, a weak one joins its neighbour."""
    word = re.sub(r"qu(?=[eiéí])|gu(?=[eiéí])", "k", word.lower())
    word = re.sub(r"y(?=[aeiouáéíóú])", "j", word)
    syllables = 0
    previous = ""
    for char in word:
        if char in _STRONG or char in _STRESSED_WEAK:
            joins = char in _STRONG and previous in _WEAK and previous != ""
            syllables += 0 if joins else 1
            previous = char
        elif char in _WEAK:
            joins = previous != "" and (previous in _STRONG or previous in _WEAK)
            syllables += 0 if joins else 1
            previous = char
        else:
            previous = ""
    return max(1, syllables)


def _grade_of_ease(ease: float) -> float:
    if ease >= _BANDS[0][0]:
        return max(0.0, _BANDS[0][1] - (ease - _BANDS[0][0]) / 10)
    for (upper, low_grade), (lower, high_grade) in pairwise(_BANDS):
        if ease >= lower:
            return low_grade + (upper - ease) / (upper - lower) * (high_grade - low_grade)
    return _BANDS[-1][1]
