"""Quiet hours: nobody is written to at night unless they wrote first."""

from __future__ import annotations

from datetime import datetime, timedelta

from carethread.clinic import Hours


def next_allowed(now: datetime, quiet: Hours) -> datetime:
    """`now`, or the end of the quiet hours it falls in. `now` is in the patient's zone; hours may cross midnight.

    >>> from datetime import UTC, time
    >>> next_allowed(datetime(2026, 1, 1, 23, tzinfo=UTC), Hours(start=time(20), end=time(8))).hour
    8
    """
    clock = now.time()
    if quiet.start <= quiet.end:
        inside, tomorrow = quiet.start <= clock < quiet.end, False
    else:
        inside, tomorrow = clock >= quiet.start or clock < quiet.end, clock >= quiet.start
    if not inside:
        return now
    end = now.replace(hour=quiet.end.hour, minute=quiet.end.minute, second=0, microsecond=0)
    return end + timedelta(days=1) if tomorrow else end
