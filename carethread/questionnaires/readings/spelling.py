"""Words as patients type them in a hurry or by their sound, made into those that the tables and options know."""

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import OSA

from carethread.questionnaires.readings.lexicon import load_table
from carethread.questionnaires.readings.text import fold, tokens, words

_BEFORE = re.compile(r"(?i)\bb4\b")
_SHORTEST = 4  # letters of a word that may be mistyped
_LONG = 7  # letters from which a word may have two slips


def respelled(text: str, language: str, labels: Sequence[str]) -> str:
    """The text with shorthand written out, and with words that sound or look like a label's put as the label has them.

    >>> respelled("mi biejo me lleba", "es", ["Me lleva un familiar"])
    'mi biejo me lleva'
    """
    short = load_table("spelling")["short"][language]
    text = _BEFORE.sub("before", text)
    known = tuple(dict.fromkeys(word for label in labels for word in words(label) if len(word) >= _SHORTEST))
    parts: list[str] = []
    last = 0
    for token in tokens(text):
        if token.kind != "word":
            continue
        instead = short.get(token.text) or _of_a_label(token.text, known)
        if instead is not None and instead != token.text:
            parts += [text[last : token.start], instead]
            last = token.end
    return "".join((*parts, text[last:])) if parts else text


def _of_a_label(word: str, known: tuple[str, ...]) -> str | None:
    """The one word of the labels that was meant by one that none of them has."""
    if len(word) < _SHORTEST - 1 or word in known or word in _common():
        return None
    sound = sounds(word)
    same = [other for other in known if sounds(other) == sound]
    if len(word) >= _SHORTEST and len(set(same)) == 1:
        return same[0]
    if len(word) == _SHORTEST - 1:  # "ubr": only a vowel was left out
        bare = [other for other in known if len(other) == _SHORTEST and _vowelless(other) == _vowelless(word)]
        return bare[0] if len(bare) == 1 and len(_vowelless(word)) >= 2 and word[0] == bare[0][0] else None
    slips = 2 if len(word) >= _LONG else 1
    near = [
        other for other in known
        if other[0] == word[0] and len(other) > _SHORTEST and OSA.distance(word, other, score_cutoff=slips) <= slips
    ]  # fmt: skip
    return near[0] if len(near) == 1 else None


@lru_cache(maxsize=8192)
def sounds(word: str) -> str:
    """What a word sounds like, where Spanish has several spellings for it: "uver" and "uber"."""
    said = fold(word).text
    for pattern, letter in _SOUNDS:
        said = pattern.sub(letter, said)
    return re.sub(r"(.)\1+", r"\1", said)


_SOUNDS = tuple(
    (re.compile(pattern), letter)
    for pattern, letter in (
        (r"ch|x|sh", "X"),
        (r"ph", "f"),
        (r"qu(?=[ei])|ck|k|c(?![ei])|q", "K"),
        (r"[sz]|c(?=[ei])", "s"),
        (r"ll|y", "y"),
        (r"gu(?=[ei])", "G"),
        (r"g(?=[ei])|j", "j"),
        (r"h", ""),
        (r"[bv]|w", "b"),
        (r"ni(?=[aeo])", "N"),
        (r"m(?=[bp])", "n"),
    )
)


def _vowelless(word: str) -> str:
    return re.sub(r"[aeiou]", "", word)


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    """Words that are right as they are, although they look like another: "none", "bad"."""
    return frozenset(load_table("spelling")["right"])
