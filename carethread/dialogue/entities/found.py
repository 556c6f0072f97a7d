"""One thing that a text names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Found:
    """Its kind, the characters `start` to `end` of the text, and its value; None is what the patient must be asked.

    `at` is the moment of a time whose day is named too, with its offset from UTC.
    """

    kind: str
    start: int
    end: int
    value: str | None
    at: str | None = None

    def as_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"entity": self.kind, "start": self.start, "end": self.end, "value": self.value}
        if self.at:
            fields["at"] = self.at
        if self.value is None:
            fields["ask"] = True
        return fields

    def touches(self, start: int, end: int) -> bool:
        return self.start < end and start < self.end


def apart(found: Sequence[Found]) -> list[Found]:
    """`found` without what lies within something longer; of two that cover the same, both are meant."""
    return [one for one in dict.fromkeys(found) if not any(_inside(one, other) for other in found)]


def _inside(inner: Found, outer: Found) -> bool:
    if outer.kind == "severity" and inner.kind != "severity":
        return False  # "duele mucho" says how much, and that it hurts
    longer = outer.end - outer.start > inner.end - inner.start
    return longer and outer.start <= inner.start and inner.end <= outer.end


def taken(found: Iterable[Found], start: int, end: int) -> bool:
    """Whether something of `found` already has one of these characters."""
    return any(one.touches(start, end) for one in found)
