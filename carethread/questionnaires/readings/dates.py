"""Calendar dates as patients write them, birth dates above all: "3/14/62", "14 de marzo de 1962", "19620314"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from carethread.questionnaires.readings.choice import is_negated
from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, lexicon, rule
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.text import fold

_OLDEST = 122  # years; nobody on record has been older
_CERTAIN, _LIKELY, _OTHER, _STRETCH = 0.97, 0.85, 0.6, 0.4

# A number, a separator, a number, the same kind of separator, a number.
_TRIPLE = re.compile(
    r"(?<![\d/.-])(\d{1,4})\s*([/.\-–,\s])\s*(\d{1,2})\s*(?:\2|(?<=\d)\s+(?=(?:19|20)\d\d))\s*'?(\d{4}|\d{2}|\d(?=\D*$))"
    r"(?![\d])(?![/.-]\d)"
)
_COMPACT = re.compile(r"(?<!\d)(\d{8}|\d{6})(?!\d)")

# Dates with a month in words. D, M and Y name the parts; a year in words comes as one number (mil novecientos
# sesenta) or as two (nineteen sixty).
_NAMED = tuple(
    rule(source)
    for source in (
        "MONTH=m P? THE? NUM|ORD=d P? OF? OF? P? NUM=c NUM=y",
        "MONTH=m P? THE? NUM|ORD=d P? OF? OF? P? NUM=y",
        "NUM|ORD=d P? OF? P? MONTH=m P? OF? OF? P? NUM=c NUM=y",
        "NUM|ORD=d P? OF? P? MONTH=m P? OF? OF? P? NUM=y",
        "NUM=y P? MONTH=m P? NUM|ORD=d",
    )
)


@dataclass(frozen=True, slots=True)
class _Parts:
    year: int
    month: int
    day: int
    confidence: float
    span: tuple[int, int]


def read_birth_date(text: str, language: str, today: date) -> tuple[Reading[date], ...]:
    """Every plausible birth date in the text, best first; empty where there is none.

    "4/5/1962" is month first in English and day first in Spanish, the other order following as a second
    candidate; where only one order makes a date, that is taken. A year of two digits is the latest one that is
    not in the future, and for a child's age also the one a century before.
    """
    best: dict[date, Reading[date]] = {}
    for parts in _all_parts(text, language):
        for year, factor in _years(parts.year, today):
            born = _valid(year, parts.month, parts.day)
            if born is None or born > today or today.year - born.year > _OLDEST:
                continue
            confidence = parts.confidence * factor
            if born not in best or best[born].confidence < confidence:
                best[born] = Reading(born, confidence, parts.span, "date")
    return tuple(sorted(best.values(), key=lambda reading: -reading.confidence))


def read_date(text: str, language: str, today: date, *, ahead: bool = False) -> tuple[Reading[str], ...]:
    """Any date as FHIR writes it (YYYY-MM-DD, or YYYY-MM or YYYY where no more is said), best first.

    A day without a year is the latest one, as patients are asked about what has been; with `ahead` the next one.
    An amount of months or years ago is as vague as it was said: "two months ago" is a month, "a year ago" a year.
    """
    best: dict[str, Reading[str]] = {}

    def note(value: str, confidence: float, span: tuple[int, int]) -> None:
        if value not in best or best[value].confidence < confidence:
            best[value] = Reading(value, confidence, span, "date")

    usual_spans = {parts.span for parts in _all_parts(text, language) if _is_usual_order(parts)}
    for parts in _all_parts(text, language):
        if parts.span in usual_spans and not _is_usual_order(parts):
            continue  # the other order of day and month
        for year, factor in _years(parts.year, today):
            found = _valid(year, parts.month, parts.day)
            if found is not None and abs(today.year - year) <= _OLDEST:
                note(found.isoformat(), parts.confidence * factor, parts.span)
    if best or _looks_full(text):
        return tuple(sorted(best.values(), key=lambda reading: -reading.confidence))
    written = _short_numeric(text, language, today, ahead=ahead)
    if written is not None:
        return (written,)
    text = _EXACTLY.sub(lambda match: " " * len(match.group()), text)
    line = lexicon(language, *_WHEN).scan(text)
    beside = _beside_holiday(line, today, ahead=ahead)
    if beside is not None:
        return (beside,)
    if not ahead and any(sym.kind == "NEXT" for sym in line.syms):
        return ()
    if any(sym.kind == "LIMIT" or _is_bound(line, sym) for sym in line.syms):
        return ()  # "before christmas"
    for hit, value in _said(_without_weak(line), today, ahead=ahead):
        note(value, 0.85 if hit.exact else 0.75, hit.span)
    best = _on_weekday(line, best, today, language)
    return tuple(sorted(best.values(), key=lambda reading: -reading.confidence))


def _on_weekday(line: Line, best: dict[str, Reading[str]], today: date, language: str) -> dict[str, Reading[str]]:
    """The readings that fall on the weekday that is named besides: "hace ocho días, el lunes" is seven days ago."""
    named = {int(sym.value) for sym in line.syms if sym.kind == "WD"}
    if len(named) != 1 or not any(sym.kind in ("AGO", "SINCE") for sym in line.syms):
        return best
    fitting: dict[str, Reading[str]] = {}
    for value, reading in best.items():
        if len(value) < len("2026-01-01"):
            return best
        day = date.fromisoformat(value)
        if (today - day).days in _ROUND_WEEKS and language == "es" and day.weekday() not in named:
            day += timedelta(days=1)  # "ocho días" are a week, "quince días" two
        if day.weekday() in named:
            fitting[day.isoformat()] = replace(reading, value=day.isoformat())
    return fitting


_ROUND_WEEKS = (8, 15)
_EXACTLY = re.compile(r"(?i)\b(?:exactly|exactamente|exact[oa]s?|precisely|justo|justamente)\b")


def _beside_holiday(line: Line, today: date, *, ahead: bool) -> Reading[str] | None:
    """ "the Tuesday before Thanksgiving", "the day after Christmas"."""
    syms = [sym for sym in line.syms if sym.kind not in ("OF", "THE", "P", "AT")]
    place = next((place for place, sym in enumerate(syms) if sym.kind == "HOLIDAY"), 0)
    if place < 2:
        return None
    named, bound, holiday = syms[place - 2 : place + 1]
    word = fold(line.text[bound.start : bound.end]).text
    step = -1 if word.startswith(("before", "antes")) else 1 if word.startswith(("after", "despues")) else 0
    found = _on_holiday(holiday.value, today, ahead=ahead)
    if not step or found is None or named.kind not in ("WD", "UNIT") or named.value in ("week", "month", "year"):
        return None
    found += timedelta(days=step)
    while named.kind == "WD" and found.weekday() != int(named.value):
        found += timedelta(days=step)
    in_question = found >= today if ahead else found <= today
    return Reading(found.isoformat(), _LIKELY, (named.start, holiday.end), "date") if in_question else None


_WHEN = ("numbers", "calendar", "since", "moments")
_DAY_AND_MONTH = re.compile(r"(?<![\d/.:-])(?<!\d )(\d{1,2})\s*/\s*(\d{1,2})(?![\d/.:-])")
_MONTH_AND_YEAR = re.compile(r"(?<![\d/.:-])(0?[1-9]|1[0-2])\s*[/-]\s*((?:19|20)\d\d)(?!\d)")
_DAY_ALONE = re.compile(r"\W*(?:on the|the|since the|el|el dia|desde el)\s+(\d{1,2})\W*$", re.IGNORECASE)
_FULL = re.compile(r"\d{1,4}\s*[/.-]\s*\d{1,2}\s*[/.-]\s*\d{1,4}")
# Words that are a month or a day of the week only where their neighbours are about time.
_WEAK = frozenset({"may", "march", "mar", "sat", "sun", "mon", "set", "sep", "dec", "dom", "mie", "lun", "jun", "sab"})
_TIME_WORDS = frozenset({"IN", "LAST", "SINCE", "OF", "THIS", "NUM", "ORD", "NEXT", "AGO", "UNIT", "WD", "DAY", "PART"})
_STRANGERS_TO_AN_AMOUNT = 2  # words beside "2 weeks" from which it may be an amount of something else
_CALENDAR_UNITS = {"day": 1, "week": 7, "fortnight": 14}


def _is_usual_order(parts: _Parts) -> bool:
    return (
        parts.confidence > _OTHER
        and _valid(max(parts.year, 1) if parts.year > 99 else 2000, parts.month, parts.day) is not None
    )


def _looks_full(text: str) -> bool:
    """Whether day, month and year were written, though they make no date: "13/45/2020"."""
    return _FULL.search(text) is not None


def _short_numeric(text: str, language: str, today: date, *, ahead: bool) -> Reading[str] | None:
    """ "3/14" and "03/2025"."""
    month_year = _MONTH_AND_YEAR.search(text)
    if month_year is not None:
        value = f"{month_year.group(2)}-{int(month_year.group(1)):02}"
        return Reading(value, _LIKELY, month_year.span(), "date")
    alone = _DAY_ALONE.match(text)
    if alone is not None and 1 <= int(alone.group(1)) <= 31:
        for step in range(62):
            found = today + timedelta(days=step if ahead else -step)
            if found.day == int(alone.group(1)):
                return Reading(found.isoformat(), _LIKELY, alone.span(1), "date")
    match = _DAY_AND_MONTH.search(text)
    if match is None:
        return None
    one, other = int(match.group(1)), int(match.group(2))
    orders = ((one, other), (other, one)) if language != "es" else ((other, one), (one, other))
    for month, day in orders:
        nearest = _nearest(month, day, today, ahead=ahead)
        if nearest is not None:
            return Reading(nearest.isoformat(), _LIKELY, match.span(), "date")
    return None


def _nearest(month: int, day: int, today: date, *, ahead: bool) -> date | None:
    """The latest such day that has been, or with `ahead` the next that comes (29 February within eight years)."""
    for step in range(9):
        found = _valid(today.year + (step if ahead else -step), month, day)
        if found is not None and (found >= today if ahead else found <= today):
            return found
    return None


def _without_weak(line: Line) -> Line:
    """Takes "may", "march", "sat" and their like for words, unless they stand alone or beside words about time."""
    kept: list[Sym] = []
    for place, sym in enumerate(line.syms):
        written = line.text[sym.start : sym.end].lower().rstrip(".")
        weak = sym.kind in ("MONTH", "WD") and written in _WEAK
        if weak:
            beside = [line.syms[other].kind for other in (place - 1, place + 1) if 0 <= other < len(line.syms)]
            alone = not any(other.kind == "W" for other in line.syms)
            weak = not alone and not _TIME_WORDS & set(beside)
        kept.append(replace(sym, kind="W") if weak else sym)
    return Line(line.text, tuple(kept))


def _said(line: Line, today: date, *, ahead: bool) -> Iterator[tuple[Hit, str]]:
    """Dates in words: the first kind of them that the text holds."""
    spoken = line.without("OF", "THE", "ABOUT", "AT", "TOHOUR")
    for read in (
        _month_and_day,
        _day_of_named_month,
        _amount_ago,
        _month_and_year,
        _relative_month,
        _holiday,
        _weekday_and_day,
        _relative_day,
        _weekday,
        _day_of_month,
        _year,
    ):
        found = list(read(spoken, today, ahead))
        found = [(hit, value) for hit, value in found if not _denied(spoken, hit)]
        if found or (read is _month_and_day and _names_a_day(spoken)):
            yield from found
            return


def _is_bound(line: Line, sym: Sym) -> bool:
    """ "before christmas", "after easter"; not "this past friday"."""
    written = line.text[sym.start : sym.end].lower()
    return sym.kind in ("TOHOUR", "AFTERHOUR") and written in ("before", "til", "till", "after")


def _denied(line: Line, hit: Hit) -> bool:
    """ "not this year", "not since tuesday"."""
    before = [sym for sym in line.syms[: hit.first] if sym.kind not in ("SINCE", "IN", "THIS")]
    return bool(before) and before[-1].kind == "W" and is_negated(before[-1].value)


def _names_a_day(line: Line) -> bool:
    """Whether a day stands beside a month, be it one that month does not have: "feb 30"."""
    hits = [hit for pattern in _DAYS_OF_MONTHS for hit in line.find_all(pattern)]
    return any((hit.values["d"] or "").isdigit() and int(hit.values["d"] or 0) < 100 for hit in hits)


_DAYS_OF_MONTHS = (rule("MONTH=m P? NUM|ORD=d"), rule("NUM|ORD=d P? MONTH=m"))
_MONTH_YEAR = rule("MONTH P? NUM=y")


def _month_and_day(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for pattern in _DAYS_OF_MONTHS:
        for hit in line.find_all(pattern):
            day = hit.values["d"] or ""
            if day.isdigit() and int(day) <= 31:
                found = _nearest(int(hit.values["m"] or 0), int(day), today, ahead=ahead)
                if found is not None:
                    yield hit, found.isoformat()
                return


def _amount_ago(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    strangers = sum(1 for sym in line.syms if sym.kind == "W")
    for marked, pattern in (
        (True, rule("AGO|SINCE AGO? A|NUM|FEW=n UNIT=u")),
        (True, rule("A|NUM|FEW=n UNIT=u AGO")),
        (True, rule("FOR A|NUM|FEW=n UNIT=u")),
        (True, rule("IN A|NUM|FEW=n UNIT=u")),
        (False, rule("A|NUM|FEW=n UNIT=u")),
    ):
        for hit in line.find_all(pattern):
            value = _back(hit, line, today, ahead=ahead)
            short = hit.values["u"] in ("hour", "minute")
            if value is None or (short and not marked) or (not marked and strangers >= _STRANGERS_TO_AN_AMOUNT - 1):
                return
            yield hit, value
            return


def _back(hit: Hit, line: Line, today: date, *, ahead: bool) -> str | None:
    said, unit = hit.values["n"] or "", hit.values["u"] or ""
    few = {"2"} if unit in ("day", "hour", "minute") else set()  # "a couple of weeks" are about two
    vague = any(sym.kind == "FEW" and sym.value not in few for sym in line.syms[hit.first : hit.last])
    amount = int(said) if said.isdigit() and len(said) <= 4 else None
    halved = hit.last < len(line.syms) - 1 and any(sym.kind == "HALF" for sym in line.syms[hit.last : hit.last + 3])
    if unit in ("hour", "minute"):
        return today.isoformat() if vague or (amount is not None and amount <= 12) else None
    if vague or amount is None or halved:
        return None
    sign = 1 if ahead else -1
    if unit in _CALENDAR_UNITS:
        return (today + timedelta(days=sign * amount * _CALENDAR_UNITS[unit])).isoformat()
    if unit == "month" and amount <= 600:
        months = today.year * 12 + today.month - 1 + sign * amount
        return f"{months // 12}-{months % 12 + 1:02}"
    if unit == "year" and amount <= _OLDEST:
        return str(today.year + sign * amount)
    return None


def _month_and_year(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for hit in line.find_all(_MONTH_YEAR):
        if re.fullmatch(r"(19|20)\d\d", hit.values["y"] or ""):
            month = int(next(sym.value for sym in line.syms[hit.first : hit.last] if sym.kind == "MONTH"))
            yield hit, f"{hit.values['y']}-{month:02}"
            return


def _day_of_named_month(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    """ "the 18th of this month", "el 3 del mes pasado"."""
    for pattern, months_back in (
        (rule("NUM|ORD=d THIS UNIT:month"), 0),
        (rule("NUM|ORD=d LAST UNIT:month"), 1),
        (rule("NUM|ORD=d UNIT:month LAST"), 1),
    ):
        for hit in line.find_all(pattern):
            months = today.year * 12 + today.month - 1 - months_back
            number = hit.values["d"] or ""
            found = _valid(months // 12, months % 12 + 1, int(number)) if number.isdigit() else None
            if found is not None:
                yield hit, found.isoformat()
            return


def _relative_month(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for pattern, years in (
        (rule("MONTH=m LAST UNIT:year"), 1),
        (rule("MONTH=m UNIT:year LAST"), 1),
        (rule("MONTH=m THIS UNIT:year"), 0),
    ):
        for hit in line.find_all(pattern):
            yield hit, f"{today.year - years}-{int(hit.values['m'] or 0):02}"
            return
    for pattern in (rule("LAST=l MONTH=m"), rule("MONTH=m LAST=l"), rule("MONTH=m")):
        for hit in line.find_all(pattern):
            month = int(hit.values["m"] or 0)
            behind = month >= today.month if "l" in hit.values else month > today.month
            year = today.year - behind if not ahead else today.year + (month < today.month)
            yield hit, f"{year}-{month:02}"
        if line.find(pattern):
            return
    for pattern in (rule("LAST UNIT=u"), rule("UNIT=u LAST"), rule("THIS UNIT=u")):
        for hit in line.find_all(pattern):
            back = 0 if any(sym.kind == "THIS" for sym in line.syms[hit.first : hit.last]) else 1
            months = today.year * 12 + today.month - 1 - back
            if hit.values["u"] == "month":
                yield hit, f"{months // 12}-{months % 12 + 1:02}"
            elif hit.values["u"] == "year":
                yield hit, str(today.year - back)
            return


def _relative_day(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for pattern, offset in (
        (rule("THIS DAY:1"), 0),
        (rule("LASTNIGHT"), -1),
        (rule("TONIGHT"), 0),
        (rule("THIS PART|NIGHT"), 0),
        (rule("DAY=o"), None),
    ):
        for hit in line.find_all(pattern):
            days = offset if offset is not None else int(hit.values["o"] or 0)
            if days <= 0 or ahead:
                yield hit, (today + timedelta(days=days)).isoformat()
        if line.find(pattern):
            return


def _holiday(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for hit in line.find_all(rule("HOLIDAY=h")):
        found = _on_holiday(hit.values["h"] or "", today, ahead=ahead)
        if found is not None:
            yield hit, found.isoformat()


def _on_holiday(written: str, today: date, *, ahead: bool) -> date | None:
    """ "12-25", or "11-4-3" for the fourth of November's days with weekday 3."""
    month, *rest = map(int, written.split("-"))
    if len(rest) == 1:
        return _nearest(month, rest[0], today, ahead=ahead)
    days = [
        first + timedelta(days=(rest[1] - first.weekday()) % 7 + 7 * (rest[0] - 1))
        for first in (date(today.year + step, month, 1) for step in (-1, 0, 1))
    ]
    fitting = [day for day in days if (day >= today if ahead else day <= today)]
    return (fitting[0] if ahead else fitting[-1]) if fitting else None


def _weekday_and_day(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    """ "Friday the 20th": the latest such day that was a Friday, within a year."""
    hits = [
        hit for source in ("WD=w P? ORD=d", "WD=w AGO P? ORD=d", "WD=w NUM=d") for hit in line.find_all(rule(source))
    ]
    for hit in hits:
        after = line.syms[hit.last].kind if hit.last < len(line.syms) else ""
        spoken = line.syms[hit.last - 1].kind == "NUM"
        if spoken and (after in ("AM", "PM", "UNIT", "OCLOCK", "QUARTER", "HALF") or not hit.values["d"]):
            continue
        for step in range(_DAYS_NAMED_BY_NUMBER if spoken else 366):
            found = today + timedelta(days=step if ahead else -step)
            if found.weekday() == int(hit.values["w"] or 0) and str(found.day) == hit.values["d"]:
                yield hit, found.isoformat()
                return


_DAYS_NAMED_BY_NUMBER = 45  # "viernes 20"; further away it is rather an hour


def _weekday(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for pattern in (rule("NUM=n WD=w AGO"), rule("AGO NUM=n WD=w")):
        for hit in line.find_all(pattern):  # "two Fridays ago"
            if not ahead and (hit.values["n"] or "") in ("2", "3", "4"):
                back = (today.weekday() - int(hit.values["w"] or 0) - 1) % 7 + 1 + 7 * (int(hit.values["n"] or 0) - 1)
                yield hit, (today - timedelta(days=back)).isoformat()
                return
    for pattern in (rule("LAST=l WD=w"), rule("WD=w LAST=l"), rule("WD=w")):
        for hit in line.find_all(pattern):
            weekday = int(hit.values["w"] or 0)
            if ahead:
                yield hit, (today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)).isoformat()
                continue
            back = (today.weekday() - weekday - 1) % 7 + 1
            yield hit, (today - timedelta(days=back)).isoformat()
            if "l" in hit.values and back <= _JUST_NOW:
                yield hit, (today - timedelta(days=back + 7)).isoformat()
        if line.find(pattern):
            return


_JUST_NOW = 2  # days; "last Tuesday" said on Wednesday or Thursday may be the one before


def _day_of_month(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for hit in line.find_all(rule("ORD=d")):
        if not hit.values["d"] or not hit.values["d"].isdigit() or any(sym.kind in ("W", "UNIT") for sym in line.syms):
            return
        for step in range(62):
            found = today + timedelta(days=step if ahead else -step)
            if found.day == int(hit.values["d"]):
                yield hit, found.isoformat()
                return


def _year(line: Line, today: date, ahead: bool) -> Iterator[tuple[Hit, str]]:
    for hit in line.find_all(rule("NUM=y")):
        if re.fullmatch(r"(19|20)\d\d", hit.values["y"] or "") and int(hit.values["y"] or 0) <= today.year + 1:
            yield hit, hit.values["y"] or ""


def _years(written: int, today: date) -> tuple[tuple[int, float], ...]:
    """The full years a written year may mean, each with how likely it is beside the first."""
    if written >= 1000:
        return ((written, 1.0),)
    if written >= 100:
        return ()
    century = today.year // 100 * 100
    latest = century + written if century + written <= today.year else century - 100 + written
    if today.year - latest < 18:  # a small child, or somebody very old
        return ((latest, 1.0), (latest - 100, 0.7))
    return ((latest, 1.0),)


def _all_parts(text: str, language: str) -> Iterator[_Parts]:
    folded = fold(text)
    for match in _TRIPLE.finditer(folded.text):
        span = folded.span(match.start(), match.end())
        yield from _numeric(match.group(1), match.group(3), match.group(4), match.group(2), language, span)
    for match in _COMPACT.finditer(folded.text):
        yield from _compact(match.group(1), language, folded.span(match.start(), match.end()))
    line = lexicon(language, "numbers", "calendar").scan(text)
    yield from _named(line)


def _numeric(
    first: str, second: str, third: str, separator: str, language: str, span: tuple[int, int]
) -> Iterator[_Parts]:
    a, b, c = int(first), int(second), int(third)
    loose = 0.9 if separator.isspace() or separator == "," else 1.0
    if len(first) == 4:
        if len(third) > 2:
            return
        yield _Parts(a, b, c, _CERTAIN * loose, span)
        yield _Parts(a, c, b, (_STRETCH if b <= 12 else _LIKELY) * loose, span)
    elif len(first) <= 2:
        yield from _either_order(a, b, c, language, span, loose)


def _either_order(
    a: int, b: int, year: int, language: str, span: tuple[int, int], factor: float = 1.0
) -> Iterator[_Parts]:
    """Month first and day first, the language's own order first; a lone possible order is nearly certain."""
    both = a <= 12 and b <= 12 and a != b
    usual, other = (_LIKELY, _OTHER) if both else (_CERTAIN, _CERTAIN)
    month_first = language != "es"
    yield _Parts(year, a, b, (usual if month_first else other) * factor, span)
    yield _Parts(year, b, a, (other if month_first else usual) * factor, span)


def _compact(digits: str, language: str, span: tuple[int, int]) -> Iterator[_Parts]:
    if len(digits) == 8:
        if digits[:2] in ("19", "20"):
            yield _Parts(int(digits[:4]), int(digits[4:6]), int(digits[6:]), 0.95, span)
        if digits[4:6] in ("18", "19", "20"):
            yield from _either_order(int(digits[:2]), int(digits[2:4]), int(digits[4:]), language, span, 0.95)
    else:
        yield from _either_order(int(digits[:2]), int(digits[2:4]), int(digits[4:]), language, span, 0.9)
        yield _Parts(int(digits[:2]), int(digits[2:4]), int(digits[4:]), 0.3, span)


def _named(line: Line) -> Iterator[_Parts]:
    hits = [hit for pattern in _NAMED for hit in line.find_all(pattern)]
    for hit in hits:
        parts = _from_hit(hit)
        if parts is not None and not any(_within(hit, other) and _from_hit(other) for other in hits):
            yield parts


def _within(hit: Hit, other: Hit) -> bool:
    """ "March 14 nineteen" inside "March 14 nineteen sixty two" is no date of its own."""
    return other.first <= hit.first and hit.last <= other.last and hit.last - hit.first < other.last - other.first


def _from_hit(hit: Hit) -> _Parts | None:
    month, day, year, century = (hit.values.get(name) for name in ("m", "d", "y", "c"))
    if month is None or day is None or year is None or not (day.isdigit() and year.isdigit()):
        return None
    written = int(year)
    if century is not None:
        if century not in ("18", "19", "20") or written > 99:
            return None
        written += int(century) * 100
    return _Parts(written, int(month), int(day), _CERTAIN if hit.exact else 0.88, hit.span)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
