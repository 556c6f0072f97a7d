"""Whether an address wants to hear from the clinic: the last word of the patient's decides."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.storage.database import raw
from carethread.storage.models import Consent


async def opted_out(session: AsyncSession, channel: str, address: str) -> bool:
    """True after STOP and before START."""
    state = await raw(session).fetchval(
        "select state from consent where channel = $1 and address = $2", channel, address
    )
    return bool(state == "opted_out")


async def set_consent(
    session: AsyncSession, channel: str, address: str, state: str, *, now: datetime, inbox_id: int | None
) -> None:
    """Record `opted_in` or `opted_out`, with the message that said so."""
    values = {"state": state, "changed_at": now, "inbox_id": inbox_id}
    await session.execute(
        insert(Consent)
        .values(channel=channel, address=address, **values)
        .on_conflict_do_update(index_elements=["tenant_id", "channel", "address"], set_=values)
    )


async def count_opted_out(session: AsyncSession) -> int:
    """How many addresses have said stop."""
    return await session.scalar(select(func.count()).select_from(Consent).where(Consent.state == "opted_out")) or 0
