"""How bad something is: "pretty bad", "worst ever", "un 9", "leve"."""

from dataclasses import dataclass

from carethread.questionnaires.readings.intensity import Level, level_of, read_intensity
from carethread.questionnaires.readings.numbers import Scale, read_number
from carethread.questionnaires.readings.reading import Reading


@dataclass(frozen=True, slots=True)
class Severity:
    """A level, and the score of 0 to 10 if the patient gave one (words alone give none)."""

    level: Level
    score: int | None = None


def read_severity(text: str, language: str) -> Reading[Severity] | None:
    """A number of 0 to 10 if one is given, else the words; the higher of two, as harm lies on that side.

    >>> read_severity("pretty bad", "en").value
    Severity(level='severe', score=None)
    """
    numbers = [
        reading
        for reading in read_number(text, language, Scale(0, 10))
        if reading.how == "number" and 0 <= reading.value <= 10
    ]
    if numbers:
        worst = max(numbers, key=lambda reading: reading.value)
        score = int(worst.value.to_integral_value(rounding="ROUND_HALF_UP"))
        confidence = worst.confidence if len(numbers) == 1 else min(worst.confidence, 0.8)
        return Reading(Severity(level_of(score), score), confidence, worst.span, "number")
    words = read_intensity(text, language)
    if words is None:
        return None
    return Reading(Severity(level_of(int(words.value))), words.confidence, words.span, "synonym")
