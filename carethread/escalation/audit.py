"""One line in the trail of who did what, in the transaction of the deed itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.models import Audit, Staff

PLATFORM = "platform"


def record(session: AsyncSession, actor: Staff | str, action: str, subject: str, now: datetime, **details: Any) -> None:
    """Note that `actor` did `action` to `subject` (like `escalation:<id>`). Details hold ids and codes, never what was
    said.
    """
    name = actor if isinstance(actor, str) else f"staff:{actor.id}"
    session.add(Audit(actor=name, action=action, subject=subject, at=now, details=details))
