"""What all actions share: from Rasa's tracker to a `Context` and back, and no exception ever."""

from __future__ import annotations

import traceback
import uuid
from typing import Any

import structlog
from rasa_sdk import Tracker
from rasa_sdk.events import ActiveLoop, EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from carethread.conversations.context import Context, Parts, load_conversation
from carethread.ehr.errors import EhrError

log = structlog.get_logger()

_parts: Parts | None = None


def use(parts: Parts) -> None:
    """Give the actions what they work with. Called once by the process, and by tests."""
    global _parts
    _parts = parts


async def context_of(tracker: Tracker) -> Context:
    """The turn that Rasa's `tracker` is in; raises when the sender is no conversation of ours."""
    if _parts is None:
        raise RuntimeError("the actions have no parts: start them with `carethread actions`")
    tenant, _, conversation_id = str(tracker.sender_id).partition("/")
    clinic = _parts.clinics[tenant]
    conversation = await load_conversation(_parts.database, tenant, uuid.UUID(conversation_id))
    message: dict[str, Any] = tracker.latest_message or {}
    metadata: dict[str, Any] = message.get("metadata") or {}
    intent: dict[str, Any] = message.get("intent") or {}
    return Context(
        parts=_parts,
        clinic=clinic,
        conversation=conversation,
        message_id=str(message.get("message_id") or metadata.get("message_id") or ""),
        language=metadata.get("language") or conversation.language,
        text=message.get("text") or "",
        intent=intent.get("name") or "",
        confidence=float(intent.get("confidence") or 0.0),
        now=_parts.clock().astimezone(clinic.zone),
        slots=dict(tracker.slots),
        event=metadata.get("event") or {},
        entities=frozenset(str(entity["entity"]) for entity in message.get("entities") or () if "entity" in entity),
    )


class CarethreadAction:
    """Mixed into an action: it answers whatever happens: an EHR that is down or a fault of ours becomes a clear word.

    rasa-sdk registers every subclass of `Action`, so what is shared is not one itself.
    """

    def name(self) -> str:
        raise NotImplementedError

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> list[EventType]:
        ctx: Context | None = None
        try:
            ctx = await context_of(tracker)
            events = await self.turn(ctx, tracker)
        except EhrError as error:
            log.warning("action_ehr_failed", action=self.name(), error=type(error).__name__)
            return await self._apologise(dispatcher, ctx, "utter_ehr_unavailable", "ehr")
        except Exception as error:
            if ctx is None or database_away(error):
                # The turn is not kept, and the message tried again: what is done already is not done twice.
                log.warning("action_put_off", action=self.name(), error=type(error).__name__)
                raise
            log.error(
                "action_failed",
                action=self.name(),
                error=type(error).__name__,
                frames=traceback.format_tb(error.__traceback__),
            )
            return await self._apologise(dispatcher, ctx, "utter_technical", "fault")
        for say in ctx.says:
            dispatcher.utter_message(response=say.key, **say.parameters)
        return events + [SlotSet(slot, ctx.slots[slot]) for slot in sorted(ctx.changed)]

    async def turn(self, ctx: Context, tracker: Tracker) -> list[EventType]:
        """Do the action's work on `ctx`; returns events besides the slots that it changed."""
        raise NotImplementedError

    async def _apologise(
        self, dispatcher: CollectingDispatcher, ctx: Context | None, key: str, why: str
    ) -> list[EventType]:
        """Say that it did not work, tell staff, and leave whatever form this was in."""
        if ctx is not None:
            await ctx.escalate("technical", "soon", details={"action": self.name(), "why": why})
        dispatcher.utter_message(response=key)
        return [SlotSet("form_exit", "failed"), SlotSet("requested_slot", None), ActiveLoop(None)]


def database_away(error: Exception) -> bool:
    """Whether it is the database's absence that failed the action, not what was asked of it."""
    mistakes = (IntegrityError, ProgrammingError, DataError)
    return isinstance(error, (DBAPIError, OSError)) and not isinstance(error, mistakes)
