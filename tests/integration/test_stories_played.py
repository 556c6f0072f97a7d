"""Rasa's test stories say what actions return; here the real ones return it. Every story of tests/stories that says who
plays it (`metadata`) goes through gateway, worker, engine, actions and sandbox EHR, and Rasa's tracker must tell it so.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from carethread.bootstrap import programs, utc_now
from carethread.clinic import load_clinics
from carethread.config import PROJECT
from carethread.programs.enrolment import enrol_discharged
from carethread.programs.touchpoints import start_now
from carethread.yamls import parse
from sandbox.talk import Patient
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.stack

# Rasa's annotation of an entity in a story: [heart doctor]{"entity": …} or [knee](body_part).
_ENTITY = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})")


@dataclass(slots=True)
class Turn:
    """One message and what Rasa did about it."""

    text: str | None  # None: the platform's event
    intent: str
    actions: list[str] = field(default_factory=list)
    form: str | None = None  # the one that goes on after this turn
    asks: str | None = None  # the slot it waits for
    left: str | None = None  # why a form was left, where it was


@dataclass(frozen=True, slots=True)
class Story:
    file: str
    name: str
    channel: Any
    patient: str | None
    phone: str | None
    turns: tuple[Turn, ...]


def stories() -> Iterator[Story]:
    for path in sorted((PROJECT / "tests/stories").glob("test_*.yml")):
        for story in parse(path.read_text(encoding="utf-8"))["stories"]:
            if who := story.get("metadata"):
                turns = tuple(_turns(story["steps"]))
                yield Story(path.stem, story["story"], who["channel"], who.get("patient"), who.get("phone"), turns)


def _turns(steps: list[dict[str, Any]]) -> Iterator[Turn]:
    turn: Turn | None = None
    form = asks = None
    for step in steps:
        if "intent" in step:
            if turn:
                yield turn
            text = _ENTITY.sub(r"\1", step["user"]).strip() if "user" in step else None
            turn = Turn(text, step["intent"], form=form, asks=asks)
            continue
        assert turn is not None
        if "action" in step:
            turn.actions.append(step["action"])
        if "active_loop" in step:
            form = turn.form = step["active_loop"]
        for slot in step.get("slot_was_set", ()):
            if "requested_slot" in slot:
                asks = turn.asks = slot["requested_slot"]
            turn.left = slot.get("form_exit") or turn.left
    if turn:
        yield turn


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    """An installation of the stories' own: they change visits of the synthetic clinic's people."""
    async with running_stack() as running:
        yield running


@pytest.fixture(scope="module")
async def ledger(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """The database as its owner sees it: the tracker is the engine's alone."""
    assert stack.supervisor.postgres is not None
    connection = await asyncpg.connect(stack.supervisor.postgres.admin_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("story", stories(), ids=lambda story: f"{story.file.removeprefix('test_')}: {story.name}")
async def test_a_story_goes_as_told(story: Story, stack: Stack, ledger: asyncpg.Connection) -> None:
    async with stack.patient(story.channel, story.patient, phone=story.phone) as patient:
        if patient.address:
            await _forget(ledger, story.channel, patient.address)
        for told in story.turns:
            if told.text is None:
                assert story.patient is not None
                await _check_in(stack, ledger, stack.person(story.patient).patient_id)
                await patient.wait_for_news()
            else:
                await patient.say(told.text)
            happened = await _latest_turn(ledger, patient, told)
            assert happened == told


async def _check_in(stack: Stack, ledger: asyncpg.Connection, patient_id: str) -> None:
    """Begin the check-in as if none had been: another test of this stack may have moved the clock past it."""
    await ledger.execute("delete from questionnaire_run where patient_id = $1", patient_id)
    theirs = "(select id from enrolment where patient_id = $1)"
    await ledger.execute(f"delete from touchpoint where enrolment_id in {theirs}", patient_id)
    await ledger.execute("delete from enrolment where patient_id = $1", patient_id)
    known = programs(stack.settings, load_clinics(stack.settings.clinics_dir))
    await enrol_discharged(stack.database, stack.ehr, stack.clinic, known, now=utc_now())
    assert await start_now(stack.database, stack.ehr, stack.clinic, known, patient_id, now=utc_now())


async def _forget(ledger: asyncpg.Connection, channel: str, address: str) -> None:
    """Stories share their people: each begins as if nobody had proven anything here."""
    await ledger.execute(
        "update conversation set owner = 'assistant', owner_staff_id = null, patient_id = null, verified_at = null, "
        "verification_failures = 0, verification_locked_at = null, last_inbound_at = null "
        "where channel = $1 and address = $2",
        channel,
        address,
    )
    await ledger.execute(
        "delete from engine.tracker where sender_id in "
        "(select tenant_id || '/' || id from conversation where channel = $1 and address = $2)",
        channel,
        address,
    )


async def _latest_turn(ledger: asyncpg.Connection, patient: Patient, told: Turn) -> Turn:
    """The turn after the latest message in the engine's tracker."""
    conversation = await patient.conversation()
    assert conversation is not None
    sender = f"{patient.clinic.id}/{conversation.id}"
    stored = await ledger.fetchval("select events from engine.tracker where sender_id = $1", sender)
    assert stored, "the message never reached Rasa"
    events: list[dict[str, Any]] = json.loads(stored)
    turn = Turn(None, "")
    for event in events:
        match event["event"]:
            case "user":
                said = None if told.text is None else event["text"]
                turn = Turn(said, event["parse_data"]["intent"]["name"], form=turn.form, asks=turn.asks)
            case "action" if event["name"] not in ("action_listen", "action_session_start"):
                turn.actions.append(event["name"])
            case "active_loop":
                turn.form = event["name"]
            case "slot" if event["name"] == "requested_slot":
                turn.asks = event["value"]
            case "slot" if event["name"] == "form_exit":
                turn.left = event["value"] or turn.left
    return turn


def test_stories_that_cannot_be_played_say_why() -> None:
    """A story without `metadata` would be believed rather than tried."""
    silent = []
    for path in sorted(Path(PROJECT / "tests/stories").glob("test_*.yml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("  - story: ") and "metadata:" not in lines[number + 1]:
                above = " ".join(lines[max(0, number - 2) : number])
                if "Not played" not in above:
                    silent.append(f"{path.name}:{number + 1}: {line.strip()}")
    assert silent == []
