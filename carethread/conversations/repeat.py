"""“Say that again”: the last words of the assistant's, once more."""

from __future__ import annotations

from sqlalchemy import select

from carethread.conversations.context import Context
from carethread.messaging.outbox import Say
from carethread.storage.models import Outbox

# Said beside an answer: nobody means them by "say that again".
_BESIDES = ("utter_introduction", "utter_holding")


async def say_again(ctx: Context) -> None:
    """Repeat what the latest answered message was told; with nothing said yet, say what is possible."""
    async with ctx.begin() as session:
        last = await session.scalar(
            select(Outbox.inbox_id)
            .where(
                Outbox.conversation_id == ctx.conversation.id,
                Outbox.author == "assistant",
                Outbox.content_key.not_in(_BESIDES),
            )
            .order_by(Outbox.id.desc())
            .limit(1)
        )
        rows = (
            await session.scalars(
                select(Outbox)
                .where(
                    Outbox.conversation_id == ctx.conversation.id,
                    Outbox.inbox_id == last,
                    Outbox.content_key.not_in(_BESIDES),
                )
                .order_by(Outbox.id)
            )
        ).all()
    again = [Say(row.content_key, row.parameters) for row in rows]
    ctx.says.extend(again or [Say("utter_ask_capabilities", {})])
