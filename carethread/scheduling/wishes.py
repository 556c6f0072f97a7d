"""The rules that turn a line of day and time symbols into a wish for a visit."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial

from carethread.questionnaires.readings.clock import guess_half
from carethread.questionnaires.readings.days import Span, days_of
from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, rule
from carethread.scheduling.preference import PARTS, Hours, TimePreference

_DONE = Sym("DONE", "1", 0, 0)
_MIDNIGHT, _DAY_END = time(0), time(23, 59, 59)
_AROUND = 30  # minutes before and after a time named beside another one


def wish_in(line: Line, now: datetime) -> TimePreference | None:
    """What a line of clocks and days asks for; None where it says nothing about time."""
    wish = _Wish(now.date())
    for pattern, note in _RULES:
        line = line.rewrite(pattern, partial(_note_down, wish, note))
    return wish.preference(line.text, now) if wish.said else None


def _note_down(wish: "_Wish", note: "_Note", hit: Hit) -> tuple[Sym, ...] | None:
    return (_DONE,) if note(wish, hit) else None


@dataclass(slots=True)
class _Wish:
    """What has been understood so far."""

    today: date
    days: list[Span] = field(default_factory=list)
    single_weekdays: list[int] = field(default_factory=list)
    weekdays: set[int] = field(default_factory=set)
    parts: list[Hours] = field(default_factory=list)
    at: list[tuple[time, bool]] = field(default_factory=list)
    after: tuple[time, bool] | None = None
    before: tuple[time, bool] | None = None
    earliest: date | None = None
    latest: date | None = None
    not_days: list[Span] = field(default_factory=list)
    not_weekdays: set[int] = field(default_factory=set)
    not_hours: list[Hours] = field(default_factory=list)
    asap: bool = False
    anytime: bool = False
    said: bool = False

    def preference(self, text: str, now: datetime) -> TimePreference:
        days, weekdays = list(self.days), set(self.weekdays)
        wide = any(span.first != span.last for span in days) or self.earliest or self.latest
        if self.single_weekdays and (wide or weekdays):
            weekdays |= set(self.single_weekdays)
        else:
            days += [Span(day, day) for day in map(self.coming, self.single_weekdays)]
        hours, at = self._hours()
        return TimePreference(
            text,
            now.tzinfo or now.astimezone().tzinfo,  # type: ignore[arg-type]
            now,
            tuple(sorted(days, key=lambda span: span.first)),
            frozenset(weekdays - self.not_weekdays) if weekdays else frozenset(),
            hours,
            at,
            self.earliest,
            self.latest,
            tuple(self.not_days),
            frozenset(self.not_weekdays),
            tuple(self.not_hours),
            self.asap,
            self.anytime,
        )

    def coming(self, weekday: int) -> date:
        """The first such weekday after today."""
        return self.today + timedelta(days=(weekday - self.today.weekday() - 1) % 7 + 1)

    def _hours(self) -> tuple[tuple[Hours, ...], time | None]:
        late = bool(self.parts) and all(part.start >= time(12) for part in self.parts)
        settled = [_settle(clock, guessed, late=late) for clock, guessed in self.at]
        parts = list(self.parts) or [Hours(_MIDNIGHT, _DAY_END)]
        start = _settle(*self.after, late=late) if self.after else _MIDNIGHT
        end = _settle(*self.before, late=late) if self.before else _DAY_END
        if self.before and self.after and end <= start:  # "before 9 or after 4"
            return (Hours(_MIDNIGHT, end), Hours(start, _DAY_END)), None
        bounded = tuple(
            Hours(max(part.start, start), min(part.end, end))
            for part in parts
            if max(part.start, start) < min(part.end, end)
        ) or (Hours(start, end),)
        if bounded == (Hours(_MIDNIGHT, _DAY_END),):
            bounded = ()
        if len(settled) > 1:  # "10 or 2": about either
            about = tuple(Hours(_moved(clock, -_AROUND), _moved(clock, _AROUND + 1)) for clock in settled)
            return about, None
        if settled:
            return (), settled[0]
        return bounded, None


# --- the rules, in the order they are tried: a pattern and what it adds to the wish ------------------------------

_Note = Callable[[_Wish, Hit], bool]


def _clock(said: str | None) -> tuple[time, bool]:
    """A CLOCK's time, and whether its half of the day is a guess."""
    minutes = int((said or "0").rstrip("?"))
    return time(minutes // 60 % 24, minutes % 60), (said or "").endswith("?")


def _excluded(wish: _Wish, hit: Hit) -> bool:
    for name in ("x", "y", "z"):
        value = hit.values.get(name)
        if value is None:
            continue
        if "-" in value:
            wish.not_days.append(days_of(value))
        elif value.isdigit():
            wish.not_weekdays.add(int(value))
        elif value == "weekend":
            wish.not_weekdays |= {5, 6}
        elif value == "weekdays":
            wish.not_weekdays |= set(range(5))
        elif value in ("am", "pm"):
            wish.not_hours.append(Hours(_MIDNIGHT, time(12)) if value == "am" else Hours(time(12), _DAY_END))
        elif value in PARTS:
            wish.not_hours.append(_part(value))
        wish.said = True
    return True


def _part(value: str) -> Hours:
    start, end = PARTS[value]
    if value in ("early_morning", "early", "morning"):
        start = _MIDNIGHT
    return Hours(start, end)


def _days(wish: _Wish, hit: Hit) -> bool:
    wish.days.append(days_of(hit.values["d"] or ""))
    wish.said = True
    return True


def _from_to_days(wish: _Wish, hit: Hit) -> bool:
    first, last = days_of(hit.values["a"] or "").first, days_of(hit.values["b"] or "").last
    if last < first:
        last += timedelta(days=7)
    wish.days.append(Span(first, max(first, last)))
    wish.said = True
    return True


def _weekday_to_weekday(wish: _Wish, hit: Hit) -> bool:
    first, last = int(hit.values["a"] or 0), int(hit.values["b"] or 0)
    wish.weekdays |= {(first + step) % 7 for step in range((last - first) % 7 + 1)}
    wish.said = True
    return True


def _weekday(wish: _Wish, hit: Hit) -> bool:
    wish.single_weekdays.append(int(hit.values["w"] or 0))
    wish.said = True
    return True


def _weekday_at(wish: _Wish, hit: Hit) -> bool:
    """ "Tuesday 3", where no Tuesday is near that is a third."""
    if not 1 <= len(hit.values["c"] or "") <= 2 or not 1 <= int(float(hit.values["c"] or 0)) <= 12:
        return False
    wish.at.append((_clock(str(guess_half(int(float(hit.values["c"] or 0)) * 60)))[0], True))
    return _weekday(wish, hit)


def _weekdays(wish: _Wish, hit: Hit) -> bool:
    said = hit.values["w"] or ""
    wish.weekdays |= {"weekend": {5, 6}, "weekdays": set(range(5))}.get(said) or {int(said)}
    wish.said = True
    return True


def _from_day(wish: _Wish, hit: Hit) -> bool:
    days = _either(wish, hit)
    if hit.values.get("o") == "onward" or hit.values.get("v") == "from":
        wish.earliest = days.first
    else:
        wish.earliest = days.last + timedelta(days=1)
    wish.said = True
    return True


def _until_day(wish: _Wish, hit: Hit) -> bool:
    days = _either(wish, hit)
    wish.latest = days.last if hit.values.get("v") == "by" or hit.values.get("o") else days.first - timedelta(days=1)
    wish.said = True
    return True


def _either(wish: _Wish, hit: Hit) -> Span:
    if hit.values.get("d"):
        return days_of(hit.values["d"] or "")
    day = wish.coming(int(hit.values["w"] or 0))
    return Span(day, day)


def _between_clocks(wish: _Wish, hit: Hit) -> bool:
    start, guessed = _clock(hit.values["a"])
    end, end_guessed = _clock(hit.values["b"])
    if guessed and not end_guessed and end >= time(12) and _moved(start, 720) < end and start < time(12):
        start = _moved(start, 720)  # "2-4pm"; but "10-2pm" begins in the morning
    if end <= start and start < time(12):
        end = _moved(end, 720)
    wish.after, wish.before = (start, False), (end, False)
    wish.said = True
    return end > start


def _after_clock(wish: _Wish, hit: Hit) -> bool:
    wish.after = _clock(hit.values["c"])
    wish.said = True
    return True


def _before_clock(wish: _Wish, hit: Hit) -> bool:
    wish.before = _clock(hit.values["c"])
    wish.said = True
    return True


def _at(wish: _Wish, hit: Hit) -> bool:
    wish.at.append(_clock(hit.values["c"]))
    wish.said = True
    return True


def _bare_hours(wish: _Wish, hit: Hit) -> bool:
    """ "2-4", "de 9 a 11": two hours of a clinic's day."""
    numbers = (hit.values["a"] or "", hit.values["b"] or "")
    if not all(number.isdigit() and 1 <= int(number) <= 12 for number in numbers):
        return False
    clocks = [int(number) * 60 + (0 if 7 <= int(number) < 12 else 720 if int(number) < 7 else 0) for number in numbers]
    wish.after, wish.before = _clock(str(clocks[0])), _clock(str(clocks[1]))
    wish.said = clocks[0] < clocks[1] or wish.said
    return clocks[0] < clocks[1]


def _in_part(wish: _Wish, hit: Hit) -> bool:
    wish.parts.append(Hours(*PARTS[hit.values["p"] or ""]))
    wish.said = True
    return True


def _this_part(wish: _Wish, hit: Hit) -> bool:
    wish.days.append(Span(wish.today, wish.today))
    wish.parts.append(Hours(*PARTS[hit.values.get("p") or "evening"]))
    wish.said = True
    return True


def _around_noon(wish: _Wish, hit: Hit) -> bool:
    if hit.values["p"] != "noon":
        return False
    if hit.values.get("a"):
        wish.after = (time(12), False)
    else:
        wish.before = (time(12), False)
    wish.said = True
    return True


def _half_day(wish: _Wish, hit: Hit) -> bool:
    wish.parts.append(Hours(_MIDNIGHT, time(12)) if hit.values["h"] == "am" else Hours(time(12), _DAY_END))
    wish.said = True
    return True


def _asap(wish: _Wish, hit: Hit) -> bool:
    wish.asap = wish.said = True
    return True


def _anytime(wish: _Wish, hit: Hit) -> bool:
    wish.anytime = wish.said = True
    return True


_OUT = "WD|WDS|DATE|RANGE|PART|WEEKEND|WEEKDAYS|AM|PM"
_RULES: tuple[tuple["re.Pattern[str]", _Note], ...] = tuple(
    (rule(source), note)
    for source, note in (
        (f"NOT EL? {_OUT}=x OR|AND NOT? EL? {_OUT}=y OR|AND NOT? EL? {_OUT}=z", _excluded),
        (f"NOT EL? {_OUT}=x OR|AND NOT? EL? {_OUT}=y", _excluded),
        (f"NOT EL? {_OUT}=x", _excluded),
        (f"EL? {_OUT}=x OR|AND EL? {_OUT}=y NOGO", _excluded),
        (f"EL? {_OUT}=x NOGO", _excluded),
        (f"EL? {_OUT}=x NOT P|END", _excluded),
        ("BETWEEN DATE=a AND|TO|BEFORE DATE=b", _from_to_days),
        ("DATE=a TO DATE=b", _from_to_days),
        ("BETWEEN EL? WD=a AND|TO|BEFORE EL? WD=b", _weekday_to_weekday),
        ("EL? WD=a TO|BEFORE EL? WD=b", _weekday_to_weekday),
        ("AFTER=v DATE|RANGE=d", _from_day),
        ("AFTER=v EL? WD=w", _from_day),
        ("BETWEEN? DATE|RANGE=d ONWARD=o", _from_day),
        ("BETWEEN? EL? WD=w ONWARD=o", _from_day),
        ("BEFORE=v DATE|RANGE=d", _until_day),
        ("BEFORE=v EL? WD=w", _until_day),
        ("DATE|RANGE=d OREARLIER=o", _until_day),
        ("BETWEEN AT? CLOCK=a AND|TO|AT AT? CLOCK=b", _between_clocks),
        ("CLOCK=a TO AT? CLOCK=b", _between_clocks),
        ("AFTER AT? CLOCK=c", _after_clock),
        ("BETWEEN? CLOCK=c ONWARD", _after_clock),
        ("CLOCK=c OR AFTER END|DONE", _after_clock),
        ("BEFORE AT? CLOCK=c", _before_clock),
        ("CLOCK=c OREARLIER", _before_clock),
        ("AT? CLOCK=c", _at),
        ("AFTER=a PART=p", _around_noon),
        ("BEFORE=b PART=p", _around_noon),
        ("BETWEEN? NUM=a TO|AND NUM=b", _bare_hours),
        ("THIS PART=p", _this_part),
        ("TONIGHT", _this_part),
        ("PART=p", _in_part),
        ("DATE|RANGE=d", _days),
        ("EL? WD=w NUM=c", _weekday_at),
        ("EL? WD=w", _weekday),
        ("WDS|WEEKEND|WEEKDAYS=w", _weekdays),
        ("DONE|ONLY AM|PM=h", _half_day),
        ("ASAP", _asap),
        ("ANYTIME", _anytime),
    )
)


def tidy(line: Line) -> Line:
    """Drops what says nothing about time; a mark stays behind a "no", which it separates from what follows."""
    kept: list[Sym] = []
    for sym in line.syms:
        mark = sym.kind == "P" and sym.value != "/" and not (kept and kept[-1].kind == "NOT")
        if not mark and sym.kind not in ("OF", "FILLER", "ABOUT"):
            kept.append(sym)
    return Line(line.text, (*kept, Sym("END", "1", len(line.text), len(line.text))))


def _settle(clock: time, guessed: bool, *, late: bool) -> time:
    """A time whose half of the day was guessed moves to the evening if that is what was asked for."""
    return _moved(clock, 720) if guessed and late and time(5) <= clock < time(12) else clock


def _moved(clock: time, minutes: int) -> time:
    moved = min(max(_minutes(clock) + minutes, 0), 24 * 60 - 1)
    return time(moved // 60, moved % 60)


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute
