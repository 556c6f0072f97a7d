"""The small language in which rules are written, and its translation into spaCy token patterns.

    chest pain              these words in this order
    hurts|aches             either word
    @chest                  any word or phrase of a list in lexicon.yml
    (passed out|fainted)    either phrase; a phrase may hold anything, brackets too
    really?                 may be missing
    ..3                     up to three words, not crossing a comma, a sentence or a word that turns the meaning
    ,,3                     the same, but it may cross a comma
    ^  ^^                   a sentence or clause, or only a sentence, begins or ends here
    #  #<54  #>=400  #1-12  a number, written in digits or words

Words are folded the way messages are: no accents, "can't" is "can not".
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from carethread.safety.text import BREAKS, COMMA, MARKS

Phrase = tuple[str, ...]

AMOUNT: Final = "carethread_amount"  # the spaCy extension attribute that holds a token's number
MOST_FORMS: Final = 4000  # of one written pattern; more is a mistake in the table

_PLAIN = re.compile(r"[^\s()|@#?^.,][^\s()|@#?^]*")
_SINGLE = re.compile(r"[^\s()|?^]+")
_GAP = re.compile(r"(\.\.|,,)(\d{1,2})$")
_NUMBER = re.compile(r"#(?:(<=|>=|<|>)(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?))?$")


class PatternError(ValueError):
    """A pattern that cannot be read; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Words:
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class Gap:
    most: int
    commas: bool = False  # may cross a comma


@dataclass(frozen=True, slots=True)
class Edge:
    sentence: bool = False  # only where a sentence begins or ends


@dataclass(frozen=True, slots=True)
class Number:
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False


Step = Words | Gap | Edge | Number
Form = tuple[Step, ...]
Lexicon = Mapping[str, tuple[Form, ...]]


def parse(text: str, lexicon: Lexicon, words: Callable[[str], Phrase]) -> tuple[Form, ...]:
    """Return every form of a written pattern; `words` folds a literal the way messages are folded."""
    if text.count("(") != text.count(")"):
        raise PatternError(f"pattern {text!r} has a bracket without a partner; close it")
    forms = _merged([_trimmed(form) for form in _Parser(text, lexicon, words).sequence(text)])
    for form in forms:
        if not any(isinstance(step, Words | Number) for step in form):
            raise PatternError(f"pattern {text!r} can match without a single word; add one that must be there")
    return tuple(sorted(forms, key=repr))


def as_forms(phrases: Sequence[Phrase]) -> tuple[Form, ...]:
    """Return the forms of a list in the lexicon."""
    return tuple(_merged([_fixed(phrase) for phrase in phrases]))


class _Parser:
    """Expands one written pattern into its forms."""

    def __init__(self, pattern: str, lexicon: Lexicon, words: Callable[[str], Phrase]) -> None:
        self._pattern = pattern
        self._lexicon = lexicon
        self._words = words

    def sequence(self, text: str) -> list[Form]:
        choices: list[list[Form]] = []
        plain: list[str] = []
        items = _divided(text, " ")
        for item in items:
            if "|" in item and len(items) > 1 and not item.startswith("("):
                raise PatternError(f"{item!r} in pattern {self._pattern!r} is unclear; put its choices in brackets")
            if _PLAIN.fullmatch(item):
                plain.append(item)
                continue
            if plain:
                choices.append([self._literal(" ".join(plain))])
                plain = []
            choices.append(self._item(item))
        if plain:
            choices.append([self._literal(" ".join(plain))])
        count = math.prod(len(choice) for choice in choices)
        if count > MOST_FORMS:
            raise PatternError(
                f"pattern {self._pattern!r} has {count} forms, more than {MOST_FORMS}; write it as several"
            )
        return [tuple(itertools.chain.from_iterable(form)) for form in itertools.product(*choices)]

    def _item(self, item: str) -> list[Form]:
        if item == "^":
            return [(Edge(),)]
        if item == "^^":
            return [(Edge(sentence=True),)]
        gap = _GAP.match(item)
        if gap:
            return [(Gap(int(gap.group(2)), gap.group(1) == ",,"),)]
        if item.startswith(("..", ",,")):
            raise PatternError(f"gap {item!r} is not '..' and a number from 0 to 99; write for example ..3")
        optional = item.endswith("?")
        if optional:
            item = item[:-1]
        if item.startswith("(") and item.endswith(")") and _divided(item, "|") == [item]:
            options = _divided(item[1:-1], "|")
        else:
            options = _divided(item, "|")
        if options == [item] and not _SINGLE.fullmatch(item):
            raise PatternError(f"{item!r} in pattern {self._pattern!r} cannot be read; put spaces between items")
        forms = _merged([form for option in options for form in self._option(option.strip())])
        return [(), *forms] if optional else forms

    def _option(self, option: str) -> list[Form]:
        if option.startswith("@") and " " not in option:
            if option[1:] not in self._lexicon:
                known = ", ".join(sorted(self._lexicon))
                raise PatternError(f"list '{option}' is not in lexicon.yml (lists: {known})")
            return list(self._lexicon[option[1:]])
        if option.startswith("#") and " " not in option:
            return [(_number(option),)]
        if not option:
            raise PatternError(f"pattern {self._pattern!r} has an empty choice; write a word or remove a '|'")
        return self.sequence(option)

    def _literal(self, text: str) -> Form:
        phrase = self._words(text)
        if not phrase:
            raise PatternError(f"{text!r} in pattern {self._pattern!r} holds no word; write one or remove it")
        return _fixed(phrase)


def _fixed(phrase: Phrase) -> Form:
    return tuple(Words(frozenset({word})) for word in phrase)


def _merged(forms: list[Form]) -> list[Form]:
    """Put forms that differ in one word into one: "want to", "going to" become "want|going to"."""
    result = list(dict.fromkeys(forms))
    merging = True
    while merging:
        merging = False
        for place in range(max((len(form) for form in result), default=0)):
            groups: dict[tuple[Step | None, ...], list[Form]] = {}
            for form in result:
                alike = place < len(form) and isinstance(form[place], Words)
                key = (*form[:place], None, *form[place + 1 :]) if alike else form
                groups.setdefault(key, []).append(form)
            if len(groups) < len(result):
                result = [_joined(group, place) for group in groups.values()]
                merging = True
    return result


def _joined(forms: list[Form], place: int) -> Form:
    if len(forms) == 1:
        return forms[0]
    options = frozenset(word for form in forms for word in getattr(form[place], "options", ()))
    return (*forms[0][:place], Words(options), *forms[0][place + 1 :])


def _divided(text: str, mark: str) -> list[str]:
    """Divide a text at a mark that stands outside of brackets."""
    parts: list[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == mark and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part] if mark == " " else parts


def _trimmed(form: Form) -> Form:
    """Drop gaps that a missing optional word left at an end."""
    steps = list(form)
    while steps and isinstance(steps[0], Gap):
        steps.pop(0)
    while steps and isinstance(steps[-1], Gap):
        steps.pop()
    return tuple(steps)


def _number(item: str) -> Number:
    found = _NUMBER.match(item)
    if not found:
        raise PatternError(f"number {item!r} is not #, #<54, #>=400 or #1-12; write one of these")
    operator, bound, low, high = found.groups()
    if low is not None:
        return Number(float(low), float(high))
    if operator is None:
        return Number()
    value = float(bound)
    if operator[0] == "<":
        return Number(high=value, open_high=operator == "<")
    return Number(low=value, open_low=operator == ">")


def to_spacy(form: Form, gap_stops: frozenset[str]) -> list[dict[str, Any]]:
    """Translate one form for spaCy's Matcher over words that are already folded."""
    stops = sorted(gap_stops | MARKS)
    return [_token(step, stops) for step in form]


def _token(step: Step, stops: list[str]) -> dict[str, Any]:
    match step:
        case Words(options) if len(options) == 1:
            return {"TEXT": next(iter(options))}
        case Words(options):
            return {"TEXT": {"IN": sorted(options)}}
        case Gap(most, commas):
            crossed = {COMMA} if commas else set()
            return {"TEXT": {"NOT_IN": sorted(set(stops) - crossed)}, "OP": f"{{0,{most}}}"}
        case Edge(sentence=True):
            return {"TEXT": {"IN": sorted(BREAKS)}}
        case Edge():
            return {"TEXT": {"IN": sorted(MARKS)}}
        case Number(low, high, open_low, open_high):
            bounds = {">" if open_low else ">=": low, "<" if open_high else "<=": high}
            return {"_": {AMOUNT: bounds}}
    raise AssertionError(step)
