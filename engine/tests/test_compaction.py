"""A conversation that forgets old turns goes on exactly as one that forgets nothing."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from carethread_engine.agent import EngineAgent
from carethread_engine.compaction import State, compact, split
from carethread_engine.turns import PlatformEvent, TurnRequest
from conftest import FakeActions, make_agent
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActiveLoop,
    BotUttered,
    Event,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

LAST = 4
STORY = 6  # StoryPolicy's max_history in config.yml
SENDER = "riverbend/1"

SAID = [
    "hello",
    "thank you",
    "yes",
    "when are you open",
    "where can I park",
    "what is your address",
    "say that again",
    "I need an appointment",
    "with the heart doctor",
    "next tuesday",
    "for my knee",
    "order a pizza",
    "forget it",
    "👍",
]


class Forgetful(InMemoryTrackerStore):
    """Compacts at every save, harder than the real one."""

    async def save(self, tracker: DialogueStateTracker) -> None:
        kept = DialogueStateTracker.from_events(
            tracker.sender_id, compact(list(tracker.events), self.domain.slots, LAST, STORY), self.domain.slots
        )
        await super().save(kept)


async def state_of(agent: EngineAgent) -> tuple[Any, ...]:
    tracker = await agent.tracker_store.retrieve(SENDER)
    assert tracker is not None
    loop = tracker.active_loop
    trigger = (loop.trigger_message or {}).get("intent", {}).get("name") if loop else None
    last = tracker.latest_message.text if tracker.latest_message else None
    return (
        tracker.current_slot_values(),
        tracker.active_loop_name,
        tracker.is_active_loop_rejected,
        trigger,
        tracker.latest_action_name,
        last,
    )


@pytest.mark.parametrize("seed", range(6))
async def test_random_conversations_go_on_the_same(model: Any, actions: FakeActions, seed: int) -> None:
    remembering = make_agent(model, actions.url, InMemoryTrackerStore(Domain.empty()))
    forgetting = make_agent(model, actions.url, Forgetful(Domain.empty()))
    choose = random.Random(seed)  # noqa: S311
    longest = 0
    for number in range(60):
        event = PlatformEvent("start_checkin") if choose.random() < 0.05 else None
        request = TurnRequest(
            SENDER, f"m{number}", "web", choose.choice(SAID), language=choose.choice(["en", "es"]), event=event
        )
        expected = await remembering.turn(request)
        found = await forgetting.turn(request)
        assert found == expected, f"turn {number}: {request.text}"
        assert await state_of(forgetting) == await state_of(remembering), f"turn {number}: {request.text}"
        tracker = await forgetting.tracker_store.retrieve(SENDER)
        assert tracker is not None
        longest = max(longest, sum(isinstance(event, UserUttered) for event in tracker.events))
    assert longest <= 2 * LAST + STORY + 1 + 1, "the last, those of stories, of a form and of reverts"


async def test_a_long_form_keeps_its_trigger_and_its_answers(model: Any, actions: FakeActions) -> None:
    agent = make_agent(model, actions.url, Forgetful(Domain.empty()))
    await agent.turn(TurnRequest(SENDER, "start", "web", "I need an appointment"))
    await agent.turn(TurnRequest(SENDER, "who", "web", "with the heart doctor"))
    for number in range(30):
        turn = await agent.turn(TurnRequest(SENDER, f"m{number}", "web", "when are you open"))
        assert [message["key"] for message in turn.messages] == ["utter_hours", "utter_ask_when"]
    slots, loop, _, trigger, *_ = await state_of(agent)
    assert (loop, trigger, slots["specialty"], slots["asked_to_book"]) == (
        "book_form",
        "book_appointment",
        "cardiology",
        True,
    )
    await agent.turn(TurnRequest(SENDER, "when", "web", "next tuesday"))
    turn = await agent.turn(TurnRequest(SENDER, "why", "web", "for my knee"))
    assert [message["key"] for message in turn.messages] == ["utter_booked"]


async def test_a_first_greeting_stays_the_first_after_forgetting(model: Any, actions: FakeActions) -> None:
    agent = make_agent(model, actions.url, Forgetful(Domain.empty()))
    first = await agent.turn(TurnRequest(SENDER, "0", "web", "hello"))
    assert [message["key"] for message in first.messages] == ["utter_first"]
    for number in range(20):
        await agent.turn(TurnRequest(SENDER, f"m{number}", "web", "when are you open"))
    again = await agent.turn(TurnRequest(SENDER, "again", "web", "hello"))
    assert [message["key"] for message in again.messages] == ["utter_default"]


async def test_a_story_goes_on_over_turns_that_only_rules_saw(model: Any, actions: FakeActions) -> None:
    agent = make_agent(model, actions.url, Forgetful(Domain.empty()))
    await agent.turn(TurnRequest(SENDER, "0", "web", "where can I park"))
    for number in range(20):
        await agent.turn(TurnRequest(SENDER, f"m{number}", "web", "when are you open"))
    turn = await agent.turn(TurnRequest(SENDER, "thanks", "web", "thank you"))
    assert [message["key"] for message in turn.messages] == ["utter_tell_more"]


def a_turn(number: int, *more: Event) -> list[Event]:
    listen = ActionExecuted("action_listen", timestamp=number + 0.9)
    return [UserUttered(f"text {number}", {"name": "inform"}, timestamp=float(number)), *more, listen]


def conversation(*turns: list[Event]) -> list[Event]:
    opening: list[Event] = [ActionExecuted("action_session_start"), SessionStarted(), ActionExecuted("action_listen")]
    return [*opening, *(event for turn in turns for event in turn)]


def test_few_turns_are_left_alone(domain: Domain) -> None:
    events = conversation(*(a_turn(number) for number in range(LAST)))
    assert compact(events, domain.slots, LAST, 0) == events


def test_what_dropped_turns_set_stands_in_their_place(domain: Domain) -> None:
    events = conversation(
        a_turn(0, SlotSet("when", "monday"), SlotSet("reason", "knee")),
        a_turn(1, SlotSet("when", "tuesday")),
        a_turn(2, SlotSet("reason", None)),
        *(a_turn(number) for number in range(3, 9)),
    )
    kept = compact(events, domain.slots, 2, 0)
    assert [event.text for event in kept if isinstance(event, UserUttered)] == ["text 7", "text 8"]
    assert [(event.key, event.value) for event in kept if isinstance(event, SlotSet)] == [("when", "tuesday")]
    assert all(one.timestamp <= other.timestamp for one, other in pairwise(kept[3:]))


def test_compacting_again_changes_nothing(domain: Domain) -> None:
    events = conversation(*(a_turn(number, SlotSet("when", str(number))) for number in range(12)))
    once = compact(events, domain.slots, 3, 0)
    assert compact(once, domain.slots, 3, 0) == once


def test_a_revert_keeps_the_turns_that_it_reaches(domain: Domain) -> None:
    undo = [UserUtteranceReverted(), UserUtteranceReverted()]
    events = conversation(*(a_turn(number) for number in range(8)), a_turn(8, *undo), a_turn(9))
    kept = compact(events, domain.slots, 2, 0)
    assert [event.text for event in kept if isinstance(event, UserUttered)] == ["text 6", "text 7", "text 8", "text 9"]


def test_a_loop_that_ended_among_dropped_turns_is_not_active(domain: Domain) -> None:
    events = conversation(
        a_turn(0, ActionExecuted("book_form"), ActiveLoop("book_form")),
        a_turn(1),
        a_turn(2, ActionExecuted("action_deactivate_loop"), ActiveLoop(None)),
        *(a_turn(number) for number in range(3, 9)),
    )
    kept = compact(events, domain.slots, 2, 1)
    _, turns = split(kept, list(domain.slots))
    assert turns[-1].after == State({slot.name: slot.initial_value for slot in domain.slots}, None, False)


def test_replies_of_kept_turns_stay_for_repeated_messages(domain: Domain) -> None:
    events = conversation(
        *(a_turn(number, BotUttered(str(number), metadata={"turn": str(number)})) for number in range(9))
    )
    kept = compact(events, domain.slots, 3, 0)
    assert [event.text for event in kept if isinstance(event, BotUttered)] == ["6", "7", "8"]
