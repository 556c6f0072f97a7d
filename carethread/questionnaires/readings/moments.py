"""Times of day and moments: "7ish in the evening", "a las siete y media", "yesterday at 3pm", "anoche a las 10"."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from carethread.questionnaires.readings.clock import with_clocks
from carethread.questionnaires.readings.dates import read_date
from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, lexicon, load_table, rule
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.text import fold

_TABLES = ("numbers", "calendar", "since", "moments")
_DAY, _NOON = 24 * 60, 12 * 60
_LATE = 5 * 60  # an hour of the night before this is after midnight
_SAID, _MISTYPED = 0.92, 0.75
_MORNING = frozenset({"morning", "early_morning", "early", "late_morning"})
_EVENING = frozenset({"evening", "afternoon", "late_afternoon", "early_afternoon", "after_work", "late", "after_lunch"})
_LIMITS = ("LIMIT", "TOHOUR", "AFTERHOUR")  # "before 9", "until 10"
_OF_DAYS = ("AGO", "UNIT", "WD", "MONTH", "DAY", "LAST", "ORD")
_CLOCK_WORDS = ("P", "AT", "ABOUT", "THE", "OF", "A", "IN")
_SHORT = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_AGO = (
    rule("AGO A|NUM|FEW=n UNIT=u AND A? HALF=half"),
    rule("A|NUM|FEW=n UNIT=u AND A? HALF=half AGO"),
    rule("NUM=n AND A? HALF=half UNIT=u AGO"),
    rule("AGO A? HALF=n A? UNIT=u"),
    rule("A? HALF=n A? UNIT=u AGO"),
    rule("AGO A|NUM|FEW=n UNIT=u"),
    rule("A|NUM|FEW=n UNIT=u AGO"),
)


def read_time(text: str, language: str) -> tuple[Reading[str], ...]:
    """The time of day as FHIR writes it (HH:MM:SS); two where neither word nor hour says which half of the day.

    >>> [reading.value for reading in read_time("7:30", "en")]
    ['07:30:00', '19:30:00']
    """
    text, half = _by_occasion(text)
    line = _clocked(text, language)
    if any(sym.kind in _LIMITS for sym in line.syms):
        return ()  # "after 10pm"
    found = [minutes for sym in line.syms if sym.kind == "CLOCK" for minutes in _minutes(sym.value)]
    exact = all(sym.exact for sym in line.syms if sym.kind == "CLOCK")
    unique = list(dict.fromkeys(found))
    if half and len(unique) == 2:
        fitting = [minutes for minutes in unique if (minutes >= _NOON) is (half == "pm")]
        unique = fitting if len(fitting) == 1 and min(unique) >= _LATE else unique  # "to bed at 1" may be in the night
    return tuple(
        Reading(f"{minutes // 60:02}:{minutes % 60:02}:00", _SAID if exact else _MISTYPED, (0, len(text)), "date")
        for minutes in unique
    )


def _by_occasion(text: str) -> tuple[str, str]:
    """The text without the occasion that it names, and the half of the day that one lies in: "8 with breakfast"."""
    folded = fold(text)
    for half in ("am", "pm"):
        named = re.search(load_table("moments")["occasions"][half], folded.text)
        if named is not None:
            start, end = folded.span(*named.span())
            rest = (text[:start] + text[end:]).strip(" ,.;")
            alone = re.fullmatch(r"(?:like |about |around |como )?(\d{1,2}(?::\d\d)?)", rest.lower())
            return (f"at {alone[1]}" if alone is not None else rest), half
    return text, ""


def read_moment(text: str, language: str, now: datetime, *, ahead: bool = False) -> tuple[Reading[str], ...]:
    """A moment as FHIR writes a dateTime, in the zone of `now`; only a date, or less, where no time is said.

    A time without a day is the latest that has been (with `ahead`, the next that comes).
    """
    if now.tzinfo is None:
        raise ValueError("read_moment: now needs a time zone, the patient's own")
    whole = (0, len(text))
    ago = _ago(lexicon(language, *_TABLES).scan(text).without("OF", "THE", "ABOUT"), now)
    if ago is not None:
        return (Reading(_written(ago), _SAID, whole, "date"),)
    line = _clocked(text, language)
    clocks = [sym for sym in line.syms if sym.kind == "CLOCK"]
    if not clocks:
        if _only(line, "NOW"):
            return (Reading(_written(now), _SAID, whole, "date"),)
        return read_date(text, language, now.date(), ahead=ahead)
    if len(clocks) > 1 or any(sym.kind in _LIMITS for sym in line.syms):
        return ()
    (clock,) = clocks
    last_night = any(sym.kind == "LASTNIGHT" for sym in line.syms)
    minutes = _minutes(_of_last_night(clock.value) if last_night else clock.value)
    days = _days(line, clock, text, language, now, ahead=ahead)
    if days is None:
        return ()
    moments = [_at(now, day, part, last_night=last_night) for day in days for part in minutes] or [
        _nearest(now, part, ahead=ahead) for part in minutes
    ]
    confidence = _SAID if clock.exact else _MISTYPED
    past = [moment for moment in moments if ahead or moment <= now] or moments
    return tuple(Reading(_written(moment), confidence, whole, "date") for moment in dict.fromkeys(past))


def _ago(line: Line, now: datetime) -> datetime | None:
    for pattern in _AGO:
        for hit in line.find_all(pattern):
            unit = _SHORT.get(hit.values["u"] or "")
            said = hit.values["n"] or "1"
            if unit is None or not re.fullmatch(r"\d{1,4}(\.\d+)?", said):
                continue
            if any(sym.kind == "FEW" and sym.value != "2" for sym in line.syms[hit.first : hit.last]):
                return None  # "a few hours ago"
            halves = line.syms[hit.first : hit.last]
            amount = 0.5 if "half" not in hit.values and any(s.kind == "HALF" for s in halves) else float(said)
            return now - unit * (amount + (0.5 if hit.values.get("half") else 0))
    return None


def _clocked(text: str, language: str) -> Line:
    """The line with every time of day as one CLOCK: minutes since midnight, with a question mark where half is open."""
    line = lexicon(language, *_TABLES).scan(_plainly(text)).without("ABOUT")
    for pattern in _MINUTES_TO:
        line = line.rewrite(pattern, _minutes_to)
    line = line.rewrite(rule("NUM=m AFTERHOUR NUM=h"), _minutes_past)
    line = with_clocks(line.rewrite(rule("NUM=h NUM=m"), _hour_and_minute))
    line = Line(line.text, tuple(_noon(sym) for sym in line.syms))
    line = line.rewrite(rule("CLOCK=t ABOUT? OF? NIGHT"), _at_night)
    line = _bare(line)
    part = next((sym.value for sym in line.syms if sym.kind in ("PART", "NIGHT", "LASTNIGHT")), None)
    this_morning = line.find(rule("THIS DAY:1")) is not None
    return Line(line.text, tuple(_in_part(sym, "morning" if this_morning else part) for sym in line.syms))


def _plainly(text: str) -> str:
    """ "9.30 pm" and "21h" with a colon, at the same places."""
    text = _DOTTED.sub(r"\1:\2", text)
    return _HOURS.sub(lambda match: f"{match.group(1)}:00".ljust(len(match.group())), text)


_DOTTED = re.compile(r"\b(\d{1,2})\.(\d\d)(?=\s*[ap]\.?\s*m)", re.IGNORECASE)
_HOURS = re.compile(r"^(?<=\b)(1[3-9]|2[0-3])\s*(?:h|hrs|hours|horas)\b", re.IGNORECASE)
_MINUTES_TO = (rule("NUM=m TOHOUR NUM=h"), rule("NUM=m UNIT:minute TOHOUR NUM=h"), rule("NUM=h LESS NUM=m"))


def _minutes_to(hit: Hit) -> Sequence[Sym] | None:
    """ "ten to seven" is 6:50."""
    return _clock_of(hit, lambda hour, minute: (hour * 60 - minute) % _NOON)


def _minutes_past(hit: Hit) -> Sequence[Sym] | None:
    """ "twenty past six" is 6:20."""
    return _clock_of(hit, lambda hour, minute: hour * 60 + minute)


def _clock_of(hit: Hit, minutes: Callable[[int, int], int]) -> Sequence[Sym] | None:
    hour, minute = hit.values["h"] or "", hit.values["m"] or ""
    if not (hour.isdigit() and minute.isdigit() and 1 <= int(hour) <= 12 and 1 <= int(minute) <= 59):
        return None
    found = minutes(int(hour), int(minute)) or _NOON
    return (Sym("TIME", f"{found // 60 or 12}:{found % 60:02}", *hit.span, hit.exact),)


def _hour_and_minute(hit: Hit) -> Sequence[Sym] | None:
    """ "six fifteen" is 6:15."""
    hour, minute = hit.values["h"] or "", hit.values["m"] or ""
    if not (hour.isdigit() and minute.isdigit() and 1 <= int(hour) <= 12 and 10 <= int(minute) <= 59):
        return None
    return (Sym("TIME", f"{hour}:{minute}", *hit.span, hit.exact),)


def _noon(sym: Sym) -> Sym:
    return replace(sym, kind="CLOCK") if sym.kind in ("NOON", "MIDNIGHT") else sym


def _at_night(hit: Hit) -> Sequence[Sym]:
    said = hit.values["t"] or ""
    if not said.endswith("?"):
        return (Sym("CLOCK", said, *hit.span),)
    return (Sym("CLOCK", _of_last_night(said), *hit.span),)


def _of_last_night(said: str) -> str:
    """10 at night is 22:00, 2 at night 02:00, 12 at night midnight."""
    if not said.endswith("?"):
        return said
    minutes = int(said[:-1]) % _NOON
    return str(minutes if minutes < _LATE else minutes + _NOON)


def _bare(line: Line) -> Line:
    """A number alone, or beside a word for a part of the day, as the time it is: "7", "730 this morning"."""
    if any(sym.kind in ("CLOCK", "UNIT", "MONTH", "AGO") for sym in line.syms):
        return line
    numbers = [sym for sym in line.syms if sym.kind == "NUM"]
    others = [sym for sym in line.syms if sym.kind not in ("NUM", *_CLOCK_WORDS)]
    near_day = any(sym.kind in ("PART", "NIGHT", "LASTNIGHT", "THIS", "DAY") for sym in others)
    if any(sym.kind == "W" for sym in others) or [sym.value for sym in numbers] == ["0"]:
        return line
    if not numbers or (others and not near_day) or any(sym.value in ("/", "-") for sym in line.syms):
        return line
    apart = line.syms.index(numbers[-1]) - line.syms.index(numbers[0]) >= len(numbers)
    minutes = None if apart else _plain([sym.value for sym in numbers])
    if minutes is None:
        return line
    first, last = line.syms.index(numbers[0]), line.syms.index(numbers[-1])
    open_half = 60 <= minutes < 13 * 60 and not numbers[0].value.startswith("0")
    clock = Sym("CLOCK", f"{minutes}{'?' if open_half else ''}", numbers[0].start, numbers[-1].end, numbers[0].exact)
    return Line(line.text, (*line.syms[:first], clock, *line.syms[last + 1 :]))


def _plain(said: Sequence[str]) -> int | None:
    """Minutes since midnight of "7", "730", "1900", "seven thirty"; None for what is no time."""
    if len(said) == 2 and all(part.isdigit() for part in said) and 10 <= int(said[1]) < 60:
        hour, minute = int(said[0]), int(said[1])
    elif len(said) == 1 and re.fullmatch(r"\d{1,4}", said[0]):
        digits = said[0]
        hour, minute = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    else:
        return None
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _in_part(sym: Sym, part: str | None) -> Sym:
    if sym.kind != "CLOCK" or not sym.value.endswith("?") or part is None:
        return sym
    minutes = int(sym.value[:-1]) % _NOON
    if part in _MORNING:
        return replace(sym, value=str(minutes))
    if part in _EVENING:
        return replace(sym, value=str(minutes + _NOON))
    return replace(sym, value=_of_last_night(sym.value)) if part in ("night", "1") else sym


def _minutes(said: str) -> tuple[int, ...]:
    if not said.endswith("?"):
        return (int(said) % _DAY,)
    minutes = int(said[:-1]) % _NOON
    return (minutes, minutes + _NOON)


def _days(line: Line, clock: Sym, text: str, language: str, now: datetime, *, ahead: bool) -> tuple[date, ...] | None:
    """The days said beside a time; empty where none is, None where what is said is no single day."""
    if any(sym.kind == "LASTNIGHT" for sym in line.syms):
        return (now.date() - timedelta(days=1),)
    if line.find(rule("THIS DAY:1|PART|NIGHT")) is not None:
        return (now.date(),)
    without = text[: clock.start] + " " * (clock.end - clock.start) + text[clock.end :]
    found = read_date(without, language, now.date(), ahead=ahead)
    if not found:
        return None if any(sym.kind in _OF_DAYS for sym in line.syms) else ()
    if any(len(reading.value) != len("2026-01-01") or not reading.sure for reading in found):
        return None
    return tuple(date.fromisoformat(reading.value) for reading in found)


def _at(now: datetime, day: date, minutes: int, *, last_night: bool) -> datetime:
    if last_night and minutes < _LATE:
        day += timedelta(days=1)  # two last night is today
    return datetime.combine(day, time(minutes // 60, minutes % 60), now.tzinfo)


def _nearest(now: datetime, minutes: int, *, ahead: bool) -> datetime:
    moment = _at(now, now.date(), minutes, last_night=False)
    if ahead:
        return moment if moment >= now else _at(now, now.date() + timedelta(days=1), minutes, last_night=False)
    return moment if moment <= now else _at(now, now.date() - timedelta(days=1), minutes, last_night=False)


def _only(line: Line, kind: str) -> bool:
    others = {sym.kind for sym in line.syms} - {kind, "P", "THE", "ABOUT"}
    return any(sym.kind == kind for sym in line.syms) and not others


def _written(moment: datetime) -> str:
    return moment.replace(second=0, microsecond=0).isoformat()
