"""Screens one message for red flags and crisis language, in every language at once.

    screener = load_screener(Path("content/safety"))
    screener.screen("my chest is killing me and i cant breathe").level   # 'emergency'

Two readers, and either may alarm: the rules of the tables, and an alarm that was fitted to examples and hears
what no rule names.

Deterministic: the same tables and the same text always give the same answer, and every answer names its rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from carethread.safety.alarm import FILE, LearnedAlarm
from carethread.safety.findings import Dropped, LanguageRules, Match, fired_in
from carethread.safety.levels import RANK, Level
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

    def screen(
        self, text: str, known: Iterable[str] = (), second: Callable[[str], bool] = lambda _text: True
    ) -> Screening:
        """Screen one message.

        `known` are signs and facts from elsewhere (earlier messages' `signs`, "pregnant" from the chart): they
        never alarm alone, only in combinations with something in this message. `second` is asked, at most once,
        whether the message as a whole sounds of danger: patterns that the tables call `seconded` need it.
        """
        pieces = split(text[:MOST_CHARACTERS])
        fired: list[Match] = []
        dropped: list[Dropped] = []
        for version in {pieces, unbroken(pieces)}:
            for chunk in chunks(version):
                readings = [language.read(chunk.pieces) for language in self._languages]
                found, taken = fired_in(readings)
                fired += [match for match in found if match.span[1] > chunk.heard]
                dropped += taken
        if any(match.seconded for match in fired) and not second(text):
            dropped += [Dropped(m.rule, m.language, m.span, "unheard") for m in fired if m.seconded]
            fired = [match for match in fired if not match.seconded]
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

    def warm(self) -> None:
        """Compile every pattern now. A server calls this at start, so that no patient waits for it."""
        for language in self._languages:
            language.warm()

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


class Screener:
    """The rules and the learned alarm together: what every message is read with."""

    def __init__(self, rules: RuleSet, alarm: LearnedAlarm) -> None:
        self.rules = rules
        self.alarm = alarm

    def screen(self, text: str, known: Iterable[str] = ()) -> Screening:
        """Screen one message; `known` as in `RuleSet.screen`. What a rule finds stands; the learned alarm adds."""
        found = self.rules.screen(text, known, self.alarm.seconds)
        if found.level != "none":
            return found
        heard = self.alarm.hear(text)
        if heard.level == "none":
            return found
        return replace(found, level=heard.level, rule=f"{LEARNED}{heard.level}", span=heard.span, source=LEARNED_FROM)

    def warm(self) -> None:
        """Make ready now, so that no patient waits for it."""
        self.rules.warm()


def load_screener(directory: Path) -> Screener:
    """Load the tables and the learned alarm; raise `TableError` with file, line and mend for a bad one."""
    return Screener(load_rules(directory), LearnedAlarm.load(directory / FILE))


def load_rules(directory: Path) -> RuleSet:
    """Load every safety table of a directory; raise `TableError` with file, line and mend for a bad one.

    Takes about three seconds the first time in a process (spaCy); `check()` is left to tests and publishing.
    """
    return RuleSet(load_tables(directory))
