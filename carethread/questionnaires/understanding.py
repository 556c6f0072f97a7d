"""What a text answers to an item: a value, a choice still open between some, a value out of range, or nothing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from carethread.questionnaires.definition import AnswerOption, Item
from carethread.questionnaires.readings import (
    Option,
    Reading,
    Scale,
    read_choice,
    read_date,
    read_number,
    read_quantity,
    read_yes_no,
    says_nothing,
)
from carethread.questionnaires.values import Amount, Value, compare

_OWN_WORDS = ("string", "text", "open-choice")  # taken as they are when the question was put before
_WIDEST_SCALE = 20  # a wider range of whole numbers is no scale whose ends have words


@dataclass(frozen=True, slots=True)
class Taken:
    """An answer to keep."""

    values: tuple[Value, ...]
    how: str
    confidence: float
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Which:
    """Several answers fit: ask which. Keys of options, or the values as they are written."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Beyond:
    """A value outside the item's limits."""

    said: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """A text longer than the item takes."""


@dataclass(frozen=True, slots=True)
class NothingToSay:
    """ "no", "nothing else" to an invitation to tell more."""


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    pass


Outcome = Taken | Which | Beyond | TooLong | NothingToSay | NotUnderstood

# What an answer is taken for in the end: of item, text, language and what the readers here made of it (see `meaning`).
Second = Callable[[Item, str, str, Outcome], Outcome]


def understand(
    item: Item,
    text: str,
    language: str,
    now: datetime,
    *,
    between: Sequence[str] = (),
    again: bool = False,
    numbered: bool = False,
    meaning: Second | None = None,
) -> Outcome:
    """Reads a text as an answer to an item.

    `between` are the answers the patient was asked to choose from last, in the order shown; `numbered` says that
    a number was asked for; `again` that the question was put before, so that a free text is taken as it is. `meaning` has the last word.
    """
    if meaning is not None:
        outcome = understand(item, text, language, now, between=between, again=again, numbered=numbered)
        judged = meaning(item, text, language, outcome)
        own = isinstance(outcome, Taken) and outcome.how == "exact" and item.type in _OWN_WORDS
        return outcome if again and own and not isinstance(judged, Taken) else judged
    if not text.strip() or not re.search(r"\w|[^\x00-\x7f]", text):
        return NotUnderstood()
    if between and item.type not in ("choice", "open-choice"):
        chosen = _of_values(item, text, language, between)
        if chosen is not None:
            return chosen
    if item.type == "boolean":
        return _boolean(text, language, numbered=numbered)
    if item.type in ("choice", "open-choice"):
        return _choice(item, text, language, between, numbered=numbered)
    if item.type in ("integer", "decimal"):
        return _number(item, text, language)
    if item.type == "quantity":
        return _quantity(item, text, language)
    if item.type == "date":
        return _date(item, text, language, now)
    return _text(item, text, language, again=again)


def exactly_an_option(item: Item, text: str, language: str) -> Taken | None:
    """The option whose very words were written: "not sure" is an answer where it is offered."""
    options = offered(item.options, language)
    choice = read_choice(text, options, language) if options else None
    if choice is None or choice.picked is None or choice.picked.confidence < 1:
        return None
    option = item.option(choice.picked.value)
    return None if option is None else Taken((option.value,), choice.picked.how, 1.0)


def offered(options: Sequence[AnswerOption], language: str) -> list[Option]:
    """The options as the readers take them: shown in one language, known in all."""
    return [
        Option(
            option.key,
            option.wording.in_language(language),
            tuple(dict.fromkeys((*option.wording.all(), *option.also_said))),
        )
        for option in options
    ]


def key_value(item: Item, key: str) -> Value | None:
    """The value a button of this key stands for."""
    if item.type == "boolean":
        return Value("Boolean", key == "true") if key in ("true", "false") else None
    option = item.option(key)
    if option is not None:
        return option.value
    if item.type in ("integer", "decimal") and re.fullmatch(r"-?\d{1,9}(\.\d{1,6})?", key):
        value = _numeric(item, Decimal(key))
        return value if value is not None and not _beyond(item, value) else None
    if item.type == "date" and re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?", key):
        return Value("Date", key)
    return None


def _boolean(text: str, language: str, *, numbered: bool) -> Outcome:
    if numbered and text.strip().rstrip(".)") in ("1", "2"):
        return Taken((Value("Boolean", text.strip().startswith("1")),), "number", 0.95)
    reading = read_yes_no(text, language)
    if reading is None or not reading.sure or reading.how == "synonym":  # "ok" agrees, it does not state a fact
        return NotUnderstood()
    return _taken(Value("Boolean", reading.value), reading)


def _taken(value: Value, reading: Reading[object]) -> Taken:
    return Taken((value,), reading.how, round(reading.confidence, 3), reading.rest)


def _choice(item: Item, text: str, language: str, between: Sequence[str], *, numbered: bool) -> Outcome:
    shown = [option for option in item.options if option.key in between] or list(item.options)
    choice = read_choice(text, offered(shown, language), language, numbered=numbered)
    if not choice.understood and len(shown) < len(item.options):
        choice = read_choice(text, offered(item.options, language), language)
    if choice.picked is not None and choice.picked.sure:
        option = item.option(choice.picked.value)
        if option is not None:
            return _taken(option.value, choice.picked)
    if choice.several and item.repeats:
        options = [option for reading in choice.several for option in [item.option(reading.value)] if option]
        return Taken(tuple(option.value for option in options), "number", 0.9)
    if choice.between or choice.several:
        return Which(tuple(reading.value for reading in (*choice.between, *choice.several)))
    if item.type == "open-choice" and not choice.any:
        return _text(item, text, language, again=True)
    return NotUnderstood()


def _text(item: Item, text: str, language: str, *, again: bool) -> Outcome:
    if not item.required and says_nothing(text, language):
        return NothingToSay()
    spoken = read_yes_no(text, language)
    if spoken is not None and spoken.value and spoken.sure and not spoken.rest and not again:
        return NotUnderstood()  # "yes" to "anything else?": go on and say it
    words = text.strip()
    if item.max_length is not None and len(words) > item.max_length:
        if not again:
            return TooLong()
        words = words[: item.max_length].rstrip()
    return Taken((Value("String", words),), "exact", 1.0)


def scale_of(item: Item) -> Scale | None:
    """The scale of a question for a whole number with near limits, such as 0 to 10."""
    low, high = item.minimum, item.maximum
    if item.type not in ("integer", "decimal") or low is None or high is None:
        return None
    if not isinstance(low.value, int | Decimal) or not isinstance(high.value, int | Decimal):
        return None
    if high.value - low.value > _WIDEST_SCALE or int(low.value) != low.value or int(high.value) != high.value:
        return None
    return Scale(int(low.value), int(high.value))


def _number(item: Item, text: str, language: str) -> Outcome:
    if item.units:
        quantities = read_quantity(text, language, [unit.code for unit in item.units[:1]])
        readings = [
            Reading(reading.value.value, reading.confidence, reading.span, reading.how) for reading in quantities
        ]
    else:
        readings = list(read_number(text, language, scale_of(item)))
    if not readings or not all(reading.sure for reading in readings):
        return NotUnderstood()
    if len(readings) > 1:
        keys = [str(reading.value) for reading in readings]
        fitting = [key for key in keys if key_value(item, key) is not None]
        return Which(tuple(fitting)) if len(fitting) > 1 and len(fitting) <= 4 else NotUnderstood()
    (reading,) = readings
    if item.type == "integer" and reading.value != reading.value.to_integral_value():
        whole = int(reading.value // 1)
        return Which((str(whole), str(whole + 1)))
    value = _numeric(item, reading.value)
    if value is None:
        return NotUnderstood()
    return Beyond(str(reading.value)) if _beyond(item, value) else _taken(value, reading)


def _numeric(item: Item, number: Decimal) -> Value | None:
    if abs(number) >= 2**31:  # FHIR's integer; no clinical number is larger
        return None
    if item.type == "integer":
        return Value("Integer", int(number)) if number == number.to_integral_value() else None
    if item.max_decimals is not None:
        number = round(number, item.max_decimals)
    return Value("Decimal", number)


def _quantity(item: Item, text: str, language: str) -> Outcome:
    readings = read_quantity(text, language, [unit.code for unit in item.units])
    if len(readings) != 1 or not readings[0].sure:
        return NotUnderstood()
    quantity = readings[0].value
    unit = next((unit for unit in item.units if unit.code == quantity.unit), None)
    amount = Amount(quantity.value, unit.display, unit.code) if unit is not None else Amount(quantity.value)
    value = Value("Quantity", amount)
    return Beyond(str(quantity.value)) if _beyond(item, value) else _taken(value, readings[0])


def _date(item: Item, text: str, language: str, now: datetime) -> Outcome:
    readings = [reading for reading in read_date(text, language, now.date()) if reading.confidence >= 0.5]
    if not readings:
        return NotUnderstood()
    within = [reading for reading in readings if not _beyond(item, Value("Date", reading.value))]
    if not within:
        return Beyond(readings[0].value)
    past = [reading for reading in within if reading.value <= now.date().isoformat()] or within
    if len(past) > 1:
        return Which(tuple(reading.value for reading in past[:3]))
    return _taken(Value("Date", past[0].value), past[0])


def _beyond(item: Item, value: Value) -> bool:
    below = item.minimum is not None and (compare(value, item.minimum) or 0) < 0
    above = item.maximum is not None and (compare(value, item.maximum) or 0) > 0
    return below or above


def _of_values(item: Item, text: str, language: str, between: Sequence[str]) -> Taken | None:
    """One of the numbers or dates the patient was asked to choose from, said as it is or by its place."""
    written = text.strip()
    value = key_value(item, written) if written in between else None
    if value is None:
        choice = read_choice(text, [Option(key, key) for key in between], language)
        if choice.picked is None or not choice.picked.sure:
            return None
        value = key_value(item, choice.picked.value)
    return None if value is None else Taken((value,), "number", 0.95)
