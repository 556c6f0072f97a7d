"""What a text can be taken for as an answer: values, a choice still open, a request, or nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from carethread.questionnaires.definition import Item
from carethread.questionnaires.readings import Control
from carethread.questionnaires.values import Value


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
    """A value outside the item's limits, or outside what can be measured of what it asks."""

    said: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """A text longer than the item takes."""


@dataclass(frozen=True, slots=True)
class NothingToSay:
    """ "no", "nothing else" to an invitation to tell more."""


@dataclass(frozen=True, slots=True)
class Request:
    """A wish or a question about the question instead of an answer, put as a sentence."""

    control: Control


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    pass


Outcome = Taken | Which | Beyond | TooLong | NothingToSay | Request | NotUnderstood

# What an answer is taken for in the end: of item, text, language and what the readers here made of it (see `meaning`).
Second = Callable[[Item, str, str, Outcome], Outcome]
