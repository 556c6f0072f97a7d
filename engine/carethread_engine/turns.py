"""One turn of a conversation: taken once for each message id, kept whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rasa.core.actions.action import Action, ActionExecutionRejection
from rasa.core.channels.channel import OutputChannel, UserMessage
from rasa.core.nlg.generator import NaturalLanguageGenerator
from rasa.core.policies.policy import PolicyPrediction
from rasa.core.processor import MessageProcessor
from rasa.shared.constants import INTENT_MESSAGE_PREFIX
from rasa.shared.core.constants import ACTION_LISTEN_NAME, EXTERNAL_MESSAGE_PREFIX, IS_EXTERNAL
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, BotUttered, ConversationResumed, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from carethread_engine.faults import ActionFailed, note, watching

LANGUAGE_SLOT = "language"
# On what the assistant said: the message it answers, so that a repeated message finds its replies.
TURN = "turn"


@dataclass(frozen=True)
class PlatformEvent:
    """Something the platform starts, like a check-in: an intent that nobody wrote, with what it is about."""

    name: str
    entities: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class TurnRequest:
    """One message of a conversation. `sender` is `<tenant>/<conversation id>`."""

    sender: str
    message_id: str
    channel: str
    text: str = ""
    language: str | None = None
    event: PlatformEvent | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """What the message was taken for, and what is said back: content keys with their parameters."""

    messages: tuple[Mapping[str, Any], ...]
    intent: Mapping[str, Any]
    entities: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        return {"messages": list(self.messages), "intent": dict(self.intent), "entities": list(self.entities)}


class Unsent(OutputChannel):
    """Where Rasa puts what it says: nowhere. Replies are read from the conversation once it is kept."""

    def __init__(self, channel: str) -> None:
        self._channel = channel

    def name(self) -> str:  # type: ignore[override]  # by instance: the platform's channel, not our class's
        return self._channel

    async def send_response(self, recipient_id: str, message: dict[str, Any]) -> None:
        return None


class TurnProcessor(MessageProcessor):
    """Rasa's processor, except that a turn in which anything failed is not kept."""

    async def take(self, request: TurnRequest) -> Turn:
        """Take the turn, or return the one that this message id already got. The caller holds the conversation's lock.

        Raises `ActionFailed` when an action failed, even where Rasa would go on without it.
        """
        tracker = await self.get_tracker(request.sender)
        taken = recorded_turn(tracker.events, request.message_id)
        if taken:
            return taken
        before = len(tracker.events)
        with watching() as faults:
            tracker = await self._converse(tracker, request)
        if faults:
            raise ActionFailed("; ".join(faults))
        for event in islice(tracker.events, before, None):
            if isinstance(event, BotUttered):
                event.metadata = {**event.metadata, TURN: request.message_id}
        turn = recorded_turn(tracker.events, request.message_id)
        if turn is None:
            raise ActionFailed("an action removed the message from the conversation")
        await self.save_tracker(tracker)
        return turn

    async def _converse(self, tracker: DialogueStateTracker, request: TurnRequest) -> DialogueStateTracker:
        output = Unsent(request.channel)
        await self._update_tracker_session(tracker, output)
        for event in preparations(tracker, request):
            tracker.update(event, self.domain)
        if request.event:
            tracker.update(external_message(request, request.event), self.domain)
        else:
            await self._handle_message_with_tracker(human_message(request, output), tracker)
        tracker = await self.run_action_extract_slots(output, tracker)
        await self._run_prediction_loop(output, tracker)
        return tracker

    async def _run_action(
        self,
        action: Action,
        tracker: DialogueStateTracker,
        output_channel: OutputChannel,
        nlg: NaturalLanguageGenerator,
        prediction: PolicyPrediction,
    ) -> bool:
        return await super()._run_action(_Witnessed(action), tracker, output_channel, nlg, prediction)


class _Witnessed(Action):
    """An action whose failure is noted before Rasa swallows it."""

    def __init__(self, action: Action) -> None:
        self._action = action

    def name(self) -> str:
        return self._action.name()

    async def run(
        self,
        output_channel: OutputChannel,
        nlg: NaturalLanguageGenerator,
        tracker: DialogueStateTracker,
        domain: Domain,
    ) -> list[Event]:
        try:
            return await self._action.run(output_channel, nlg, tracker, domain)
        except ActionExecutionRejection:
            raise
        except Exception as error:
            note(self.name(), error)
            raise

    def event_for_successful_execution(self, prediction: PolicyPrediction) -> Event:
        return self._action.event_for_successful_execution(prediction)


def preparations(tracker: DialogueStateTracker, request: TurnRequest) -> list[Event]:
    """What has to be true before the message is read."""
    events: list[Event] = []
    if tracker.is_paused():
        # Who speaks to the patient is settled on the platform. It asks us only when it is our turn, so a pause
        # left over here would be silence for ever.
        events.append(ConversationResumed())
        if tracker.latest_action_name != ACTION_LISTEN_NAME:  # the pause came before Rasa listened again
            events.append(ActionExecuted(ACTION_LISTEN_NAME))
    slot = tracker.slots.get(LANGUAGE_SLOT)
    if slot is not None and request.language and slot.value != request.language:
        events.append(SlotSet(LANGUAGE_SLOT, request.language))
    return events


def human_message(request: TurnRequest, output: OutputChannel) -> UserMessage:
    return UserMessage(
        text_of_a_human(request.text),
        output,
        request.sender,
        input_channel=request.channel,
        message_id=request.message_id,
        metadata=metadata_of(request),
    )


def external_message(request: TurnRequest, event: PlatformEvent) -> UserUttered:
    return UserUttered(
        text=f"{EXTERNAL_MESSAGE_PREFIX}{event.name}",
        intent={"name": event.name, "confidence": 1.0},
        entities=[dict(entity) for entity in event.entities],
        input_channel=request.channel,
        message_id=request.message_id,
        metadata={**metadata_of(request), IS_EXTERNAL: True, "event": _as_json(event)},
    )


def metadata_of(request: TurnRequest) -> dict[str, Any]:
    """What actions read about the message: `message_id` is the root of every idempotency key."""
    return {
        **request.metadata,
        "message_id": request.message_id,
        "channel": request.channel,
        "language": request.language,
    }


def text_of_a_human(text: str) -> str:
    """A leading slash is how Rasa spells a command; from a person it is only a slash.

    >>> text_of_a_human('  /restart'), text_of_a_human('//stop{"a": 1}'), text_of_a_human('7/10')
    ('restart', 'stop{"a": 1}', '7/10')
    """
    stripped = text.strip()
    while stripped.startswith(INTENT_MESSAGE_PREFIX):
        stripped = stripped[len(INTENT_MESSAGE_PREFIX) :].lstrip()
    return stripped


def recorded_turn(events: Iterable[Event], message_id: str) -> Turn | None:
    """The turn that this message got, from the conversation's events; None when it has had none."""
    message: UserUttered | None = None
    said: list[Mapping[str, Any]] = []
    for event in events:
        if isinstance(event, UserUttered) and event.message_id == message_id:
            message = message or event  # an action may repeat the event to correct its intent
        elif isinstance(event, BotUttered) and event.metadata.get(TURN) == message_id:
            said.append(reply(event))
    if message is None:
        return None
    return Turn(
        messages=tuple(said),
        intent={"name": message.intent.get("name"), "confidence": message.intent.get("confidence", 1.0)},
        entities=tuple(
            {name: entity[name] for name in ("entity", "value", "start", "end") if name in entity}
            for entity in message.entities
        ),
    )


def reply(event: BotUttered) -> dict[str, Any]:
    """What was said, flat: `text`, `key`, `parameters`, and what else the action put beside them."""
    custom = event.data.get("custom") or {}
    quick_replies = event.data.get("quick_replies") or event.data.get("buttons")
    return {
        **({"quick_replies": quick_replies} if quick_replies else {}),
        **custom,
        "text": event.text or "",
        "key": custom.get("key") or event.metadata.get("utter_action"),
        "parameters": custom.get("parameters") or {},
    }


def _as_json(event: PlatformEvent) -> dict[str, Any]:
    return {"name": event.name, "entities": [dict(entity) for entity in event.entities]}
