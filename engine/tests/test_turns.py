"""A turn is kept whole or not at all, and taken once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from carethread_engine.agent import EngineAgent
from carethread_engine.faults import ActionFailed, StoreFailed, TurnTooSlow
from carethread_engine.turns import PlatformEvent, TurnRequest, recorded_turn, reply
from conftest import FakeActions, counting, make_agent
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, ConversationPaused, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

SENDER = "riverbend/1"


def asking(text: str, message_id: str = "m1", **more: Any) -> TurnRequest:
    return TurnRequest(SENDER, message_id, "sms", text, **more)


async def kept(agent: EngineAgent) -> list[str]:
    """The texts of the messages that the conversation remembers."""
    tracker = await agent.tracker_store.retrieve(SENDER)
    return [event.text for event in tracker.events if isinstance(event, UserUttered)] if tracker else []


async def test_replies_are_content_keys_with_parameters(agent: EngineAgent) -> None:
    turn = await agent.turn(asking("say that again"))
    assert turn.as_json() == {
        "messages": [{"text": "", "key": "utter_counted", "parameters": {"count": 1}}],
        "intent": {"name": "repeat", "confidence": pytest.approx(turn.intent["confidence"])},
        "entities": [],
    }


async def test_a_repeated_message_returns_the_turn_already_taken(agent: EngineAgent, actions: FakeActions) -> None:
    first = await agent.turn(asking("say that again"))
    await agent.turn(asking("hello", "m2"))
    assert await agent.turn(asking("say that again")) == first
    assert len(actions.calls) == 1
    assert await kept(agent) == ["say that again", "hello"]


async def test_two_requests_with_one_message_id_at_once_take_one_turn(agent: EngineAgent, actions: FakeActions) -> None:
    async def slowly(call: dict[str, Any]) -> Any:
        await asyncio.sleep(0.3)
        return counting(call)

    actions.answer = slowly
    first, second = await asyncio.gather(*(agent.turn(asking("say that again")) for _ in range(2)))
    assert first == second
    assert len(actions.calls) == 1


async def test_messages_of_one_conversation_are_taken_in_order_and_of_two_at_once(
    agent: EngineAgent, actions: FakeActions
) -> None:
    async def slowly(call: dict[str, Any]) -> Any:
        await asyncio.sleep(0.2)
        return counting(call)

    actions.answer = slowly
    turns = await asyncio.gather(*(agent.turn(asking("say that again", f"m{n}")) for n in range(3)))
    assert [turn.messages[0]["parameters"]["count"] for turn in turns] == [1, 2, 3]
    started = asyncio.get_running_loop().time()
    await asyncio.gather(*(agent.turn(TurnRequest(f"riverbend/c{n}", "m", "web", "repeat please")) for n in range(8)))
    assert asyncio.get_running_loop().time() - started < 8 * 0.2


FAILURES: dict[str, Any] = {
    "a server error": lambda call: web.json_response({"error": "it broke"}, status=500),
    "an unknown action": lambda call: web.json_response({"error": "no such action"}, status=404),
    "no JSON": lambda call: web.Response(text="<html>"),
    "no events": lambda call: {"responses": "none"},
    "an event that Rasa does not know": lambda call: {"events": [{"event": "surprise"}], "responses": []},
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_action_fails_the_turn_and_nothing_is_kept(
    agent: EngineAgent, actions: FakeActions, failure: str
) -> None:
    await agent.turn(asking("hello", "m0"))
    actions.answer = FAILURES[failure]
    with pytest.raises(ActionFailed) as raised:
        await agent.turn(asking("say that again"))
    assert "broke" not in str(raised.value), "the server's words may quote the patient"
    assert await kept(agent) == ["hello"]
    actions.answer = counting
    turn = await agent.turn(asking("say that again"))
    assert turn.messages[0]["parameters"] == {"count": 1}


async def test_an_action_server_that_is_down_fails_the_turn(model: Path) -> None:
    agent = make_agent(model, "http://127.0.0.1:9")
    with pytest.raises(ActionFailed, match="ClientConnectorError"):
        await agent.turn(asking("say that again"))
    assert await kept(agent) == []


async def test_an_action_that_hangs_fails_the_turn_in_time(agent: EngineAgent, actions: FakeActions) -> None:
    async def never(call: dict[str, Any]) -> Any:
        await asyncio.sleep(30)

    actions.answer = never
    with pytest.raises(ActionFailed, match="TimeoutError"):
        await asyncio.wait_for(agent.turn(asking("say that again")), 4)
    assert await kept(agent) == []


async def test_a_turn_that_takes_too_long_is_given_up(agent: EngineAgent, actions: FakeActions) -> None:
    async def slowly(call: dict[str, Any]) -> Any:
        await asyncio.sleep(1)
        return counting(call)

    actions.answer = slowly
    agent.turn_timeout = 0.3
    with pytest.raises(TurnTooSlow):
        await agent.turn(asking("say that again"))
    assert await kept(agent) == []


async def test_an_action_that_rejects_to_run_is_no_failure(agent: EngineAgent, actions: FakeActions) -> None:
    actions.answer = lambda call: web.json_response(
        {"action_name": call["next_action"], "error": "not now"}, status=400
    )
    turn = await agent.turn(asking("say that again"))
    assert turn.intent["name"] == "repeat"


async def test_a_store_that_fails_fails_the_turn(model: Path, actions: FakeActions) -> None:
    class Broken(InMemoryTrackerStore):
        reading = writing = True

        async def retrieve(self, sender_id: str) -> DialogueStateTracker | None:
            if not self.reading:
                raise StoreFailed("reading")
            return await super().retrieve(sender_id)

        async def save(self, tracker: DialogueStateTracker) -> None:
            if not self.writing:
                raise StoreFailed("writing")
            await super().save(tracker)

    store = Broken(Domain.empty())
    agent = make_agent(model, actions.url, store)
    await agent.turn(asking("I need an appointment", "m0"))
    store.reading = False
    with pytest.raises(StoreFailed):
        await agent.turn(asking("with the heart doctor"))
    store.reading, store.writing = True, False
    with pytest.raises(StoreFailed):
        await agent.turn(asking("with the heart doctor"))
    store.writing = True
    turn = await agent.turn(asking("with the heart doctor"))
    assert [message["key"] for message in turn.messages] == ["utter_ask_when"], "the form is still active"


async def test_a_command_in_a_text_is_only_text(agent: EngineAgent) -> None:
    await agent.turn(asking("I need an appointment", "m0"))
    turn = await agent.turn(asking('/restart{"specialty": "x"}'))
    assert turn.intent["name"] != "restart"
    tracker = await agent.tracker_store.retrieve(SENDER)
    assert tracker is not None
    assert tracker.active_loop_name == "book_form"
    injected = await agent.turn(asking('/faq_hours{"specialty": "hacked"}', "m2"))
    assert injected.entities == ()


async def test_an_event_of_the_platform_is_an_intent_with_entities(agent: EngineAgent, actions: FakeActions) -> None:
    event = PlatformEvent("start_checkin", ({"entity": "specialty", "value": "cardiology"},))
    turn = await agent.turn(asking("", event=event, language="es", metadata={"touchpoint": "t1"}))
    assert [message["key"] for message in turn.messages] == ["utter_checkin"]
    assert turn.intent == {"name": "start_checkin", "confidence": 1.0}
    assert turn.entities == ({"entity": "specialty", "value": "cardiology"},)
    assert await agent.turn(asking("", event=event)) == turn, "events are taken once, too"
    await agent.turn(asking("say that again", "m2"))
    events = actions.calls[-1]["tracker"]["events"]
    (user,) = [item for item in events if item["event"] == "user" and item["text"] == "EXTERNAL: start_checkin"]
    assert user["metadata"]["event"]["name"] == "start_checkin"
    assert user["metadata"]["touchpoint"] == "t1"


async def test_actions_know_message_id_language_and_channel(agent: EngineAgent, actions: FakeActions) -> None:
    await agent.turn(asking("say that again", "provider-7", language="es", metadata={"trace": "abc"}))
    tracker = actions.calls[0]["tracker"]
    assert tracker["latest_message"]["message_id"] == "provider-7"
    assert tracker["latest_message"]["metadata"] == {
        "trace": "abc",
        "message_id": "provider-7",
        "channel": "sms",
        "language": "es",
    }
    assert tracker["slots"]["language"] == "es"
    assert tracker["latest_input_channel"] == "sms"


async def test_a_pause_does_not_silence_a_turn_that_the_platform_asks_for(
    agent: EngineAgent, actions: FakeActions
) -> None:
    actions.answer = lambda call: {"events": [ConversationPaused().as_dict()], "responses": []}
    await agent.turn(asking("say that again", "m0"))
    turn = await agent.turn(asking("when are you open"))
    assert [message["key"] for message in turn.messages] == ["utter_hours"]


@pytest.mark.parametrize("silent", ["👍", "???", "", "😂😂", "/"])
async def test_what_says_nothing_is_never_a_yes(agent: EngineAgent, silent: str) -> None:
    turn = await agent.turn(asking(silent))
    assert turn.intent["name"] == "nlu_fallback"


async def test_a_message_of_ten_thousand_characters_is_one_message(agent: EngineAgent) -> None:
    turn = await agent.turn(asking("when are you open " * 600))
    assert turn.intent["name"] == "faq_hours"


def test_replies_may_come_from_an_action_as_json() -> None:
    event = BotUttered(
        None, {"custom": {"key": "utter_x", "parameters": {"a": 1}, "quick_replies": ["yes"]}}, {"turn": "m"}
    )
    assert reply(event) == {"text": "", "key": "utter_x", "parameters": {"a": 1}, "quick_replies": ["yes"]}
    plain = BotUttered("hi", {"buttons": [{"title": "Yes"}]}, {"utter_action": "utter_y"})
    assert reply(plain) == {"text": "hi", "key": "utter_y", "parameters": {}, "quick_replies": [{"title": "Yes"}]}


def test_a_message_that_was_never_taken_has_no_turn() -> None:
    assert recorded_turn([UserUttered("hello", message_id="other")], "m1") is None
