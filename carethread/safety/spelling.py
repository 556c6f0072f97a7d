"""Mends typing mistakes in words that the rules need, and leaves real words alone.

A word is mended only when no table and no list of real words knows it, and it is one slip (two in long words)
from a rule word, sounds like one, or is two of them run together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

MIN_LETTERS = 4  # shorter words differ from too many others by one letter; of these, none may be replaced
LONG = 9  # rule words from this length may be two slips away, when both begin alike
MIN_SOUND_LETTERS = 5  # for words that only sound alike
MIN_SOUNDS = 3
MIN_JOINED_LETTERS = 7  # for two words run together
CACHED_WORDS = 8192

_STRETCHED = re.compile(r"(.)\1{2,}")
_DOUBLED = re.compile(r"(.)\1+")
_SHORT_STARTS = frozenset({"no", "me", "mi", "my", "im", "te", "se", "yo"})

_ENGLISH_SOUNDS = (
    (re.compile(r"ph"), "f"),
    (re.compile(r"gh"), ""),
    (re.compile(r"sc(?=[eiy])"), "s"),
    (re.compile(r"c(?=[eiy])"), "s"),
    (re.compile(r"ck|c|q"), "k"),
    (re.compile(r"z"), "s"),
    (re.compile(r"^k(?=n)|^w(?=r)"), ""),
    (re.compile(r"(?<=.)[aeiouyhw]"), ""),
)
_SPANISH_SOUNDS = (
    (re.compile(r"ch"), "x"),
    (re.compile(r"h"), ""),
    (re.compile(r"v"), "b"),
    (re.compile(r"z"), "s"),
    (re.compile(r"sc(?=[ei])|c(?=[ei])"), "s"),
    (re.compile(r"qu(?=[ei])|q|c"), "k"),
    (re.compile(r"ll"), "y"),
    (re.compile(r"g(?=[ei])"), "j"),
    (re.compile(r"gu(?=[ei])"), "g"),
    (re.compile(r"n(?=[bp])"), "m"),
    (re.compile(r"y(?=$|[^aeiou])"), "i"),
)
SOUNDS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {"en": _ENGLISH_SOUNDS, "es": _SPANISH_SOUNDS}


@dataclass(frozen=True, slots=True)
class Spelling:
    """What one language's reader knows: the words of its rules, real words left alone, and shorthand."""

    language: str
    vocabulary: frozenset[str]  # every word of the tables
    keys: Mapping[str, int]  # those a finding is made of, with how many patterns use them: worth mending towards
    real_words: frozenset[str]
    shorthand: Mapping[tuple[str, ...], tuple[str, ...]]


class Speller:
    """Mends single words for one language."""

    def __init__(self, spelling: Spelling) -> None:
        starts = {word for key in spelling.shorthand for word in key}
        values = {word for value in spelling.shorthand.values() for word in value}
        self.rule_words = frozenset(spelling.vocabulary | starts | values)
        self.known = self.rule_words | spelling.real_words
        self._rewrites = SOUNDS[spelling.language]
        self._near: dict[str, list[str]] = {}
        self._alike: dict[str, list[str]] = {}
        self._uses = spelling.keys
        for word in sorted(spelling.keys.keys() | starts if spelling.keys else ()):  # no keys: nothing is mended
            if len(word) >= MIN_LETTERS and word.isalpha():
                self._near.setdefault(word[0], []).append(word)
                self._alike.setdefault(self._sound(word), []).append(word)
        self.mend: Callable[[str], str] = lru_cache(maxsize=CACHED_WORDS)(self._mended)

    def undisguised(self, pattern: str) -> str | None:
        """Return the rule word that a word with stars stands for: `s*icide`."""
        shape = re.compile(re.escape(pattern).replace(r"\*", "."))
        return next((word for word in self._near.get(pattern[0], ()) if shape.fullmatch(word)), None)

    def _mended(self, word: str) -> str:
        """Return the word, or the rule word it was meant to be; two with a space when they ran together."""
        if word in self.known:
            return word
        if _STRETCHED.search(word):
            once = _STRETCHED.sub(r"\1", word)
            for shorter in (_STRETCHED.sub(r"\1\1", word), once, _DOUBLED.sub(r"\1", word)):
                if shorter in self.known:
                    return shorter
            word = once
        if len(word) < MIN_LETTERS:
            return word
        return self._nearest(word) or self._apart(word) or word

    def _nearest(self, word: str) -> str | None:
        """Return the rule word most like this one. The first letter must be right, or swapped with the second."""
        sound = self._sound(word)
        best: tuple[int, int, str] | None = None
        for first in {word[0], word[1]}:
            for candidate in self._near.get(first, ()):
                if first != word[0] and candidate[1:2] != word[0]:
                    continue
                long = min(len(candidate), len(word) + 1) >= LONG and candidate[:2] == word[:2]
                allowed = 2 if long else 1
                if abs(len(candidate) - len(word)) > allowed:
                    continue
                distance = OSA.distance(word, candidate, score_cutoff=allowed)
                if distance <= allowed and not (
                    len(candidate) == len(word) == MIN_LETTERS and _replaced(word, candidate)
                ):
                    best = min(best or (LONG, 0, ""), (distance, -self._uses.get(candidate, 0), candidate))
        if len(word) >= MIN_SOUND_LETTERS and len(sound) >= MIN_SOUNDS and (best is None or best[0] > 1):
            alike = [(OSA.distance(word, other), other) for other in self._alike.get(sound, ())]
            close = [(distance, other) for distance, other in alike if distance <= 2]
            if close:
                return min(close)[1]
        return best[2] if best else None

    def _sound(self, word: str) -> str:
        for pattern, sound in self._rewrites:
            word = pattern.sub(sound, word)
        return _DOUBLED.sub(r"\1", word)

    def _apart(self, word: str) -> str | None:
        if len(word) < MIN_JOINED_LETTERS:
            return None
        for cut in range(2, len(word) - 2):
            left, right = word[:cut], word[cut:]
            if left in self.rule_words and right in self.rule_words and (cut > 2 or left in _SHORT_STARTS):
                return f"{left} {right}"
        return None


def _replaced(word: str, candidate: str) -> bool:
    """Say whether the words differ by a letter replaced, not by two swapped."""
    return sorted(word) != sorted(candidate)
