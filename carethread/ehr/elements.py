"""Reading fhirclient's models: the few questions the rest of the package asks of names, codes, references and times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

# Best first. A name that is no longer used says nothing about who somebody is.
_NAME_USES = ("usual", "official", "temp", None, "nickname", "anonymous", "maiden")


def codes(concepts: Any) -> tuple[str, ...]:
    """Every code in one CodeableConcept or a list of them."""
    found = []
    for concept in _listed(concepts):
        found += [str(coding.code) for coding in concept.coding or () if coding.code]
    return tuple(found)


def label(concepts: Any) -> str:
    """The words of the first concept that has any: its text, else a display."""
    for concept in _listed(concepts):
        if concept.text:
            return str(concept.text)
        for coding in concept.coding or ():
            if coding.display:
                return str(coding.display)
    return ""


def reference_id(reference: Any, kind: str) -> str | None:
    """The id in a literal reference to a `kind` (`Patient/123`, absolute or versioned too); else None."""
    text = getattr(reference, "reference", None)
    return literal_id(text, kind) if isinstance(text, str) else None


def literal_id(text: str, kind: str) -> str | None:
    """The id in `Kind/id`, `http://…/Kind/id` or `Kind/id/_history/2`."""
    parts = text.split("/_history/")[0].split("/")
    return parts[-1] if len(parts) >= 2 and parts[-2] == kind and parts[-1] else None


def best_name(names: Any) -> Any:
    """The HumanName to call somebody by, or None."""
    usable = [name for name in names or () if name.use != "old" and not ended(name.period)]
    return min(
        usable,
        key=lambda name: _NAME_USES.index(name.use) if name.use in _NAME_USES else len(_NAME_USES),
        default=None,
    )


def written(name: Any) -> str:
    """`Given Family`, or the name's own text; empty for None."""
    if name is None:
        return ""
    parts = [*(name.given or ()), *([name.family] if name.family else [])]
    return " ".join(parts) if parts else str(name.text or "")


def ended(period: Any, on: date | None = None) -> bool:
    """Whether a Period has an end: before `on` if given, else any end at all."""
    end = period.end.date if period is not None and period.end is not None else None
    if end is None:
        return False
    end_day = end.date() if isinstance(end, datetime) else end
    return on is None or bool(end_day < on)


def moment(value: Any, zone: ZoneInfo) -> datetime | None:
    """A dateTime or instant as an aware time in `zone`; None for a bare date or nothing."""
    found = getattr(value, "date", None)
    if not isinstance(found, datetime):
        return None
    return (found.replace(tzinfo=zone) if found.tzinfo is None else found).astimezone(zone)


def day(value: Any) -> date | None:
    """A full date; None for a partial one (a year alone is not a date of birth)."""
    text = value.as_json() if value is not None else None
    if not isinstance(text, str) or len(text) < 10:
        return None
    return date.fromisoformat(text[:10])


def _listed(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)
