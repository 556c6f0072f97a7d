"""Days, times of day and lengths of time, each with its place in the text.

What has been is read before what is to come, and lengths before both: "for three days" is no day, "since Friday" no
wish, and "in three days" no length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from carethread.dialogue.entities.found import Found, taken
from carethread.dialogue.entities.names import word_table
from carethread.questionnaires.readings.clock import PARTS, guess_half, mornings, with_clocks
from carethread.questionnaires.readings.dates import read_birth_date
from carethread.questionnaires.readings.days import Span, days_of, with_days
from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, lexicon, rule
from carethread.questionnaires.readings.text import fold

_LETTERS = {"minute": "PT{}M", "hour": "PT{}H", "day": "P{}D", "week": "P{}W", "month": "P{}M", "year": "P{}Y"}
_SHIFTS = ("earlier", "later", "sooner", "antes", "despues", "mas")
_HALVES = {"hour": "PT30M", "day": "PT12H", "year": "P6M"}
_DAYS = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "year": 365}
_SOON = timedelta(days=730)  # "6/24/26" is a day to come within this, a birth date otherwise
_NOW_HURTING = re.compile(r"\b(?:estoy|tengo|siento|esta|duele|duelen|ando|sigo|traigo)\b")
_SLASHED = re.compile(r"\d[/.-]\d{1,2}[/.-]\d")
_REACH = 5  # symbols between "before" and what is awaited


NAMED = ("symptom", "body_part", "specialty", "medication", "language")  # by tables of names


def read_times(text: str, language: str, now: datetime, before: Sequence[Found]) -> list[Found]:
    """Dates, times and durations. `before` holds what is read already, such as "5/10" for a pain."""
    found: list[Found] = []
    for read in (_awaited, _birth_dates, _past, _lengths, _ahead):
        for one in read(text, language, now, [*before, *found]):
            amounts = [other for other in before if other.kind not in NAMED]
            if not taken((*amounts, *found), one.start, one.end):
                found.append(one)
            elif any(one.start == other.start and one.end == other.end and one.kind != other.kind for other in found):
                found.append(one)  # "tonight" is a day and a time
    return found


# --- what only the patient knows ---------------------------------------------------------------------------------


def _awaited(text: str, language: str, now: datetime, before: Sequence[Found]) -> Iterator[Found]:
    """ "before my trip": a day that must be asked for."""
    words = word_table()
    syms = lexicon(language, "numbers", "calendar", "when").scan(text).syms
    for place, sym in enumerate(syms):
        if sym.kind not in ("AFTER", "BEFORE") and not (sym.kind == "W" and sym.value in words["waits"]):
            continue
        if fold(text[sym.start : sym.end]).text.startswith("desde"):
            continue  # what it counts from has been
        for later in syms[place + 1 : place + 1 + _REACH]:
            if later.kind in ("P", "DAY", "WD", "MONTH", "TIME") and later.value not in ("-", "'"):
                break
            said = set(fold(text[later.start : later.end]).text.replace("'", " ").split())
            if said & set(words["awaited"]):
                yield Found("date", sym.start, later.end, None)
                break


def _birth_dates(text: str, language: str, now: datetime, before: Sequence[Found]) -> Iterator[Found]:
    today = now.date()
    for reading in read_birth_date(text, language, today)[:1]:
        start, end = reading.span
        written = re.findall(r"\d+", text[start:end])
        if not any(len(number) >= 4 for number in written) and not _SLASHED.search(text[start:end]):
            continue  # "9 to 11 on June 18" holds no year
        coming = None
        if len(written) == 3 and len(written[2]) == 2:
            coming = _valid(2000 + int(written[2]), reading.value.month, reading.value.day)
        if coming is None or not today <= coming <= today + _SOON:
            yield Found("date", start, end, reading.value.isoformat())


# --- what has been -----------------------------------------------------------------------------------------------


def _past(text: str, language: str, now: datetime, before: Sequence[Found]) -> Iterator[Found]:
    line = lexicon(language, "numbers", "calendar", "since").scan(text).without("OF", "THE", "ABOUT")
    for pattern, resolve in _PAST:
        for hit in line.find_all(pattern):
            for kind, value in resolve(hit, line, now):
                yield Found(kind, *hit.span, value)


_Named = Iterator[tuple[str, "str | None"]]


def _ago(hit: Hit, line: Line, now: datetime) -> _Named:
    """ "two days ago" is a day; "desde hace dos días", and "tengo ... hace dos días", are a length of time."""
    said, unit = hit.values.get("n") or hit.values.get("f") or "1", hit.values["u"] or ""
    first = line.syms[hit.first]
    written = fold(line.text[first.start : first.end]).text
    lasting = first.kind == "AGO" and (
        re.match(r"desde|dsd", written) or _NOW_HURTING.search(fold(line.text[: first.start]).text)
    )
    if lasting:
        yield "duration", None if hit.values.get("f") == "3" else _iso_length(said, unit)
    elif not re.fullmatch(r"\d{1,3}(\.\d+)?", said):
        return
    elif hit.values.get("f") == "3":
        yield "date", None  # "a few days ago"
    elif unit in ("hour", "minute"):
        then = now - timedelta(**{f"{unit}s": float(said)})
        yield "time", then.strftime("%H:%M")
    elif unit in _DAYS:
        yield "date", (now.date() - timedelta(days=round(float(said) * _DAYS[unit]))).isoformat()


def _last_night(hit: Hit, line: Line, now: datetime) -> _Named:
    yield "date", (now.date() - timedelta(days=1)).isoformat()


def _day(hit: Hit, line: Line, now: datetime) -> _Named:
    offset = int(hit.values["o"] or 0)
    if offset < 0 or (offset == 0 and line.syms[hit.first].kind == "SINCE"):
        yield "date", (now.date() + timedelta(days=offset)).isoformat()


def _weekday(hit: Hit, line: Line, now: datetime) -> _Named:
    first = line.syms[hit.first]
    if re.match(r"starting|a partir", fold(line.text[first.start : first.end]).text):
        return  # that is still to come
    back = (now.weekday() - int(hit.values["w"] or 0) - 1) % 7 + 1
    yield "date", (now.date() - timedelta(days=back)).isoformat()


def _last_unit(hit: Hit, line: Line, now: datetime) -> _Named:
    today = now.date()
    if hit.values["u"] == "week":
        monday = today - timedelta(days=today.weekday() + 7)
        yield "date", f"{monday}/{monday + timedelta(days=6)}"
    elif hit.values["u"] == "month":
        last = today.replace(day=1) - timedelta(days=1)
        yield "date", f"{last.replace(day=1)}/{last}"
    elif hit.values["u"] == "year":
        yield "date", f"{today.year - 1}-01-01/{today.year - 1}-12-31"


def _since_date(hit: Hit, line: Line, now: datetime) -> _Named:
    day, month = int(hit.values["d"] or 0), hit.values.get("m")
    for back in range(366):
        then = now.date() - timedelta(days=back)
        if then.day == day and (month is None or then.month == int(month)):
            yield "date", then.isoformat()
            return


_Past = Callable[[Hit, Line, datetime], _Named]
_PAST: tuple[tuple[re.Pattern[str], _Past], ...] = tuple(
    (rule(source), resolve)
    for source, resolve in (
        ("AGO NUM|A=n UNIT=u", _ago),
        ("AGO FEW=f UNIT=u", _ago),
        ("NUM|A=n UNIT=u AGO", _ago),
        ("FEW=f UNIT=u AGO", _ago),
        ("SINCE? LASTNIGHT", _last_night),
        ("SINCE? DAY=o", _day),
        ("SINCE? LAST WD=w", _weekday),
        ("SINCE? WD=w LAST", _weekday),
        ("SINCE WD=w", _weekday),
        ("SINCE? LAST UNIT=u", _last_unit),
        ("SINCE? UNIT=u LAST", _last_unit),
        ("SINCE MONTH=m NUM|ORD=d", _since_date),
        ("SINCE NUM|ORD=d MONTH=m", _since_date),
        ("SINCE ORD=d", _since_date),
    )
)


# --- how long ----------------------------------------------------------------------------------------------------


def _lengths(text: str, language: str, now: datetime, before: Sequence[Found]) -> Iterator[Found]:
    line = lexicon(language, "numbers", "calendar", "since").scan(text).without("OF", "THE")
    ahead = lexicon(language, "numbers", "calendar", "when").scan(text)
    for pattern, length in _LENGTHS:
        for hit in line.find_all(pattern):
            value = length(hit, line)
            amount = next(sym for sym in line.syms[hit.first : hit.last] if sym.kind not in ("FOR", "AGO"))
            if value is not None and not _of_a_day(ahead, amount.start, hit.span[1]):
                yield Found("duration", amount.start, hit.span[1], value or None)


def _of_a_day(ahead: Line, start: int, end: int) -> bool:
    """Whether a length of time only says which day: "in two weeks", "a week from Tuesday"."""
    earlier = [sym for sym in ahead.syms if sym.end <= start]
    later = [sym for sym in ahead.syms if sym.start >= end]
    if any(sym.start < start < sym.end and sym.kind in ("WITHIN", "IN", "NEXT") for sym in ahead.syms):
        return True
    reach = [sym for sym in earlier[-2:] if sym.kind not in ("ABOUT", "FILLER")]
    if later and fold(ahead.text[later[0].start : later[0].end]).text in _SHIFTS:
        return False  # "come in an hour earlier"
    led = bool(reach) and reach[-1].kind in ("IN", "WITHIN", "NEXT", "THIS")
    return led or (bool(later) and later[0].kind in ("FROMNOW", "BETWEEN") and later[0].value != "at")


def _counted(hit: Hit, line: Line) -> str | None:
    return _iso_length(hit.values["n"] or "", hit.values["u"] or "")


def _single(hit: Hit, line: Line) -> str | None:
    return _iso_length("1", hit.values["u"] or "")


def _single_after_about(hit: Hit, line: Line) -> str | None:
    """ "como una hora": the words for "about" hold the article."""
    about = line.syms[hit.first]
    return _single(hit, line) if re.search(r"una?$", fold(line.text[about.start : about.end]).text) else None


def _half(hit: Hit, line: Line) -> str | None:
    return _HALVES.get(hit.values["u"] or "")


def _and_a_half(hit: Hit, line: Line) -> str | None:
    said, unit = hit.values.get("n") or "1", hit.values["u"] or ""
    if unit == "hour" and said.isdigit():
        return f"PT{said}H30M"
    return _iso_length(f"{said}.5", unit)


def _few(hit: Hit, line: Line) -> str | None:
    """A couple is two; what a few are is for the patient to say."""
    return _iso_length("2", hit.values["u"] or "") if hit.values["f"] == "2" else ""


_LENGTHS: tuple[tuple[re.Pattern[str], Callable[[Hit, Line], str | None]], ...] = tuple(
    (rule(source), length)
    for source, length in (
        ("A|NUM=n UNIT=u AND A? HALF", _and_a_half),
        ("NUM=n AND A? HALF UNIT=u", _and_a_half),
        ("HALF A? UNIT=u", _half),
        ("FEW=f UNIT=u", _few),
        ("NUM=n UNIT=u", _counted),
        ("FOR ABOUT? A UNIT=u", _single),
        ("ABOUT A UNIT=u", _single),
        ("ABOUT UNIT=u", _single_after_about),
        ("A UNIT=u W:earlier", _single),
        ("A UNIT=u W:later", _single),
        ("A UNIT=u W:antes", _single),
        ("A UNIT=u W:despues", _single),
    )
)


def _iso_length(said: str, unit: str) -> str | None:
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", said):
        return None
    if unit == "fortnight":
        said, unit = str(float(said) * 2).removesuffix(".0"), "week"
    return _LETTERS[unit].format(said) if unit in _LETTERS else None


# --- what is to come ---------------------------------------------------------------------------------------------


def _ahead(text: str, language: str, now: datetime, before: Sequence[Found]) -> Iterator[Found]:
    line = lexicon(language, "numbers", "calendar", "when").scan(text)
    line = _every_morning(_without(line, before)).without("OF", "FILLER", "ABOUT")
    line = Line(text, tuple(sym for sym in line.syms if sym.kind != "P" or sym.value == "/"))
    line = Line(text, (*line.syms, Sym("END", "1", len(text), len(text))))
    line = with_days(with_clocks(mornings(line)), now.date(), language)
    week = _only_week(line)
    for pattern, resolve in _AHEAD:
        hits = list(line.find_all(pattern))
        for hit in reversed(hits):
            named = list(resolve(hit, line, now.date(), week))
            start = line.syms[hit.last - 1].start if resolve is _half_day else hit.span[0]
            yield from (Found(kind, start, hit.span[1], value) for kind, value in named)
            if named:
                done = Sym("DONE", "1", *hit.span)
                line = Line(line.text, (*line.syms[: hit.first], done, *line.syms[hit.last :]))


def _every_morning(line: Line) -> Line:
    """ "cada mañana": behind "every" the word for tomorrow is the morning."""
    syms = [
        replace(sym, kind="PART", value="morning") if sym.kind == "DAY" and before.value in ("cada", "every") else sym
        for before, sym in zip((Sym("P", ".", 0, 0), *line.syms), line.syms, strict=False)
    ]
    return Line(line.text, tuple(syms))


def _without(line: Line, before: Sequence[Found]) -> Line:
    """The line with what is read already as a mere mark, so that no rule reaches over it."""
    syms = []
    for sym in line.syms:
        # Names are only a reason against words that were mended: "mareo" is no March.
        read = [one for one in before if not sym.exact or one.kind not in NAMED]
        syms.append(replace(sym, kind="DONE", value="1") if taken(read, sym.start, sym.end) else sym)
    return Line(line.text, tuple(syms))


def _only_week(line: Line) -> Span | None:
    """The one week that weekdays stand beside: "Monday or Tuesday next week"."""
    weeks = [days for sym in line.syms if sym.kind == "RANGE" for days in [days_of(sym.value)]]
    whole = [days for days in weeks if days.wish is None and (days.last - days.first).days == 6]
    return whole[0] if len(whole) == len(weeks) == 1 and any(sym.kind == "WD" for sym in line.syms) else None


def _clock(said: str | None) -> tuple[time, bool]:
    minutes = int((said or "0").rstrip("?"))
    return time(minutes // 60 % 24, minutes % 60), (said or "").endswith("?")


def _hhmm(clock: time) -> str:
    return clock.strftime("%H:%M")


def _later(clock: time) -> time:
    return clock.replace(hour=(clock.hour + 12) % 24)


def _between(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    (start, guessed), (end, end_guessed) = _clock(hit.values["a"]), _clock(hit.values["b"])
    if guessed and not end_guessed and end >= time(12) and start < time(12) and _later(start) < end:
        start = _later(start)
    if end <= start and end < time(12):
        end = _later(end)
    if start < end:
        yield "time", f"{_hhmm(start)}/{_hhmm(end)}"


def _bare_hours(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    numbers = (hit.values["a"] or "", hit.values["b"] or "")
    if all(number.isdigit() and 1 <= int(number) <= 12 for number in numbers):
        first, last = (guess_half(int(number) * 60) for number in numbers)
        if first < last:
            yield "time", f"{_hhmm(_clock(str(first))[0])}/{_hhmm(_clock(str(last))[0])}"


def _after_clock(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "time", f"{_hhmm(_clock(hit.values['c'])[0])}/.."


def _before_clock(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "time", f"../{_hhmm(_clock(hit.values['c'])[0])}"


def _at(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "time", _hhmm(_clock(hit.values["c"])[0])


def _part_of(value: str, written: str) -> str:
    if value == "noon" and re.search(r"noon|medio|midday", fold(written).text):
        return "12:00"
    start, end = PARTS[value]
    return f"{_hhmm(start)}/{_hhmm(end)}"


def _part(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "time", _part_of(hit.values["p"] or "", line.text[hit.span[0] : hit.span[1]])


def _half_day(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "time", _part_of("morning" if hit.values["h"] == "am" else "afternoon", "")


def _this_part(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "date", today.isoformat()
    yield "time", _part_of(hit.values.get("p") or "evening", "")


def _value_of(days: Span) -> str:
    if days.wish is not None:
        return days.wish.isoformat()
    return days.first.isoformat() if days.first == days.last else f"{days.first}/{days.last}"


def _days(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    days = days_of(hit.values["d"] or "")
    if days != week:
        yield "date", _value_of(days)


def _from_to(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    first, last = days_of(hit.values["a"] or "").first, days_of(hit.values["b"] or "").last
    if first < last:
        yield "date", f"{first}/{last}"


def _until_day(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    days = _day_or_weekday(hit, today, week)
    yield "date", f"../{days.last}"


def _from_day(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    days = _day_or_weekday(hit, today, week)
    yield "date", f"{days.first}/.."


def _day_or_weekday(hit: Hit, today: date, week: Span | None) -> Span:
    if hit.values.get("d"):
        return days_of(hit.values["d"] or "")
    day = _coming(int(hit.values["w"] or 0), today, week)
    return Span(day, day)


def _weekday_ahead(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    yield "date", _coming(int(hit.values["w"] or 0), today, week).isoformat()


def _coming(weekday: int, today: date, week: Span | None) -> date:
    """The weekday of the week that is named beside it, or the first one after today."""
    if week is not None:
        return week.first + timedelta(days=weekday)
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def _weekend(hit: Hit, line: Line, today: date, week: Span | None) -> _Named:
    if today.weekday() == 6:
        yield "date", today.isoformat()
        return
    saturday = today + timedelta(days=5 - today.weekday())
    yield "date", f"{saturday}/{saturday + timedelta(days=1)}"


_Ahead = Callable[[Hit, Line, date, "Span | None"], _Named]
_AHEAD: tuple[tuple[re.Pattern[str], _Ahead], ...] = tuple(
    (rule(source), resolve)
    for source, resolve in (
        ("DATE=a TO DATE=b", _from_to),
        ("AFTER=v EL? DATE|RANGE=d", _from_day),
        ("AFTER=v EL? WD=w", _from_day),
        ("DATE|RANGE=d ONWARD", _from_day),
        ("BEFORE=v EL? DATE|RANGE=d", _until_day),
        ("BEFORE=v EL? WD=w", _until_day),
        ("BETWEEN AT? CLOCK=a AND|TO|AT AT? CLOCK=b", _between),
        ("CLOCK=a TO AT? CLOCK=b", _between),
        ("AFTER AT? CLOCK=c", _after_clock),
        ("CLOCK=c ONWARD", _after_clock),
        ("BEFORE AT? CLOCK=c", _before_clock),
        ("CLOCK=c OREARLIER", _before_clock),
        ("AT? CLOCK=c", _at),
        ("BETWEEN? NUM=a TO|AND NUM=b", _bare_hours),
        ("THIS PART=p", _this_part),
        ("TONIGHT", _this_part),
        ("AT? PART=p", _part),
        ("DATE|RANGE=d", _days),
        ("EL? WD=w", _weekday_ahead),
        ("WEEKEND", _weekend),
        ("DATE|DONE|WD AM|PM=h", _half_day),
        ("ONLY AM|PM=h", _half_day),
    )
)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
