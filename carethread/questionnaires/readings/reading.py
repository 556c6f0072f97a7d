"""What a reader hands back: a value, how sure it is, where it stood in the text and how it was read."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

How = Literal["exact", "number", "letter", "synonym", "similarity", "unit", "date", "polarity"]

T_co = TypeVar("T_co", covariant=True)

# At or above this a value is taken; below it the patient is asked again. A wrong value taken is worse than
# a question too many, so readers put doubtful readings clearly below.
SURE = 0.7


@dataclass(frozen=True, slots=True)
class Reading(Generic[T_co]):
    """One way to understand a text.

    `span` is the half-open range of characters of the patient's own text that carried the value;
    `rest` is what they said besides ("yes but only at night" → "but only at night").
    """

    value: T_co
    confidence: float
    span: tuple[int, int]
    how: How
    rest: str = ""

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE
