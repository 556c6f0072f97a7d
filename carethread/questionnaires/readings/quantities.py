"""A number with its unit: "two hundred lbs", "102 F", "38 y medio grados"."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from carethread.questionnaires.readings.lexicon import lexicon, load_table
from carethread.questionnaires.readings.numbers import read_number
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.text import fold

_PLACES = Decimal("0.01")  # converted values are rounded to this
_DEGREES = {"[degF]", "Cel"}
# A bare number of degrees from here on is a body temperature in Fahrenheit: nobody lives at 50 °C.
_SURELY_FAHRENHEIT = 50
_COLDEST_BODY, _HOTTEST_BODY = 30, 45  # °C; a bare number between them is a body temperature in Celsius


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value and its UCUM unit code; `assumed` says that the patient named no unit."""

    value: Decimal
    unit: str
    assumed: bool = False


def read_quantity(text: str, language: str, units: Sequence[str]) -> tuple[Reading[Quantity], ...]:
    """The quantity in one of the units the question takes (UCUM codes, the usual one first); several if it is unclear.

    A unit of the same family is converted to the first that fits; without a unit the first is assumed, except that
    degrees from 50 up are Fahrenheit. A unit of another family gives nothing.
    """
    wanted = tuple(units) or ("1",)
    named = _named_unit(text, language)
    readings: list[Reading[Quantity]] = []
    for number in read_number(text, language):
        quantity = _in_wanted(number.value, named, wanted)
        if quantity is not None:
            readings.append(
                Reading(quantity, number.confidence, number.span, "unit" if named else "number", number.rest)
            )
    return tuple(readings)


def _named_unit(text: str, language: str) -> str | None:
    found = [sym.value for sym in lexicon(language, "units").scan(text).syms if sym.kind == "U"]
    if found:
        return next((unit for unit in found if unit != "deg"), "deg")
    return None


def _in_wanted(value: Decimal, named: str | None, wanted: Sequence[str]) -> Quantity | None:
    if named in (None, "deg"):
        if set(wanted) & _DEGREES:
            said = "[degF]" if value >= _SURELY_FAHRENHEIT else wanted[0]
            if _COLDEST_BODY <= value <= _HOTTEST_BODY:
                said = "Cel"
            return Quantity(*_convert(value, said, wanted), assumed=True)
        return Quantity(value, wanted[0], assumed=True) if named is None else None
    assert named is not None
    if named in wanted:
        return Quantity(value, named)
    converted = [unit for unit in wanted if _family(unit) is not None and _family(unit) == _family(named)]
    return Quantity(*_convert(value, named, converted)) if converted else None


def _convert(value: Decimal, unit: str, wanted: Sequence[str]) -> tuple[Decimal, str]:
    if unit in wanted:
        return value, unit
    factors, offsets = _factors()
    base = value * factors[unit] + offsets[unit]
    target = wanted[0]
    return ((base - offsets[target]) / factors[target]).quantize(_PLACES, ROUND_HALF_EVEN), target


def _family(unit: str) -> int | None:
    for number, family in enumerate(load_table("units")["families"]):
        if unit in family["units"]:
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


def known_unit(written: str) -> str | None:
    """The UCUM code a unit's code or written name stands for, if the tables know it."""
    if _family(written) is not None:
        return written
    found = [sym.value for sym in lexicon("en", "units").scan(fold(written).text).syms if sym.kind == "U"]
    return found[0] if len(found) == 1 else None
