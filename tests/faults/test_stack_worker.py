"""Workers killed with SIGKILL, again and again, in a stream of messages: nothing lost, nothing twice, order kept."""

from __future__ import annotations

import asyncio
import random

import pytest

from carethread.clinic import Channel
from sandbox.talk import Patient
from tests.rig import PATIENCE, QUESTIONS, Rig

pytestmark = [pytest.mark.stack, pytest.mark.slow]

ROUNDS = 2  # times that each patient asks everything
CHANNELS: list[Channel] = ["sms", "whatsapp", "web", "sms", "whatsapp", "web"]


async def ask_everything(rig: Rig, patient: Patient, pause: float) -> list[str]:
    """Send all questions without waiting for answers; returns the keys that must come back."""
    for _ in range(ROUNDS):
        for text in QUESTIONS:
            await patient.send(text)
            await asyncio.sleep(pause)
    return list(QUESTIONS.values()) * ROUNDS


async def stream(rig: Rig, kills: list[str]) -> None:
    patients = [await rig.talk(channel) for channel in CHANNELS]
    for patient in patients:
        await patient.say("hello", timeout=PATIENCE)
    dice = random.Random(7)
    streams = [asyncio.create_task(ask_everything(rig, patient, 0.5)) for patient in patients]
    for victim in kills:
        await asyncio.sleep(dice.uniform(0.5, 2.5))
        rig.stack.supervisor.processes[victim].backoff = 0.5
        gone = rig.kill(victim)

        async def back(name: str = victim, pid: int = gone) -> bool:
            return rig.stack.supervisor.processes[name].running and rig.pid(name) != pid

        await rig.until(back, timeout=30, what=f"{victim} to be started again")
    expected = await asyncio.gather(*streams)
    for patient, keys in zip(patients, expected, strict=True):
        conversation = await rig.conversation(patient)
        await rig.settled(conversation.id, 1 + len(keys))
        await rig.answered_once(conversation.id, ["utter_greet", *keys])
        assert await rig.escalations(conversation.id) == []


async def test_the_worker_is_killed_five_times_in_a_stream(rig: Rig) -> None:
    await stream(rig, ["worker"] * 5)


async def test_everything_is_killed_once_in_a_stream(rig: Rig) -> None:
    """Worker, actions and engine die one after the other, the patients writing on."""
    await stream(rig, ["worker", "actions", "engine", "worker"])


async def test_killed_in_the_middle_of_one_turn_again_and_again(rig: Rig) -> None:
    patient = await rig.talk()
    await patient.say("hello", timeout=PATIENCE)
    conversation = await rig.conversation(patient)
    rig.freeze("engine")
    sent = await patient.send("where do I park?")
    for _ in range(3):
        gone = rig.pid("worker")
        await rig.in_the_engine(conversation.id)
        rig.kill("worker")

        async def back(pid: int = gone) -> bool:
            return rig.pid("worker") != pid and await rig.healthy("worker")

        await rig.until(back, timeout=30, what="the worker to be started again")
        rig.stack.supervisor.processes["worker"].backoff = 0.5
    rig.thaw("engine")
    assert (await patient.answer(sent, timeout=PATIENCE))[-1].key == "utter_faq_parking"
    await rig.answered_once(conversation.id, ["utter_greet", "utter_faq_parking"])


async def test_frozen_worker_that_wakes_up_late_is_fenced_off(rig: Rig) -> None:
    """It held a conversation, slept past its lease while another took over, and wakes with an answer in its hand."""
    patient = await rig.talk()
    await patient.say("hello", timeout=PATIENCE)
    conversation = await rig.conversation(patient)
    rig.freeze("engine")
    sent = await patient.send("where do I park?")
    await rig.in_the_engine(conversation.id)
    rig.freeze("worker")
    rig.thaw("engine")
    await asyncio.sleep(2)  # the answer is in the frozen worker's socket
    other = await rig.second_worker()
    try:
        assert (await patient.answer(sent, timeout=PATIENCE))[-1].key == "utter_faq_parking"
        rig.thaw("worker")
        await asyncio.sleep(3)
        await rig.answered_once(conversation.id, ["utter_greet", "utter_faq_parking"])
    finally:
        other.kill()
        await asyncio.to_thread(other.wait)


async def test_two_workers_share_the_work_and_one_dies(rig: Rig) -> None:
    other = await rig.second_worker()
    try:
        await stream(rig, ["worker", "worker"])
    finally:
        other.kill()
        await asyncio.to_thread(other.wait)
