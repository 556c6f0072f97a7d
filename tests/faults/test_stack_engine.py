"""The engine or the actions die, hang or crawl in the middle of a turn.

What must hold: the patient hears soon that it takes longer, the answer comes once, red flags and STOP need neither.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from carethread.escalation.ladder import HISTORY
from sandbox.talk import Patient
from tests.rig import PATIENCE, QUESTIONS, Rig

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PARK, HOURS = list(QUESTIONS)[:2]
# Longer than the engine's patience with the actions, and the worker's with the engine (tests/rig.py: WAITS).
LONGER_THAN_A_TURN = 13.0


async def a_patient(rig: Rig) -> Patient:
    """Somebody who has said hello, so that the introduction is behind them."""
    patient = await rig.talk()
    assert (await patient.say("hello", timeout=PATIENCE))[-1].key == "utter_greet"
    return patient


async def holding(rig: Rig, patient: Patient) -> float:
    """Wait for the word that it takes longer; returns the seconds until then."""
    began = time.monotonic()
    conversation = await rig.conversation(patient)

    async def said() -> bool:
        return "utter_holding" in await rig.keys(conversation.id)

    await rig.until(said, timeout=30, what="a word that it takes longer")
    return time.monotonic() - began


@pytest.mark.parametrize("victim", ["engine", "actions"])
async def test_killed_in_the_middle_of_a_turn(rig: Rig, victim: str) -> None:
    """Frozen first, so that the turn is surely under way when the process dies."""
    patient = await a_patient(rig)
    conversation = await rig.conversation(patient)
    rig.freeze(victim)
    # Saying again is an action of ours, so that both processes have a part in the turn.
    sent = await patient.send("can you say that again please?")
    await rig.in_the_engine(conversation.id)
    await asyncio.sleep(1)
    rig.kill(victim)
    said = await patient.answer(sent, timeout=PATIENCE)
    assert [one.key for one in said if one.key != "utter_holding"] == ["utter_greet"]
    await rig.answered_once(conversation.id, ["utter_greet", "utter_greet"])
    assert [row.reason for row in await rig.escalations(conversation.id)] == []


@pytest.mark.parametrize("victim", ["engine", "actions"])
async def test_hangs_for_longer_than_anybody_waits(rig: Rig, victim: str) -> None:
    """The first try is given up; the turn may have been taken by then, and must not be taken twice."""
    patient = await a_patient(rig)
    conversation = await rig.conversation(patient)
    rig.freeze(victim)
    sent = await patient.send("can you say that again please?")
    assert await holding(rig, patient) < 10
    await asyncio.sleep(LONGER_THAN_A_TURN)
    [row] = [row for row in await rig.inbox(conversation.id) if row.done_at is None]
    assert row.attempts >= 1
    rig.thaw(victim)
    said = await patient.answer(sent, timeout=PATIENCE)
    assert [one.key for one in said] == ["utter_holding", "utter_greet"]
    await rig.answered_once(conversation.id, ["utter_greet", "utter_greet"])


async def test_a_slow_turn_is_waited_for_and_said_so_once(rig: Rig) -> None:
    patient = await a_patient(rig)
    conversation = await rig.conversation(patient)
    rig.freeze("engine")
    sent = await patient.send(PARK)
    await holding(rig, patient)
    await asyncio.sleep(1)
    rig.thaw("engine")
    assert [one.key for one in await patient.answer(sent, timeout=PATIENCE)] == ["utter_holding", "utter_faq_parking"]
    await rig.answered_once(conversation.id, ["utter_greet", "utter_faq_parking"])
    [row] = [row for row in await rig.inbox(conversation.id) if row.text == PARK]
    assert row.attempts == 0


async def test_messages_wait_in_line_while_the_engine_starts_again(rig: Rig) -> None:
    patients = [await a_patient(rig) for _ in range(3)]
    rig.kill("engine")
    for text in QUESTIONS:
        for patient in patients:
            await patient.send(text)
    for patient in patients:
        conversation = await rig.conversation(patient)
        await rig.settled(conversation.id, 1 + len(QUESTIONS))
        await rig.answered_once(conversation.id, ["utter_greet", *QUESTIONS.values()])
        # One word each that it takes longer would be six; it is said for those that waited, once a message at most.
        assert (await rig.keys(conversation.id)).count("utter_holding") <= len(QUESTIONS)


@pytest.mark.parametrize("victim", ["engine", "actions"])
async def test_red_flags_and_stop_need_neither(rig: Rig, victim: str) -> None:
    hurt, done = await a_patient(rig), await a_patient(rig)
    rig.freeze(victim)
    before = await hurt.send("can you say that again please?")
    began = time.monotonic()
    flag = await hurt.send("now my chest hurts and I can't breathe")

    async def warned() -> bool:
        return "utter_safety_emergency" in await rig.keys((await rig.conversation(hurt)).id)

    await rig.until(warned, timeout=10, what="the emergency guidance")
    assert (await done.say("STOP", timeout=10))[-1].key == "utter_stopped"
    assert time.monotonic() - began < 10
    [alarm] = await rig.escalations((await rig.conversation(hurt)).id)
    assert (alarm.severity, alarm.reason) == ("emergency", "emergency")
    rig.thaw(victim)
    for provider_id in (before, flag):
        await hurt.answer(provider_id, timeout=PATIENCE)
    # The question that hung is not answered on top of the guidance.
    assert (await rig.keys((await rig.conversation(hurt)).id))[-1] in ("utter_safety_emergency", "utter_holding")


async def test_a_turn_that_was_taken_is_not_taken_again(rig: Rig) -> None:
    """The engine hangs after its action ran: the retry finds what the action decided, and a human is told once."""
    patient = await a_patient(rig)
    conversation = await rig.conversation(patient)
    for _ in range(2):
        rig.freeze("engine")
        sent = await patient.send("I have a complaint, you were rude to me")
        await rig.in_the_engine(conversation.id)
        await asyncio.sleep(LONGER_THAN_A_TURN)
        rig.thaw("engine")
        assert (await patient.answer(sent, timeout=PATIENCE))[-1].key == "utter_complaint"
    [escalation] = await rig.escalations(conversation.id)
    assert escalation.reason == "complaint"
    assert len(escalation.details[HISTORY]) == 2
    await rig.answered_once(conversation.id, ["utter_greet", "utter_complaint", "utter_complaint"])
