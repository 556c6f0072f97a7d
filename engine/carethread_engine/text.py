"""What we do to a patient's words before any model sees them: shouting, stretching, accents and phone shorthand."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import yaml

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


@lru_cache(maxsize=4096)
def for_models(text: str) -> str:
    """`even_out`, with shorthand spelled out.

    >>> for_models("Kiero 1 sita x fa, es pa mi BB")
    'quiero 1 cita por fa, es para mi bb'
    >>> for_models("cud u send my x ray 2 dr lee, vitamin d?")
    'could you send my x-ray 2 doctor lee, vitamin d?'
    """
    table, pattern = _shorthand()
    return pattern.sub(lambda match: table[match.group()], even_out(text))


@lru_cache(maxsize=1)
def _shorthand() -> tuple[dict[str, str], re.Pattern[str]]:
    """The table of shorthand.yml, and a pattern that finds its entries as whole words, phrases first."""
    path = Path(__file__).with_name("shorthand.yml")
    table: dict[str, str] = {}
    for language, entries in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for short, meant in entries.items():
            if short in table or not isinstance(meant, str):
                raise ValueError(f"{path.name}: {language}: '{short}' stands twice or has no text behind it")
            table[short] = meant
    longest_first = "|".join(re.escape(short) for short in sorted(table, key=len, reverse=True))
    return table, re.compile(rf"(?<![\w'’-])(?:{longest_first})(?![\w'’-])")


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
