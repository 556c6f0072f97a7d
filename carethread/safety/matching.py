"""Finds many written patterns in a message with spaCy's Matcher, trying only those whose words are all there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

import spacy
from spacy.language import Language
from spacy.matcher import Matcher
from spacy.tokens import Doc, Token

from carethread.safety.patterns import AMOUNT, Form, Number, Words, to_spacy
from carethread.safety.text import MARKS, Piece

T = TypeVar("T")

UNKNOWN = "_"  # stands for every word no rule knows, so that no patient's word stays in spaCy's string store

if not Token.has_extension(AMOUNT):
    Token.set_extension(AMOUNT, default=math.nan)


@cache
def blank(language: str) -> Language:
    """spaCy without a model, one for each language and process: its tables take a tenth of a second to fill."""
    return spacy.blank(language)


@dataclass(frozen=True, slots=True)
class Text:
    """A message as the matcher sees it."""

    doc: Doc
    pieces: Sequence[Piece]
    present: frozenset[str]
    has_number: bool


class PatternIndex(Generic[T]):
    """Patterns of one language, each with the thing it stands for."""

    def __init__(self, nlp: Language, gap_stops: frozenset[str]) -> None:
        self._nlp = nlp
        self._gap_stops = gap_stops
        self._entries: list[tuple[T, Sequence[Form]]] = []
        self._matchers: dict[int, Matcher] = {}  # built when first needed: most patterns never are
        self._forms: list[tuple[int, tuple[frozenset[str], ...], bool]] = []
        self._by_anchor: dict[str, list[int]] = {}
        self._numeric: list[int] = []

    def add(self, thing: T, forms: Sequence[Form]) -> None:
        """Add one written pattern, given by all its forms."""
        entry = len(self._entries)
        self._entries.append((thing, forms))
        for form in forms:
            sets = tuple(step.options for step in form if isinstance(step, Words))
            self._forms.append((entry, sets, any(isinstance(step, Number) for step in form)))

    def finish(self) -> None:
        """Choose for every form the rarest set of words that must be there, and index it by those."""
        uses: Counter[str] = Counter()
        for _, sets, _ in self._forms:
            uses.update(word for options in sets for word in options)
        for at, (_, sets, _) in enumerate(self._forms):
            if not sets:
                self._numeric.append(at)
                continue
            anchor = min(sets, key=lambda options: sum(uses[word] for word in options))
            for word in anchor:
                self._by_anchor.setdefault(word, []).append(at)

    def warm(self) -> None:
        """Build every matcher now instead of with the first message that needs it."""
        for entry in range(len(self._entries)):
            self._matcher(entry)

    def find(self, text: Text) -> list[tuple[T, int, int]]:
        """Return every pattern found, with its first word and the one after its last."""
        wanted: set[int] = set()
        candidates: Iterable[int] = (at for word in text.present for at in self._by_anchor.get(word, ()))
        if self._numeric and text.has_number:
            candidates = [*candidates, *self._numeric]
        for at in candidates:
            entry, sets, number = self._forms[at]
            if entry in wanted or (number and not text.has_number):
                continue
            if not any(text.present.isdisjoint(options) for options in sets):
                wanted.add(entry)
        found: list[tuple[T, int, int]] = []
        for entry in sorted(wanted):
            thing, _ = self._entries[entry]
            spans = {(start, end) for _, start, end in self._matcher(entry)(text.doc)}
            found.extend((thing, *_trimmed(text.pieces, start, end)) for start, end in sorted(spans))
        return found

    def _matcher(self, entry: int) -> Matcher:
        matcher = self._matchers.get(entry)
        if matcher is None:
            matcher = Matcher(self._nlp.vocab)
            matcher.add("m", [to_spacy(form, self._gap_stops) for form in self._entries[entry][1]])
            self._matchers[entry] = matcher
        return matcher


def as_text(
    nlp: Language, pieces: Sequence[Piece], vocabulary: frozenset[str], amount: Callable[[str], float | None]
) -> Text:
    """Put read pieces into a spaCy document."""
    words = [piece.word if piece.word in vocabulary or piece.word in MARKS else UNKNOWN for piece in pieces]
    doc = Doc(nlp.vocab, words=words)
    has_number = False
    for token, piece in zip(doc, pieces, strict=True):
        value = amount(piece.word)
        if value is not None:
            token._.set(AMOUNT, value)
            has_number = True
    return Text(doc, pieces, frozenset(words), has_number)


def amounts(number_words: Mapping[str, float]) -> Callable[[str], float | None]:
    """Return a reader of numbers written in digits or in the words given."""

    def amount(word: str) -> float | None:
        if word[0].isdigit():
            try:
                return float(word.replace(",", "."))
            except ValueError:
                return None
        return number_words.get(word)

    return amount


def _trimmed(pieces: Sequence[Piece], start: int, end: int) -> tuple[int, int]:
    """Leave out the sentence ends that a pattern's `^` took in."""
    while start < end - 1 and pieces[start].word in MARKS:
        start += 1
    while end - 1 > start and pieces[end - 1].word in MARKS:
        end -= 1
    return start, end
