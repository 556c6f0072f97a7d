"""The last gate before a text leaves: what must not be said, to whom, how long, in which shape.

Wording rules are a table (`content/safety/guard.yml`). Nothing here mends a text: a finding means that it does
not leave and somebody looks at it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from carethread.safety.matching import PatternIndex, amounts, as_text, blank
from carethread.safety.patterns import Form, PatternError, parse
from carethread.safety.spelling import Spelling
from carethread.safety.tables import LANGUAGES, Entry, read_table
from carethread.safety.text import Piece, Reader, split

SHORTHAND: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    (short,): tuple(long.split())
    for short, long in {
        "cannot": "can not",
        "cant": "can not",
        "dont": "do not",
        "doesnt": "does not",
        "isnt": "is not",
        "its": "it is",
        "youre": "you are",
        "youll": "you will",
    }.items()
}

_PLACEHOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{[a-z_][a-z0-9_.]*\}", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_MARKUP = re.compile(r"<\s*/?\s*(?:script|iframe|img|a|style|object|embed|svg)\b", re.IGNORECASE)
# To this very machine, as in the demo, nothing travels that could be read.
_PLAIN_LINK = re.compile(r"\bhttp://(?!(?:127\.0\.0\.1|localhost)(?::\d+)?/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a text must not leave. `span` counts characters of the text."""

    rule: str
    span: tuple[int, int]
    detail: str  # for staff; holds no word of the text


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One thing that first contact must tell: the content keys that say it, and the words in each language."""

    tells: str
    words: Mapping[str, str]
    said_in: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class _GuardRule:
    id: str
    where: str
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]


REMEMBERED: Final = 1024  # texts: most of what goes out is said word for word to many patients, and is read once


class Guard:
    """The wording rules, compiled, and what first contact must say."""

    def __init__(self, languages: Mapping[str, _GuardLanguage], disclosure: tuple[Disclosure, ...]) -> None:
        self._languages = languages
        self.disclosure = disclosure
        self._read = lru_cache(maxsize=REMEMBERED)(self._findings)

    def wording(self, text: str) -> list[Finding]:
        """Return what the text says that only a clinician may say, in any language."""
        return list(self._read(text))

    def _findings(self, text: str) -> tuple[Finding, ...]:
        pieces = split(text)
        found: dict[tuple[str, tuple[int, int]], Finding] = {}
        for language in self._languages.values():
            for rule, span in language.find(pieces):
                found.setdefault((rule.id, span), Finding(rule.id, span, f"forbidden wording ({rule.where})"))
        return tuple(found.values())

    def check(self) -> tuple[str, ...]:
        """Run every rule's examples and counter-examples; return what is wrong."""
        problems: list[str] = []
        for language in self._languages.values():
            for rule in language.rules:
                for example in rule.examples:
                    if rule.id not in {finding.rule for finding in self.wording(example)}:
                        problems.append(f"{rule.where}: '{rule.id}' misses its example {example!r}")
                for example in rule.counter_examples:
                    if rule.id in {finding.rule for finding in self.wording(example)}:
                        problems.append(f"{rule.where}: '{rule.id}' fires on its counter-example {example!r}")
        return tuple(problems)


def check_outbound(
    text: str, *, channel: str, verified: bool, care_detail: bool, max_length: int, guard: Guard | None
) -> list[Finding]:
    """Return every reason why this text must not go out on this channel to this patient now; none means it may.

    `care_detail` says that the text tells something about the patient's care; `verified` that the patient has
    proven who they are on this channel. `max_length` is in characters. Without a guard no wording is looked at.
    """
    findings: list[Finding] = []
    if not text.strip():
        findings.append(Finding("empty", (0, len(text)), f"nothing to send on {channel}"))
    if len(text) > max_length:
        findings.append(
            Finding("too-long", (max_length, len(text)), f"{len(text)} characters, {channel} takes {max_length}")
        )
    if care_detail and not verified:
        findings.append(Finding("unverified", (0, len(text)), f"care detail to somebody not verified on {channel}"))
    for rule, pattern, detail in _SHAPES:
        findings += [Finding(rule, found.span(), detail) for found in pattern.finditer(text)]
    return findings + (guard.wording(text) if guard else [])


_SHAPES: Final = (
    ("placeholder", _PLACEHOLDER, "a parameter was not filled in"),
    ("control-character", _CONTROL, "a character that hides or reorders text"),
    ("markup", _MARKUP, "markup that a browser would run or load"),
    ("plain-link", _PLAIN_LINK, "a link without encryption"),
)


class _GuardLanguage:
    def __init__(self, code: str) -> None:
        self.rules: list[_GuardRule] = []
        self._nlp = blank(code)
        shorthand: Mapping[tuple[str, ...], tuple[str, ...]] = SHORTHAND if code == "en" else {}
        self._reader = Reader(Spelling(code, frozenset(), {}, frozenset(), shorthand))
        self._vocabulary: set[str] = set()
        self._known: frozenset[str] = frozenset()
        self._patterns: PatternIndex[_GuardRule] = PatternIndex(self._nlp, frozenset())
        self._exceptions: PatternIndex[_GuardRule] = PatternIndex(self._nlp, frozenset())

    def add(self, rule: _GuardRule, patterns: list[Entry], exceptions: list[Entry]) -> None:
        self.rules.append(rule)
        for entry in patterns:
            self._patterns.add(rule, self._forms(entry))
        for entry in exceptions:
            self._exceptions.add(rule, self._forms(entry))

    def finish(self) -> None:
        self._patterns.finish()
        self._exceptions.finish()
        self._known = frozenset(self._vocabulary)

    def find(self, pieces: tuple[Piece, ...]) -> list[tuple[_GuardRule, tuple[int, int]]]:
        read = self._reader.read(pieces)
        text = as_text(self._nlp, read, self._known, amounts({}))
        voided = self._exceptions.find(text)
        return [
            (rule, (read[start].start, read[end - 1].end))
            for rule, start, end in self._patterns.find(text)
            if not any(other is rule and a < end and start < b for other, a, b in voided)
        ]

    def _forms(self, entry: Entry) -> tuple[Form, ...]:
        try:
            forms = parse(entry.text("a pattern"), {}, self._reader.words)
        except PatternError as error:
            raise entry.fail(str(error)) from None
        self._vocabulary |= {word for form in forms for step in form for word in getattr(step, "options", ())}
        return forms


def load_guard(path: Path) -> Guard:
    """Load the wording rules; raise `TableError` with file, line and mend for a bad one."""
    table = read_table(path).fields("the guard table", required=("disclosure", "rules"))
    disclosure = tuple(_disclosure(entry) for entry in table.items("disclosure"))
    languages = {code: _GuardLanguage(code) for code in LANGUAGES}
    for entry in table.items("rules"):
        fields = entry.fields("a rule", required=("id", "source", *LANGUAGES))
        for code in LANGUAGES:
            said = fields[code].fields(
                f"'{code}'", required=("patterns", "examples", "counter_examples"), optional=("except",)
            )
            rule = _GuardRule(
                fields["id"].text("id"),
                f"{entry.where}:{fields[code].line}",
                tuple(said.texts("examples")),
                tuple(said.texts("counter_examples")),
            )
            languages[code].add(rule, said.items("patterns"), said.items("except"))
    for language in languages.values():
        language.finish()
    return Guard(languages, disclosure)


def _disclosure(entry: Entry) -> Disclosure:
    row = entry.fields("a line of the disclosure", required=("tells", "source", "said_in", *LANGUAGES))
    row["source"].text("source")
    words = {code: row[code].text(code) for code in LANGUAGES}
    return Disclosure(row["tells"].text("tells"), words, tuple(row.texts("said_in")), f"{entry.where}:{entry.line}")
