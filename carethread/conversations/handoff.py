"""To a human, and out: what the assistant does when a conversation is not for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from carethread.conversations.context import Context
from carethread.conversations.repeat import yes
from carethread.conversations.wishes import ASIDES, BOUNDARIES, TASKS
from carethread.messaging.consent import set_consent


async def to_human(ctx: Context) -> None:
    """A person takes it from here; the assistant is silent until handed back."""
    await ctx.escalate("human_request", "soon", pause="human")
    ctx.say("utter_human_coming")


async def not_understood(ctx: Context) -> None:
    """Tried and failed: a human, rather than a dead end."""
    await ctx.escalate("not_understood", "soon", pause="human")
    ctx.say("utter_human_after_trying")


async def emergency(ctx: Context) -> None:
    """The classifier heard an emergency that no rule names: the same guidance, the same alarm."""
    await ctx.escalate("emergency", "emergency", pause="emergency", rule="classifier:emergency")
    ctx.say("utter_safety_emergency")


async def stop(ctx: Context) -> None:
    async with ctx.begin() as session:
        await set_consent(
            session, ctx.channel, ctx.conversation.address, "opted_out", now=ctx.now,
            inbox_id=int(ctx.message_id) if ctx.message_id.isdigit() else None,
        )  # fmt: skip
    ctx.say("utter_stopped")


async def start(ctx: Context) -> None:
    async with ctx.begin() as session:
        await set_consent(
            session, ctx.channel, ctx.conversation.address, "opted_in", now=ctx.now,
            inbox_id=int(ctx.message_id) if ctx.message_id.isdigit() else None,
        )  # fmt: skip
    ctx.say("utter_started")


async def complaint(ctx: Context) -> None:
    await ctx.escalate("complaint", "soon")
    ctx.say("utter_complaint")


async def grief(ctx: Context) -> None:
    await ctx.escalate("human_request", "soon", details={"why": "a loss"})
    ctx.say("utter_grief")


async def answer_aside(ctx: Context) -> None:
    """A question by the way. To one that only a clinician may answer that is said, and a clinician is told."""
    if ctx.intent in BOUNDARIES:
        await ctx.escalate("clinical_question", "soon", details={"about": ctx.intent})
    if ctx.intent != "repeat":  # the form asks again by itself
        ctx.say(f"utter_{ctx.intent}")


async def wrong_person(ctx: Context) -> None:
    """Somebody else has this number: nothing more is sent to it until the clinic has looked."""
    await ctx.escalate("identity", "soon", details={"why": "says this is the wrong number"})
    await ctx.forget_patient()
    ctx.say("utter_wrong_person")


async def never_mind(ctx: Context) -> None:
    ctx.say("utter_never_mind")


async def locked(_ctx: Context) -> None:
    """Said already, by the identity gate."""


async def afresh(ctx: Context) -> str | None:
    """Take a message as if no form were under way: a human had the conversation since. The form to go on with."""
    if ctx.intent in _FORMS:
        return _FORMS[ctx.intent]
    if ctx.intent in INTENTS:
        return await INTENTS[ctx.intent](ctx)
    if ctx.intent in ASIDES and ctx.intent != "repeat":
        await answer_aside(ctx)
    else:
        ctx.say(_SAID.get(ctx.intent, "utter_ask_what_next"))
    return None


# Outside any form, as data/rules has it: what starts, and what is said.
_FORMS = {**TASKS, "start_checkin": "checkin_form", "identify_self": "identify_form"}
_SAID = {
    "greet": "utter_greet",
    "goodbye": "utter_goodbye",
    "thank": "utter_thank",
    "deny": "utter_deny",
    "later": "utter_deny",
    "never_mind": "utter_never_mind",
}

# Why a form was left → what follows, and the form to go on with. `start:<form>` goes on with that form.
EXITS: dict[str, Callable[[Context], Awaitable[str | None]]] = {
    "elsewhere": afresh,
    "request_human": to_human,
    "not_understood": not_understood,
    "never_mind": never_mind,
    "emergency": emergency,
    "stop_messages": stop,
    "complaint": complaint,
    "grief": grief,
    "wrong_person": wrong_person,
    "locked": locked,
    "deceased": locked,
    "done": locked,
}

# Rasa intents that one action answers, outside any form; some name a form to go on with.
INTENTS: dict[str, Callable[[Context], Awaitable[str | None]]] = {
    "affirm": yes,
    "request_human": to_human,
    "emergency": emergency,
    "stop_messages": stop,
    "start_messages": start,
    "complaint": complaint,
    "grief": grief,
    "wrong_person": wrong_person,
    **dict.fromkeys(BOUNDARIES, answer_aside),
}
