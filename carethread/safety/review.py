"""Before a changed table is published: does every rule keep its word, and which known message changes its level?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from carethread.safety.levels import RANK, Level
from carethread.safety.rules import Tables
from carethread.safety.screening import Screener


@dataclass(frozen=True, slots=True)
class Change:
    """A message whose level differs. `meant` is what the examples say it is, where they say it."""

    text: str
    before: Level
    after: Level
    rule: str | None  # of the higher level
    meant: Level | None

    @property
    def worse(self) -> bool:
        """An alarm that is meant was lowered, or one that is not meant was raised; lowered at all where nobody says."""
        if self.meant is None:
            return RANK[self.after] < RANK[self.before]
        return abs(RANK[self.after] - RANK[self.meant]) > abs(RANK[self.before] - RANK[self.meant])


def changes(before: Screener, after: Screener, texts: Iterable[tuple[str, Level | None]]) -> Iterator[Change]:
    """Screen every text with both; yield those that change their level, in their order."""
    for text, meant in texts:
        old, new = before.screen(text), after.screen(text)
        if old.level != new.level:
            rule = new.rule if RANK[new.level] > RANK[old.level] else old.rule
            yield Change(text, old.level, new.level, rule, meant)


def table_texts(tables: Tables) -> Iterator[tuple[str, Level | None]]:
    """Every example and counter-example of the rules and combinations."""
    for rule in tables.rules:
        meant: Level | None = None if rule.level == "none" else rule.level
        for said in rule.texts.values():
            yield from ((text, meant) for text in said.examples)
            yield from ((text, None) for text in said.counter_examples)
    for combination in tables.combinations:
        yield from ((text, combination.level) for text in combination.examples)
        yield from ((text, None) for text in combination.counter_examples)
