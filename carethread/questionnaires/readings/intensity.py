"""Words for how strong something is, placed on the 0-10 scale: "mild", "insoportable", "not too bad"."""

from decimal import Decimal
from typing import Literal

from carethread.questionnaires.readings.lexicon import lexicon
from carethread.questionnaires.readings.reading import Reading

Level = Literal["none", "mild", "moderate", "severe"]


def level_of(score: int) -> Level:
    """The band of a 0-10 numeric rating (NIH Pain Consortium: 1-3 mild, 4-6 moderate, 7-10 severe)."""
    return "none" if score <= 0 else "mild" if score <= 3 else "moderate" if score <= 6 else "severe"


def read_intensity(text: str, language: str) -> Reading[Decimal] | None:
    """The middle of what the words cover on the 0-10 scale; the worst of several."""
    found = [sym for sym in lexicon(language, "severity").scan(text).syms if sym.kind == "SEV"]
    if not found:
        return None
    worst = max(found, key=lambda sym: int(sym.value))
    mixed = {int(sym.value) for sym in found}
    confidence = (0.85 if worst.exact else 0.75) if max(mixed) - min(mixed) <= 3 else 0.6
    return Reading(Decimal(worst.value), confidence, (worst.start, worst.end), "synonym")
