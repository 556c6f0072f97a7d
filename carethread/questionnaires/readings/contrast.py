"""What counts of a message that sets one time against another: "used to be nightly, now about once a month"."""

import re
from functools import lru_cache

from carethread.questionnaires.readings.lexicon import load_table
from carethread.questionnaires.readings.text import fold

_CLAUSE = re.compile(
    r"\s*(?:(?<!\d)[.,]|[.,](?!\d)|[;!…]|\s[-–—]\s)+\s*(?:(?:but|pero|and|y|so|asi que)\b\s*)?"
    r"|\s+(?:but|pero|aunque)\s+"
)
_BUT = ("but", "pero")


def current_part(text: str, wording: str) -> str | None:
    """The part of a message that is about the time the question asks for; None where no time is set against another.

    What was long ago never counts; what was yesterday or last week only where the question looks back on a stretch
    of time; what is usual gives way to the very night or day that the question names.

    >>> current_part("It was severe last week but it's only mild now.", "How bad is your pain?")
    "it's only mild now."
    """
    asked = fold(wording).text
    folded = fold(text)
    for place in _CLAUSE.finditer(folded.text):
        before, after = folded.text[: place.start()], folded.text[place.end() :]
        if not before.strip() or not after.strip():
            continue
        start, end = folded.span(place.end(), len(folded.text))[0], folded.span(0, max(1, place.start()))[1]
        but = any(word in place.group().split() for word in _BUT) and _pattern("long_ago").search(before)
        if _is_over(before, asked) and (but or _is_current(after, asked)):
            return text[start:].strip()
        if _is_over(after, asked) and _is_current(before, asked) and not _is_over(before, asked):
            return text[:end].strip()
    return None


def _is_over(clause: str, asked: str) -> bool:
    if _pattern("now").search(clause):
        return False
    if _pattern("formerly").search(clause):
        return not _pattern("asks_ever").search(asked)
    if _pattern("lately").search(clause):
        return not _pattern("asks_stretch").search(asked)
    return bool(_pattern("usually").search(clause) and not _pattern("usually").search(asked))


def _is_current(clause: str, asked: str) -> bool:
    """Whether a clause is about now, or about the day or night that the question names."""
    named = {match.group() for match in _pattern("named").finditer(asked)}
    return bool(
        _pattern("now").search(clause) or any(match.group() in named for match in _pattern("named").finditer(clause))
    )


@lru_cache(maxsize=16)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(load_table("contrast")[name])
