"""Times of day in a line of symbols: "3pm", "a las 3 y media", "half past 2", "15:30" become one CLOCK symbol.

A CLOCK's value is minutes since midnight; a question mark behind it says that the half of the day is a guess
("at 3": seven to noon are morning, twelve to six are afternoon, as clinics are open).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import time
from functools import partial

from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, lexicon, rule
from carethread.questionnaires.readings.text import fold

# Local hours meant by a part of the day, as clinics and patients use the words (half-open).
PARTS: dict[str, tuple[time, time]] = {
    "early_morning": (time(6), time(9, 30)),
    "early": (time(6), time(10)),
    "before_work": (time(6), time(9)),
    "morning": (time(6), time(12)),
    "late_morning": (time(9, 30), time(12)),
    "noon": (time(11, 30), time(13, 30)),
    "after_lunch": (time(13), time(17)),
    "early_afternoon": (time(12), time(14, 30)),
    "afternoon": (time(12), time(18)),
    "late_afternoon": (time(15), time(18)),
    "after_school": (time(15), time(18)),
    "late": (time(15), time(21)),
    "evening": (time(17), time(22)),
    "after_work": (time(17), time(22)),
}

_HOUR = 60
_NOON = 12 * _HOUR
_DAY = 24 * _HOUR
_FIRST_MORNING_HOUR = 7  # a bare "7" is seven in the morning, a bare "6" six in the evening

_Minutes = Callable[[str], int | None]


def with_clocks(line: Line) -> Line:
    """The line with its times of day as CLOCK symbols; needs the tables numbers, calendar and when."""
    line = line.rewrite(rule("NUM=t A"), partial(_short_am, line))
    for pattern, minutes in _CLOCKS:
        line = line.rewrite(pattern, partial(_clock, minutes))
    for pattern in _BARE:
        line = line.rewrite(pattern, partial(_bare, line))
    return line.rewrite(rule("CLOCK=t PART=p"), _in_part)


def mornings(line: Line) -> Line:
    """ "el lunes mañana", "esta mañana": behind a weekday or "this" the word is a part of the day."""
    return line.rewrite(rule("WD|THIS DAY:1"), partial(_as_morning, line))


def _as_morning(line: Line, hit: Hit) -> Sequence[Sym] | None:
    before, day = line.syms[hit.first : hit.last]
    if not fold(line.text[day.start : day.end]).text.startswith("man"):
        return None
    return before, replace(day, kind="PART", value="morning")


def guess_half(minutes: int) -> int:
    """Minutes since midnight of a time said without am or pm."""
    hour = minutes // _HOUR % 12 * _HOUR + minutes % _HOUR
    return hour if hour >= _FIRST_MORNING_HOUR * _HOUR else hour + _NOON


def _plain(said: str) -> int | None:
    """ "3", "3:30", "330", "15" as minutes since midnight, the half of the day as said."""
    match = re.fullmatch(r"(\d{1,2}):?(\d{2})?", said)
    if match is None:
        return None
    hour, minute = int(match.group(1)), int(match.group(2) or 0)
    if len(said) == 3 and ":" not in said:
        hour, minute = int(said[0]), int(said[1:])
    return hour * _HOUR + minute if hour < 24 and minute < 60 else None


def _shifted(by: int) -> _Minutes:
    def minutes(said: str) -> int | None:
        plain = _plain(said)
        return None if plain is None else (plain + by) % _DAY

    return minutes


_CLOCKS: tuple[tuple["re.Pattern[str]", _Minutes], ...] = (
    (rule("NUM=t HALFPAST PM|AM=h"), _shifted(30)),
    (rule("NUM=t HALFPAST"), _shifted(30)),
    (rule("HALFPAST NUM=t PM|AM=h"), _shifted(30)),
    (rule("HALFPAST NUM=t"), _shifted(30)),
    (rule("QUARTER NUM=t PM|AM=h"), _shifted(15)),
    (rule("QUARTER NUM=t"), _shifted(15)),
    (rule("NUM=t QUARTER"), _shifted(15)),
    (rule("QUARTERTO NUM=t PM|AM=h"), _shifted(-15)),
    (rule("QUARTERTO NUM=t"), _shifted(-15)),
    (rule("NUM=t QUARTERTO"), _shifted(-15)),
    (rule("TIME|NUM=t OCLOCK PM|AM=h"), _plain),
    (rule("TIME|NUM=t PM|AM=h"), _plain),
    (rule("TIME|NUM=t OCLOCK"), _plain),
    (rule("TIME=t"), _plain),
    (rule("AT? NUM=t NUM:15"), _shifted(15)),
    (rule("AT? NUM=t NUM:30"), _shifted(30)),
    (rule("AT? NUM=t NUM:45"), _shifted(45)),
)

# A bare number is a time behind these, unless a unit, a month or a date follows.
_BARE = tuple(
    rule(source) for source in ("AT|AFTER|BEFORE|BETWEEN NUM=t", "CLOCK TO|AND|OR AT? NUM=t", "NUM=t TO AT? CLOCK")
)
_NOT_A_TIME = ("UNIT", "MONTH", "W")


def _short_am(line: Line, hit: Hit) -> tuple[Sym, ...] | None:
    """ "10a" is ten in the morning; "10 a ..." is not."""
    number, letter = line.syms[hit.first : hit.last]
    return (number, replace(letter, kind="AM", value="am")) if number.end == letter.start else None


def _clock(minutes: _Minutes, hit: Hit) -> tuple[Sym, ...] | None:
    said = hit.values["t"] or ""
    value = minutes(said)
    if value is None:
        return None
    half = hit.values.get("h")
    sure = half is not None or value >= 13 * _HOUR or value < _HOUR or (said.startswith("0") and ":" in said)
    if half is not None and value <= 13 * _HOUR:
        value = value % _NOON + (_NOON if half == "pm" else 0)
    return (Sym("CLOCK", f"{value if sure else guess_half(value)}{'' if sure else '?'}", *hit.span),)


def _bare(line: Line, hit: Hit) -> tuple[Sym, ...] | None:
    """The same symbols with the bare number as a CLOCK."""
    covered = line.syms[hit.first : hit.last]
    following = line.syms[hit.last] if hit.last < len(line.syms) else None
    place = next(index for index, sym in enumerate(covered) if sym.kind == "NUM")
    if covered[-1].kind == "NUM" and following is not None:
        if following.kind in _NOT_A_TIME or following.value in ("/", "%"):
            return None
        if following.kind == "TO" and line.text[following.start] == "-":
            return None
    value = _plain(covered[place].value)
    if value is None or value < _HOUR or not re.fullmatch(r"\d{1,2}|\d{3,4}", covered[place].value):
        return None
    if value >= 13 * _HOUR:
        new = Sym("CLOCK", str(value), covered[place].start, covered[place].end)
    else:
        new = Sym("CLOCK", f"{guess_half(value)}?", covered[place].start, covered[place].end)
    return (*covered[:place], new, *covered[place + 1 :])


_MORNING = {"early_morning", "morning", "late_morning", "early"}
_NIGHT = {"evening", "late", "late_afternoon", "afternoon", "early_afternoon", "noon"}


def half_of_day(text: str, language: str) -> str | None:
    """ "am" or "pm", where a text names one part of the day: "your evening medicine" is pm."""
    parts = {sym.value for sym in lexicon(language, "calendar").scan(text).syms if sym.kind == "PART"}
    if parts and parts <= _MORNING:
        return "am"
    return "pm" if parts and parts <= _NIGHT else None


def _in_part(hit: Hit) -> tuple[Sym, ...] | None:
    """ "8 de la mañana", "7 in the evening": the part of the day settles which half is meant."""
    said, part = hit.values["t"] or "", hit.values["p"] or ""
    if not said.endswith("?"):
        return None
    minutes = int(said[:-1]) % _NOON
    if part in _MORNING:
        return (Sym("CLOCK", str(minutes), *hit.span),)
    if part in _NIGHT:
        return (Sym("CLOCK", str(minutes + _NOON), *hit.span),)
    return None
