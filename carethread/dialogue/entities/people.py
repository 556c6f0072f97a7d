"""Practitioners: a name behind a title, "Dr. Patel", "la doctora Ana Torres"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from carethread.dialogue.entities.found import Found
from carethread.dialogue.entities.names import word_table
from carethread.questionnaires.readings.lexicon import common_words
from carethread.questionnaires.readings.text import fold

_TITLE = re.compile(r"\b(?:dra?|doctora?|docter|doktor|doc|dtra?)\b\.?\s+", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PARTICLES = frozenset({"de", "la", "las", "los", "del", "van", "von", "da", "dos", "di", "st"})
_GAP = re.compile(r"[ \t]+")
_MOST = 4  # words of a name


def practitioners_in(text: str, known: Sequence[str] = ()) -> list[Found]:
    """Names behind a title. One that fits a single name of `known` has that as its value."""
    found = []
    for title in _TITLE.finditer(text):
        words = _name(text, title.end())
        if words:
            said = text[words[0].start() : words[-1].end()]
            found.append(Found("practitioner", title.start(), words[-1].end(), _known(said, known) or said))
    return found


def _name(text: str, start: int) -> list[re.Match[str]]:
    """The words of a name from `start` on: all that are capitalised, or one that is not and can be a name."""
    words: list[re.Match[str]] = []
    place = start
    while len(words) < _MOST and (word := _WORD.match(text, place)):
        if not _goes_on(word.group(), words[0].group() if words else None):
            break
        words.append(word)
        gap = _GAP.match(text, word.end())
        if gap is None:
            break
        place = gap.end()
    while words and fold(words[-1].group()).text in _PARTICLES:
        words.pop()
    return words


def _goes_on(word: str, first: str | None) -> bool:
    """Whether a word can be the next of a name that began with `first`, or the first one itself."""
    plain, capital = fold(word).text, word[0].isupper()
    if first is not None:
        proper = first[0].isupper()
        return proper and (plain in _PARTICLES or (capital and plain not in word_table()["no_name"]))
    return plain not in word_table()["no_name"] and (capital or plain not in common_words())


def _known(said: str, known: Sequence[str]) -> str | None:
    """The one name that has every word of `said`, but for accents and capitals."""
    wanted = set(fold(said).text.split())
    fitting = [name for name in known if wanted <= set(fold(name).text.replace(".", " ").split())]
    return fitting[0] if len(fitting) == 1 else None
