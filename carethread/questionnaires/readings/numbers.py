"""Numbers in an answer: "about a 7", "8/10", "ocho de diez", "38 y medio", "7 or 8"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from carethread.questionnaires.readings.figures import Figure, Figures, read_figures
from carethread.questionnaires.readings.intensity import read_intensity
from carethread.questionnaires.readings.lexicon import Line, Sym, rule
from carethread.questionnaires.readings.polarity import read_yes_no
from carethread.questionnaires.readings.reading import Reading

_OUT_OF = (rule("NUM=n P:/ NUM=of"), rule("NUM=n OUTOF|OF|OVER|SLASH NUM=of"))
# What is said around the number that sums up the others: "3 and then 2 more, 5 in total".
_SUMMED_UP_AFTER = re.compile(
    r"^(?: [^\W\d_]+){0,2} (?:in|en) (?:total|all)\b|^(?: [^\W\d_]+)? (?:altogether|all told)\b"
)
_SUMMED_UP_BEFORE = re.compile(r"\b(?:total(?: of| de| would be| is| es)?|so all in all|suman|hacen|son como) $")
_AT_AN_HOUR = re.compile(r"\ba las? $", re.IGNORECASE)
_DIMENSIONS = ("AM", "PM")
_YEARS = 1900
_STORY = 6  # words beside a number from which it stands in a story
_EXACT, _ABOUT, _MISTYPED = 0.97, 0.9, 0.75


@dataclass(frozen=True, slots=True)
class Scale:
    """The least and the greatest answer of a scale, such as 0 to 10."""

    low: int
    high: int


def read_number(
    text: str, language: str, scale: Scale | None = None, *, counted: bool = False
) -> tuple[Reading[Decimal], ...]:
    """The number a text gives; two or more where it gives several ("7 or 8", "a 5 by day and 9 by night").

    Which of several is meant is for the patient to say: no average is taken. With a scale, "8/10" is 8, words
    such as "none" are its zero and "the worst ever" its end, and numbers of days or hours are left aside.
    "More than 5" and "not 7" are no number. With `counted`, numbers of hours, kilos and the like are left aside too.

    >>> [str(reading.value) for reading in read_number("ocho de diez", "es", Scale(0, 10))]
    ['8']
    """
    figures = read_figures(text, language)
    found = fraction_of(figures.line, scale)
    if not found and any(figure.bounded for figure in figures.all):
        return ()
    if not found:
        said = summed_up(figures.line, figures.all)
        found = [reading(figures, figure) for figure in said if _counts(figures.line, figure, scale, counted)]
    if not found and scale is not None:
        found = _in_words(text, language, scale)
    unique: dict[Decimal, Reading[Decimal]] = {}
    for one in found:
        unique.setdefault(one.value, one)
    return tuple(unique.values())


def read_sum(text: str, language: str) -> Reading[Decimal] | None:
    """The one number that sums up the others: "3 hours and then 2 more, 5 in total"; None where none does."""
    figures = read_figures(text, language)
    said = summed_up(figures.line, figures.all)
    return reading(figures, said[0]) if len(said) == 1 < len(figures.all) else None


def read_fraction(text: str, language: str, scale: Scale | None) -> tuple[Reading[Decimal], ...]:
    """ "3 out of 7" where the scale ends at 7."""
    return tuple(one for one in fraction_of(read_figures(text, language).line, scale) if one.sure)


def fraction_of(line: Line, scale: Scale | None) -> list[Reading[Decimal]]:
    """ "8/10", "8 out of 10": the first number, surely so if the second is the end of the scale."""
    if scale is None:
        return []
    for pattern in _OUT_OF:
        hit = line.find(pattern)
        if hit is not None:
            confidence = _EXACT if Decimal(hit.values["of"] or 0) == scale.high else 0.5
            return [Reading(Decimal(hit.values["n"] or 0), confidence, hit.span, "number")]
    return []


def summed_up(line: Line, figures: Sequence[Figure]) -> Sequence[Figure]:
    """The one figure that is said to sum up the others ("5 in total"), else all of them."""
    if len(figures) < 2:
        return figures
    sums = [
        figure
        for figure in figures
        if _SUMMED_UP_AFTER.search(line.text[figure.span[1] :]) or _SUMMED_UP_BEFORE.search(line.text[: figure.span[0]])
    ]
    return sums if len(sums) == 1 else figures


def reading(figures: Figures, figure: Figure) -> Reading[Decimal]:
    """A figure as a reading, less sure where it is about, mistyped or inside a story."""
    confidence = _MISTYPED if not figure.exact else _ABOUT if figure.about else _EXACT
    if sum(1 for sym in figures.line.syms if sym.kind in ("W", "WD", "MONTH")) > _STORY:
        confidence -= 0.1
    return Reading(figure.value, confidence, figure.span, "number")


def _counts(line: Line, figure: Figure, scale: Scale | None, counted: bool) -> bool:
    if figure.ordinal or is_date_or_time(line, figure):
        return False
    if counted and figure.value >= _YEARS and any(sym.kind == "MONTH" for sym in line.syms):
        return False
    return (scale is None and not counted) or figure.unit in (None, "%")


def is_date_or_time(line: Line, figure: Figure) -> bool:
    """Whether a figure belongs to a date or a time of day: "march 3", "3pm"."""
    before, after = neighbours(line, figure)
    if _AT_AN_HOUR.search(line.text[: figure.span[0]]):
        return True
    if after is not None and after.kind in _DIMENSIONS:
        return True
    return any(sym is not None and sym.kind == "MONTH" for sym in (before, after))


def neighbours(line: Line, figure: Figure) -> tuple[Sym | None, Sym | None]:
    """The symbols right before and right after a figure."""
    before = [sym for sym in line.syms if sym.end <= figure.span[0]]
    after = [sym for sym in line.syms if sym.start >= figure.span[1]]
    return before[-1] if before else None, after[0] if after else None


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
