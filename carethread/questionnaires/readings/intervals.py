"""Options that are numbers or ranges of them: "3-5 glasses", "More than 8", "2 o 3 veces", "None"."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from carethread.questionnaires.readings.figures import Figures, read_figures
from carethread.questionnaires.readings.numbers import is_date_or_time
from carethread.questionnaires.readings.scales import place_on

_LEAST_RANGES = 2  # options that are ranges, from which the list is one of numbers
_ENDLESS = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`, both included; `unit` is the UCUM code said with them."""

    low: Decimal
    high: Decimal
    unit: str | None = None

    @property
    def is_range(self) -> bool:
        return self.low != self.high


@dataclass(frozen=True, slots=True)
class InInterval:
    """The one option whose numbers hold what was said; `bare` where the text was a number and nothing else."""

    place: int
    bare: bool


def read_in_interval(text: str, labels: Sequence[str], language: str) -> InInterval | None:
    """The option whose range holds the number of a text; None where the options are no ranges or none holds it."""
    intervals = _intervals(tuple(labels), language)
    if sum(1 for interval in intervals if interval is not None and interval.is_range) < _LEAST_RANGES:
        return None
    said = _interval(read_figures(text, language), text, language)
    if said is None:
        return None
    units = {interval.unit for interval in intervals if interval is not None} - {None}
    if said.unit is not None and units and said.unit not in units:
        return None
    holding = [
        place
        for place, interval in enumerate(intervals)
        if interval is not None and interval.low <= said.low and said.high <= interval.high
    ]
    if len(holding) != 1:
        return None
    return InInterval(holding[0], bare=text.strip().strip("#.)(").isdigit())


@lru_cache(maxsize=2048)
def _intervals(labels: tuple[str, ...], language: str) -> tuple[Interval | None, ...]:
    return tuple(_interval(read_figures(label, language), label, language) for label in labels)


def _interval(figures: Figures, text: str, language: str) -> Interval | None:
    found = [figure for figure in figures.all if not is_date_or_time(figures.line, figure)]
    unit = next((figure.unit for figure in reversed(found) if figure.unit is not None), None)
    if not found:
        return Interval(Decimal(0), Decimal(0)) if place_on(text, "scale_frequency", language) == 0 else None
    if len(found) == 1:
        (figure,) = found
        if not figure.bounded:
            return Interval(figure.value, figure.value, unit)
        step = Decimal(1) if figure.value == figure.value.to_integral_value() else Decimal("0.01")
        bounds = [sym for sym in figures.line.syms if sym.kind in ("BOUND", "OVER", "SUFFIX", "NOT")]
        if len(bounds) != 1 or bounds[0].kind == "NOT":
            return None
        written = figures.line.text[bounds[0].start : bounds[0].end].lower()
        inclusive = bounds[0].kind == "SUFFIX" or any(word in written for word in ("least", "most", "menos d", "max"))
        if bounds[0].value == "less" or any(word in written for word in ("less", "lower", "under", "fewer", "menos")):
            down = figure.value if inclusive and "menos" not in written else figure.value - step
            return Interval(Decimal(0), down, unit)
        return Interval(figure.value if inclusive else figure.value + step, _ENDLESS, unit)
    if len(found) == 2 and found[0].value < found[1].value and not any(figure.bounded for figure in found):
        return Interval(found[0].value, found[1].value, unit)
    return None
