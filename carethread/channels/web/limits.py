"""How often somebody may do something, counted in this process's memory: several gateways count each for itself."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` times in any `seconds`."""

    limit: int
    seconds: float


class Limiter:
    """A sliding window for each key. Remembers the `keys` used last, so that its memory is bounded."""

    def __init__(self, rate: Rate, *, keys: int = 10_000) -> None:
        self._rate = rate
        self._keys = keys
        self._times: OrderedDict[str, deque[datetime]] = OrderedDict()

    def take(self, key: str, now: datetime) -> float:
        """Count one more for `key` and return 0; or count nothing and return the seconds until there is room."""
        times = self._times.setdefault(key, deque())
        self._times.move_to_end(key)
        while len(self._times) > self._keys:
            self._times.popitem(last=False)
        while times and (now - times[0]).total_seconds() >= self._rate.seconds:
            times.popleft()
        if len(times) >= self._rate.limit:
            return self._rate.seconds - (now - times[0]).total_seconds()
        times.append(now)
        return 0.0
