"""Word tables of both languages, and the scan that turns a text into the symbols those tables define.

A table is a YAML file in `words/`: rows of a kind, a value and the ways to say it in English and Spanish.
Readers then work on symbols ("NUM:2 UNIT:week AGO:1"), so one rule serves both languages and every typo.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from carethread.questionnaires.readings.text import Token, shortened, tokens
from carethread.yamls import parse_texts

LANGUAGES = ("en", "es")
_TYPO_LENGTH = 5  # shorter words are too easily another word
_LONG_TYPO_LENGTH = 8  # from here two slips are forgiven


class WordTableError(ValueError):
    """A word table cannot be used: says which file, which row, and what to change."""


@dataclass(frozen=True, slots=True)
class Sym:
    """One symbol of a text: a table's kind and value, a number (NUM), a time (TIME), a mark (P) or a word (W)."""

    kind: str
    value: str
    start: int
    end: int
    exact: bool = True
    spelled: bool = False  # a number written as a word


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a rule matched: the captured values, the symbols and the characters it covers."""

    values: Mapping[str, str | None]
    first: int
    last: int  # exclusive, in symbols
    span: tuple[int, int]
    exact: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A text as symbols, searchable with rules such as `NUM=n UNIT=unit AGO`."""

    text: str
    syms: tuple[Sym, ...]

    def find(self, rule: "re.Pattern[str]", first: int = 0, last: int | None = None) -> Hit | None:
        return next(iter(self.find_all(rule, first, last)), None)

    def find_all(self, rule: "re.Pattern[str]", first: int = 0, last: int | None = None) -> Iterable[Hit]:
        chosen = self.syms[first:last]
        places: dict[int, int] = {}
        parts: list[str] = []
        offset = 0
        for index, sym in enumerate(chosen):
            places[offset] = first + index
            part = f"{sym.kind}:{sym.value} "
            parts.append(part)
            offset += len(part)
        places[offset] = first + len(chosen)
        for match in rule.finditer("".join(parts)):
            if match.start() == match.end():
                continue
            begin, end = places[match.start()], places[match.end()]
            covered = self.syms[begin:end]
            yield Hit(
                match.groupdict(),
                begin,
                end,
                (covered[0].start, covered[-1].end),
                all(sym.exact for sym in covered),
            )

    def without(self, *kinds: str) -> "Line":
        return Line(self.text, tuple(sym for sym in self.syms if sym.kind not in kinds))

    def rewrite(self, pattern: "re.Pattern[str]", replace: "Callable[[Hit], Sequence[Sym] | None]") -> "Line":
        """The line with every match replaced by what `replace` returns; None leaves a match as it is."""
        line = self
        for hit in reversed(list(self.find_all(pattern))):
            new = replace(hit)
            if new is not None:
                line = Line(self.text, (*line.syms[: hit.first], *new, *line.syms[hit.last :]))
        return line


@lru_cache(maxsize=512)
def rule(source: str) -> "re.Pattern[str]":
    """Compiles a rule. Items are symbols in order: `KIND`, `KIND:value`, `KIND=name` (captures the value),
    `A|B=name` (either kind), with `?` optional and `*` any number of times.
    """
    parts = [r"(?<!\S)"]
    for item in source.split():
        bare = item.rstrip("?*")
        alternatives, _, name = bare.partition("=")
        kinds = "|".join(
            re.escape(alternative) if ":" in alternative else re.escape(alternative) + ":(?:%s)"
            for alternative in alternatives.split("|")
        )
        if name:
            kinds_only = "|".join(re.escape(alternative) for alternative in alternatives.split("|"))
            body = rf"(?:{kinds_only}):(?P<{name}>\S+) "
        else:
            body = f"(?:{kinds.replace('(?:%s)', chr(92) + 'S+')}) "
        suffix = item[len(bare) :]
        parts.append(f"(?:{body}){suffix}" if suffix else body)
    return re.compile("".join(parts))


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    value: str


class Lexicon:
    """Several word tables together, for one language first and the other one behind it."""

    def __init__(self, names: tuple[str, ...], language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._phrases: dict[tuple[str, ...], _Entry] = {}
        self._suffixes: frozenset[str] = frozenset()
        other = "es" if self.language == "en" else "en"
        self._forgiving = all(load_table(name).get("forgiving", "yes") == "yes" for name in names)
        blocked: set[tuple[str, ...]] = set()
        for name in names:
            table = load_table(name)
            blocked |= {_split(phrase) for phrase in table.get("not_in", {}).get(self.language, [])}
            self._suffixes |= frozenset(table.get("ordinal_suffixes", {}).get(self.language, []))
        own: set[tuple[str, ...]] = set()
        for language_read in (other, self.language):
            for name in names:
                for row in load_table(name)["rows"]:
                    entry = _Entry(str(row["kind"]), str(row["value"]))
                    for phrase in row.get(language_read, []):
                        split = _split(str(phrase))
                        if language_read == self.language or split not in blocked:
                            self._phrases[split] = entry
                            if language_read == self.language:
                                own.add(split)
        for word, value in _fused(self._phrases).items():
            self._phrases.setdefault((word,), _Entry("NUM", value))
        self._longest = max(map(len, self._phrases))
        self._known = {word for phrase in self._phrases for word in phrase}
        # Words that mean something alone, and those of longer phrases that the tables name as worth mending.
        # Only the language's own: an English "lungs" is no mistyped "lunes".
        worth = {phrase[0] for phrase in own if len(phrase) == 1}
        worth |= self._known & {word for name in names for word in load_table(name).get("mend", [])}
        self._mendable = sorted(word for word in worth if len(word) >= _TYPO_LENGTH)
        self._mended: dict[str, str | None] = {}
        self._scanned = lru_cache(maxsize=512)(self._scan)

    def scan(self, text: str) -> Line:
        """The text as symbols: the longest phrase at each place wins; numbers in words become one NUM."""
        return self._scanned(text)

    def _scan(self, text: str) -> Line:
        return Line(text, tuple(_compose_numbers(self._symbols(tokens(text)))))

    def _symbols(self, found: tuple[Token, ...]) -> list[Sym]:
        spelled = [self._spelling(token) for token in found]
        syms: list[Sym] = []
        index = 0
        while index < len(found):
            ordinal = self._ordinal(found, index)
            if ordinal is not None:
                syms.append(ordinal)
                index += 2
                continue
            for size in range(min(self._longest, len(found) - index), 0, -1):
                entry = self._phrases.get(tuple(spelled[index : index + size]))
                if entry is not None:
                    covered = found[index : index + size]
                    exact = all(
                        token.text == word for token, word in zip(covered, spelled[index : index + size], strict=True)
                    )
                    syms.append(
                        Sym(entry.kind, entry.value, covered[0].start, covered[-1].end, exact, entry.kind == "NUM")
                    )
                    index += size
                    break
            else:
                token = found[index]
                kind = {"time": "TIME", "number": "NUM", "word": "W", "mark": "P"}[token.kind]
                value = token.text.replace(",", ".") if token.kind == "number" else token.text
                syms.append(Sym(kind, value, token.start, token.end))
                index += 1
        return syms

    def _ordinal(self, found: tuple[Token, ...], index: int) -> Sym | None:
        token = found[index]
        if token.kind != "number" or not token.text.isdigit() or index + 1 >= len(found):
            return None
        suffix = found[index + 1]
        if suffix.start != token.end or suffix.text not in self._suffixes:
            return None
        return Sym("ORD", str(int(token.text)), token.start, suffix.end)

    def _spelling(self, token: Token) -> str:
        """The table's spelling of a mistyped word, or the word itself."""
        word = token.text
        if token.kind != "word" or word in self._known or not self._forgiving:
            return word
        if word not in self._mended:
            if len(self._mended) > 20_000:  # bounded: patients' words are endless
                self._mended.clear()
            self._mended[word] = self._mend(word)
        return self._mended[word] or word

    def _mend(self, word: str) -> str | None:
        for short in shortened(word):
            if short in self._known:
                return short
        if len(word) < _TYPO_LENGTH or word in common_words():
            return None
        slips = 2 if len(word) >= _LONG_TYPO_LENGTH else 1
        best = process.extractOne(
            word,
            [candidate for candidate in self._mendable if candidate[0] == word[0]],
            scorer=OSA.distance,
            score_cutoff=slips,
        )
        if best is None or (best[1] == 2 and len(best[0]) < _LONG_TYPO_LENGTH):
            return None
        return str(best[0])


def _fused(phrases: Mapping[tuple[str, ...], _Entry]) -> dict[str, str]:
    """Tens and ones written as one word, with their values: "fortyfive", "cuarentaicinco", "treintaidos"."""
    numbers = [
        (phrase[0], int(entry.value)) for phrase, entry in phrases.items() if entry.kind == "NUM" and len(phrase) == 1
    ]
    tens = [(word, value) for word, value in numbers if 20 <= value <= 90 and value % 10 == 0]
    ones = [(word, value) for word, value in numbers if 1 <= value <= 9 and len(word) > 2]
    return {
        f"{ten}{joint}{one}": str(value + added)
        for ten, value in tens
        for one, added in ones
        for joint in (("i", "y") if ten.endswith(("a", "e")) else ("",))
    }


@lru_cache(maxsize=64)
def lexicon(language: str, *names: str) -> Lexicon:
    """The lexicon of these tables, built once per language."""
    return Lexicon(names, language)


@lru_cache(maxsize=64)
def load_table(name: str) -> Mapping[str, Any]:
    """A word table, checked: every row has a kind, a value and at least one language, and no phrase means two things.

    Raises `WordTableError` with the file, the row and the mend.
    """
    place = f"carethread/questionnaires/readings/words/{name}.yml"
    raw = _read(name)
    if not isinstance(raw, dict) or not raw.get("source") or not isinstance(raw.get("rows"), list):
        raise WordTableError(f"{place}: needs 'source' (where the words come from) and 'rows'")
    check_rows(place, raw["rows"])
    return raw


def check_rows(place: str, rows: list[Any]) -> None:
    """Refuses rows that cannot be read or that contradict each other."""
    seen: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or "kind" not in row or "value" not in row:
            raise WordTableError(f"{place}: row {number} needs 'kind' and 'value'")
        meaning = (str(row["kind"]), str(row["value"]))
        for language in LANGUAGES:
            for phrase in row.get(language) or []:
                if not isinstance(phrase, str):
                    raise WordTableError(
                        f"{place}: row {number} ({meaning[0]} {meaning[1]}): {phrase!r} is not text; put it in quotes"
                    )
                earlier = seen.setdefault((language, _split(phrase)), meaning)
                if earlier != meaning:
                    raise WordTableError(
                        f"{place}: row {number}: {phrase!r} ({language}) already means {earlier[0]} {earlier[1]}; "
                        f"take it out of one of the two rows"
                    )


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """Ordinary words that look like a mistyped table word and must be left alone ("there" is not "three")."""
    raw = _read("common")
    return frozenset(word for language in LANGUAGES for word in raw[language].split())


def _read(name: str) -> Any:
    text = (resources.files(__package__) / "words" / f"{name}.yml").read_text(encoding="utf-8")
    return parse_texts(text)  # "no", "on" and "y" are words here, not truth values


def _split(phrase: str) -> tuple[str, ...]:
    return tuple(token.text for token in tokens(phrase))


def _compose_numbers(syms: list[Sym]) -> list[Sym]:
    """Joins number words into numbers: "treinta y ocho" → 38, "two hundred" → 200; "nineteen sixty" stays two."""
    joined: list[Sym] = []
    index = 0
    while index < len(syms):
        if not syms[index].spelled:
            joined.append(syms[index])
            index += 1
            continue
        start, total, current = index, 0, 0
        end = index
        while index < len(syms):
            sym = syms[index]
            if sym.spelled and _fits(current, int(sym.value), fresh=index == start):
                value = int(sym.value)
                if value == 1000:
                    total, current = total + max(current, 1) * 1000, 0
                elif value == 100 and 0 < current < 10:
                    current *= 100
                else:
                    current += value
                index += 1
                end = index
            elif _joins(syms, index) and _fits(current, int(syms[index + 1].value), fresh=False):
                index += 1
            else:
                break
        index = end
        joined.append(
            Sym(
                "NUM",
                str(total + current),
                syms[start].start,
                syms[end - 1].end,
                all(sym.exact for sym in syms[start:end]),
                spelled=True,
            )
        )
    return joined


def _joins(syms: list[Sym], index: int) -> bool:
    """Whether the symbol joins two number words: "thirty-one", "treinta y uno", "a hundred and two"."""
    if index == 0 or index + 1 >= len(syms) or not syms[index + 1].spelled:
        return False
    before, after = int(syms[index - 1].value) if syms[index - 1].spelled else 0, int(syms[index + 1].value)
    if syms[index].kind == "P":
        return syms[index].value == "-" and before % 10 == 0 and 20 <= before < 100 and after < 10
    if syms[index].kind != "AND":
        return False
    return (before % 10 == 0 and 20 <= before < 100 and after < 10) or before in (100, 1000)


def _fits(current: int, value: int, *, fresh: bool) -> bool:
    """Whether a number word continues the number so far."""
    if fresh:
        return True
    if value == 1000:
        return 0 < current < 1000
    if value == 100:
        return 0 < current < 10
    if value > 100:
        return current == 0
    if value >= 20:
        return current % 100 == 0
    if value >= 10:
        return current % 100 == 0
    return current % 100 == 0 or (current % 10 == 0 and current % 100 >= 20)
