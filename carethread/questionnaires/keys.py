"""What the keys of an item's buttons stand for, and its numbers within its limits."""

import re
from decimal import Decimal
from typing import Final

from carethread.questionnaires.definition import Item
from carethread.questionnaires.readings import Quantity
from carethread.questionnaires.values import Amount, Value, compare

LARGEST: Final = 2**31  # FHIR's integer; no clinical number is larger


def key_value(item: Item, key: str) -> Value | None:
    """The value a button of this key stands for."""
    if item.type == "boolean":
        return Value("Boolean", key == "true") if key in ("true", "false") else None
    option = item.option(key)
    if option is not None:
        return option.value
    if item.type in ("integer", "decimal") and re.fullmatch(r"-?\d{1,9}(\.\d{1,6})?", key):
        value = numeric(item, Decimal(key))
        return value if value is not None and not beyond(item, value) else None
    if item.type == "quantity":
        return _quantity_key(item, key)
    if item.type == "date" and re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", key):
        return Value("Date", key)
    if item.type == "time" and re.fullmatch(r"\d\d:\d\d:\d\d", key):
        return Value("Time", key)
    if item.type == "dateTime" and re.fullmatch(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d([+-]\d\d:\d\d|Z))?)?)?", key):
        return Value("DateTime", key)
    return None


def _quantity_key(item: Item, key: str) -> Value | None:
    """ "150 lb": a number and a unit as `Which` writes a quantity."""
    number, _, written = key.partition(" ")
    if not re.fullmatch(r"-?\d{1,9}(\.\d{1,6})?", number):
        return None
    unit = next((unit for unit in item.units if written in (unit.code, unit.display)), None)
    if unit is None and (written or item.units):
        return None
    return Value("Quantity", amount(item, Quantity(Decimal(number), unit.code if unit is not None else "")))


def numeric(item: Item, number: Decimal) -> Value | None:
    """A number as the item takes it; None for a fraction where a whole one is asked, or one too large."""
    if abs(number) >= LARGEST:
        return None
    if item.type == "integer":
        return Value("Integer", int(number)) if number == number.to_integral_value() else None
    if item.max_decimals is not None:
        number = round(number, item.max_decimals)
    return Value("Decimal", number)


def amount(item: Item, quantity: Quantity) -> Amount:
    """A quantity in the words that the item has for its unit."""
    unit = next((unit for unit in item.units if unit.code == quantity.unit), None)
    return Amount(quantity.value, unit.display, unit.code) if unit is not None else Amount(quantity.value)


def beyond(item: Item, value: Value) -> bool:
    """Whether a value lies below or above what the item takes."""
    below = item.minimum is not None and (compare(value, item.minimum) or 0) < 0
    above = item.maximum is not None and (compare(value, item.maximum) or 0) > 0
    return below or above
