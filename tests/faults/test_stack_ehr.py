"""The EHR is down, slow or lies about what it did, in the middle of conversations that need it.

What must hold: a clear word each time, a visit booked exactly once or not at all, and nothing claimed that is not so.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox.talk import Patient, Said
from tests.rig import PATIENCE, Rig
from tests.world import Somebody

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PICK = "number 1 please"


def keys(said: list[Said]) -> list[str]:
    return [one.key for one in said if one.key not in ("utter_holding", "utter_introduction")]


async def offered(rig: Rig) -> tuple[Somebody, Patient]:
    """A verified patient in front of three times."""
    who = await rig.world.patient("en")
    patient = await rig.talk("sms", who)
    await rig.to_the_offers(patient, who)
    return who, patient


async def told_once(rig: Rig, patient: Patient, key: str, *, timeout: float = PATIENCE) -> None:
    """Wait until the patient has been told `key`, and see that it stays at once."""
    conversation = await rig.conversation(patient)

    async def said() -> bool:
        return key in await rig.keys(conversation.id)

    await rig.until(said, timeout=timeout, what=key)
    await asyncio.sleep(5)  # two rounds of the sweeper
    assert (await rig.keys(conversation.id)).count(key) == 1


# --- down


async def test_down_when_the_patient_comes(rig: Rig) -> None:
    who = await rig.world.patient("en")
    patient = await rig.talk("sms", who)
    rig.kill_ehr()
    assert keys(await patient.say("what appointments do I have?", timeout=PATIENCE)) == ["utter_ehr_unavailable"]
    conversation = await rig.conversation(patient)
    assert [row.reason for row in await rig.escalations(conversation.id)] == ["technical"]
    # What needs no EHR goes on, and nothing of the failed form is left in the way.
    assert keys(await patient.say("where do I park?", timeout=PATIENCE)) == ["utter_faq_parking"]
    await rig.start_ehr()
    said = await rig.say_words(patient, "what appointments do I have?", who.fact("birth date", "en"))
    assert keys(said) == ["utter_verified", "utter_no_visits"]
    await rig.answered_once(conversation.id)


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": True}, {"status": 500}, {"delay_s": 30}], ids=str)
async def test_failing_in_each_way_when_the_patient_comes(rig: Rig, fault: dict[str, Any]) -> None:
    patient = await rig.talk("sms", await rig.world.patient("en"))
    await rig.ehr_fault(**fault)
    assert keys(await patient.say("what appointments do I have?", timeout=PATIENCE)) == ["utter_ehr_unavailable"]
    await rig.ehr_well()
    assert keys(await patient.say("what appointments do I have?", timeout=PATIENCE)) == ["utter_ask_birth_date"]
    await rig.answered_once((await rig.conversation(patient)).id)


async def test_down_while_it_is_checked_who_the_patient_is(rig: Rig) -> None:
    """An EHR that does not answer is no failed attempt: nobody is locked out for it."""
    who = await rig.world.patient("en")
    patient = await rig.talk("sms", who)
    assert keys(await patient.say("what appointments do I have?", timeout=PATIENCE)) == ["utter_ask_birth_date"]
    await rig.ehr_fault(status=503)
    said = await patient.say(who.fact("birth date", "en"), timeout=PATIENCE)
    assert keys(said) == ["utter_ehr_unavailable"]
    conversation = await rig.conversation(patient)
    assert (conversation.verification_failures, conversation.patient_id) == (0, None)
    await rig.ehr_well()
    said = await rig.say_words(patient, "what appointments do I have?", who.fact("birth date", "en"))
    assert keys(said) == ["utter_verified", "utter_no_visits"]


async def test_down_when_times_are_looked_for(rig: Rig) -> None:
    who = await rig.world.patient("en")
    patient = await rig.talk("sms", who)
    await rig.say_words(patient, "I need to see a skin doctor", who.fact("birth date", "en"), "a mole")
    await rig.ehr_fault(match="Slot", status=503)
    assert keys(await patient.say("next week", timeout=PATIENCE)) == ["utter_ehr_unavailable"]
    assert await rig.world.appointments(who) == []
    await rig.ehr_well()
    said = await rig.say_words(patient, "I need to see a skin doctor", "a mole", "any time next week", PICK)
    assert keys(said)[0] == "utter_booked"
    await rig.booked_once(who)


async def test_a_human_and_an_emergency_need_no_ehr(rig: Rig) -> None:
    rig.kill_ehr()
    one, other = await rig.talk(), await rig.talk()
    assert keys(await one.say("I want to talk to a person", timeout=PATIENCE)) == ["utter_human_coming"]
    assert keys(await other.say("I can't breathe", timeout=PATIENCE)) == ["utter_safety_emergency"]


# --- slow


async def test_slow_but_there(rig: Rig) -> None:
    """Each call takes seconds, none too many: the patient waits a little and gets what they came for."""
    who = await rig.world.patient("en")
    patient = await rig.talk("sms", who)
    await rig.ehr_fault(delay_s=1)
    said = await rig.say_words(patient, "what appointments do I have?", who.fact("birth date", "en"))
    assert keys(said) == ["utter_verified", "utter_no_visits"]
    await rig.answered_once((await rig.conversation(patient)).id)


# --- while a visit is booked: method, what is called, when the fault strikes

STEPS = [("PATCH", "Slot"), ("POST", "Appointment")]
FAULTS: dict[str, dict[str, Any]] = {
    "refused for now": {"status": 503},
    "cut off before": {"drop": True},
    "done but cut off": {"drop": True, "when": "after"},
    "done but answered too late": {"delay_s": 20, "when": "after"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize(("method", "match"), STEPS, ids=["taking the slot", "making the appointment"])
async def test_fails_in_the_middle_of_booking(rig: Rig, method: str, match: str, fault: dict[str, Any]) -> None:
    """Whatever the EHR did before it fell silent, in the end there is one appointment, and the patient knows."""
    who, patient = await offered(rig)
    await rig.ehr_fault(method=method, match=match, **fault)
    said = keys(await patient.say(PICK, timeout=PATIENCE))
    assert said[0] in ("utter_change_waiting", "utter_booked")
    if said[0] == "utter_change_waiting":
        assert "utter_booked" not in said
        await rig.ehr_well()
    await told_once(rig, patient, "utter_booked")
    await rig.booked_once(who)
    await rig.settled((await rig.conversation(patient)).id, 5)
    await rig.answered_once((await rig.conversation(patient)).id)


async def test_down_from_the_middle_of_booking_until_later(rig: Rig) -> None:
    """The EHR process itself dies with half of it done, and comes back with what it had."""
    who, patient = await offered(rig)
    await rig.ehr_fault(method="PATCH", match="Slot", delay_s=20, when="after")
    sent = await patient.send(PICK)
    await asyncio.sleep(2)
    rig.kill_ehr()
    assert keys(await patient.answer(sent, timeout=PATIENCE)) == ["utter_change_waiting"]
    # The conversation is free for other things meanwhile.
    assert keys(await patient.say("where do I park?", timeout=PATIENCE)) == ["utter_faq_parking"]
    await rig.start_ehr()
    await told_once(rig, patient, "utter_booked")
    await rig.booked_once(who)


# --- our own processes die while the EHR is busy with the booking


@pytest.mark.parametrize("victim", ["actions", "engine", "worker", "database"])
@pytest.mark.parametrize(("method", "match"), STEPS, ids=["taking the slot", "making the appointment"])
async def test_a_process_dies_in_the_middle_of_booking(rig: Rig, method: str, match: str, victim: str) -> None:
    who, patient = await offered(rig)
    conversation = await rig.conversation(patient)
    await rig.ehr_fault(method=method, match=match, delay_s=2, when="after", count=1)
    sent = await patient.send(PICK)

    async def struck() -> bool:
        return await rig.ehr_faults_left() == 0

    await rig.until(struck, timeout=20, what="the EHR to be asked")
    await asyncio.sleep(0.5)
    if victim == "database":
        await rig.kill_database()
        await rig.until(lambda: rig.healthy("gateway"), what="the gateway")
    else:
        rig.kill(victim)
    await patient.answer(sent, timeout=PATIENCE)
    await told_once(rig, patient, "utter_booked")
    await rig.booked_once(who)
    await rig.settled(conversation.id, 5)
    await rig.answered_once(conversation.id)
    assert "utter_technical" not in await rig.keys(conversation.id)


async def test_the_turn_is_lost_after_the_patient_was_to_wait(rig: Rig) -> None:
    """The action said "wait", the engine died with that; taken again, the turn finds the EHR well. Told once."""
    who, patient = await offered(rig)
    await rig.ehr_fault(method="POST", match="Appointment", delay_s=20, when="after", count=1)
    sent = await patient.send(PICK)

    async def struck() -> bool:
        return await rig.ehr_faults_left() == 0

    await rig.until(struck, timeout=20, what="the EHR to be asked")
    rig.freeze("engine")
    await asyncio.sleep(5)  # the action gives up and answers
    rig.kill("engine")
    await patient.answer(sent, timeout=PATIENCE)
    await told_once(rig, patient, "utter_booked")
    await rig.booked_once(who)


async def test_two_patients_pick_the_same_time_at_once(rig: Rig) -> None:
    """While the EHR is slow: one gets it, the other is offered others."""
    (one, first), (two, second) = await offered(rig), await offered(rig)
    await rig.ehr_fault(method="PATCH", match="Slot", delay_s=1)
    sent = [await first.send(PICK), await second.send(PICK)]
    said = [keys(await first.answer(sent[0], timeout=PATIENCE)), keys(await second.answer(sent[1], timeout=PATIENCE))]
    assert sorted(replies[0] for replies in said) == ["utter_booked", "utter_slot_taken"], said
    await rig.booked_once(one if said[0][0] == "utter_booked" else two)
    assert await rig.world.appointments(two if said[0][0] == "utter_booked" else one) == []


@pytest.mark.parametrize("victim", ["actions", "engine"])
async def test_a_process_dies_in_the_middle_of_cancelling(rig: Rig, victim: str) -> None:
    who, patient = await offered(rig)
    await rig.say_words(patient, PICK)
    visit = await rig.booked_once(who)
    await rig.say_words(patient, "I need to cancel my appointment", "yes")
    await rig.ehr_fault(method="PATCH", match="Slot", delay_s=2, when="before", count=1)
    sent = await patient.send("I will be away")

    async def struck() -> bool:
        return await rig.ehr_faults_left() == 0

    await rig.until(struck, timeout=20, what="the EHR to be asked")
    rig.kill(victim)
    await patient.answer(sent, timeout=PATIENCE)
    # Taken again, the turn no longer finds the visit among those to come, and says it in fewer words.
    said = [key for key in await rig.keys((await rig.conversation(patient)).id) if key.startswith("utter_cancelled")]
    assert len(said) == 1
    [left] = await rig.world.appointments(who)
    assert (left["id"], left["status"]) == (visit["id"], "cancelled")
    assert await rig.world.slot_status(visit) == "free"
