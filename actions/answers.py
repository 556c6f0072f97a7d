"""Actions outside any form: to a human and out, boundaries, repeating, and what was not understood."""

from __future__ import annotations

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, FollowupAction

from actions.base import CarethreadAction
from carethread.conversations.context import Context
from carethread.conversations.handoff import INTENTS, not_understood
from carethread.conversations.identity import introduces
from carethread.conversations.repeat import say_again


class ActionHandle(CarethreadAction, Action):
    """What needs more than words: the intent says which (`carethread.conversations.handoff.INTENTS`)."""

    def name(self) -> str:
        return "action_handle"

    async def turn(self, ctx: Context, _tracker: Tracker) -> list[EventType]:
        following = await INTENTS.get(ctx.intent, not_understood)(ctx)
        return [FollowupAction(following)] if following else []


class ActionRepeat(CarethreadAction, Action):
    def name(self) -> str:
        return "action_repeat"

    async def turn(self, ctx: Context, _tracker: Tracker) -> list[EventType]:
        await say_again(ctx)
        return []


class ActionNotUnderstood(CarethreadAction, Action):
    """Asks once, then offers choices, then a human: never a dead end."""

    def name(self) -> str:
        return "action_not_understood"

    async def turn(self, ctx: Context, tracker: Tracker) -> list[EventType]:
        if introduces(ctx):
            return [FollowupAction("identify_form")]
        match _times_in_a_row(tracker, self.name()):
            case 0:
                ctx.say("utter_out_of_scope" if ctx.intent == "out_of_scope" else "utter_not_understood")
            case 1:
                ctx.say("utter_not_understood_choices")
            case _:
                await not_understood(ctx)
        return []


def _times_in_a_row(tracker: Tracker, action: str) -> int:
    """In how many of the latest turns, one after the other, `action` ran (this turn left out)."""
    count, seen, first = 0, False, True
    for event in reversed(tracker.events):
        if event.get("event") == "action" and event.get("name") == action:
            seen = True
        elif event.get("event") == "user":
            if first:
                first, seen = False, False
                continue
            if not seen:
                break
            count, seen = count + 1, False
    return count
