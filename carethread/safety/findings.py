"""What the rules of one language find in a message, and which of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from carethread.safety.context import Found, Kind, Layout, Modifier, taken_away
from carethread.safety.levels import Level
from carethread.safety.matching import PatternIndex, Text, amounts, as_text, blank
from carethread.safety.rules import LanguageTables, Rule
from carethread.safety.text import Piece


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that fired. `span` counts characters of the message as it was sent."""

    rule: str
    level: Level
    language: str
    span: tuple[int, int]
    source: str
    where: str  # file and line of the pattern
    seconded: bool = False  # counts only where the learned alarm hears danger too


@dataclass(frozen=True, slots=True)
class Dropped:
    """A finding that context took away, for those who tune the tables."""

    rule: str
    level: Level
    language: str
    span: tuple[int, int]
    why: Kind | Literal["unheard"]


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the rules find in one message: what counts, what context took away, and what signs make together."""

    fired: tuple[Match, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    combined: tuple[Match, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    rule: Rule
    where: str
    seconded: bool


class LanguageRules:
    """One language's compiled rules."""

    def __init__(self, tables: LanguageTables, rules: Iterable[Rule], elsewhere: frozenset[str]) -> None:
        self.code = tables.language
        self.own_words = tables.vocabulary - elsewhere
        self._tables = tables
        self._nlp = blank(tables.language)
        self._amount = amounts(tables.numbers)
        self._rules: PatternIndex[Finding] = PatternIndex(self._nlp, tables.gap_stops)
        self._shields: PatternIndex[tuple[str, bool]] = PatternIndex(self._nlp, tables.gap_stops)
        self._modifiers: PatternIndex[Modifier] = PatternIndex(self._nlp, tables.gap_stops)
        self._exceptions: PatternIndex[Modifier] = PatternIndex(self._nlp, tables.gap_stops)
        for rule in rules:
            said = rule.texts[self.code]
            for written in said.patterns:
                self._rules.add(Finding(rule, written.where, seconded=False), written.forms)
            for written in said.seconded:
                self._rules.add(Finding(rule, written.where, seconded=True), written.forms)
            for written in said.not_within:
                self._shields.add((rule.id, True), written.forms)
            for written in said.not_with:
                self._shields.add((rule.id, False), written.forms)
        for modifier, patterns, exceptions in tables.modifiers:
            for written in patterns:
                self._modifiers.add(modifier, written.forms)
            for written in exceptions:
                self._exceptions.add(modifier, written.forms)
        for index in (self._rules, self._shields, self._modifiers, self._exceptions):
            index.finish()

    def warm(self) -> None:
        for index in (self._rules, self._shields, self._modifiers, self._exceptions):
            index.warm()

    def read(self, pieces: tuple[Piece, ...]) -> Reading:
        read = self._tables.reader.read(pieces)
        return Reading(self, as_text(self._nlp, read, self._tables.vocabulary, self._amount))

    def rules_in(self, text: Text) -> list[tuple[Finding, int, int]]:
        return self._rules.find(text)

    def shields_in(self, text: Text) -> list[tuple[tuple[str, bool], int, int]]:
        return self._shields.find(text)

    def layout_of(self, text: Text) -> Layout:
        return Layout(text.pieces, self._tables.turns)

    def modifiers_in(self, text: Text) -> list[Found]:
        found = self._modifiers.find(text)
        if not found:
            return []
        voided = self._exceptions.find(text)
        return [
            Found(modifier, start, end)
            for modifier, start, end in found
            if not any(other == modifier and a < end and start < b for other, a, b in voided)
        ]


class Reading:
    """One message read in one language. What surrounds a finding is looked up only when there is one."""

    def __init__(self, language: LanguageRules, text: Text) -> None:
        self.language = language
        self.text = text
        self.findings = language.rules_in(text)

    @cached_property
    def layout(self) -> Layout:
        return self.language.layout_of(self.text)

    @cached_property
    def shields(self) -> dict[str, list[tuple[bool, int, int]]]:
        """For each rule what its own table says it is not, and whether that must share a word with it."""
        shields: dict[str, list[tuple[bool, int, int]]] = {}
        for (rule, within), start, end in self.language.shields_in(self.text):
            shields.setdefault(rule, []).append((within, start, end))
        return shields

    @cached_property
    def modifiers(self) -> list[Found]:
        return self.language.modifiers_in(self.text)

    @cached_property
    def foreign_modifiers(self) -> list[Found]:
        """Modifiers that only this language knows; "no" alone says nothing about a finding in the other."""
        words = [piece.word for piece in self.text.pieces]
        own = self.language.own_words
        return [one for one in self.modifiers if not own.isdisjoint(words[one.start : one.end])]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the message that these words stand for."""
        pieces = self.text.pieces[start:end]
        return min(piece.start for piece in pieces), max(piece.end for piece in pieces)

    def words_of(self, span: tuple[int, int]) -> tuple[int, int] | None:
        """Return the words of this reading that stand for these characters."""
        at = [n for n, p in enumerate(self.text.pieces) if p.start < span[1] and span[0] < p.end]
        return (at[0], at[-1] + 1) if at else None

    def why_not(self, rule: Rule, start: int, end: int) -> Kind | None:
        """Return why a finding of this reading does not count."""
        for within, a, b in self.shields.get(rule.id, ()):
            if a < end and start < b if within else self.layout.same_sentence((a, b), (start, end)):
                return "figurative"
        return taken_away(start, end, self.modifiers, self.layout, ignores=rule.ignores, heeds=rule.heeds)

    def why_not_elsewhere(self, rule: Rule, span: tuple[int, int]) -> Kind | None:
        """Return why a finding of another language's reading does not count: "no tengo chest pain"."""
        words = self.words_of(span)
        if words is None or not self.foreign_modifiers:
            return None
        return taken_away(*words, self.foreign_modifiers, self.layout, ignores=rule.ignores, heeds=rule.heeds)


def fired_in(readings: Sequence[Reading]) -> tuple[list[Match], list[Dropped]]:
    """Return what counts and what context took away; signs have the level `none`.

    Of one rule's findings in one reading the longest that counts is reported, those that need no second before others.
    """
    fired: dict[tuple[str, str], Match] = {}
    dropped: list[Dropped] = []
    for reading in readings:
        code = reading.language.code
        for finding, start, end in sorted(reading.findings, key=lambda one: (one[0].seconded, one[1] - one[2])):
            rule = finding.rule
            if (rule.id, code) in fired:
                continue
            span = reading.span(start, end)
            why = reading.why_not(rule, start, end)
            for other in readings:
                if why is None and other is not reading:
                    why = other.why_not_elsewhere(rule, span)
            if why:
                dropped.append(Dropped(rule.id, rule.level, code, span, why))
            else:
                fired[rule.id, code] = Match(
                    rule.id, rule.level, code, span, rule.source, finding.where, finding.seconded
                )
    return list(fired.values()), dropped
