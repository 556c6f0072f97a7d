"""Turns what a patient typed into plain words: lower case, no accents, known spellings, original offsets kept.

`split` knows no language. A `Reader` then undoes shorthand, stretched letters, disguises and typos for one
language, so that the rules can be written once, in plain spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from carethread.safety.spelling import Speller, Spelling

STOP: Final = "."  # a sentence ends; also stands at both ends of every message
ASKS: Final = "?"  # a sentence ends and was a question
COMMA: Final = ","  # a clause ends
YES_SI: Final = "sip"  # "sí" is yes, "si" is if; without accents nobody can tell
BREAKS: Final = frozenset({STOP, ASKS})
MARKS: Final = frozenset({STOP, ASKS, COMMA})

LONGEST_STRETCH: Final = 90  # words read at once; a longer sentence is read in stretches
OVERLAPPING: Final = 40  # words that two stretches share
LEAD_IN: Final = 18  # of these, the words that only give the second stretch its context

_FIRST_SYMBOL = 0x2000  # emoji and the like may stand for words
_SENTENCE_ENDS = ".!;\n\r…:"
_CLAUSE_ENDS = ',()[]"|–—/'
_MARKS = frozenset(_SENTENCE_ENDS + _CLAUSE_ENDS + "?")
_DISGUISES = str.maketrans("013457@$!", "oieastasi")
_WORD = r"[^\W\d_]+"
_PIECE = re.compile(
    rf"{_WORD}(?:[0-9@$!*_.\-]{{1,2}}{_WORD})+"  # k!ll, su1cide, s*icide, d.i.e (decided in Reader)
    rf"|{_WORD}(?:'{_WORD})*"
    r"|\d+(?:[.,]\d+)?"
    r"|[^\w\s]",
)
_PARTS = re.compile(rf"{_WORD}(?:'{_WORD})*|\d+(?:[.,]\d+)?|[^\w\s]")
_CLITIC = re.compile(r"^(\w+(?='(?:ll|ve|re|m)$)|i|he|she|we|they|you|it|who|that)'(ll|ve|re|m|d)$")
_CLITICS = {"ll": "will", "ve": "have", "re": "are", "m": "am", "d": "would"}
_POSSESSIVE = re.compile(r"^(\w{3,})'s$")
_SPELLED_OUT = 4  # this many single letters in a row are one word: "h e l p"


@dataclass(frozen=True, slots=True)
class Piece:
    """One word or mark, and where it stood in the message as the patient wrote it."""

    word: str
    start: int
    end: int


def fold(text: str) -> tuple[str, list[int]]:
    """Return the text in lower case without accents, and for each of its characters the original offset."""
    plain: list[str] = []
    offsets: list[int] = []
    for offset, char in enumerate(text):
        if char in "\u2018\u2019\u00b4\u0060\u02bc":
            folded = "'"
        elif char in "\u201c\u201d\u00ab\u00bb":
            folded = '"'
        else:
            folded = unicodedata.normalize("NFKD", char).lower()
        for part in folded:
            if unicodedata.combining(part) or unicodedata.category(part) in ("Cf", "Mn", "Sk"):
                continue
            plain.append(part)
            offsets.append(offset)
    return "".join(plain), offsets


def split(text: str) -> tuple[Piece, ...]:
    """Split a message into pieces that no language has touched yet."""
    plain, offsets = fold(text)
    pieces: list[Piece] = []
    end = 0
    for found in _PIECE.finditer(plain):
        gap = plain[end : found.start()]
        if "\n" in gap or "\r" in gap:
            pieces.append(Piece(STOP, offsets[found.start()], offsets[found.start()]))
        end = found.end()
        start, end_of_piece = offsets[found.start()], offsets[found.end() - 1] + 1
        word = YES_SI if text[start:end_of_piece].lower() == "sí" else found.group()
        pieces.append(Piece(word, start, end_of_piece))
    return tuple(_join_spelled_out(pieces))


def _join_spelled_out(pieces: list[Piece]) -> list[Piece]:
    """Join words that were typed one letter at a time."""
    joined: list[Piece] = []
    run: list[Piece] = []
    for piece in [*pieces, Piece("", 0, 0)]:
        if len(piece.word) == 1 and piece.word.isalpha():
            run.append(piece)
            continue
        if len(run) >= _SPELLED_OUT:
            joined.append(Piece("".join(p.word for p in run), run[0].start, run[-1].end))
        else:
            joined.extend(run)
        run = []
        if piece.word:
            joined.append(piece)
    return joined


@dataclass(frozen=True, slots=True)
class Chunk:
    """A sentence, or a stretch of one that is very long. What ends before `heard` was in the chunk before."""

    pieces: tuple[Piece, ...]
    heard: int


def chunks(pieces: Sequence[Piece]) -> Iterator[Chunk]:
    """Cut a message into sentences, so that the work grows with its length and not with its square."""
    sentence: list[Piece] = []
    for piece in pieces:
        sentence.append(piece)
        if piece.word in _SENTENCE_ENDS + ASKS:
            yield from _stretches(sentence)
            sentence = []
    yield from _stretches(sentence)


def _stretches(sentence: list[Piece]) -> Iterator[Chunk]:
    if not any(_may_mean(piece.word) for piece in sentence):
        return
    heard = -1
    at = 0
    while True:
        stretch = tuple(sentence[at : at + LONGEST_STRETCH])
        yield Chunk(stretch, heard)
        if at + LONGEST_STRETCH >= len(sentence):
            return
        at += LONGEST_STRETCH - OVERLAPPING
        heard = sentence[at + LEAD_IN].start


def _may_mean(word: str) -> bool:
    return word[0].isalnum() or ord(word[0]) > _FIRST_SYMBOL


def unbroken(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Return the message without dots and line ends that only mark a pause: "i can't... breathe"."""
    kept: list[Piece] = []
    for at, piece in enumerate(pieces):
        line_end = piece.word == STOP and piece.start == piece.end
        near = {other.word for other in pieces[max(0, at - 1) : at + 2] if other is not piece}
        pause = piece.word == "…" or (piece.word == STOP and STOP in near)
        if not line_end and not pause:
            kept.append(piece)
    return tuple(kept)


class Reader:
    """Reads pieces in one language. The result always begins and ends with a sentence end."""

    def __init__(self, spelling: Spelling) -> None:
        self._shorthand = spelling.shorthand
        self._longest = max((len(key) for key in spelling.shorthand), default=1)
        self._starts = frozenset(key[0] for key in spelling.shorthand)
        self._speller = Speller(spelling)

    def read(self, pieces: Iterable[Piece]) -> tuple[Piece, ...]:
        """Return the words the rules see: marks unified, spelling mended, shorthand written out."""
        plain: list[Piece] = [Piece(STOP, 0, 0)]
        raw = [part for piece in pieces for part in self._raw(piece)]
        for piece in self._rejoined(raw):
            for part in self._plain(piece):
                if part.word in MARKS and plain[-1].word in MARKS:
                    if plain[-1].word == COMMA or part.word == ASKS:
                        plain[-1] = replace(plain[-1], word=part.word)
                    continue
                plain.append(part)
        end = plain[-1].end
        if plain[-1].word == COMMA:
            plain.pop()
        if plain[-1].word not in BREAKS or len(plain) == 1:
            plain.append(Piece(STOP, end, end))
        return tuple(self._written_out(plain))

    def _rejoined(self, pieces: list[Piece]) -> list[Piece]:
        """Join pieces that are one rule word torn apart: "sui cide"."""
        joined: list[Piece] = []
        for piece in pieces:
            if not piece.word[0].isalnum() and piece.word not in _MARKS and (piece.word,) not in self._shorthand:
                continue
            left = joined[-1].word if joined else ""
            whole = left + piece.word
            torn = left not in self._speller.known or piece.word not in self._speller.known
            if left and torn and len(whole) >= 6 and whole.isalpha() and whole in self._speller.rule_words:
                joined[-1] = Piece(whole, joined[-1].start, piece.end)
            else:
                joined.append(piece)
        return joined

    def words(self, text: str) -> tuple[str, ...]:
        """Return the words of a text from a table: as `read`, without marks and without mending spelling."""
        pieces = [part for piece in split(text) for part in self._parts(piece)]
        kept = [p for p in pieces if p.word[0].isalnum() or (p.word,) in self._shorthand]
        return tuple(piece.word for piece in self._written_out(kept))

    def _raw(self, piece: Piece) -> list[Piece]:
        return self._parts(piece) if piece.word[0].isalnum() else [piece]

    def _plain(self, piece: Piece) -> list[Piece]:
        word = piece.word
        if word[0].isalnum():
            return [self._mended(piece) if word[0].isalpha() else piece]
        if (word,) in self._shorthand:
            return [piece]
        if word in "?¿":
            return [replace(piece, word=ASKS)] if word == "?" else []
        if word in _SENTENCE_ENDS:
            return [replace(piece, word=STOP)]
        if word in _CLAUSE_ENDS:
            return [replace(piece, word=COMMA)]
        return []

    def _parts(self, piece: Piece) -> list[Piece]:
        """Undo disguises; otherwise cut at what is no letter, and take the apostrophe out of words."""
        word = piece.word
        if not word.replace("'", "").isalnum() or (not word[0].isdigit() and any(c.isdigit() for c in word)):
            honest = self._undisguised(word)
            if honest:
                return [replace(piece, word=honest)]
            found = [(m.group(), m.start(), m.end()) for m in _PARTS.finditer(word)]
            if len(found) > 1 and len(word) == piece.end - piece.start:
                cut = [Piece(w, piece.start + a, piece.start + b) for w, a, b in found]
            else:
                cut = [replace(piece, word=w) for w, _, _ in found]
            kept = [p for p in cut if p.word[0].isalnum() or p.word in _SENTENCE_ENDS]
            return [part for p in kept for part in (self._parts(p) if "'" in p.word else [p])]
        clitic = _CLITIC.match(word)
        if clitic:
            return [replace(piece, word=clitic.group(1)), replace(piece, word=_CLITICS[clitic.group(2)])]
        if "'" in word:
            bare = word.replace("'", "")
            owner = _POSSESSIVE.match(word)
            if owner and (bare,) not in self._shorthand:
                return [replace(piece, word=owner.group(1)), replace(piece, word="s")]
            return [replace(piece, word=bare)]
        return [piece]

    def _undisguised(self, word: str) -> str | None:
        letters = re.sub(r"[*_.\-]", "", word.translate(_DISGUISES))
        if letters in self._speller.rule_words and len(letters) >= 3:
            return letters
        return self._speller.undisguised(word.translate(_DISGUISES)) if "*" in word else None

    def _mended(self, piece: Piece) -> Piece:
        mended = self._speller.mend(piece.word)
        return piece if mended == piece.word else replace(piece, word=mended)

    def _written_out(self, pieces: list[Piece]) -> list[Piece]:
        """Write shorthand out, twice: "can't" becomes "can not", and "can not stop" is shorthand itself."""
        apart = [replace(p, word=word) for p in pieces for word in p.word.split(" ")]
        return self._once_written_out(self._once_written_out(apart))

    def _once_written_out(self, pieces: list[Piece]) -> list[Piece]:
        result: list[Piece] = []
        at = 0
        while at < len(pieces):
            if pieces[at].word not in self._starts:
                result.append(pieces[at])
                at += 1
                continue
            for size in range(min(self._longest, len(pieces) - at), 0, -1):
                key = tuple(piece.word for piece in pieces[at : at + size])
                value = self._shorthand.get(key)
                if value is not None:
                    start, end = pieces[at].start, pieces[at + size - 1].end
                    result.extend(Piece(word, start, end) for word in value)
                    at += size
                    break
            else:
                result.append(pieces[at])
                at += 1
        return result
