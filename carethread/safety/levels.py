"""How serious a message is, and the one rule for putting two opinions together: the higher one stands."""

from __future__ import annotations

from typing import Final, Literal

Level = Literal["none", "urgent", "crisis", "emergency"]

LEVELS: Final[tuple[Level, ...]] = ("none", "urgent", "crisis", "emergency")
"""From lowest to highest. An emergency needs 911 now. A crisis needs a person now (988, a hotline, our staff).

Somebody who has already acted to die (pills taken, wrists cut) is an emergency whose crisis rule is also
reported; a wish, a thought or a plan without an act in progress is a crisis."""

RANK: Final[dict[Level, int]] = {level: rank for rank, level in enumerate(LEVELS)}

ALARMS: Final[frozenset[Level]] = frozenset({"emergency", "crisis"})
"""The levels that stop the assistant and call somebody at once."""


def combine(*levels: Level) -> Level:
    """Return the highest of the levels; nothing can lower one. No levels at all is `none`."""
    return max(levels, key=RANK.__getitem__, default="none")
