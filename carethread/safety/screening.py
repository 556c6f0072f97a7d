"""Screens one message for red flags and crisis language, in every language at once.

    rules = load_rules(Path("content/safety"))
    rules.screen("my chest is killing me and i cant breathe").level   # 'emergency'

Deterministic: the same tables and the same text always give the same answer, and every answer names its rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import spacy

from carethread.safety.context import Found, Kind, Layout, Modifier, taken_away
from carethread.safety.levels import RANK, Level
from carethread.safety.matching import PatternIndex, Text, amounts, as_text
from carethread.safety.rules import LanguageTables, Rule, Tables, load_tables
from carethread.safety.text import Piece, split

MOST_CHARACTERS = 12_000  # of one message that are read; every channel allows less


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that fired. `span` counts characters of the message as it was sent."""

    rule: str
    level: Level
    language: str
    span: tuple[int, int]
    source: str
    where: str  # file and line of the pattern


@dataclass(frozen=True, slots=True)
class Dropped:
    """A finding that context took away, for those who tune the tables."""

    rule: str
    language: str
    span: tuple[int, int]
    why: Kind


@dataclass(frozen=True, slots=True)
class Screening:
    """What a message means for safety. The first match is the one that decided the level."""

    level: Level = "none"
    rule: str | None = None
    span: tuple[int, int] | None = None
    language: str | None = None
    source: str | None = None
    matches: tuple[Match, ...] = ()
    signs: frozenset[str] = frozenset()
    dropped: tuple[Dropped, ...] = field(default=(), repr=False)

    @property
    def rules(self) -> frozenset[str]:
        """Every rule that fired, those of other levels too."""
        return frozenset(match.rule for match in self.matches)


@dataclass(frozen=True, slots=True)
class _Finding:
    rule: Rule
    where: str


class _Language:
    """One language's compiled rules."""

    def __init__(self, tables: LanguageTables, rules: Iterable[Rule], elsewhere: frozenset[str]) -> None:
        self.code = tables.language
        self.own_words = tables.vocabulary - elsewhere
        self._tables = tables
        self._nlp = spacy.blank(tables.language)
        self._amount = amounts(tables.numbers)
        self._rules: PatternIndex[_Finding] = PatternIndex(self._nlp, tables.gap_stops)
        self._shields: PatternIndex[tuple[str, bool]] = PatternIndex(self._nlp, tables.gap_stops)
        self._modifiers: PatternIndex[Modifier] = PatternIndex(self._nlp, tables.gap_stops)
        self._exceptions: PatternIndex[Modifier] = PatternIndex(self._nlp, tables.gap_stops)
        for rule in rules:
            said = rule.texts[self.code]
            for written in said.patterns:
                self._rules.add(_Finding(rule, written.where), written.forms)
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

    def read(self, pieces: tuple[Piece, ...]) -> _Reading:
        read = self._tables.reader.read(pieces)
        return _Reading(self, as_text(self._nlp, read, self._tables.vocabulary, self._amount))

    def rules_in(self, text: Text) -> list[tuple[_Finding, int, int]]:
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


class _Reading:
    """One message read in one language. What surrounds a finding is looked up only when there is one."""

    def __init__(self, language: _Language, text: Text) -> None:
        self.language = language
        self.text = text
        self.findings = language.rules_in(text)

    @cached_property
    def layout(self) -> Layout:
        return self.language.layout_of(self.text)

    @cached_property
    def shields(self) -> list[tuple[tuple[str, bool], int, int]]:
        return self.language.shields_in(self.text)

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
        for (name, within), a, b in self.shields:
            if name != rule.id:
                continue
            if a < end and start < b if within else self.layout.same_sentence((a, b), (start, end)):
                return "figurative"
        return taken_away(start, end, self.modifiers, self.layout, ignores=rule.ignores, heeds=rule.heeds)

    def why_not_elsewhere(self, rule: Rule, span: tuple[int, int]) -> Kind | None:
        """Return why a finding of another language's reading does not count: "no tengo chest pain"."""
        words = self.words_of(span)
        if words is None or not self.foreign_modifiers:
            return None
        return taken_away(*words, self.foreign_modifiers, self.layout, ignores=rule.ignores, heeds=rule.heeds)


class RuleSet:
    """All rules, ready to screen. Build it once; it keeps nothing of what it screens."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._languages = [
            _Language(
                language,
                tables.rules,
                frozenset().union(*(other.vocabulary for other in tables.languages if other is not language)),
            )
            for language in tables.languages
        ]

    def screen(self, text: str, known: Iterable[str] = ()) -> Screening:
        """Screen one message.

        `known` are signs and facts from elsewhere (earlier messages' `signs`, "pregnant" from the chart): they
        never alarm alone, only in combinations with something in this message.
        """
        pieces = split(text[:MOST_CHARACTERS])
        if not any(piece.word[0].isalnum() or ord(piece.word[0]) > 0x2000 for piece in pieces):
            return Screening()
        fired, dropped = self._fired([language.read(pieces) for language in self._languages])
        signs = frozenset(match.rule for match in fired)
        matches = [match for match in fired if match.level != "none"]
        matches += self._combined(fired, signs, frozenset(known))
        matches.sort(key=lambda match: (-RANK[match.level], match.span[0] - match.span[1], match.span[0], match.rule))
        if not matches:
            return Screening(signs=signs, dropped=tuple(dropped))
        first = matches[0]
        return Screening(
            level=first.level,
            rule=first.rule,
            span=first.span,
            language=first.language,
            source=first.source,
            matches=tuple(matches),
            signs=signs,
            dropped=tuple(dropped),
        )

    def _fired(self, readings: list[_Reading]) -> tuple[list[Match], list[Dropped]]:
        """Return what counts and what context took away; signs have the level `none`."""
        fired: dict[tuple[str, tuple[int, int]], Match] = {}
        dropped: list[Dropped] = []
        for reading in readings:
            for finding, start, end in reading.findings:
                rule, span = finding.rule, reading.span(start, end)
                why = reading.why_not(rule, start, end)
                for other in readings:
                    if why is None and other is not reading:
                        why = other.why_not_elsewhere(rule, span)
                code = reading.language.code
                if why:
                    dropped.append(Dropped(rule.id, code, span, why))
                else:
                    match = Match(rule.id, rule.level, code, span, rule.source, finding.where)
                    fired.setdefault((rule.id, span), match)
        return list(fired.values()), dropped

    def _combined(self, fired: list[Match], signs: frozenset[str], known: frozenset[str]) -> list[Match]:
        if not signs:
            return []
        everything = signs | known
        combined: list[Match] = []
        for combination in self.tables.combinations:
            if not all(group & everything for group in combination.all_of):
                continue
            part_of = frozenset().union(*combination.all_of)
            new = next((match for match in fired if match.rule in part_of), None)
            if new:
                combined.append(
                    Match(
                        combination.id,
                        combination.level,
                        new.language,
                        new.span,
                        combination.source,
                        combination.where,
                    )
                )
        return combined

    def check(self) -> tuple[str, ...]:
        """Run every rule's examples and counter-examples; return what is wrong, each with file and line."""
        problems: list[str] = []
        for rule in self.tables.rules:
            for language, said in rule.texts.items():
                problems += self._check(rule.id, f"{rule.where} ({language})", said.examples, said.counter_examples)
        for combination in self.tables.combinations:
            problems += self._check(
                combination.id, combination.where, combination.examples, combination.counter_examples
            )
        return tuple(problems)

    def _check(self, rule: str, where: str, examples: tuple[str, ...], counter_examples: tuple[str, ...]) -> list[str]:
        problems = []
        for example in examples:
            screening = self.screen(example)
            if rule not in screening.rules | screening.signs:
                why = next((f", taken away as {d.why}" for d in screening.dropped if d.rule == rule), "")
                problems.append(f"{where}: '{rule}' misses its example {example!r}{why}; widen a pattern")
        for example in counter_examples:
            if rule in self.screen(example).rules | self.screen(example).signs:
                problems.append(f"{where}: '{rule}' fires on its counter-example {example!r}; narrow a pattern")
        return problems


def load_rules(directory: Path) -> RuleSet:
    """Load every safety table of a directory; raise `TableError` with file, line and mend for a bad one.

    Takes about three seconds the first time in a process (spaCy); `check()` is left to tests and publishing.
    """
    return RuleSet(load_tables(directory))
