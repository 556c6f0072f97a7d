"""What a question's words say about its answer: the unit it counts in, whether it looks ahead, what it is about."""

import re
from functools import lru_cache

from carethread.questionnaires.readings.figures import read_figures
from carethread.questionnaires.readings.lexicon import lexicon
from carethread.questionnaires.readings.text import fold, plain

_COUNTED = re.compile(
    r"\b(?:how many|how much|number of|cuant[oa]s|numero de|for how many)\s+(?:more |full |mas )?(\w+)"
)
_IN_UNIT = re.compile(r"(?:\b(?:in|en)\s+|\()(°?\s?[\w/%]+)")
_DAYS = {"d": 1, "wk": 7}
_LONGEST = 30  # days or weeks


@lru_cache(maxsize=1024)
def asked_units(wording: str, language: str) -> tuple[str, ...]:
    """The unit a question names for its number: "How many hours …", "… in pounds?"; empty where it names none."""
    folded = fold(wording).text
    for match in (*_COUNTED.finditer(folded), *_IN_UNIT.finditer(folded)):
        found = [sym.value for sym in lexicon(language, "units").scan(match.group(1)).syms]
        kinds = [sym.kind for sym in lexicon(language, "units").scan(match.group(1)).syms]
        if kinds == ["U"] and len(match.group(1)) > 1:
            return tuple(found)
    return ()


@lru_cache(maxsize=1024)
def asked_period(wording: str, language: str) -> int | None:
    """The days a question asks about ("over the last 2 weeks" → 14); None where it names none."""
    for figure in read_figures(wording, language).all:
        if figure.unit in _DAYS and figure.value == figure.value.to_integral_value() and figure.value <= _LONGEST:
            return int(figure.value) * _DAYS[figure.unit]
    return None


@lru_cache(maxsize=1024)
def asks_birth(wording: str, language: str) -> bool:
    """Whether a date of birth is asked for, of which day, month and year are needed."""
    return any(sym.kind == "BIRTH" for sym in lexicon(language, "asking").scan(wording).syms)


@lru_cache(maxsize=1024)
def asks_ahead(wording: str, language: str) -> bool:
    """Whether a question is about what is to come: "When is your next appointment?"."""
    return any(sym.kind == "AHEAD" for sym in lexicon(language, "asking").scan(wording).syms)


@lru_cache(maxsize=1024)
def asks_whether_any(wording: str, language: str) -> bool:
    """Whether a question asks if something is there at all, so that "a little" and "sometimes" are a yes."""
    kinds = {sym.kind for sym in lexicon(language, "asking").scan(wording).syms}
    return "ANY" in kinds and not kinds & {"EVERY", "ABLE"}


@lru_cache(maxsize=1024)
def asks_whether_every(wording: str, language: str) -> bool:
    """Whether a question asks if something is always done, so that "sometimes" is no yes."""
    return any(sym.kind == "EVERY" for sym in lexicon(language, "asking").scan(wording).syms)


@lru_cache(maxsize=1024)
def asks_whether_able(wording: str, language: str) -> bool:
    """Whether a question asks if somebody can do something, so that "i cant" is a no."""
    return any(sym.kind == "ABLE" for sym in lexicon(language, "asking").scan(wording).syms)


@lru_cache(maxsize=1024)
def asks_how_many(wording: str, language: str) -> bool:
    """Whether a question counts something, so that "none" is zero."""
    return any(sym.kind == "MANY" for sym in lexicon(language, "asking").scan(wording).syms)


def topics(text: str, language: str) -> frozenset[str]:
    """What a text is about, of what questions commonly ask: pain, fever, falls, …"""
    return frozenset(sym.value for sym in lexicon(language, "topics").scan(text).syms if sym.kind == "TOPIC")


def speaks_apart(text: str, language: str) -> bool:
    """Whether a text is about somebody else, or about what nearly was: "my husband fell", "casi me caigo"."""
    return any(sym.kind == "APART" for sym in lexicon(language, "apart").scan(text).syms)


def opens_apart(text: str, language: str) -> bool:
    """Whether a message begins with somebody else: "mi esposo sí"."""
    said = [sym for sym in lexicon(language, "apart").scan(text).syms if sym.kind != "P"]
    return bool(said) and said[0].kind == "APART" and said[0].value == "other"


def shares_word(text: str, wording: str) -> bool:
    """Whether a text repeats a telling word of the question, in whatever form: "i dont smoke" of "Do you smoke?"."""
    asked = [word for word in plain(wording).split() if len(word) >= 4]
    return any(
        len(word) >= 4 and word[: max(4, len(word) - 3)] == other[: max(4, len(word) - 3)]
        for word in plain(text).split()
        for other in asked
    )
