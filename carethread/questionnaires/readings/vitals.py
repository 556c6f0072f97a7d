"""What a question for a number measures, and whether a number can be one: 11 is no temperature, 2000 no weight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from carethread.questionnaires.readings.lexicon import lexicon, load_table

# Units that alone tell what is measured, whatever the question's words.
_BY_UNIT = {"[degF]": "temperature", "Cel": "temperature"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one measure in one unit: between which values a bare number is taken, and between which one can be at all."""

    usual: tuple[Decimal, Decimal]
    possible: tuple[Decimal, Decimal]

    def is_usual(self, value: Decimal | int) -> bool:
        return self.usual[0] <= value <= self.usual[1]

    def is_possible(self, value: Decimal | int) -> bool:
        return self.possible[0] <= value <= self.possible[1]


def measure_of(codes: Sequence[str], units: Sequence[str], wording: str, language: str) -> str | None:
    """The measure an item asks for, by its LOINC codes, its units or its words; None where that is not certain."""
    for measure, known in load_table("vitals")["codes"].items():
        if set(codes) & set(known):
            return str(measure)
    by_unit = {_BY_UNIT[unit] for unit in units if unit in _BY_UNIT}
    if by_unit:
        return by_unit.pop()
    named = set(_named(wording, language))
    if "count" in named and not units:
        return "age" if named == {"count", "age"} else None
    for whole, part in (("pressure", "systolic"), ("pressure", "diastolic"), ("glucose", "a1c")):
        if part in named:
            named = named - {whole}
    named = named - {"count"}
    if {"systolic", "diastolic"} <= named:
        named = {"pressure"}
    if len(named) != 1:
        return None
    (measure,) = named
    known_units = load_table("vitals")["limits"].get(measure, {})
    return measure if not units or any(unit in known_units for unit in units) else None


@lru_cache(maxsize=1024)
def _named(wording: str, language: str) -> frozenset[str]:
    syms = lexicon(language, "vitals").scan(wording).syms
    return frozenset("count" if sym.kind == "COUNT" else sym.value for sym in syms if sym.kind in ("MEASURE", "COUNT"))


@lru_cache(maxsize=1)
def _all_limits() -> Mapping[tuple[str, str], Limits]:
    return {
        (measure, unit): Limits((Decimal(row[0]), Decimal(row[1])), (Decimal(row[2]), Decimal(row[3])))
        for measure, units in load_table("vitals")["limits"].items()
        for unit, row in units.items()
    }


def limits_of(measure: str | None, unit: str) -> Limits | None:
    """The limits of a measure in a unit; None where the table has none."""
    return _all_limits().get((measure, unit)) if measure is not None else None


def usual_units(measure: str | None) -> tuple[str, ...]:
    """The units a measure has limits in, the one of questions without a unit first."""
    return tuple(load_table("vitals")["limits"].get(measure, {})) if measure is not None else ()
