"""Turns a patient's text into tokens that compare equal however they were typed, keeping where each one stood."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_REMEMBERED = 4096  # texts; labels come again with every answer, and an answer is read by several readers
MAX_TOKENS = 400  # a text longer than this is a story, not an answer; readers look at its beginning

_QUOTES = {"’": "'", "‘": "'", "´": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"}
_TOKEN = re.compile(
    r"""
      (?P<time>\d{1,2}:\d{2}(?!\d))
    | (?P<number>\d+(?:[.,]\d+)?)
    | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)
    | (?P<mark>\S)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A folded word, number, time of day or mark, with its place in the original text."""

    text: str
    start: int
    end: int
    kind: str  # time | number | word | mark


@dataclass(frozen=True, slots=True)
class Folded:
    """Lower-case text without accents, and for each of its characters the place it came from."""

    text: str
    origin: tuple[int, ...]
    length: int  # of the original

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original range behind a range of the folded text."""
        if start >= end or start >= len(self.origin):
            return (self.length, self.length)
        return self.origin[start], self.origin[end - 1] + 1


def fold(text: str) -> Folded:
    """Lower case, no accents, plain quotes, no emoji modifiers: "Sí, MAÑANA" → "si, manana"."""
    letters: list[str] = []
    origin: list[int] = []
    for index, original in enumerate(text):
        if original == "º" and text[index + 1 : index + 2] in ("C", "F", "c", "f"):  # an ordinal sign for a degree
            original = "°"
        for char in unicodedata.normalize("NFKD", _QUOTES.get(original, original)):
            if unicodedata.category(char) in ("Mn", "Cf", "Cc", "Cs") and not char.isspace():
                continue
            if "\U0001f3fb" <= char <= "\U0001f3ff":  # skin tones
                continue
            for low in char.lower():
                if unicodedata.category(low) != "Mn":
                    letters.append("/" if low == "\u2044" else low)
                    origin.append(index)
    return Folded("".join(letters), tuple(origin), len(text))


@lru_cache(maxsize=_REMEMBERED)
def tokens(text: str) -> tuple[Token, ...]:
    """The text as folded tokens; apostrophes inside words are dropped ("don't" and "dont" are one word)."""
    folded = fold(text)
    found: list[Token] = []
    for match in _TOKEN.finditer(folded.text):
        start, end = folded.span(match.start(), match.end())
        kind = match.lastgroup or "mark"
        found.append(Token(match.group().replace("'", "") if kind == "word" else match.group(), start, end, kind))
        if len(found) >= MAX_TOKENS:
            break
    return tuple(found)


def words(text: str) -> tuple[str, ...]:
    """The folded words and numbers alone, without marks."""
    return tuple(token.text for token in tokens(text) if token.kind != "mark")


@lru_cache(maxsize=_REMEMBERED)
def plain(text: str) -> str:
    """Folded words and numbers in one line: how two texts are compared for equality."""
    return " ".join(words(text))


def shortened(word: str) -> tuple[str, ...]:
    """A word typed with feeling, in its likely spellings: "nooooo" → "no", "noo"; "yeahh" → "yeah"."""
    if not re.search(r"(.)\1\1|..(.)\2$", word):
        return ()
    return (
        re.sub(r"(.)\1{2,}", r"\1", word),
        re.sub(r"(.)\1{2,}", r"\1\1", word),
        re.sub(r"(.)\1+$", r"\1", word),
        re.sub(r"(.)\1+", r"\1", word),
    )
