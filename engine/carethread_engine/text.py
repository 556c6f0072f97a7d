"""What we do to a patient's words before any model sees them: even out shouting, stretching and accents."""

from __future__ import annotations

import re
import unicodedata

# Emphasis, not spelling: "holaaaa" and "holaa" are the same word, "book" and "bok" are not.
_STRETCHED = re.compile(r"(.)\1{2,}")
_SPACES = re.compile(r"\s+")

# Longer messages say what they want early; the encoder's cost grows with the length, its use does not.
MAX_MODEL_CHARACTERS = 1_000


def even_out(text: str) -> str:
    """Lower-case, one space between words, at most two of a character in a row, at most 1,000 characters.

    >>> even_out("  HOLAAAA   Buenos DÍAS ")
    'holaa buenos días'
    """
    flat = _SPACES.sub(" ", text[: 4 * MAX_MODEL_CHARACTERS]).strip().lower()
    return _STRETCHED.sub(r"\1\1", flat)[:MAX_MODEL_CHARACTERS]


def without_accents(text: str) -> str:
    """Fold accents: on a phone keyboard half of all patients leave them out.

    >>> without_accents("mañana a las 10, señor")
    'manana a las 10, senor'
    """
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def says_something(text: str) -> bool:
    """Whether there is a letter or a digit in it: emoji, "???" and "" carry no intent a model could know.

    >>> says_something("👍🏽"), says_something("ok"), says_something("7"), says_something(" …?")
    (False, True, True, False)
    """
    return any(c.isalnum() for c in text)
