"""What an action answers when something below it fails: a clear word, or nothing kept and another try."""

from __future__ import annotations

from typing import Any

import pytest
from rasa_sdk import Tracker
from rasa_sdk.events import EventType
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, ProgrammingError

from actions import base
from carethread.ehr.errors import EhrUnavailable


class Action(base.CarethreadAction):
    """Fails with what the test gives it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def name(self) -> str:
        return "action_of_a_test"

    async def turn(self, _ctx: Any, _tracker: Tracker) -> list[EventType]:
        raise self.error


class Turn:
    """As much of a context as a failure needs."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def escalate(self, reason: str, _severity: str, *, details: dict[str, Any]) -> None:
        self.told.append((reason, details))


async def run(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[EventType], Turn]:
    turn = Turn()

    async def context_of(_tracker: Tracker) -> Turn:
        return turn

    monkeypatch.setattr(base, "context_of", context_of)
    dispatcher = CollectingDispatcher()
    tracker = Tracker.from_dict({"sender_id": "riverbend/x", "slots": {}, "events": [], "latest_message": {}})
    events = await Action(error).run(dispatcher, tracker, {})
    return [message["response"] for message in dispatcher.messages], events, turn


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("select 1", {}, Exception("server closed the connection")),
        InterfaceError("select 1", {}, Exception("connection is closed")),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
)
async def test_a_database_that_is_away_is_no_answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(error)):
        await run(error, monkeypatch)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a fault of ours"),
        KeyError("x"),
        IntegrityError("insert", {}, Exception("duplicate key")),
        ProgrammingError("selct", {}, Exception("syntax")),
    ],
)
async def test_a_fault_of_ours_becomes_a_clear_word(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    said, events, turn = await run(error, monkeypatch)
    assert said == ["utter_technical"]
    assert turn.told == [("technical", {"action": "action_of_a_test", "why": "fault"})]
    assert ("active_loop", None) in [(event["event"], event.get("name")) for event in events]


async def test_an_ehr_that_is_away_becomes_a_clear_word(monkeypatch: pytest.MonkeyPatch) -> None:
    said, _, turn = await run(EhrUnavailable("GET Slot: no answer"), monkeypatch)
    assert said == ["utter_ehr_unavailable"]
    assert turn.told == [("technical", {"action": "action_of_a_test", "why": "ehr"})]
