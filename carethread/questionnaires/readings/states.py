"""A yes or no, or a zero, in words that only the question makes one: "only when I walk", "it hurts", "i dont smoke"."""

import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from carethread.questionnaires.readings.asking import (
    asks_how_many,
    asks_whether_able,
    asks_whether_any,
    asks_whether_every,
    opens_apart,
    shares_word,
    speaks_apart,
    topics,
)
from carethread.questionnaires.readings.choice import is_negated
from carethread.questionnaires.readings.figures import read_figures
from carethread.questionnaires.readings.intensity import read_intensity
from carethread.questionnaires.readings.lexicon import Line, lexicon, load_table
from carethread.questionnaires.readings.polarity import read_yes_no
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.scales import place_on
from carethread.questionnaires.readings.text import plain

_CONFIDENCE = 0.75
_WHOLE = 0.7
_HEDGED = 0.44  # confidence of the weakest yes of the tables that a question for any of something turns into one
_EVENTS = re.compile(r"^(?:just |only |like |about |solo |como )?(?:once|twice|(?:\w+) (?:times?|vez|veces))\b")
_REACH = 3  # words from a "not" to what it denies
_PLAIN = 0.95  # a "yes" or "no" that is nothing else
_SHORT = 4  # words
_ALWAYS, _NEVER = 99, 1  # percent of the time


def read_state(text: str, wording: str, language: str) -> Reading[bool] | None:
    """Yes or no to a question put as `wording`, where the text says neither outright.

    A question whether there is any of something takes "a little", "sometimes" and "only at night" as yes; one whether
    something is always so takes "every day" as yes and "never" as no.
    """
    line = lexicon(language, "polarity").scan(text)
    short = len(plain(text).split()) <= _SHORT
    if short and "?" not in text and denies_directly(text, wording, language) and not speaks_apart(text, language):
        return Reading(False, _CONFIDENCE, (0, len(text)), "polarity", text.strip())
    if "?" in text or any(sym.kind == "UNSURE" for sym in line.syms):
        return None
    whole = Reading(True, _CONFIDENCE, (0, len(text)), "polarity", text.strip())
    if asks_whether_able(wording, language) and _pattern("unable").fullmatch(plain(text)):
        return replace(whole, value=False)
    if asks_whether_every(wording, language):
        if _pattern("lapses").search(plain(text)):
            return whole if is_negated(text) else None
        often = place_on(text, "scale_frequency", language)
        if often is not None and (often >= _ALWAYS or often <= _NEVER):
            return replace(whole, value=often >= _ALWAYS)
        return None
    if not asks_whether_any(wording, language):
        return _of_topic(text, wording, language, line)
    spoken = read_yes_no(text, language)
    if spoken is not None and spoken.how == "polarity" and spoken.value and _is_hedge(text, spoken, language):
        return whole
    said = [sym for sym in line.syms if sym.kind not in ("P", "FILL")]
    if any(sym.kind == "NO" for sym in line.syms):
        return _of_topic(text, wording, language, line)
    if len(said) > 1 and said[0].kind == "BUT" and said[0].value == "condition":
        return whole
    often = place_on(text, "scale_frequency", language, strangers=1)
    if (often is not None and often > _NEVER) or (_EVENTS.search(plain(text)) and read_figures(text, language).all):
        return whole
    much = place_on(text, "degree", language, strangers=0)
    if much is not None:
        return replace(whole, value=much > 0)
    strength = read_intensity(text, language) if "pain" in topics(wording, language) else None
    if strength is not None and not any(sym.kind == "BUT" for sym in line.syms):
        return replace(whole, value=strength.value > 0)
    return _of_topic(text, wording, language, line)


@lru_cache(maxsize=16)
def _pattern(name: str) -> "re.Pattern[str]":
    return re.compile(load_table("asking")[name])


def is_undermined(spoken: Reading[bool], text: str, wording: str, language: str) -> bool:
    """Whether what stands beside a yes or no takes it back, or shows that it answers something else.

    "no, unless i walk", "didnt check", "yes but not all" of what is asked to be always so, "no but yes".
    """
    rest = plain(spoken.rest)
    lapsed = _pattern("lapses").search(plain(text)) is not None and is_negated(text)
    if asks_whether_every(wording, language) and (
        (spoken.value and _pattern("except").search(rest)) or (not spoken.value and lapsed)
    ):
        return True
    if opens_apart(text, language) and len(plain(text).split()) <= _SHORT:
        return True  # "mi esposo sí"; "my wife helps me so yes" is of oneself
    if not rest:
        return False
    last = read_yes_no(rest.split()[-1], language)
    if last is not None and last.value is not spoken.value and last.confidence >= _PLAIN:
        return True
    if spoken.value:
        return False
    unlooked = _pattern("unlooked").match(rest)
    return _pattern("unless").match(rest) is not None or (unlooked is not None and not shares_word(rest, wording))


def _is_hedge(text: str, spoken: Reading[bool], language: str) -> bool:
    """Whether what was said is a half yes of itself ("kinda", "a veces"), not a whole one weakened by what follows."""
    word = read_yes_no(text[slice(*spoken.span)], language)
    return word is not None and _HEDGED <= word.confidence < _WHOLE and spoken.confidence >= _HEDGED


def _of_topic(text: str, wording: str, language: str, line: Line) -> Reading[bool] | None:
    """What the question asks for, said of oneself: "my knee hurts" to "any pain?"; with a "not", a no."""
    if not topics(text, language) & topics(wording, language) or speaks_apart(text, language):
        return None
    denied = denies_directly(text, wording, language)
    if denied and _pattern("unless").search(plain(text)):
        return None
    if denied is None or (denied and any(sym.kind in ("YES", "BUT") for sym in line.syms)):
        return None
    return Reading(not denied, _CONFIDENCE, (0, len(text)), "polarity", text.strip())


def denies_directly(text: str, wording: str, language: str) -> bool | None:
    """Whether a "not" stands right before a word of the question; None where one stands elsewhere.

    "no me duele" denies pain, "no puedo dormir del dolor" does not.
    """
    said = plain(text).split()
    asked = topics(wording, language)
    places = [
        place
        for place, word in enumerate(said)
        if shares_word(word, wording) or topics(word, language) & asked or topics(f"{word} {word}", language) & asked
    ]
    negators = [place for place, word in enumerate(said) if is_negated(word)]
    if not negators:
        return False
    if places and len(said) - places[-1] <= 2 and any(0 < places[0] - place <= _REACH for place in negators):
        return True
    return None


def read_none(text: str, wording: str, language: str, *, scaled: bool = False) -> Reading[Decimal] | None:
    """Zero, where how many is asked and the text says none: "never", "i dont smoke", "ninguna".

    `scaled` says that the question has a scale from zero instead.
    """
    if not (scaled or asks_how_many(wording, language)) or any(char.isdigit() for char in text):
        return None
    if any(sym.kind == "DONT_KNOW" for sym in lexicon(language, "control").scan(text).syms):
        return None
    zero = Reading(Decimal(0), 0.85, (0, len(text)), "polarity")
    often = place_on(text, "scale_frequency", language, strangers=2)
    if often is not None:
        return zero if often == 0 and not set(plain(text).split()) & _NOT_NONE else None  # "not much"
    spoken = read_yes_no(text, language)
    if spoken is not None and not spoken.value and spoken.confidence >= 0.85 and not spoken.rest:
        return zero
    if spoken is not None and spoken.value:
        return None
    if denies_directly(text, wording, language):
        return replace(zero, confidence=_CONFIDENCE)
    return None


_NOT_NONE = frozenset(
    {"enough", "suficiente", "suficientes", "many", "much", "mucho", "mucha", "muchos", "muchas", "tanto", "tantos"}
) | frozenset({"tantas", "idea", "se", "sure", "know", "cuento", "conte", "fije"})


def read_one(text: str, wording: str, language: str) -> Reading[Decimal] | None:
    """One, where how many is asked and the small word for it is said of that: "one pillow", "una nomás"."""
    said = plain(text).split()
    if not asks_how_many(wording, language) or not set(said) & _ONES or is_negated(text):
        return None
    beside = set(said) - _ONES - _ONLY
    if beside and not is_about_the_question(text, wording, language):
        return None
    return Reading(Decimal(1), _CONFIDENCE, (0, len(text)), "number") if len(said) <= _SHORT else None


_ONES = frozenset({"one", "un", "una", "uno", "single"})
_ONLY = frozenset(
    {"just", "only", "a", "the", "nomas", "solo", "sola", "nada", "mas", "solamente", "vez", "time", "no"}
)


def is_about_the_question(text: str, wording: str, language: str) -> bool:
    """Whether a text speaks of what was asked: "no tengo termómetro" does not answer "¿Tuvo fiebre?"."""
    return shares_word(text, wording) or bool(topics(text, language) & topics(wording, language))
