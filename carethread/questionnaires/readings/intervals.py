"""Options that are numbers, ranges of them or rates: "3-5 glasses", "More than 8", "2 to 4 times a month", "None"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from carethread.questionnaires.readings.asking import asked_units
from carethread.questionnaires.readings.figures import Figure, Figures, read_figures
from carethread.questionnaires.readings.numbers import is_date_or_time
from carethread.questionnaires.readings.scales import place_on
from carethread.questionnaires.readings.text import fold, plain

_LEAST_RANGES = 2  # options that are ranges, from which the list is one of numbers
_NOUN = 4  # letters by which two forms of a word are the same
_ENDLESS = Decimal(10) ** 9
_SOME = Decimal("0.01")
# How often in a month of 30 days something is that is done once in the period.
_PER_MONTH: dict[str, Decimal | int] = {
    "day": 30, "night": 30, "dia": 30, "noche": 30, "week": Decimal("4.3"), "semana": Decimal("4.3"), "month": 1,
    "mes": 1, "year": Decimal(1) / 12, "ano": Decimal(1) / 12,
}  # fmt: skip
_RATE = re.compile(
    r"(?:\b(?:an?|per|al|a la|por|cada|every|each)|/)\s*(day|night|week|month|year|dia|noche|semana|mes|ano)\b"
)
_ADVERBS = (
    (
        re.compile(r"\b(?:daily|every ?day|every night|diario|a diario|todos los dias|todas las noches|diariamente)\b"),
        30,
    ),
    (re.compile(r"\b(?:weekly|every week|semanal|semanalmente|todas las semanas|cada semana)\b"), Decimal("4.3")),
    (re.compile(r"\b(?:monthly|every month|mensual|mensualmente|todos los meses|cada mes)\b"), 1),
    (re.compile(r"\b(?:yearly|every year|annually|anual|anualmente|cada ano)\b"), Decimal(1) / 12),
)


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included; `unit` is the UCUM code said with them, or "rate" for times a month."""

    low: Decimal
    high: Decimal
    unit: str | None = None

    @property
    def is_range(self) -> bool:
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class InInterval:
    """The one option whose numbers hold what was said, if one does; `bare` where the text was a number alone."""

    place: int | None
    bare: bool


def read_in_interval(text: str, labels: Sequence[str], language: str, wording: str = "") -> InInterval | None:
    """The option whose range holds the number of a text; None where the options are no ranges or no number is said.

    What is counted must be named by the options or the question (`wording`): "3 bottles" are not three glasses.
    """
    intervals = _intervals(tuple(labels), language)
    if sum(1 for interval in intervals if interval is not None and interval.is_range) < _LEAST_RANGES:
        return None
    rated = any(interval is not None and interval.unit == "rate" for interval in intervals)
    said = _interval(text, language, rated=rated)
    if said is None:
        return None
    bare = text.strip().strip("#.)(").isdigit()
    units = {interval.unit for interval in intervals if interval is not None} - {None}
    asked = set(asked_units(wording, language))
    apart = said.unit not in units if units else said.unit not in (None, *asked)
    if said.high > 0 and ((apart and (said.unit or "rate" in units)) or _counts_other(text, labels, wording, language)):
        return InInterval(None, bare)
    holding = [
        place
        for place, interval in enumerate(intervals)
        if interval is not None and interval.low <= said.low and said.high <= interval.high
    ]
    return InInterval(holding[0] if len(holding) == 1 else None, bare)


def _counts_other(text: str, labels: Sequence[str], wording: str, language: str) -> bool:
    """Whether the word behind the last number names what neither the options nor the question count."""
    figures = read_figures(text, language)
    if not figures.all:
        return False
    after = [sym for sym in figures.line.syms if sym.start >= figures.all[-1].span[1]]
    if not after or after[0].kind != "W" or len(after[0].value) < _NOUN:
        return False
    known = plain(" ".join((*labels, wording))).split()
    return not any(word[:_NOUN] == after[0].value[:_NOUN] for word in known) and after[0].value.endswith("s")


@lru_cache(maxsize=2048)
def _intervals(labels: tuple[str, ...], language: str) -> tuple[Interval | None, ...]:
    return tuple(_interval(label, language) for label in labels)


def _interval(text: str, language: str, *, rated: bool = True) -> Interval | None:
    figures = read_figures(text, language)
    found = [figure for figure in figures.all if not is_date_or_time(figures.line, figure)]
    folded = fold(text).text
    rate = _RATE.search(folded) if rated else None
    if rate is not None and found:
        plain = _of_figures(figures, found, step=_SOME)
        if plain is None:
            return None
        factor = Decimal(_PER_MONTH[rate.group(1)])
        return Interval(max(plain.low * factor, _SOME), plain.high * factor, "rate")
    for pattern, often in _ADVERBS if rated else ():
        if pattern.search(folded) and len(found) <= (1 if rate is not None else 0):
            return _around(figures, Decimal(often))
    if not found:
        return (
            Interval(Decimal(0), Decimal(0)) if place_on(text, "scale_frequency", language, strangers=0) == 0 else None
        )
    return _of_figures(figures, found)


def _around(figures: Figures, often: Decimal) -> Interval:
    """ "Monthly or less", "less than monthly", "daily"."""
    bounds = [sym for sym in figures.line.syms if sym.kind in ("BOUND", "SUFFIX")]
    if not bounds:
        return Interval(often, often, "rate")
    written = figures.line.text[bounds[0].start : bounds[0].end].lower()
    if any(word in written for word in ("less", "menos", "fewer")):
        return Interval(_SOME, often if bounds[0].kind == "SUFFIX" else often - _SOME, "rate")
    return Interval(often, _ENDLESS, "rate")


def _of_figures(figures: Figures, found: Sequence[Figure], *, step: Decimal | None = None) -> Interval | None:
    unit = next((figure.unit for figure in reversed(found) if figure.unit is not None), None)
    if len(found) == 1:
        return _of_one(figures, found[0], unit, step)
    if len(found) == 2 and found[0].value < found[1].value and not any(figure.bounded for figure in found):
        return Interval(found[0].value, found[1].value, unit)
    return None


def _of_one(figures: Figures, figure: Figure, unit: str | None, step: Decimal | None) -> Interval | None:
    if not figure.bounded:
        return Interval(figure.value, figure.value, unit)
    bounds = [sym for sym in figures.line.syms if sym.kind in ("BOUND", "OVER", "SUFFIX", "NOT")]
    if len(bounds) != 1 or bounds[0].kind == "NOT":
        return None
    step = step or (Decimal(1) if figure.value == figure.value.to_integral_value() else _SOME)
    written = fold(figures.line.text[bounds[0].start : bounds[0].end]).text
    inclusive = bounds[0].kind == "SUFFIX" or any(word in written for word in ("least", "most", "max", "min"))
    if bounds[0].value == "less" or any(word in written for word in ("less", "lower", "under", "fewer", "menos")):
        return Interval(Decimal(0), figure.value if inclusive else figure.value - step, unit)
    return Interval(figure.value if inclusive else figure.value + step, _ENDLESS, unit)
