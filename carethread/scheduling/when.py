"""What a patient wishes for a visit, read from free words: "next Tuesday afternoon", "el martes por la tarde", "asap".

The wish is a set of days and hours that a slot can match or come near to. Which slots exist, and which of the
near ones are offered, is not decided here.
"""

import re
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import pairwise

from carethread.questionnaires.readings.clock import mornings, with_clocks
from carethread.questionnaires.readings.days import with_days
from carethread.questionnaires.readings.lexicon import Line, lexicon
from carethread.scheduling.lay import plain, table
from carethread.scheduling.preference import Hours, TimePreference
from carethread.scheduling.wishes import tidy, wish_in

__all__ = ["Hours", "TimePreference", "moved_to", "read_when"]

_DAYS = {"DATE", "RANGE", "WD", "WDS", "WEEKEND", "WEEKDAYS", "TONIGHT"}
_TIMES = {"PART", "CLOCK"}


def read_when(text: str, *, language: str, now: datetime) -> TimePreference | None:
    """Reads when a patient wants to come; None where nothing in the text is about time.

    `now` is aware and in the patient's zone: "tomorrow" is the day after its date. Dates without a year, days of
    the month and weekdays are the next ones to come. English "next Tuesday" is the one of next week (Monday to
    Sunday), Spanish "el próximo martes" the first one to come.
    """
    if now.tzinfo is None:
        raise ValueError("read_when: now needs a time zone, the patient's own")
    line = mornings(tidy(lexicon(language, "numbers", "calendar", "when").scan(text)))
    line = with_days(with_clocks(line), now.date(), language)
    wish = wish_in(line, now)
    if wish is None:
        anchored = any(sym.kind == "ANCHOR" for sym in line.syms)
        return TimePreference(text, now.tzinfo, now, understood=False) if anchored else None
    either = [found for part in _alternatives(line) for found in [wish_in(part, now)] if found is not None]
    return replace(wish, alternatives=tuple(either)) if len(either) > 1 else wish


def moved_to(text: str, *, language: str, now: datetime) -> tuple[str, str] | None:
    """Cut "move my Tuesday visit to Thursday" into what it says of the visit and the new time, "Thursday".

    None where no new time is plainly named; whoever asks does not know then which time was meant.
    """
    signs, verbs = _moving(language)
    for sign in reversed(list(signs.finditer(text))):
        about, target = text[: sign.start()], text[sign.end() :]
        if not verbs & set(plain(about).split()) or (_ENDS_IN_HOUR.search(about) and target[0].isdigit()):
            continue
        wish = read_when(target, language=language, now=now)
        if wish is None or not wish.understood:
            continue
        if sign["to"] or read_when(about, language=language, now=now):
            return about, target
    return None


_ENDS_IN_HOUR = re.compile(r"\d\s*(?:[ap]\.?\s*m\.?)?\s*$", re.IGNORECASE)  # "from 2 to 4" is a span, no move


@cache
def _moving(language: str) -> tuple[re.Pattern[str], frozenset[str]]:
    words = table()["moving"][language]
    to, perhaps = ("|".join(map(str, words[kind])) for kind in ("to", "perhaps"))
    signs = re.compile(rf"\b(?:(?P<to>{to})|{perhaps})\s+(?=\w)", re.IGNORECASE)
    return signs, frozenset(words["verbs"])


def _alternatives(line: Line) -> list[Line]:
    """The sides of "Monday morning or Tuesday afternoon"; nothing where the "or" is between mere days or times."""
    cuts = [place for place, sym in enumerate(line.syms) if sym.kind == "OR"]
    edges = [-1, *cuts, len(line.syms)]
    sides = [Line(line.text, line.syms[first + 1 : last]) for first, last in pairwise(edges)]
    kinds = [{sym.kind for sym in side.syms} for side in sides]
    return sides if len(sides) > 1 and all(kind & _DAYS and kind & _TIMES for kind in kinds) else []
