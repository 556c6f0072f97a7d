"""Decides whether what was found is meant: not denied, not long past, not supposed, not a figure of speech.

The table is `content/safety/context.yml`. A modifier is a pattern, a kind (why it takes the alarm away) and a
reach (which findings it touches). After the ConText method (Harkema et al. 2009), with clauses cut by words
that turn the meaning ("but", "pero").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from carethread.safety.text import ASKS, BREAKS, COMMA, MARKS, Piece

Kind = Literal[
    "negated",
    "past",
    "recent",
    "history",
    "resolved",
    "hypothetical",
    "question",
    "story",
    "figurative",
    "errand",
    "present",
]
Reach = Literal["before", "after", "clause", "sentence", "covers"]

KINDS: Final[tuple[Kind, ...]] = (
    "negated",
    "past",
    "recent",
    "history",
    "resolved",
    "hypothetical",
    "question",
    "story",
    "figurative",
    "errand",
    "present",
)
REACHES: Final[tuple[Reach, ...]] = ("before", "after", "clause", "sentence", "covers")
ON_REQUEST: Final[frozenset[Kind]] = frozenset({"history"})
"""Kinds that touch only rules that name them under `heeds`: a diagnosis of long ago in another clause."""
UNDONE_BY_PRESENT: Final[frozenset[Kind]] = frozenset({"past", "recent", "history", "resolved"})


LIST_WORDS: Final = 10  # how far a denial carries through a list: "no fever, cough or chest pain"
OVERLAP: Final = 2  # words that a modifier before a finding may share with it: "don't [have] trouble breathing"


@dataclass(frozen=True, slots=True)
class Modifier:
    """One row of the context table."""

    id: str
    kind: Kind
    reach: Reach
    words: int  # how far `before` and `after` reach
    asked: bool  # only in a sentence that ends with a question mark


@dataclass(frozen=True, slots=True)
class Found:
    """A modifier in a message, by word positions."""

    modifier: Modifier
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Turns:
    """Words that end a clause in one language."""

    turns: frozenset[str]  # "but": what comes before says nothing about what comes after
    joins: frozenset[str]  # "and": a new clause of the same sentence
    lists: frozenset[str]  # "or": a list goes on
    negators: frozenset[str]  # a finding that begins with one is not denied by it: "no pulse"


class Layout:
    """Sentences and clauses of one message, by word position."""

    def __init__(self, pieces: Sequence[Piece], turns: Turns) -> None:
        self._words = [piece.word for piece in pieces]
        self._turns = turns
        self._sentence: list[int] = []
        self._clause: list[int] = []
        self._asked: set[int] = set()
        sentence = clause = 0
        for word in self._words:
            if word in BREAKS:
                if word == ASKS:
                    self._asked.add(sentence)
                self._sentence.append(sentence)
                self._clause.append(clause)
                sentence += 1
                clause += 1
                continue
            if word == COMMA or word in turns.turns or word in turns.joins:
                clause += 1
            self._sentence.append(sentence)
            self._clause.append(clause)

    def sentences(self, start: int, end: int) -> set[int]:
        """Return the sentences that hold a word of this stretch."""
        return {self._sentence[at] for at in range(start, end) if self._words[at] not in MARKS}

    def clauses(self, start: int, end: int) -> set[int]:
        """Return the clauses that hold a word of this stretch."""
        return {self._clause[at] for at in range(start, end) if self._words[at] not in MARKS}

    def same_sentence(self, one: tuple[int, int], other: tuple[int, int]) -> bool:
        """Say whether two stretches share a sentence."""
        return bool(self.sentences(*one) & self.sentences(*other))

    def asked(self, start: int, end: int) -> bool:
        """Say whether this stretch stands in a question."""
        return bool(self.sentences(start, end) & self._asked)

    def negates(self, start: int, end: int) -> bool:
        """Say whether this stretch holds a negation of its own."""
        return any(word in self._turns.negators for word in self._words[start:end])

    def joined(self, start: int, end: int) -> bool:
        """Say whether a new clause begins in between: "no fever and my chest hurts" denies only the fever."""
        return any(word in self._turns.joins for word in self._words[start:end])

    def listed(self, start: int) -> bool:
        """Say whether "or" stands right before this word, so that it is one more of a list."""
        return start > 0 and self._words[start - 1] in self._turns.lists

    def carries(self, start: int, end: int) -> bool:
        """Say whether a meaning carries from one word over those between to the next."""
        between = self._words[start:end]
        if any(word in BREAKS or word in self._turns.turns for word in between):
            return False
        if COMMA not in between:
            return True
        return self._in_list(start, end)

    def _in_list(self, start: int, end: int) -> bool:
        """A list goes on over commas when it has 'or' or 'ni' and short members: "no fever, cough or rash"."""
        tail = end
        while tail < len(self._words) and self._words[tail] not in BREAKS and tail < end + 12:
            tail += 1
        stretch = self._words[start:tail]
        if not any(word in self._turns.lists for word in stretch):
            return False
        longest = run = 0
        for word in self._words[start:end]:
            run = 0 if word == COMMA or word in self._turns.lists else run + 1
            longest = max(longest, run)
        return longest <= 5


def taken_away(
    start: int,
    end: int,
    found: Iterable[Found],
    layout: Layout,
    *,
    ignores: frozenset[Kind] = frozenset(),
    heeds: frozenset[Kind] = frozenset(),
) -> Kind | None:
    """Return why the finding at this stretch of words does not count, or None when it does."""
    found = list(found)
    present = [one for one in found if one.modifier.kind == "present"]
    happening = any(_touches(one, start, end, layout) for one in present)
    for one in found:
        kind = one.modifier.kind
        if kind == "present" or kind in ignores or (kind in ON_REQUEST and kind not in heeds):
            continue
        if not _touches(one, start, end, layout):
            continue
        if kind in UNDONE_BY_PRESENT and happening:
            continue
        if kind == "history" and any(one.end <= now.start <= start for now in present):
            continue  # "I had surgery last week, and now she is seizing"
        return kind
    return None


def _touches(one: Found, start: int, end: int, layout: Layout) -> bool:
    modifier = one.modifier
    if modifier.asked and not layout.asked(one.start, one.end):
        return False
    match modifier.reach:
        case "covers":
            return one.start < end and start < one.end
        case "before":
            gap = start - one.end
            near = -OVERLAP <= gap <= modifier.words or (gap <= LIST_WORDS and layout.listed(start))
            joined = modifier.kind == "negated" and layout.joined(one.end, start)
            return one.start < start and near and not joined and _reaches(one.end, start, layout)
        case "after":
            return 0 <= one.start - end <= modifier.words and layout.carries(end, one.start)
        case "clause":
            return bool(layout.clauses(one.start, one.end) & layout.clauses(start, end))
        case "sentence":
            return bool(layout.sentences(one.start, one.end) & layout.sentences(start, end))


def _reaches(end: int, start: int, layout: Layout) -> bool:
    return not layout.negates(start, end) and layout.carries(end, start)
