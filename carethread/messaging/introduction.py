"""First contact: whoever first hears from the assistant is told who writes, how to reach a human, how to stop.

What these texts must say, and which do, is in `content/safety/guard.yml`; content that lacks it is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from carethread.messaging.outbox import Say

INTRODUCTION = "utter_introduction"
# Texts that say all of it: one of them at first contact is enough. The answer to HELP would say it twice.
INTRODUCE = (INTRODUCTION, "utter_help")
# Said alone, with the introduction left for what is said next: the confirmation of a STOP (one message, says the CTIA),
# and the guidance of a red flag, which itself says that no person wrote it.
_ALONE = ("utter_stopped", "utter_safety_emergency", "utter_safety_crisis")


class Introduced(Protocol):
    """A conversation, as far as it was introduced."""

    owner: str
    introduced_at: datetime | None


def introduced(conversation: Introduced, says: list[Say], now: datetime) -> list[Say]:
    """What is to be said, with the introduction where it is still due; the conversation remembers it.

    It stands first, except in an emergency: nothing stands before what to do now.
    """
    keys = {say.key for say in says}
    if not says or conversation.introduced_at is not None or keys & set(_ALONE):
        return says
    conversation.introduced_at = now
    if keys & set(INTRODUCE):
        return says
    introduction = Say(INTRODUCTION, {})
    return [*says, introduction] if conversation.owner == "emergency" else [introduction, *says]
