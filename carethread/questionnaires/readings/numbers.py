"""Numbers in an answer: "about a 7", "8/10", "ocho de diez", "38 y medio", "7 or 8"."""

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from carethread.questionnaires.readings.intensity import read_intensity
from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, lexicon, rule
from carethread.questionnaires.readings.polarity import read_yes_no
from carethread.questionnaires.readings.reading import How, Reading

_TABLES = ("numbers", "calendar", "since")
_THOUSANDS = {"en": re.compile(r"\d{1,3},\d{3}"), "es": re.compile(r"\d{1,3}\.\d{3}")}

_FRACTIONS = (  # "3 and a half", "38 y medio", "7 1/2"
    rule("NUM=n AND A? HALF"),
    rule("NUM=n NUM:1 P:/ NUM:2"),
)
_POINT = rule("NUM=n POINT NUM=f")
_OUT_OF = (rule("NUM=n P:/ NUM=of"), rule("NUM=n OUTOF|OF NUM=of"), rule("NUM=n OUTOF NUM=of"))


@dataclass(frozen=True, slots=True)
class Scale:
    """The least and the greatest answer of a scale, such as 0 to 10."""

    low: int
    high: int


def read_number(text: str, language: str, scale: Scale | None = None) -> tuple[Reading[Decimal], ...]:
    """The number a text gives; two or more where it gives several ("7 or 8", "a 5 by day and 9 by night").

    Which of several is meant is for the patient to say: no average is taken. With a scale, "8/10" is 8, words
    such as "none" are its zero and "the worst ever" its end, and numbers of days or hours are left aside.

    >>> [str(reading.value) for reading in read_number("ocho de diez", "es", Scale(0, 10))]
    ['8']
    """
    line = _prepared(lexicon(language, *_TABLES).scan(text), language)
    found = _fraction_of(line, scale)
    if not found:
        found = [reading for reading in (_reading(line, place, scale) for place in range(len(line.syms))) if reading]
    if not found and scale is not None:
        found = _in_words(text, language, scale)
    unique: dict[Decimal, Reading[Decimal]] = {}
    for reading in found:
        unique.setdefault(reading.value, reading)
    return tuple(unique.values())


def _prepared(line: Line, language: str) -> Line:
    """The line with halves, spoken decimals and thousands as plain numbers."""
    thousands = _THOUSANDS.get(language, _THOUSANDS["en"])
    syms: list[Sym] = []
    for place, sym in enumerate(line.syms):
        written = line.text[sym.start : sym.end]
        following = line.syms[place + 1].kind if place + 1 < len(line.syms) else ""
        if sym.spelled and sym.value == "1" and following in ("NUM", "W"):
            continue  # "una molestia", "one thing": an article
        if sym.kind == "NUM" and thousands.fullmatch(written):
            sym = replace(sym, value=re.sub(r"[.,]", "", written))
        syms.append(sym)
    line = Line(line.text, tuple(syms))
    for pattern in _FRACTIONS:
        line = line.rewrite(pattern, _and_a_half)
    return line.rewrite(_POINT, _decimal)


def _and_a_half(hit: Hit) -> tuple[Sym, ...] | None:
    whole = hit.values["n"] or ""
    return (Sym("NUM", f"{whole}.5", *hit.span),) if whole.isdigit() else None


def _decimal(hit: Hit) -> tuple[Sym, ...] | None:
    whole, part = hit.values["n"] or "", hit.values["f"] or ""
    return (Sym("NUM", f"{whole}.{part}", *hit.span),) if whole.isdigit() and part.isdigit() else None


def _fraction_of(line: Line, scale: Scale | None) -> list[Reading[Decimal]]:
    """ "8/10", "8 out of 10": the first number, surely so if the second is the end of the scale."""
    for pattern in _OUT_OF:
        hit = line.find(pattern)
        if hit is None:
            continue
        value, whole = Decimal(hit.values["n"] or 0), Decimal(hit.values["of"] or 0)
        if scale is None:
            return []
        confidence = 0.97 if whole == scale.high else 0.5
        return [Reading(value, confidence, hit.span, "number")]
    return []


def _reading(line: Line, place: int, scale: Scale | None) -> Reading[Decimal] | None:
    sym = line.syms[place]
    if sym.kind != "NUM":
        return None
    before = line.syms[place - 1] if place else None
    after = line.syms[place + 1] if place + 1 < len(line.syms) else None
    if scale is not None and after is not None and after.kind in ("UNIT", "AM", "PM"):
        return None
    value = Decimal(sym.value)
    if before is not None and before.value == "-" and before.end == sym.start and _opens(line, place - 1):
        value = -value
    about = any(other.kind == "ABOUT" for other in (before, after) if other)
    others = sum(1 for other in line.syms if other.kind in ("W", "WD", "MONTH"))
    confidence = (0.9 if about else 0.97) if sym.exact else 0.75
    if others > 6:
        confidence -= 0.1  # a number inside a story
    how: How = "number"
    return Reading(value, confidence, (sym.start, sym.end), how)


def _opens(line: Line, place: int) -> bool:
    """Whether a dash is a sign: nothing or a space stands before it."""
    start = line.syms[place].start
    return start == 0 or line.text[start - 1].isspace()


def _in_words(text: str, language: str, scale: Scale) -> list[Reading[Decimal]]:
    """The two ends of a scale in words; what lies between is asked for as a number."""
    severity = read_intensity(text, language)
    if severity is not None and severity.value == 0 and scale.low == 0:
        return [Reading(Decimal(0), 0.85, severity.span, "synonym")]
    if severity is not None and severity.value == scale.high == 10:
        return [Reading(Decimal(10), 0.75, severity.span, "synonym")]
    spoken = read_yes_no(text, language)
    if spoken is not None and not spoken.value and spoken.confidence >= 0.85 and not spoken.rest and scale.low == 0:
        return [Reading(Decimal(0), 0.75, spoken.span, "polarity")]
    return []
