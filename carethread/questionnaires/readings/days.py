"""Days in a line of symbols: "tomorrow", "the 3rd", "next Tuesday", "in two weeks", "fin de mes" become dates.

A DATE symbol's value is an ISO date; a RANGE symbol's is two of them and, where one day in it is the one really
meant, a third: "2026-03-09/2026-03-15/". A weekday alone stays WD: who reads the line knows which one is meant.
"""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, rule
from carethread.questionnaires.readings.text import fold

_WEAK_WORDS = {"sat", "sun", "wed", "may", "mar", "march", "mon", "dom", "set", "sep"}  # also everyday words
_HEADS = {"P", "THIS", "NEXT", "OR", "AND", "AT", "NOT", "AFTER", "BEFORE", "BETWEEN", "TO", "ONLY", "IN", "EDGE", "EL"}
_TAILS = {"NUM", "ORD", "CLOCK", "PART", "AM", "PM", "AT", "OR", "AND", "TO", "P", "AFTER", "BEFORE", "NEXT", "END"}
_BEFORE_A_MONTH = {"IN", "NEXT", "THIS", "LAST", "EDGE", "UNIT", "NUM", "ORD"}
_NOT_BEHIND_A_DAY = {"one", "option", "choice", "opcion", "/"}
_UNIT_DAYS = {"day": 1, "week": 7, "fortnight": 14}


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to the last, both included; `wish` is the one in it that is really meant."""

    first: date
    last: date
    wish: date | None = None


def day_sym(day: date, span: tuple[int, int]) -> Sym:
    return Sym("DATE", day.isoformat(), *span)


def range_sym(days: Span, span: tuple[int, int]) -> Sym:
    wish = days.wish.isoformat() if days.wish else ""
    return Sym("RANGE", f"{days.first.isoformat()}/{days.last.isoformat()}/{wish}", *span)


def days_of(value: str) -> Span:
    """The days behind the value of a DATE or a RANGE."""
    parts = value.split("/")
    if len(parts) == 1:
        day = date.fromisoformat(parts[0])
        return Span(day, day)
    return Span(
        date.fromisoformat(parts[0]), date.fromisoformat(parts[1]), date.fromisoformat(parts[2]) if parts[2] else None
    )


@dataclass(frozen=True, slots=True)
class _Ahead:
    """Resolves days to the future, seen from `today`."""

    today: date
    language: str

    def on(self, month: int, day: int, year: int | None = None) -> date | None:
        """The next such day; a year of two digits is in this century."""
        if year is not None:
            return _valid(year + 2000 if year < 100 else year, month, day)
        for candidate in range(self.today.year, self.today.year + 5):  # 29 February comes every four years
            found = _valid(candidate, month, day)
            if found is not None and found >= self.today:
                return found
        return None

    def day_of_month(self, day: int) -> date | None:
        month = self.today.replace(day=1)
        for _ in range(12):
            found = _valid(month.year, month.month, day)
            if found is not None and found >= self.today:
                return found
            month = (month + timedelta(days=31)).replace(day=1)
        return None

    def weekday(self, number: int) -> date:
        """The first such weekday after today."""
        return self.today + timedelta(days=(number - self.today.weekday() - 1) % 7 + 1)

    def week(self, ahead: int) -> Span:
        """Monday to Sunday of the week so many weeks ahead; of this week only what is left."""
        monday = self.today - timedelta(days=self.today.weekday()) + timedelta(weeks=ahead)
        return Span(max(monday, self.today), monday + timedelta(days=6))

    def month(self, first: date) -> Span:
        last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        return Span(max(first, self.today), last)

    def in_units(self, amount: int, unit: str) -> Span | None:
        """ "in two weeks": that day for days, a few days about it for weeks and months."""
        if not 0 <= amount <= 400 or unit not in (*_UNIT_DAYS, "minute", "hour", "month", "year"):
            return None
        if unit in ("minute", "hour"):
            return Span(self.today, self.today)
        if unit == "day":
            day = self.today + timedelta(days=amount)
            return Span(day, day)
        if unit in _UNIT_DAYS:
            day = self.today + timedelta(days=amount * _UNIT_DAYS[unit])
            return Span(max(self.today, day - timedelta(days=3)), day + timedelta(days=3), day)
        months = self.today.month - 1 + amount * (12 if unit == "year" else 1)
        year, month = min(self.today.year + months // 12, 9000), months % 12 + 1
        day = date(year, month, min(self.today.day, calendar.monthrange(year, month)[1]))
        return Span(day - timedelta(days=7), day + timedelta(days=7), day)


def with_days(line: Line, today: date, language: str) -> Line:
    """The line with days ahead of `today` as DATE and RANGE; needs the tables numbers, calendar and when."""
    ahead = _Ahead(today, language)
    line = _without_weak_words(line)
    for pattern, resolve in _RULES:
        line = line.rewrite(pattern, partial(_apply, resolve, ahead, line))
    return line.rewrite(rule("DATE=d TO NUM=e"), partial(_to_day, line))


_Resolver = Callable[[_Ahead, Hit, Line], "Span | tuple[Span, ...] | None"]


def _to_day(line: Line, hit: Hit) -> tuple[Sym, ...] | None:
    """ "March 5-10", "del 5 al 10": the second number is a day of the same month."""
    first = days_of(hit.values["d"] or "").first
    last = _valid(first.year, first.month, _number(hit, "e"))
    if last is None or last <= first:
        return None
    covered = line.syms[hit.first : hit.last]
    return (*covered[:-1], day_sym(last, (covered[-1].start, covered[-1].end)))


def _apply(resolve: _Resolver, ahead: _Ahead, line: Line, hit: Hit) -> tuple[Sym, ...] | None:
    found = resolve(ahead, hit, line)
    if found is None:
        return None
    spans = found if isinstance(found, tuple) else (found,)
    return tuple(
        day_sym(days.first, hit.span) if days.first == days.last else range_sym(days, hit.span) for days in spans
    )


def _one(day: date | None) -> Span | None:
    return None if day is None else Span(day, day)


def _number(hit: Hit, name: str) -> int:
    """A captured number; one where none was said ("week from tomorrow"), far out of bounds where it is none."""
    said = hit.values.get(name) or "1"
    return int(said) if re.fullmatch(r"-?\d{1,6}", said) else 1 if said == "1" else -999_999


# --- the rules, in the order they are tried ----------------------------------------------------------------------


def _named(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    year = hit.values.get("y")
    if year is not None and not (len(year) == 4 and year.startswith("20")):
        return None
    return _one(ahead.on(_number(hit, "m"), _number(hit, "d"), int(year) if year else None))


def _iso(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    return _one(_valid(_number(hit, "y"), _number(hit, "m"), _number(hit, "d")))


def _slashed(ahead: _Ahead, hit: Hit, line: Line) -> "Span | tuple[Span, ...] | None":
    """Month first in English; in Spanish day first, and month first as well where both make a date."""
    a, b = _number(hit, "a"), _number(hit, "b")
    said = hit.values.get("y")
    year = int(said) if said and said.isdigit() else None
    month_first, day_first = ahead.on(a, b, year), ahead.on(b, a, year)
    if ahead.language != "es":
        return _one(month_first or day_first)
    both = [Span(day, day) for day in dict.fromkeys((day_first, month_first)) if day is not None]
    return tuple(both) or None


def _offset(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    return _one(ahead.today + timedelta(days=_number(hit, "o"))) if _number(hit, "o") >= 0 else None


def _today(ahead: _Ahead, hit: Hit, line: Line) -> Span:
    return Span(ahead.today, ahead.today)


def _next_weekday(ahead: _Ahead, hit: Hit, line: Line) -> Span:
    """ "next Tuesday" is the one of next week; "el próximo martes", "this coming Tuesday" the first to come."""
    day = ahead.weekday(_number(hit, "w"))
    if hit.values.get("n") == "next":
        return _one(ahead.week(1).first + timedelta(days=_number(hit, "w")))  # type: ignore[return-value]
    return Span(day, day)


def _this_weekday(ahead: _Ahead, hit: Hit, line: Line) -> Span:
    number = _number(hit, "w")
    day = ahead.today if number == ahead.today.weekday() else ahead.weekday(number)
    return Span(day, day)


def _weekday_with_day(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "Tuesday 3": the next Tuesday that is a third, if there is one soon; else the number is no day."""
    day = _number(hit, "d")
    for days in range(0, 100):
        candidate = ahead.today + timedelta(days=days)
        if candidate.day == day and candidate.weekday() == _number(hit, "w"):
            return Span(candidate, candidate)
    return None


def _day_of_month(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "the 3rd"; not "the 2nd one", nor a word ("the second"), which point into a list."""
    written = line.text[hit.span[0] : hit.span[1]]
    following = line.syms[hit.last] if hit.last < len(line.syms) else None
    if not any(char.isdigit() for char in written) or re.search(r"(da|ra|ta|a)$", fold(written).text):
        return None
    if following is not None and (
        following.value in ("one", "option", "choice", "opcion", "/") or following.kind == "UNIT"
    ):
        return None
    return _one(ahead.day_of_month(_number(hit, "d")))


def _week_or_month(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    later = 1 if hit.values.get("n") else 0
    if hit.values["u"] == "week":
        return ahead.week(later)
    if hit.values["u"] == "month":
        first = ahead.today.replace(day=1)
        return ahead.month((first + timedelta(days=31 * later)).replace(day=1))
    if hit.values["u"] == "year" and later:
        return Span(date(ahead.today.year + 1, 1, 1), date(ahead.today.year + 1, 12, 31))
    return None


def _weekend(ahead: _Ahead, hit: Hit, line: Line) -> Span:
    week = ahead.week(1 if hit.values.get("n") == "next" else 0)
    saturday = week.last - timedelta(days=1)
    return Span(max(saturday, ahead.today), week.last)


def _week_after_next(ahead: _Ahead, hit: Hit, line: Line) -> Span:
    return ahead.week(2)


def _amount(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    return ahead.in_units(_number(hit, "n"), hit.values["u"] or "")


def _few(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "in a few days": about then."""
    days = ahead.in_units(_number(hit, "n"), hit.values["u"] or "")
    if days is None or hit.values["u"] != "day":
        return days
    return Span(days.first - timedelta(days=1), days.last + timedelta(days=2), days.first)


def _few_from_now(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    return _few(_Ahead(ahead.today + timedelta(days=int(hit.values["f"] or 0)), ahead.language), hit, line)


def _rest_of(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "within the month": what is left of it."""
    return _week_or_month(ahead, hit, line)


def _weekdays_ahead(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "two Tuesdays from now" is the second one to come."""
    if not 1 <= _number(hit, "n") <= 52:
        return None
    return _one(ahead.weekday(_number(hit, "w")) + timedelta(weeks=_number(hit, "n") - 1))


def _week_of_month(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "the first week of April" are its days 1 to 7; "the last week" its last seven."""
    if hit.values.get("m"):
        whole = _month(ahead, hit, line)
    else:
        whole = ahead.month((ahead.today.replace(day=1) + timedelta(days=31)).replace(day=1))
    if whole is None:
        return None
    first = whole.last.replace(day=1)
    if hit.values["o"] == "last":
        return Span(whole.last - timedelta(days=6), whole.last)
    which = _number(hit, "o")
    if not 1 <= which <= 5:
        return None
    begins = first + timedelta(days=7 * (which - 1))
    return Span(begins, min(begins + timedelta(days=6), whole.last)) if begins <= whole.last else None


def _edge_of_this_week(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    week = ahead.week(0)
    return _third(week, hit.values["e"] or "") if (week.last - week.first).days >= 2 else week


def _whole_amount(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "two weeks", where nothing else is said: the answer to "when?"."""
    others = [sym for place, sym in enumerate(line.syms) if not hit.first <= place < hit.last]
    return None if any(sym.kind not in ("P", "END") for sym in others) else _amount(ahead, hit, line)


def _from_now(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    return _Ahead(ahead.today + timedelta(days=_number(hit, "f")), ahead.language).in_units(
        _number(hit, "n"), hit.values["u"] or ""
    )


def _within(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    days = ahead.in_units(_number(hit, "n"), hit.values["u"] or "")
    return None if days is None else Span(ahead.today, days.wish or days.last)


def _after_weekday(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "a week from Thursday", "el jueves en ocho"."""
    day = ahead.weekday(_number(hit, "w")) if hit.values.get("w") else days_of(hit.values["d"] or "").first
    if hit.values.get("e"):
        return _one(day + timedelta(days=_number(hit, "e")))
    unit = hit.values["u"] or ""
    if unit not in _UNIT_DAYS or not 0 < _number(hit, "n") < 100:
        return None
    return _one(day + timedelta(days=_number(hit, "n") * _UNIT_DAYS[unit]))


def _month(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    month = _number(hit, "m")
    year = ahead.today.year + (1 if month < ahead.today.month else 0)
    if hit.values.get("n") == "next" and month == ahead.today.month:
        year += 1
    return ahead.month(date(year, month, 1))


def _edge(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """The first, middle or last third of a week or month."""
    edge = hit.values["e"] or ""
    which = {"early": "start", "early_morning": "start", "late": "end"}.get(edge, edge)
    return _third(days_of(hit.values["r"] or ""), which)


def _third(days: Span, which: str) -> Span | None:
    length = (days.last - days.first).days + 1
    third = max(1, -(-length // 3))
    if which == "start":
        return Span(days.first, days.first + timedelta(days=third - 1))
    if which == "end":
        return Span(days.last - timedelta(days=third - 1), days.last)
    if which == "middle":
        return Span(days.first + timedelta(days=third), days.last - timedelta(days=third))
    return None


def _edge_of_this_month(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "end of the month", "a fin de mes"; where that is over, next month's."""
    for later in (0, 1):
        first = (ahead.today.replace(day=1) + timedelta(days=31 * later)).replace(day=1)
        whole = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        found = _third(Span(first, whole), hit.values["e"] or "")
        if found is not None and found.last >= ahead.today:
            return Span(max(found.first, ahead.today), found.last)
    return None


def _week_of(ahead: _Ahead, hit: Hit, line: Line) -> Span:
    day = days_of(hit.values["d"] or "").first
    monday = day - timedelta(days=day.weekday())
    return Span(max(monday, ahead.today), monday + timedelta(days=6), day)


def _in_eight(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    """ "en ocho días" is a week, as people say it; "en 8" alone is no time."""
    if "dia" not in fold(line.text[hit.span[0] : hit.span[1]]).text:
        return None
    day = ahead.today + timedelta(days=_number(hit, "e"))
    return Span(day, day + timedelta(days=1))


def _holiday(ahead: _Ahead, hit: Hit, line: Line) -> Span | None:
    month, day = (hit.values["h"] or "").split("-")
    return _one(ahead.on(int(month), int(day)))


_RULES: tuple[tuple["re.Pattern[str]", _Resolver], ...] = tuple(
    (rule(source), resolve)
    for source, resolve in (
        ("WD? EL? MONTH=m P? NUM|ORD=d P? NUM=y", _named),
        ("WD? EL? NUM|ORD=d MONTH=m P? NUM=y", _named),
        ("WD? EL? MONTH=m P? NUM|ORD=d", _named),
        ("WD? EL? NUM|ORD=d MONTH=m", _named),
        ("NUM=y TO NUM=m TO NUM=d", _iso),
        ("WD? EL? NUM=a P:/ NUM=b P:/ NUM=y", _slashed),
        ("WD? EL? NUM=a P:/ NUM=b", _slashed),
        ("HOLIDAY=h", _holiday),
        ("DAY=o", _offset),
        ("EL? NEXT=n UNIT=u", _week_or_month),
        ("A|NUM|FEW=n UNIT=u BETWEEN WD=w", _after_weekday),
        ("A|NUM|FEW=n UNIT=u BETWEEN DATE=d", _after_weekday),
        ("UNIT=u BETWEEN WD=w", _after_weekday),
        ("UNIT=u BETWEEN DATE=d", _after_weekday),
        ("NUM=n WD|WDS=w FROMNOW", _weekdays_ahead),
        ("ORD=o UNIT:week MONTH=m", _week_of_month),
        ("LAST=o UNIT:week MONTH=m", _week_of_month),
        ("ORD|LAST=o UNIT:week EL? NEXT=n UNIT:month", _week_of_month),
        ("WD=w EIGHT=e", _after_weekday),
        ("DATE=d EIGHT=e", _after_weekday),
        ("EL? NEXT=n WD=w", _next_weekday),
        ("EL? WD=w NEXT=n", _next_weekday),
        ("THIS NEXT:coming WD=w", _next_weekday),
        ("THIS WD=w", _this_weekday),
        ("WD=w EL? ORD=d", _weekday_with_day),
        ("EL? WD=w NUM=d", _weekday_with_day),
        ("EL NUM=d", _day_of_month),
        ("EL? ORD=d", _day_of_month),
        ("UNIT:week AFTER NEXT", _week_after_next),
        ("EL? UNIT=u NEXT=n", _week_or_month),
        ("THIS UNIT=u", _week_or_month),
        ("EL? NEXT=n WEEKEND", _weekend),
        ("EL? WEEKEND NEXT=n", _weekend),
        ("THIS WEEKEND", _weekend),
        ("A? FEW=n UNIT=u FROMNOW=f", _few_from_now),
        ("A|NUM=n UNIT=u FROMNOW=f", _from_now),
        ("UNIT=u FROMNOW=f", _from_now),
        ("WITHIN FEW? A|NUM|FEW=n UNIT=u", _within),
        ("WITHIN UNIT=u", _rest_of),
        ("IN FEW=n UNIT=u", _few),
        ("IN FEW? A|NUM=n UNIT=u", _amount),
        ("A|NUM|FEW=n UNIT=u", _whole_amount),
        ("IN|NEXT=n MONTH=m", _month),
        ("MONTH=m NEXT=n", _month),
        ("MONTH=m", _month),
        ("UNIT:week DATE=d", _week_of),
        ("EIGHT=e", _in_eight),
        ("EDGE=e EL? THIS? UNIT:month", _edge_of_this_month),
        ("EDGE=e EL? THIS? UNIT:week", _edge_of_this_week),
        ("EDGE|PART=e RANGE=r", _edge),
        ("RANGE=r EDGE=e", _edge),
    )
)


def _without_weak_words(line: Line) -> Line:
    """Takes words like "sat", "may" and "sun" for days only where their neighbours are about time."""
    kept: list[Sym] = []
    for place, sym in enumerate(line.syms):
        before = line.syms[place - 1].kind if place else "P"
        after = line.syms[place + 1].kind if place + 1 < len(line.syms) else "END"
        written = line.text[sym.start : sym.end].lower().rstrip(".")
        lone = len([other for other in line.syms if other.kind != "END"]) == 1 and written not in ("may", "mar", "set")
        weak = sym.kind in ("WD", "MONTH") and written in _WEAK_WORDS and not lone
        if weak and sym.kind == "MONTH":
            weak = not (
                before in ("IN", "NEXT", "THIS", "LAST", "EDGE", "UNIT", "NUM", "ORD") or after in ("NUM", "ORD")
            )
        elif weak:
            weak = not (before in _HEADS or before in ("WD", "DAY", "DATE")) or after not in (*_TAILS, "WD", "DAY", "W")
        kept.append(Sym("W", sym.value, sym.start, sym.end) if weak else sym)
    return Line(line.text, tuple(kept))


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None
