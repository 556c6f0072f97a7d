"""Screens one message for red flags and crisis language, in every language at once.

    screener = load_screener(Path("content/safety"))
    screener.screen("my chest is killing me and i cant breathe").level   # 'emergency'

Either may alarm: the rules of the tables, and what was fitted to examples and hears what no rule names (the learned
alarm by words, the judge by sense as well).

Deterministic: the same tables and the same text always give the same answer, and every answer names its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from carethread.safety.alarm import FILE, Heard, LearnedAlarm, Limits, Reading
from carethread.safety.encoder import encoder as the_encoder
from carethread.safety.findings import Dropped, Findings, LanguageRules, Match, fired_in
from carethread.safety.judge import FILE as JUDGE
from carethread.safety.judge import PLAIN, Encoder, Judge
from carethread.safety.levels import ALARMS, RANK, Level
from carethread.safety.rules import Tables, load_tables
from carethread.safety.text import chunks, split, unbroken

LEARNED: Final = "learned-"  # begins the name that the learned alarm reports in place of a rule's
LEARNED_FROM: Final = "content/safety/examples"
MOST_CHARACTERS: Final = 12_000  # of one message that are read; every channel allows less


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


class RuleSet:
    """All rules, ready to screen. Build it once; it keeps nothing of what it screens."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._languages = [
            LanguageRules(
                language,
                tables.rules,
                frozenset().union(*(other.vocabulary for other in tables.languages if other is not language)),
            )
            for language in tables.languages
        ]

    def find(self, text: str) -> Findings:
        """What the rules find in a message, before anybody says what it comes to."""
        pieces = split(text[:MOST_CHARACTERS])
        fired: list[Match] = []
        dropped: list[Dropped] = []
        for version in {pieces, unbroken(pieces)}:
            for chunk in chunks(version):
                readings = [language.read(chunk.pieces) for language in self._languages]
                matched, taken = fired_in(readings)
                fired += [match for match in matched if match.span[1] > chunk.heard]
                dropped += taken
        return Findings(tuple(fired), tuple(dropped), tuple(self._combined(fired, frozenset())))

    def decide(
        self, found: Findings, known: Iterable[str] = (), seconded: Callable[[], bool] = lambda: True
    ) -> Screening:
        """What the findings of one message come to.

        `known` are signs and facts from elsewhere (earlier messages' `signs`, "pregnant" from the chart): they
        never alarm alone, only in combinations with something in this message. `seconded` is asked, at most once,
        whether the message as a whole sounds of danger: patterns that the tables call `seconded` need it.
        """
        fired, dropped = list(found.fired), list(found.dropped)
        if any(match.seconded for match in fired) and not seconded():
            dropped += [Dropped(m.rule, m.level, m.language, m.span, "unheard") for m in fired if m.seconded]
            fired = [match for match in fired if not match.seconded]
        matches = [match for match in fired if match.level != "none"]
        matches += self._combined(fired, frozenset(known))
        matches.sort(key=lambda match: (-RANK[match.level], match.span[0] - match.span[1], match.span[0], match.rule))
        signs = frozenset(match.rule for match in fired)
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

    def screen(self, text: str, known: Iterable[str] = ()) -> Screening:
        """Screen one message with the rules alone; `known` as in `decide`."""
        return self.decide(self.find(text), known)

    def warm(self) -> None:
        """Compile every pattern now. A server calls this at start, so that no patient waits for it."""
        for language in self._languages:
            language.warm()

    def _combined(self, fired: Sequence[Match], known: frozenset[str]) -> list[Match]:
        signs = frozenset(match.rule for match in fired)
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


class Screener:
    """The rules, the learned alarm and the judge together: what every message is read with.

    Without an encoder, or when it fails, the learned alarm hears alone.
    """

    def __init__(self, rules: RuleSet, alarm: LearnedAlarm, judge: Judge, encoder: Encoder) -> None:
        self.rules = rules
        self.alarm = alarm
        self.judge = judge
        self._encoder = encoder

    def screen(self, text: str, known: Iterable[str] = ()) -> Screening:
        """Screen one message; `known` as in `RuleSet.decide`. What a rule finds stands; what is heard may only add."""
        findings = self.rules.find(text)
        hearing = _Hearing(self, text, findings)
        found = self.rules.decide(findings, known, lambda: hearing.seconds)
        if found.level in ALARMS:
            return found
        heard = hearing.heard
        if RANK[heard.level] <= RANK[found.level]:
            return found
        return replace(found, level=heard.level, rule=f"{LEARNED}{heard.level}", span=heard.span, source=LEARNED_FROM)

    def read(self, text: str, findings: Findings) -> tuple[Reading, Limits]:
        """How likely each stretch of a message is of which level, and from where on that counts."""
        by_words = self.alarm.read(text)
        suspect = 1 - by_words.chances[:, 0] >= PLAIN
        if findings.fired or findings.combined:
            suspect[:] = True
        asked = [words for words, ask in zip(by_words.stretches, suspect, strict=True) if ask]
        if not asked:
            return by_words, self.judge.limits
        vectors = self._encoder.encode([text[words[0].start : words[-1].end] for words in asked])
        if vectors is None:
            return by_words, self.alarm.limits
        chances = self.judge.chances(vectors, findings, by_words.chances[suspect])
        return Reading(tuple(asked), chances), self.judge.limits

    def warm(self) -> None:
        """Make ready now, so that no patient waits for it."""
        self.rules.warm()
        self._encoder.encode(["hello"])


class _Hearing:
    """What is heard in one message, found out when it is first asked for."""

    def __init__(self, screener: Screener, text: str, findings: Findings) -> None:
        self._screener, self._text, self._findings = screener, text, findings

    @cached_property
    def _read(self) -> tuple[Reading, Limits]:
        return self._screener.read(self._text, self._findings)

    @property
    def seconds(self) -> bool:
        reading, limits = self._read
        return reading.seconds(limits)

    @property
    def heard(self) -> Heard:
        return self._screener.alarm.heard(*self._read)


def load_screener(directory: Path, encoder: Encoder | None = None) -> Screener:
    """Load the tables and what was learned; raise `TableError` with file, line and mend for a bad one."""
    rules, alarm = load_rules(directory), LearnedAlarm.load(directory / FILE)
    return Screener(rules, alarm, Judge.load(directory / JUDGE), encoder or the_encoder())


def load_rules(directory: Path) -> RuleSet:
    """Load every safety table of a directory; raise `TableError` with file, line and mend for a bad one.

    Takes about three seconds the first time in a process (spaCy); `check()` is left to tests and publishing.
    """
    return RuleSet(load_tables(directory))
