"""The provider is down, slow, or takes a message without saying so: each message leaves exactly once, in order."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.talk import Patient
from tests.rig import OUT, PATIENCE, QUESTIONS, Rig

pytestmark = [pytest.mark.stack, pytest.mark.slow]

# A send of unknown outcome is looked up after half a minute.
SETTLED = 120.0


async def greeted(rig: Rig, count: int) -> list[Patient]:
    patients = [await rig.talk("whatsapp" if number % 2 else "sms") for number in range(count)]
    for patient in patients:
        await patient.say("hello", timeout=PATIENCE)
    return patients


async def all_once(rig: Rig, patients: list[Patient], expected: list[str], *, timeout: float = SETTLED) -> None:
    for patient in patients:
        conversation = await rig.conversation(patient)
        await rig.settled(conversation.id, len(expected), timeout=timeout)
        await rig.answered_once(conversation.id, expected)


async def test_down_for_a_while(rig: Rig) -> None:
    """Messages come in another way; what is said to them waits, and leaves once when the provider is back."""
    patients = await greeted(rig, 2)
    rig.kill_phones()
    for patient in patients:
        for text in list(QUESTIONS)[:3]:
            form = rig.form(str(patient.phone), text, patient.channel)
            assert (await rig.post(patient.channel, form))[0] == 200
    await asyncio.sleep(4)
    for patient in patients:
        conversation = await rig.conversation(patient)
        assert all(row.done_at for row in await rig.inbox(conversation.id))
        waiting = [row for row in await rig.outbox(conversation.id) if row.state not in OUT]
        assert len(waiting) == 3
        assert {row.state for row in waiting} <= {"queued", "sending", "unknown"}
    await rig.start_phones()
    await all_once(rig, patients, ["utter_greet", *list(QUESTIONS.values())[:3]])


async def test_slow(rig: Rig) -> None:
    patients = await greeted(rig, 3)
    await rig.phone_faults(delay=2)
    for text in list(QUESTIONS)[:3]:
        for patient in patients:
            await patient.send(text)
    await all_once(rig, patients, ["utter_greet", *list(QUESTIONS.values())[:3]])


async def test_refuses_for_now(rig: Rig) -> None:
    """429: try again later, and nothing overtakes what waits."""
    patients = await greeted(rig, 2)
    await rig.phone_faults(refuse=3, refuse_status=429, refuse_code=20429)
    for text in list(QUESTIONS)[:3]:
        for patient in patients:
            await patient.send(text)
    await all_once(rig, patients, ["utter_greet", *list(QUESTIONS.values())[:3]])


async def test_refuses_for_good(rig: Rig) -> None:
    """A number that cannot be reached: the message has failed, a human hears of it, and the next one is tried."""
    [patient] = await greeted(rig, 1)
    await rig.phone_faults(refuse=1, refuse_status=400, refuse_code=21612)
    conversation = await rig.conversation(patient)
    for text in list(QUESTIONS)[:2]:
        await patient.send(text)
    await rig.settled(conversation.id, 3)
    *_, failed, after = await rig.outbox(conversation.id)
    assert (failed.content_key, failed.state) == ("utter_faq_parking", "failed")
    assert after.state in OUT
    assert [row.reason for row in await rig.escalations(conversation.id)] == ["technical"]


@pytest.mark.parametrize("silent", [False, True], ids=["statuses tell", "only a look-up tells"])
async def test_takes_a_message_and_hangs_up(rig: Rig, silent: bool) -> None:
    """The outcome is unknown: a status report or a look-up says that it arrived, and it is not sent again."""
    patients = await greeted(rig, 3)
    await rig.phone_faults(drop_after_accept=3, statuses_silent=silent)
    for text in list(QUESTIONS)[:2]:
        for patient in patients:
            await patient.send(text)
    await all_once(rig, patients, ["utter_greet", *list(QUESTIONS.values())[:2]])


async def test_answers_later_than_we_wait(rig: Rig) -> None:
    [patient] = await greeted(rig, 1)
    await rig.phone_faults(delay=17, statuses_silent=True)  # the client waits for 15
    await patient.send("where do I park?")
    conversation = await rig.conversation(patient)

    async def unknown() -> bool:
        return any(row.state == "unknown" for row in await rig.outbox(conversation.id))

    await rig.until(unknown, timeout=40, what="the send to be given up")
    await rig.phone_faults()
    await all_once(rig, [patient], ["utter_greet", "utter_faq_parking"])


async def test_the_worker_dies_between_the_send_and_its_answer(rig: Rig) -> None:
    """The message is out, nobody wrote that down: the look-up finds it."""
    patients = await greeted(rig, 2)
    await rig.phone_faults(delay=5, statuses_silent=True)
    for patient in patients:
        await patient.send("where do I park?")

    async def accepted() -> bool:
        texts = [await rig.on_the_phone(str(patient.phone), patient.channel) for patient in patients]
        return all(len(arrived) == 3 for arrived in texts)

    await rig.until(accepted, timeout=20, what="the provider to take them")
    rig.kill("worker")
    await rig.phone_faults()
    await all_once(rig, patients, ["utter_greet", "utter_faq_parking"])


async def test_the_provider_dies_in_the_middle_of_a_stream(rig: Rig) -> None:
    patients = await greeted(rig, 3)

    async def ask() -> None:
        for text in QUESTIONS:
            for patient in patients:
                form = rig.form(str(patient.phone), text, patient.channel)
                assert (await rig.post(patient.channel, form))[0] == 200
            await asyncio.sleep(0.5)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(1.2)
    rig.kill_phones()
    await asyncio.sleep(2)
    await rig.start_phones()
    await asking
    await all_once(rig, patients, ["utter_greet", *QUESTIONS.values()])
