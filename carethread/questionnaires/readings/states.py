"""A yes or no, or a zero, in words that only the question makes one: "only when I walk", "it hurts", "i dont smoke"."""

from dataclasses import replace
from decimal import Decimal

from carethread.questionnaires.readings.asking import (
    asks_how_many,
    asks_whether_any,
    asks_whether_every,
    shares_word,
    topics,
)
from carethread.questionnaires.readings.intensity import read_intensity
from carethread.questionnaires.readings.lexicon import Line, lexicon
from carethread.questionnaires.readings.polarity import read_yes_no
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.scales import place_on
from carethread.questionnaires.readings.text import plain

_CONFIDENCE = 0.75
_HEDGED = 0.44  # confidence of the weakest yes of the tables that a question for any of something turns into one
_ALWAYS, _NEVER = 99, 1  # percent of the time


def read_state(text: str, wording: str, language: str) -> Reading[bool] | None:
    """Yes or no to a question put as `wording`, where the text says neither outright.

    A question whether there is any of something takes "a little", "sometimes" and "only at night" as yes; one whether
    something is always so takes "every day" as yes and "never" as no.
    """
    line = lexicon(language, "polarity").scan(text)
    if "?" in text or any(sym.kind == "UNSURE" for sym in line.syms):
        return None
    whole = Reading(True, _CONFIDENCE, (0, len(text)), "polarity", text.strip())
    if asks_whether_every(wording, language):
        often = place_on(text, "scale_frequency", language)
        if often is not None and (often >= _ALWAYS or often <= _NEVER):
            return replace(whole, value=often >= _ALWAYS)
        return None
    if not asks_whether_any(wording, language):
        return None
    spoken = read_yes_no(text, language)
    if spoken is not None and spoken.how == "polarity" and spoken.value and spoken.confidence >= _HEDGED:
        return whole
    said = [sym for sym in line.syms if sym.kind not in ("P", "FILL")]
    if any(sym.kind == "NO" for sym in line.syms):
        return _of_topic(text, wording, language, line)
    if len(said) > 1 and said[0].kind == "BUT" and said[0].value == "condition":
        return whole
    often = place_on(text, "scale_frequency", language)
    if often is not None and often > _NEVER:
        return whole
    strength = read_intensity(text, language) if "pain" in topics(wording, language) else None
    if strength is not None:
        return replace(whole, value=strength.value > 0)
    return _of_topic(text, wording, language, line)


def _of_topic(text: str, wording: str, language: str, line: Line) -> Reading[bool] | None:
    """What the question asks for, said of oneself: "my knee hurts" to "any pain?"; with a "not", a no."""
    if not topics(text, language) & topics(wording, language):
        return None
    denied = any(sym.kind == "NO" or _is_negator(sym.value) for sym in line.syms)
    if denied and any(sym.kind in ("YES", "BUT") for sym in line.syms):
        return None
    return Reading(not denied, _CONFIDENCE, (0, len(text)), "polarity", text.strip())


def _is_negator(word: str) -> bool:
    return word in ("not", "no", "never", "without", "dont", "doesnt", "didnt", "isnt", "nunca", "sin", "ni", "havent")


def read_none(text: str, wording: str, language: str) -> Reading[Decimal] | None:
    """Zero, where how many is asked and the text says none: "never", "i dont smoke", "ninguna"."""
    if not asks_how_many(wording, language) or any(char.isdigit() for char in text):
        return None
    zero = Reading(Decimal(0), 0.85, (0, len(text)), "polarity")
    if place_on(text, "scale_frequency", language) == 0:
        return zero
    spoken = read_yes_no(text, language)
    if spoken is not None and not spoken.value and spoken.confidence >= 0.85 and not spoken.rest:
        return zero
    if spoken is not None and spoken.value:
        return None
    denied = spoken is not None or any(_is_negator(word) for word in plain(text).split())
    about = is_about_the_question(text, wording, language)
    return replace(zero, confidence=_CONFIDENCE) if denied and about else None


def is_about_the_question(text: str, wording: str, language: str) -> bool:
    """Whether a text speaks of what was asked: "no tengo termómetro" does not answer "¿Tuvo fiebre?"."""
    return shares_word(text, wording) or bool(topics(text, language) & topics(wording, language))
