"""Since when: "since yesterday", "3 days", "hace dos semanas", "a couple hours ago"."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from carethread.questionnaires.readings.lexicon import Hit, lexicon, rule
from carethread.questionnaires.readings.reading import Reading

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "fortnight": timedelta(weeks=2),
    "month": timedelta(days=30.4),
    "year": timedelta(days=365.25),
}
# When a part of the day has begun, for "since this morning".
_BEGINS = {"morning": 7, "early_morning": 6, "early": 7, "late_morning": 10, "noon": 12, "afternoon": 13, "evening": 19}
_LONGEST = timedelta(days=365 * 100)


@dataclass(frozen=True, slots=True)
class Since:
    """When something began: in the patient's words, about what moment, and how long ago that is."""

    text: str
    start: datetime
    length: timedelta


def read_since(text: str, language: str, now: datetime) -> Reading[Since] | None:
    """How long something has been going on, as of `now` (aware, the patient's zone); None where nothing says it.

    >>> from datetime import UTC
    >>> read_since("hace dos semanas", "es", datetime(2026, 3, 15, 12, tzinfo=UTC)).value.length.days
    14
    """
    if now.tzinfo is None:
        raise ValueError("read_since: now needs a time zone, the patient's own")
    line = lexicon(language, "numbers", "calendar", "since").scan(text).without("OF", "THE", "ABOUT")
    for pattern, start_of in _RULES:
        for hit in line.find_all(pattern):
            start = start_of(hit, now)
            if start is None or not timedelta(0) <= now - start <= _LONGEST:
                continue
            confidence = (0.9 if hit.exact else 0.8) - (0.1 if _is_vague(hit) else 0)
            words = line.text[hit.span[0] : hit.span[1]]
            return Reading(Since(words, start, now - start), confidence, hit.span, "unit")
    return None


def _is_vague(hit: Hit) -> bool:
    return hit.values.get("few") is not None


def _amount(hit: Hit) -> float | None:
    said = hit.values.get("n") or hit.values.get("few") or "1"
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", said):
        return None
    return float(said) + (0.5 if hit.values.get("half") else 0)


def _ago(hit: Hit, now: datetime) -> datetime | None:
    amount, unit = _amount(hit), _UNITS.get(hit.values["u"] or "")
    if amount is None or unit is None or unit * amount > _LONGEST:
        return None
    return now - unit * amount


def _half_unit(hit: Hit, now: datetime) -> datetime | None:
    unit = _UNITS.get(hit.values["u"] or "")
    return None if unit is None else now - unit / 2


def _last_unit(hit: Hit, now: datetime) -> datetime | None:
    unit = _UNITS.get(hit.values["u"] or "")
    return None if unit is None else now - unit


def _at(now: datetime, day: date, part: str | None = None) -> datetime:
    """A moment of a day: its part's beginning, or noon; never after now."""
    start = datetime.combine(day, time(_BEGINS.get(part or "", 12)), now.tzinfo)
    if part is None and day == now.date():
        start = datetime.combine(day, time(0), now.tzinfo)
    return min(start, now)


def _day(hit: Hit, now: datetime) -> datetime | None:
    offset = int(hit.values["o"] or 0)
    return None if offset > 0 else _at(now, now.date() + timedelta(days=offset), hit.values.get("p"))


def _today(hit: Hit, now: datetime) -> datetime:
    return _at(now, now.date(), hit.values.get("p"))


def _this_morning(hit: Hit, now: datetime) -> datetime:
    """ "esta mañana": after "this", the Spanish word for tomorrow is the morning."""
    return _at(now, now.date(), "morning")


def _last_night(hit: Hit, now: datetime) -> datetime:
    return datetime.combine(now.date() - timedelta(days=1), time(21), now.tzinfo)


def _weekday(hit: Hit, now: datetime) -> datetime:
    """The latest such weekday before today."""
    back = (now.weekday() - int(hit.values["w"] or 0) - 1) % 7 + 1
    return _at(now, now.date() - timedelta(days=back), hit.values.get("p"))


def _day_of_month(hit: Hit, now: datetime) -> datetime | None:
    """The latest such day: "since the 5th"."""
    day = int(hit.values["d"] or 0)
    for back in range(62):
        candidate = now.date() - timedelta(days=back)
        if candidate.day == day:
            return _at(now, candidate)
    return None


def _month(hit: Hit, now: datetime) -> datetime | None:
    month, day = int(hit.values["m"] or 1), int(hit.values.get("d") or 1)
    for year in (now.year, now.year - 1):
        try:
            start = datetime(year, month, day, 12, tzinfo=now.tzinfo)
        except ValueError:
            return None
        if start <= now:
            return start
    return None


_Start = Callable[[Hit, datetime], "datetime | None"]
_RULES: tuple[tuple["re.Pattern[str]", _Start], ...] = tuple(
    (rule(source), start)
    for source, start in (
        ("AGO|FOR? A|NUM=n UNIT=u AND A? HALF=half AGO?", _ago),
        ("AGO|FOR? NUM=n AND A? HALF=half UNIT=u AGO?", _ago),
        ("AGO|FOR? NUM=n NUM:1 P:/ NUM=half UNIT=u AGO?", _ago),
        ("AGO? HALF A? UNIT=u AGO?", _half_unit),
        ("AGO|SINCE|FOR FEW=few UNIT=u AGO?", _ago),
        ("FEW=few UNIT=u AGO?", _ago),
        ("AGO|SINCE|FOR AGO? A|NUM=n UNIT=u AGO?", _ago),
        ("A|NUM=n UNIT=u AGO?", _ago),
        ("SINCE? THIS DAY:1", _this_morning),
        ("SINCE? LASTNIGHT", _last_night),
        ("SINCE? DAY=o PART=p", _day),
        ("SINCE? PART=p DAY=o", _day),
        ("SINCE? DAY=o", _day),
        ("SINCE? THIS PART=p", _today),
        ("SINCE? TONIGHT", _today),
        ("SINCE? LAST WD=w PART=p", _weekday),
        ("SINCE|FOR? LAST WD=w", _weekday),
        ("SINCE? WD=w LAST", _weekday),
        ("SINCE? WD=w PART=p", _weekday),
        ("SINCE WD=w", _weekday),
        ("WD=w", _weekday),
        ("SINCE? LAST UNIT=u", _last_unit),
        ("SINCE? UNIT=u LAST", _last_unit),
        ("FOR UNIT=u", _last_unit),
        ("SINCE? MONTH=m NUM|ORD=d", _month),
        ("SINCE? NUM|ORD=d MONTH=m", _month),
        ("SINCE ORD=d", _day_of_month),
        ("SINCE LAST? MONTH=m", _month),
        ("LAST MONTH=m", _month),
        ("MONTH=m LAST", _month),
        ("SINCE PART=p", _today),
    )
)
