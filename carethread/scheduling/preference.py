"""When a patient would like to come, as something that slots can be matched with and ranked by."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from carethread.questionnaires.readings.clock import PARTS
from carethread.questionnaires.readings.days import Span

__all__ = ["PARTS", "Hours", "TimePreference"]

_MIDNIGHT, _DAY_END = time(0), time(23, 59, 59)
_NEAR_MINUTES = 30  # "at 10" is met by a start this close to ten
_EXCLUDED = 0.05  # what is left of the score of a slot the patient ruled out


@dataclass(frozen=True, slots=True)
class Hours:
    """Local times of day from `start` up to, not including, `end`."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class TimePreference:
    """When a patient would like to come. Empty fields leave that side open.

    `understood` is False where the text is about time but not resolvable ("before my trip"): ask for a day.
    Days are local to `zone`. Where days and hours belong together in pairs ("Monday morning or Tuesday afternoon"),
    `alternatives` holds the pairs and decides; the other fields then say what was named at all.
    """

    text: str
    zone: tzinfo
    said_at: datetime
    days: tuple[Span, ...] = ()
    weekdays: frozenset[int] = frozenset()
    hours: tuple[Hours, ...] = ()
    at: time | None = None
    earliest: date | None = None
    latest: date | None = None
    not_days: tuple[Span, ...] = ()
    not_weekdays: frozenset[int] = frozenset()
    not_hours: tuple[Hours, ...] = ()
    asap: bool = False
    anytime: bool = False
    understood: bool = True
    alternatives: tuple["TimePreference", ...] = ()

    def matches(self, start: datetime) -> bool:
        """Whether a visit starting then is what the patient asked for."""
        if self.alternatives:
            return any(one.matches(start) for one in self.alternatives)
        local = start.astimezone(self.zone)
        return (
            start >= self.said_at
            and not self._ruled_out(local)
            and not self._days_off(local)
            and not self._minutes_off(local)
        )

    def score(self, start: datetime) -> float:
        """How well a start fits, from 0 to 1; 1 is what was asked for. Sort slots by `(-score(start), start)`."""
        if start < self.said_at:
            return 0.0
        if self.alternatives:
            return max(one.score(start) for one in self.alternatives)
        local = start.astimezone(self.zone)
        fit = 1 / (1 + 0.5 * self._days_off(local) + self._minutes_off(local) / 120)
        wishes = [abs((local.date() - span.wish).days) for span in self.days if span.wish]
        if wishes:
            fit /= 1 + 0.03 * min(wishes)
        if self.asap:
            fit /= 1 + 0.05 * (start - self.said_at) / timedelta(days=1)
        return fit * (_EXCLUDED if self._ruled_out(local) else 1)

    def _ruled_out(self, local: datetime) -> bool:
        return (
            local.weekday() in self.not_weekdays
            or any(span.first <= local.date() <= span.last for span in self.not_days)
            or any(hours.start <= local.time() < hours.end for hours in self.not_hours)
        )

    def _days_off(self, local: datetime) -> int:
        """Days from the start to the nearest day asked for."""
        day = local.date()
        distances = [max((span.first - day).days, (day - span.last).days, 0) for span in self.days]
        off = min(distances, default=0)
        if self.weekdays and day.weekday() not in self.weekdays:
            off += min(min((day.weekday() - wish) % 7, (wish - day.weekday()) % 7) for wish in self.weekdays)
        if self.earliest and day < self.earliest:
            off += (self.earliest - day).days
        if self.latest and day > self.latest:
            off += (day - self.latest).days
        return off

    def _minutes_off(self, local: datetime) -> int:
        """Minutes from the start to the nearest time of day asked for."""
        clock = _minutes(local.time())
        off = min((_outside(clock, hours) for hours in self.hours), default=0)
        if self.at is not None:
            off = max(off, max(0, abs(clock - _minutes(self.at)) - _NEAR_MINUTES))
        return off


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def _outside(clock: int, hours: Hours) -> int:
    """Minutes from a time of day to the nearest one inside the hours."""
    if clock < _minutes(hours.start):
        return _minutes(hours.start) - clock
    last = _minutes(hours.end) - (0 if hours.end == _DAY_END else 1)
    return max(0, clock - last)
