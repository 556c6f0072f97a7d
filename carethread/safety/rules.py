"""The safety tables, read and checked: rules, signs, combinations, context. No text is screened here.

Read from `content/safety/`: lexicon.yml, words.yml, context.yml and every table in the folders emergencies,
crisis and combinations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from carethread.safety.context import KINDS, REACHES, Kind, Modifier, Turns
from carethread.safety.levels import LEVELS, Level
from carethread.safety.patterns import Form, Lexicon, PatternError, Phrase, as_forms, parse
from carethread.safety.spelling import Spelling
from carethread.safety.tables import LANGUAGES, Entry, Fields, TableError, read_table
from carethread.safety.text import Reader

CONTEXT_LETTERS: Final = 6  # words of context from this length are worth mending: a slip in "prevention" must not alarm
RULE_FOLDERS: Final = ("emergencies", "crisis", "combinations")
_RULE_OPTIONAL = ("ignores", "heeds")


@dataclass(frozen=True, slots=True)
class Written:
    """One written pattern with where it stands and all its forms."""

    where: str
    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a rule says in one language.

    `seconded` are words that forms, bills and histories hold as often as emergencies do ("stroke", "overdose"): they
    count where the learned alarm hears danger in the message as a whole.
    """

    patterns: tuple[Written, ...]
    seconded: tuple[Written, ...]
    not_within: tuple[Written, ...]
    not_with: tuple[Written, ...]
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A red flag (with a level) or a sign (level `none`: it counts only in a combination)."""

    id: str
    where: str
    level: Level
    source: str
    ignores: frozenset[Kind]
    heeds: frozenset[Kind]
    texts: Mapping[str, RuleText]


@dataclass(frozen=True, slots=True)
class Combination:
    """Signs that together are a red flag. Each member of `all_of` is a set of which one must be there."""

    id: str
    where: str
    level: Level
    source: str
    all_of: tuple[frozenset[str], ...]
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LanguageTables:
    """Everything that belongs to one language."""

    language: str
    reader: Reader
    vocabulary: frozenset[str]
    keys: Mapping[str, int]
    numbers: Mapping[str, float]
    turns: Turns
    gap_stops: frozenset[str]
    modifiers: tuple[tuple[Modifier, tuple[Written, ...], tuple[Written, ...]], ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """All safety tables."""

    rules: tuple[Rule, ...]
    combinations: tuple[Combination, ...]
    languages: tuple[LanguageTables, ...]
    facts: frozenset[str]


def load_tables(directory: Path) -> Tables:
    """Read and check every safety table in a directory; raise `TableError` for the first mistake."""
    lexicon_file = read_table(directory / "lexicon.yml").fields("the lexicon", required=LANGUAGES)
    words_file = read_table(directory / "words.yml").fields("the words table", required=LANGUAGES)
    context_file = read_table(directory / "context.yml").fields(
        "the context table", required=("turns", "joins", "lists", "negators", "gap_stops", "modifiers")
    )
    files = [read_table(path) for folder in RULE_FOLDERS for path in sorted((directory / folder).glob("*.yml"))]
    if not files:
        raise TableError(f"{directory}:1: no rules in {', '.join(RULE_FOLDERS)}; restore them from the repository")
    sections = [file.fields("a rules table", optional=("facts", "rules", "signs", "combinations")) for file in files]
    real = {word for language in LANGUAGES for word in _word_list(words_file[language])}
    builders = {language: _Builder(language, lexicon_file[language]) for language in LANGUAGES}
    rules = [
        _rule(entry, builders, sign=kind == "signs")
        for section in sections
        for kind in ("rules", "signs")
        for entry in section.items(kind)
    ]
    _unique([(rule.id, rule.where) for rule in rules])
    facts = frozenset(word for section in sections for word in section.texts("facts"))
    known = facts | {rule.id for rule in rules}
    combinations = [_combination(entry, known) for section in sections for entry in section.items("combinations")]
    _unique([(r.id, r.where) for r in rules] + [(c.id, c.where) for c in combinations])
    contexts = {language: builder.context(context_file) for language, builder in builders.items()}
    everything = frozenset().union(*(builder.vocabulary for builder in builders.values()), real)
    languages = tuple(builder.finish(contexts[builder.language], everything) for builder in builders.values())
    return Tables(tuple(rules), tuple(combinations), languages, facts)


@dataclass(frozen=True, slots=True)
class _Context:
    turns: Turns
    gap_stops: frozenset[str]
    modifiers: tuple[tuple[Modifier, tuple[Written, ...], tuple[Written, ...]], ...]


class _Builder:
    """Collects what one language's tables say until its vocabulary is complete."""

    def __init__(self, language: str, lexicon: Entry) -> None:
        self.language = language
        fields = lexicon.fields(
            f"lexicon '{language}'", required=("shorthand", "numbers"), optional=("shorthand", "numbers", "lists")
        )
        shorthand = _shorthand(fields["shorthand"])
        self._shorthand = shorthand
        self._plain = Reader(Spelling(language, frozenset(), {}, frozenset(), shorthand))
        self.numbers = _numbers(fields["numbers"])
        self.vocabulary: set[str] = set()
        self.keys: Counter[str] = Counter()
        self.lexicon = self._lists(fields)

    def words(self, text: str) -> Phrase:
        return self._plain.words(text)

    def pattern(self, entry: Entry, *, finds: bool = False) -> Written:
        text = entry.text("a pattern")
        try:
            forms = parse(text, self.lexicon, self.words)
        except PatternError as error:
            raise entry.fail(str(error)) from None
        for form in forms:
            for step in form:
                options = getattr(step, "options", None)
                if options:
                    self.vocabulary |= options
        said = {word for form in forms for step in form for word in getattr(step, "options", ())}
        self.keys.update(word for word in said if finds or len(word) >= CONTEXT_LETTERS)
        return Written(f"{entry.where}:{entry.line}", forms)

    def context(self, context: Fields) -> _Context:
        def words(key: str) -> frozenset[str]:
            per_language = context[key].fields(key, required=LANGUAGES)
            found = frozenset(self.words(text)[0] for text in per_language.texts(self.language))
            self.vocabulary |= found
            return found

        entries = context["modifiers"].items("modifiers")
        modifiers = tuple(self._modifier(entry) for entry in entries if self._speaks(entry))
        turns = Turns(words("turns"), words("joins"), words("lists"), words("negators"))
        return _Context(turns, words("gap_stops"), modifiers)

    def finish(self, context: _Context, real_words: frozenset[str]) -> LanguageTables:
        vocabulary, keys = frozenset(self.vocabulary), dict(self.keys)
        return LanguageTables(
            language=self.language,
            reader=Reader(Spelling(self.language, vocabulary, keys, real_words, self._shorthand)),
            vocabulary=vocabulary,
            keys=keys,
            numbers=self.numbers,
            turns=context.turns,
            gap_stops=context.gap_stops,
            modifiers=context.modifiers,
        )

    def _speaks(self, entry: Entry) -> bool:
        fields = entry.fields("a modifier", required=("id", "kind", "reach"), optional=("words", "asked", *LANGUAGES))
        return self.language in fields.values

    def _modifier(self, entry: Entry) -> tuple[Modifier, tuple[Written, ...], tuple[Written, ...]]:
        fields = entry.fields("a modifier", required=("id", "kind", "reach"), optional=("words", "asked", *LANGUAGES))
        kind, reach = fields["kind"].text("kind"), fields["reach"].text("reach")
        if kind not in KINDS:
            raise fields["kind"].fail(f"kind '{kind}' is not known (kinds: {', '.join(KINDS)})")
        if reach not in REACHES:
            raise fields["reach"].fail(f"reach '{reach}' is not known (reaches: {', '.join(REACHES)})")
        distance, asked = fields.get("words"), fields.get("asked")
        modifier = Modifier(
            id=fields["id"].text("id"),
            kind=kind,
            reach=reach,
            words=distance.number("words") if distance else 3,
            asked=asked is not None and asked.text("asked") == "true",
        )
        said = fields[self.language].fields("a modifier's language", required=("patterns",), optional=("except",))
        patterns = tuple(self.pattern(item) for item in said.items("patterns"))
        return modifier, patterns, tuple(self.pattern(item) for item in said.items("except"))

    def _lists(self, fields: Fields) -> Lexicon:
        lists: dict[str, list[Phrase]] = {}
        entry = fields.get("lists")
        for name, content in (entry.fields("lists").values if entry else {}).items():
            phrases: list[Phrase] = []
            for item in content.items(name):
                text = item.text(name)
                if text.startswith("@"):
                    if text[1:] not in lists:
                        raise item.fail(f"list '{text}' is not defined above '{name}'; move it up or correct it")
                    phrases.extend(lists[text[1:]])
                else:
                    phrases.extend(self.words(part) for part in text.split(","))
            if not all(phrases):
                raise content.fail(f"list '{name}' holds an entry without words; remove it")
            lists[name] = phrases
        return {name: as_forms(phrases) for name, phrases in lists.items()}


def _rule(entry: Entry, builders: Mapping[str, _Builder], *, sign: bool) -> Rule:
    required = ("id", "source", *LANGUAGES) if sign else ("id", "level", "source", *LANGUAGES)
    fields = entry.fields("a sign" if sign else "a rule", required=required, optional=_RULE_OPTIONAL)
    level: Level = "none" if sign else _level(fields["level"])
    return Rule(
        id=fields["id"].text("id"),
        where=f"{entry.where}:{entry.line}",
        level=level,
        source=fields["source"].text("source"),
        ignores=_kinds(fields, "ignores"),
        heeds=_kinds(fields, "heeds"),
        texts={language: _rule_text(fields[language], builders[language]) for language in LANGUAGES},
    )


def _rule_text(entry: Entry, builder: _Builder) -> RuleText:
    fields = entry.fields(
        f"'{builder.language}'",
        required=("patterns", "examples", "counter_examples"),
        optional=("seconded", "not_within", "not_with"),
    )

    def patterns(key: str) -> tuple[Written, ...]:
        return tuple(builder.pattern(item, finds=key in ("patterns", "seconded")) for item in fields.items(key))

    text = RuleText(
        patterns=patterns("patterns"),
        seconded=patterns("seconded"),
        not_within=patterns("not_within"),
        not_with=patterns("not_with"),
        examples=tuple(fields.texts("examples")),
        counter_examples=tuple(fields.texts("counter_examples")),
    )
    if not text.patterns or not text.examples or not text.counter_examples:
        raise entry.fail("a rule needs at least one pattern, one example and one counter-example; add them")
    return text


def _combination(entry: Entry, known: frozenset[str] | set[str]) -> Combination:
    fields = entry.fields("a combination", required=("id", "level", "source", "all", "examples", "counter_examples"))
    groups: list[frozenset[str]] = []
    for item in fields.items("all"):
        group = frozenset(part.strip() for part in item.text("a sign").split("|"))
        for name in sorted(group - known):
            raise item.fail(f"sign '{name}' is not defined (a sign, a rule or a fact; add it or correct the name)")
        groups.append(group)
    if len(groups) < 2:
        raise fields["all"].fail("a combination needs two signs or more; make it a rule otherwise")
    return Combination(
        id=fields["id"].text("id"),
        where=f"{entry.where}:{entry.line}",
        level=_level(fields["level"]),
        source=fields["source"].text("source"),
        all_of=tuple(groups),
        examples=tuple(fields.texts("examples")),
        counter_examples=tuple(fields.texts("counter_examples")),
    )


def _level(entry: Entry) -> Level:
    level = entry.text("level")
    if level not in LEVELS[1:]:
        raise entry.fail(f"level '{level}' is not known (levels: {', '.join(LEVELS[1:])})")
    return level


def _kinds(fields: Fields, key: str) -> frozenset[Kind]:
    entry = fields.get(key)
    for item in entry.items(key) if entry else []:
        if item.text(key) not in KINDS:
            raise item.fail(f"kind '{item.value}' is not known (kinds: {', '.join(KINDS)})")
    return frozenset(cast(Kind, text) for text in fields.texts(key))


def _unique(ids: list[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, where in ids:
        if name in seen and seen[name] != where:
            raise TableError(f"{where}: id '{name}' is already used at {seen[name]}; choose another")
        seen[name] = where


def _word_list(entry: Entry) -> list[str]:
    plain: Callable[[str], str] = str.casefold
    return [plain(word) for text in entry.texts("words") for word in text.split()]


def _shorthand(entry: Entry) -> dict[Phrase, Phrase]:
    """Return what is written out: first as it stands, then with values written out themselves."""
    raw = entry.fields("shorthand").values
    reader = Reader(Spelling("en", frozenset(), {}, frozenset(), {}))
    symbols = {key: value for key, value in raw.items() if not any(char.isalnum() for char in key)}
    table: dict[Phrase, Phrase] = {}
    for key, value in raw.items():
        folded: Phrase = (key,) if key in symbols else reader.words(key)
        said = reader.words(value.text("shorthand")) if value.value else ()
        if not folded:
            raise value.fail(f"shorthand '{key}' holds no word; remove it")
        table[folded] = said
    return table


def _numbers(entry: Entry) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for word, value in entry.fields("numbers").values.items():
        numbers[word] = float(value.number("a number"))
    return numbers
