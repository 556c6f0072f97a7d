"""Who may hold a phone: the named patients of the synthetic clinic, by the number the clinic has for them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sandbox.clinic import CastMember, cast


def people() -> list[dict[str, Any]]:
    """One entry a phone number, sorted by name; several people share a family's phone."""
    holders: dict[str, list[CastMember]] = defaultdict(list)
    for member in cast().values():
        if member.phone:
            holders[member.phone].append(member)
    phones = [
        {
            "phone": phone,
            "name": ", ".join(member.name for member in members),
            "language": members[0].language,
            "people": [
                {"name": member.name, "born": member.birth_date.isoformat(), "notes": member.notes}
                for member in members
            ],
        }
        for phone, members in holders.items()
    ]
    return sorted(phones, key=lambda entry: str(entry["name"]))
