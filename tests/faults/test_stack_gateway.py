"""The gateway is killed under a stream of messages: what it took is answered, what it did not comes again."""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import pytest

from tests.rig import PATIENCE, QUESTIONS, Rig

pytestmark = [pytest.mark.stack, pytest.mark.slow]


async def back(rig: Rig) -> None:
    await rig.until(lambda: rig.healthy("gateway"), timeout=60, what="the gateway to be back")
    rig.stack.supervisor.processes["gateway"].backoff = 0.5


async def test_killed_three_times_in_a_stream(rig: Rig) -> None:
    patients = [await rig.talk("sms"), await rig.talk("whatsapp"), await rig.talk("sms")]
    for patient in patients:
        await patient.say("hello", timeout=PATIENCE)

    async def ask() -> None:
        for text in [*QUESTIONS, *QUESTIONS]:
            for patient in patients:
                await patient.send(text)
            await asyncio.sleep(0.4)

    asking = asyncio.create_task(ask())
    for _ in range(3):
        await asyncio.sleep(1)
        rig.kill("gateway")
        await back(rig)
    await asking
    for patient in patients:
        conversation = await rig.conversation(patient)
        await rig.settled(conversation.id, 1 + 2 * len(QUESTIONS))
        await rig.answered_once(conversation.id, ["utter_greet", *[*QUESTIONS.values()] * 2])


async def test_taken_means_answered_however_soon_it_dies(rig: Rig) -> None:
    """2xx and SIGKILL at once, twenty times: every message that was taken is there and answered."""
    taken = []
    for round_ in range(4):
        phones = [rig.world.nobody().phone for _ in range(5)]
        posts = [asyncio.create_task(rig.post("sms", rig.form(phone, "where do I park?"))) for phone in phones]
        await asyncio.sleep(0.02 * round_)
        os.kill(rig.pid("gateway"), signal.SIGKILL)
        for phone, post in zip(phones, posts, strict=True):
            try:
                if (await post)[0] == 200:
                    taken.append(phone)
            except aiohttp.ClientError:
                continue
        await back(rig)
    for phone in taken:
        conversation = await rig.conversation_at(phone)
        assert conversation is not None
        await rig.settled(conversation.id, 1)
        await rig.answered_once(conversation.id, ["utter_faq_parking"])


async def test_a_web_chat_goes_on_where_it_was(rig: Rig) -> None:
    """The session outlives the process; what was said while it was down is there when the page asks again."""
    patient = await rig.talk("web")
    await patient.say("hello", timeout=PATIENCE)
    rig.freeze("engine")
    sent = await patient.send("where do I park?")
    rig.kill("gateway")
    rig.thaw("engine")
    assert (await patient.answer(sent, timeout=PATIENCE))[-1].key == "utter_faq_parking"
    await back(rig)
    headers = {"Authorization": f"Bearer {patient._token}"}
    async with rig.http.get(f"{rig.stack.gateway_url}/web/messages?after=0", headers=headers) as answer:
        assert answer.status == 200
        shown = (await answer.json())["entries"]
    conversation = await rig.conversation(patient)
    assert [entry["text"] for entry in shown if entry["author"] == "assistant"] == [
        row.text for row in await rig.outbox(conversation.id)
    ]
    assert (await patient.say("what are your opening hours?", timeout=PATIENCE))[-1].key == "utter_faq_hours"


async def test_frozen_gateway_makes_the_provider_try_again(rig: Rig) -> None:
    """It takes connections and says nothing: the provider gives up and comes again; the message is one message."""
    patient = await rig.talk()
    await patient.say("hello", timeout=PATIENCE)
    conversation = await rig.conversation(patient)
    rig.freeze("gateway")
    await patient.send("where do I park?")
    await asyncio.sleep(17)  # the provider hangs up after 15
    rig.thaw("gateway")
    await rig.settled(conversation.id, 2)
    await asyncio.sleep(3)
    await rig.answered_once(conversation.id, ["utter_greet", "utter_faq_parking"])
