"""What refers to the assistant's last words: “say that again”, and a “yes” to an offer that was no form's question."""

from __future__ import annotations

from sqlalchemy import select

from carethread.conversations.context import Context
from carethread.messaging.outbox import Say
from carethread.storage.models import Outbox

# Said beside an answer: nobody means them by "say that again".
_BESIDES = ("utter_introduction", "utter_holding")
# What a "yes" to it starts.
_OFFERS = {"utter_no_visits": "book_form"}


async def say_again(ctx: Context) -> None:
    """Repeat what the latest answered message was told; with nothing said yet, say what is possible."""
    again = [Say(row.content_key, row.parameters) for row in await _last_said(ctx)]
    ctx.says.extend(again or [Say("utter_ask_capabilities", {})])


async def yes(ctx: Context) -> str | None:
    """Take up what was offered: the form to go on with. With nothing offered, ask what to do next."""
    said = await _last_said(ctx)
    form = _OFFERS.get(said[-1].content_key) if said else None
    if form is None:
        ctx.say("utter_ask_what_next")
    return form


async def _last_said(ctx: Context) -> list[Outbox]:
    """What the latest answered message was told."""
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
    return list(rows)
