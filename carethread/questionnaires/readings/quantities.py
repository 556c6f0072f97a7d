"""A number with its unit: "two hundred lbs", "102 F", "38 y medio grados", "5'4", "12 stone 4", "una hora y media"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from carethread.questionnaires.readings.figures import Figure, Figures, read_figures
from carethread.questionnaires.readings.lexicon import Line, lexicon, load_table
from carethread.questionnaires.readings.reading import How, Reading
from carethread.questionnaires.readings.text import fold
from carethread.questionnaires.readings.vitals import limits_of

_PLACES = Decimal("0.01")  # converted values are rounded to this
_CERTAIN, _ABOUT, _MISTYPED, _RIVAL, _DOUBTFUL = 0.97, 0.9, 0.75, 0.72, 0.5
# The smaller unit a bare number behind the larger one has, and how many make up the larger: 12 stone 4, 5'4, 1 m 62.
_SMALLER = {
    "[ft_i]": ("[in_i]", 12),
    "[stone_av]": ("[lb_av]", 14),
    "[lb_av]": ("[oz_av]", 16),
    "m": ("cm", 100),
    "h": ("min", 60),
    "kg": ("g", 1000),
}
_TIME = frozenset({"min", "h", "d", "wk", "mo", "a"})
_LENGTH = frozenset({"cm", "m", "[in_i]", "[ft_i]"})
_TALLEST = 7  # feet


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its UCUM unit code; `assumed` says that the patient named no unit."""

    value: Decimal
    unit: str
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """One amount of one or two parts as it was said."""

    value: Decimal
    unit: str | None
    figure: Figure
    end: int
    confidence: float


def read_quantity(
    text: str, language: str, units: Sequence[str], measure: str | None = None
) -> tuple[Reading[Quantity], ...]:
    """The quantity in one of the units the question takes (UCUM codes, the usual one first); several if it is unclear.

    A unit of the same family is converted to the first that fits; a unit of another family gives nothing. Without a
    unit the first is assumed in which the value is usual for the `measure` (see `vitals`), with less confidence where
    another would do; for degrees, 30 to 45 is Celsius and 50 up Fahrenheit. "more than 100" gives nothing.
    """
    wanted = tuple(units) or ("1",)
    measure = measure or ("temperature" if set(wanted) & {"[degF]", "Cel"} else None)
    figures = read_figures(text.replace("''", '" '), language, hundreds=True)
    found: list[Reading[Quantity]] = []
    for said in _amounts(figures, measure):
        if said.figure.bounded or (said.figure.ago and said.unit is not None and _family(said.unit, None) is None):
            return ()
        quantity, confidence = _in_wanted(said, wanted, measure)
        if quantity is not None:
            how: How = "number" if quantity.assumed else "unit"
            span = (said.figure.span[0], said.end)
            found.append(Reading(quantity, min(said.confidence, confidence), span, how))
    return _likely(found, measure)


def _likely(found: list[Reading[Quantity]], measure: str | None) -> tuple[Reading[Quantity], ...]:
    """Of several, those that can be what is measured: "at 8 it was 120" is 120."""
    unique = {(reading.value.value, reading.value.unit): reading for reading in reversed(found)}
    distinct = [reading for reading in found if unique.get((reading.value.value, reading.value.unit)) is reading]
    if len(distinct) > 1:
        named = [reading for reading in distinct if not reading.value.assumed]
        usual = [reading for reading in distinct if is_usual(reading.value, measure)]
        distinct = usual if measure is not None and usual else distinct
        if len(named) == 1 and measure is None:
            distinct = named
    return tuple(distinct)


def is_usual(quantity: Quantity, measure: str | None) -> bool:
    """Whether the value can be what is measured: within the usual, or with a unit said within the possible."""
    limits = limits_of(measure, quantity.unit)
    if limits is None:
        return True
    return limits.is_usual(quantity.value) if quantity.assumed else limits.is_possible(quantity.value)


def _amounts(figures: Figures, measure: str | None) -> list[_Said]:
    """The figures with those of one amount put together."""
    found: list[_Said] = []
    all_figures = _shared_units(figures)
    index = 0
    while index < len(all_figures):
        figure = all_figures[index]
        following = all_figures[index + 1] if index + 1 < len(all_figures) else None
        said = _compound(figures.line, figure, following, measure)
        if said is None and following is not None and _is_odd(figures.line, figure, following):
            return []
        if said is not None:
            found.append(said)
            index += 2
            continue
        value, unit = figure.value, figure.unit
        if measure == "height" and figure.spelled and unit is None and 300 <= value < (_TALLEST + 1) * 100:
            value, unit = value // 100 * 12 + value % 100, "[in_i]"  # "five ten"
        elif unit == "m" and measure == "height" and value > 100:
            value /= 100  # "uno sesenta y dos metros"
        elif unit is None and measure == "height" and _unit_before(figures.line, figure, "m") and 10 <= value < 100:
            value, unit = 1 + value / 100, "m"  # "metro sesenta"
        found.append(_Said(value, unit, figure, _end(figures.line, figure), _confidence(figure)))
        index += 1
    return found


def _is_odd(line: Line, first: Figure, second: Figure) -> bool:
    """ "5'13": a smaller part that the larger unit does not have."""
    smaller = _SMALLER.get(first.unit or "")
    if smaller is None or not _touch(line, first, second):
        return False
    return second.unit == smaller[0] or (second.unit is None and first.unit in ("[ft_i]", "[stone_av]", "m"))


def _shared_units(figures: Figures) -> list[Figure]:
    """The figures with the unit said once for alternatives: "2 or 3 hours"."""
    shared = list(figures.all)
    for place in range(len(shared) - 2, -1, -1):
        one, other = shared[place], shared[place + 1]
        between = [sym for sym in figures.line.syms if one.span[1] <= sym.start and sym.end <= other.span[0]]
        ranged = re.search(r"\b(?:between|btwn|entre)\b", figures.line.text, re.IGNORECASE) is not None
        alternatives = bool(between) and all(
            sym.kind in ("OR", "TO", "ABOUT") or sym.value in "-/" or (ranged and sym.kind == "AND") for sym in between
        )
        if one.unit is None and other.unit is not None and alternatives:
            shared[place] = replace(one, unit=other.unit)
    return shared


def _compound(line: Line, first: Figure, second: Figure | None, measure: str | None) -> _Said | None:
    if second is None or not _touch(line, first, second, dashed=measure == "height"):
        return None
    value: Decimal | None = None
    unit = first.unit
    if unit in _SMALLER:
        smaller, count = _SMALLER[unit]
        if second.unit in (smaller, None) and 0 <= second.value < count:
            if second.unit is None and unit in ("[lb_av]", "kg"):
                return None
            hundredths = second.value if unit != "m" or second.value >= 10 else second.value * 10
            value = first.value + hundredths / count
    elif unit in _TIME and second.unit in _TIME and _factors()[0][unit] > _factors()[0][second.unit]:
        value = first.value + second.value * _factors()[0][second.unit] / _factors()[0][unit]
    elif measure == "height" and unit is None and second.unit in (None, "[in_i]", "m"):
        if 3 <= first.value <= _TALLEST and 0 <= second.value < 12 and second.unit != "m":
            value, unit = first.value + second.value / 12, "[ft_i]"
        elif first.value in (1, 2) and 10 <= second.value < 100:
            value, unit = first.value + second.value / 100, "m"
    elif measure == "temperature" and unit is None and second.unit in (None, "[degF]", "Cel", "deg"):
        whole = first.value == int(first.value) and second.value == int(second.value)
        if whole and 34 <= first.value <= 110 and 0 <= second.value <= 9:  # "ninety eight six", "38 con 5"
            value, unit = first.value + second.value / 10, second.unit
    if value is None:
        return None
    joined = Figure(value, (first.span[0], second.span[1]), unit, first.bounded or second.bounded, ago=second.ago)
    return _Said(value, unit, joined, _end(line, second), min(_confidence(first), _confidence(second)))


def _touch(line: Line, first: Figure, second: Figure, *, dashed: bool = False) -> bool:
    """Whether nothing but a unit and small words stands between two figures."""
    between = [sym for sym in line.syms if first.span[1] <= sym.start and sym.end <= second.span[0]]
    written = line.text[first.span[1] : second.span[0]]
    if "," in written and first.unit is None:
        return False
    return all(
        sym.kind in ("U", "AND", "OF")
        or (sym.kind in ("P", "TO") and (sym.value in "'\",." or (dashed and sym.value == "-")))
        or sym.value in ("con", "with")
        or (sym.kind == "OVER" and line.text[sym.start : sym.end].lower() == "con")
        for sym in between
    )


def _unit_before(line: Line, figure: Figure, unit: str) -> bool:
    before = [sym for sym in line.syms if sym.end <= figure.span[0]]
    return bool(before) and before[-1].kind == "U" and before[-1].value == unit


def _end(line: Line, figure: Figure) -> int:
    after = [sym for sym in line.syms if sym.start >= figure.span[1]]
    return after[0].end if figure.unit is not None and after and after[0].kind == "U" else figure.span[1]


def _confidence(figure: Figure) -> float:
    return _MISTYPED if not figure.exact else _ABOUT if figure.about else _CERTAIN


def _in_wanted(said: _Said, wanted: Sequence[str], measure: str | None) -> tuple[Quantity | None, float]:
    if said.unit is not None and said.unit != "deg":
        if said.unit in wanted:
            return Quantity(said.value, said.unit), _CERTAIN
        fitting = [unit for unit in wanted if _same_family(unit, said.unit, measure)]
        if not fitting:
            return None, 0.0
        inches = said.unit == "[ft_i]" and "[in_i]" in fitting
        return Quantity(*_convert(said.value, said.unit, ["[in_i]"] if inches else fitting)), _CERTAIN
    if said.unit == "deg" and measure != "temperature":
        return None, 0.0
    return _assumed(said, wanted, measure)


def _assumed(said: _Said, wanted: Sequence[str], measure: str | None) -> tuple[Quantity, float]:
    """A number without a unit, in the unit it is most likely meant in."""
    others = {"temperature": ("Cel", "[degF]"), "height": ("m", "cm")}.get(measure or "", ())
    candidates = [*wanted, *(unit for unit in others if unit not in wanted)]
    usual = [
        unit
        for unit in candidates
        for limits in [limits_of(measure, unit)]
        if limits is not None and limits.is_usual(said.value)
    ]
    if usual:
        rivals = [unit for unit in usual[1:] if unit in wanted]
        confidence = _CERTAIN if usual[0] == wanted[0] and not rivals else _RIVAL if rivals else 0.85
        return Quantity(*_convert(said.value, usual[0], wanted), assumed=True), confidence
    unclear = measure is None and len(wanted) > 1 and set(wanted) <= _TIME
    return Quantity(said.value, wanted[0], assumed=True), _DOUBTFUL if unclear else _CERTAIN


def _convert(value: Decimal, unit: str, wanted: Sequence[str]) -> tuple[Decimal, str]:
    factors, offsets = _factors()
    if unit in wanted or wanted[0] not in factors:  # a question that names no unit
        return value, unit
    base = value * factors[unit] + offsets[unit]
    target = wanted[0]
    converted = (base - offsets[target]) / factors[target]
    if abs(converted) > Decimal(10) ** 20:
        return value, unit
    if unit in _LENGTH and abs(converted - round(converted)) < _PLACES:
        converted = Decimal(round(converted))  # 5 1/3 feet are 64 inches
    return converted.quantize(_PLACES, ROUND_HALF_EVEN), target


def _same_family(one: str, other: str, measure: str | None) -> bool:
    family = _family(one, measure)
    return family is not None and family == _family(other, measure)


def _family(unit: str, measure: str | None) -> int | None:
    for number, family in enumerate(load_table("units")["families"]):
        if unit in family["units"] and family.get("only", measure) == measure:
            return number
    return None


@lru_cache(maxsize=1)
def _factors() -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    factors: dict[str, Decimal] = {}
    offsets: dict[str, Decimal] = {}
    for family in load_table("units")["families"]:
        shifts = family.get("offsets") or ["0"] * len(family["units"])
        for unit, factor, shift in zip(family["units"], family["factors"], shifts, strict=True):
            factors[unit], offsets[unit] = Decimal(factor), Decimal(shift)
    return factors, offsets


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    """Every UCUM code of the tables: those that convert, and those that only have names ("/min")."""
    named = {str(row["value"]) for row in load_table("units")["rows"] if row["kind"] == "U"}
    return frozenset(named | set(_factors()[0]))


def known_unit(written: str) -> str | None:
    """The UCUM code a unit's code or written name stands for, if the tables know it."""
    if written in _codes():
        return written
    found = [sym.value for sym in lexicon("en", "units").scan(fold(written).text).syms if sym.kind == "U"]
    return found[0] if len(found) == 1 else None
