"""PostgreSQL dies with SIGKILL in the middle of everything and comes back: what was promised is kept."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.rig import PATIENCE, QUESTIONS, Rig

pytestmark = [pytest.mark.stack, pytest.mark.slow]


async def database_back(rig: Rig) -> None:
    postgres = rig.stack.supervisor.postgres
    assert postgres is not None

    async def answers() -> bool:
        return await rig.healthy("gateway")

    await rig.until(answers, timeout=60, what="the gateway to reach PostgreSQL again")


async def test_killed_in_the_middle_of_a_turn(rig: Rig) -> None:
    """The turn is in the engine when the database dies: it can neither be committed there nor here, and is not lost."""
    patient = await rig.talk()
    await patient.say("hello", timeout=PATIENCE)
    conversation = await rig.conversation(patient)
    rig.freeze("engine")
    await patient.send("where do I park?")
    await rig.in_the_engine(conversation.id)
    await rig.kill_database()
    rig.thaw("engine")
    await database_back(rig)
    await rig.settled(conversation.id, 2)
    await rig.answered_once(conversation.id, ["utter_greet", "utter_faq_parking"])


async def test_messages_that_come_while_it_is_away_are_refused_and_come_again(rig: Rig) -> None:
    """No 2xx without a commit: the provider hears 503 and sends the message again."""
    patient = await rig.talk()
    await patient.say("hello", timeout=PATIENCE)
    conversation = await rig.conversation(patient)
    await rig.kill_database()
    form = rig.form("+12175550177", "hello")
    status, _ = await rig.post("sms", form)
    assert status == 503
    for text in QUESTIONS:
        await patient.send(text)  # by the phones, which try again
    await database_back(rig)
    await rig.settled(conversation.id, 1 + len(QUESTIONS))
    await rig.answered_once(conversation.id, ["utter_greet", *QUESTIONS.values()])
    assert await rig.conversation_at("+12175550177") is None  # refused is refused: nothing half done
    assert (await rig.post("sms", form))[0] == 200


async def test_the_web_says_that_it_cannot_take_a_message_now(rig: Rig) -> None:
    patient = await rig.talk("web")
    await patient.say("hello", timeout=PATIENCE)
    await rig.kill_database()
    with pytest.raises(aiohttp.ClientResponseError) as refused:
        await patient.send("where do I park?")
    assert refused.value.status == 503
    await database_back(rig)
    assert (await patient.say("where do I park?", timeout=PATIENCE))[-1].key == "utter_faq_parking"


async def test_killed_three_times_in_a_stream(rig: Rig) -> None:
    patients = [await rig.talk("sms"), await rig.talk("whatsapp"), await rig.talk("sms")]
    for patient in patients:
        await patient.say("hello", timeout=PATIENCE)

    async def ask() -> None:
        for text in [*QUESTIONS, *QUESTIONS]:
            for patient in patients:
                await patient.send(text)
            await asyncio.sleep(0.7)

    asking = asyncio.create_task(ask())
    for _ in range(3):
        await asyncio.sleep(1.5)
        await rig.kill_database()
        await database_back(rig)
    await asking
    for patient in patients:
        conversation = await rig.conversation(patient)
        await rig.settled(conversation.id, 1 + 2 * len(QUESTIONS))
        received = await rig.inbox(conversation.id)
        # A message that was refused comes again later, so the order is that of arrival.
        await rig.answered_once(conversation.id, ["utter_greet", *(QUESTIONS[row.text] for row in received[1:])])
        assert sorted(row.text for row in received[1:]) == sorted([*QUESTIONS, *QUESTIONS])


async def test_a_red_flag_that_was_taken_survives(rig: Rig) -> None:
    """2xx means kept: the alarm is raised however soon after the database dies."""
    phone = rig.world.nobody().phone
    assert (await rig.post("sms", rig.form(phone, "my chest hurts and I can't breathe")))[0] == 200
    await rig.kill_database()
    await database_back(rig)

    async def alarmed() -> bool:
        conversation = await rig.conversation_at(phone)
        return conversation is not None and len(await rig.escalations(conversation.id)) == 1

    await rig.until(alarmed, timeout=30, what="the alarm")
    conversation = await rig.conversation_at(phone)
    assert conversation is not None
    await rig.settled(conversation.id, 1)
    await rig.answered_once(conversation.id, ["utter_safety_emergency"])
