"""Confirm, move and cancel: the visit that is meant, what the EHR holds then, the slot that is free again."""

from __future__ import annotations

from typing import Any

from carethread.ehr.client import Json
from tests.scenes import EVERYWHERE, ME, Scene, on

TIMES = "offer_slots|offer_nearest"
CONFIRMED = "urn:carethread:appointment-confirmed"


async def _three(scene: Scene) -> dict[str, Json]:
    """Visits with a family doctor, a skin doctor (by video) and a heart doctor."""
    who, world = await scene.patient(), scene.world
    return {
        "family": await world.visit(who, "dr-oneill", days=3),
        "skin": await world.visit(who, "dr-ivanova", days=6, video=True),
        "heart": await world.visit(who, "dr-patel", days=11),
    }


async def _now(scene: Scene, visit: Json) -> Json:
    return await scene.world.reread(visit)


def _confirmed(visit: Json) -> bool:
    return any(extension["url"] == CONFIRMED for extension in visit.get("extension", ()))


# --- confirm ----------------------------------------------------------------------------------------------------


@on(*EVERYWHERE)
async def test_i_will_come(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-chen", days=2)
    await scene.play(
        en=[("I want to confirm my appointment", "<who>"), (ME, "verified confirmed")],
        es=[("quiero confirmar mi cita", "<who>"), (ME, "verified confirmed")],
    )
    now = await _now(scene, visit)
    assert now["status"] == "booked"
    assert _confirmed(now)
    assert await scene.world.slot_status(now) == "busy"


@on("sms-en", "whatsapp-es", "web-en")
async def test_of_several_visits_the_next_one_is_confirmed_unless_another_is_named(scene: Scene) -> None:
    visits = await _three(scene)
    await scene.play(
        en=[
            ("yes I'll be there", "<who>"),
            (ME, "verified confirmed"),
            ("I also confirm the one with Dr. Patel", "confirmed"),
        ],
        es=[
            ("sí voy a ir a mi cita", "<who>"),
            (ME, "verified confirmed"),
            ("también confirmo la del doctor Patel", "confirmed"),
        ],
    )
    now = {name: await _now(scene, visit) for name, visit in visits.items()}
    assert {name for name, visit in now.items() if _confirmed(visit)} == {"family", "heart"}


@on("sms-es", "web-en")
async def test_nothing_to_confirm(scene: Scene) -> None:
    await scene.play(
        en=[("confirm my appointment", "<who>"), (ME, "verified no_visits")],
        es=[("confirmo mi cita", "<who>"), (ME, "verified no_visits")],
    )


# --- cancel -----------------------------------------------------------------------------------------------------


@on(*EVERYWHERE)
async def test_cancel_with_a_reason(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-kim", days=5)
    await scene.play(
        en=[
            ("I need to cancel my appointment", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            ("I have no ride that day", "cancelled"),
            ("my appointments", "no_visits"),
        ],
        es=[
            ("necesito cancelar mi cita", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            ("no tengo quien me lleve ese día", "cancelled"),
            ("mis citas", "no_visits"),
        ],
    )
    now = await _now(scene, visit)
    assert now["status"] == "cancelled"
    assert await scene.world.slot_status(visit) == "free"
    reason = {"en": "I have no ride that day", "es": "no tengo quien me lleve ese día"}[scene.language]
    assert reason in scene.world.words_of(now["cancelationReason"])


@on("sms-en", "whatsapp-es", "web-es")
async def test_no_keep_it(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-kim", days=5)
    await scene.play(
        en=[
            ("cancel my appointment", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("no, keep it", "visit_kept"),
        ],
        es=[
            ("cancelar mi cita", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("no, mejor la dejo", "visit_kept"),
        ],
    )
    assert (await _now(scene, visit))["status"] == "booked"
    assert await scene.world.slot_status(visit) == "busy"


@on("sms-en", "web-es", "whatsapp-en")
async def test_the_one_that_is_named_by_its_doctor_or_kind(scene: Scene) -> None:
    visits = await _three(scene)
    await scene.play(
        en=[
            ("please cancel my visit with the heart doctor", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("yes please", "ask_cancel_reason"),
            ("no reason", "cancelled"),
            ("cancel the video visit too", "ask_cancel_sure"),
            ("Yes, cancel it", "ask_cancel_reason"),
            ("I feel better", "cancelled"),
        ],
        es=[
            ("quiero cancelar la cita con el doctor Patel", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("sí por favor", "ask_cancel_reason"),
            ("sin motivo", "cancelled"),
            ("cancele también la cita por video", "ask_cancel_sure"),
            ("Sí, cancelarla", "ask_cancel_reason"),
            ("ya me siento mejor", "cancelled"),
        ],
    )
    now = {name: (await _now(scene, visit))["status"] for name, visit in visits.items()}
    assert now == {"family": "booked", "skin": "cancelled", "heart": "cancelled"}
    assert await scene.world.slot_status(visits["heart"]) == "free"
    assert await scene.world.slot_status(visits["family"]) == "busy"


@on("whatsapp-es", "sms-en", "web-en")
async def test_the_one_that_is_picked_by_number_or_day(scene: Scene) -> None:
    visits = await _three(scene)
    day = scene.world.day_of(visits["skin"], scene.language)
    pick = {"sms": "2", "whatsapp": day, "web": "the second one"}[scene.channel]
    await scene.play(
        en=[
            ("I can't come, cancel", "<who>"),
            (ME, "verified ask_which_visit"),
            (pick, "ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            ("work", "cancelled"),
        ],
        es=[
            ("no puedo ir, quiero cancelar", "<who>"),
            (ME, "verified ask_which_visit"),
            (pick, "ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            ("trabajo", "cancelled"),
        ],
    )
    now = {name: (await _now(scene, visit))["status"] for name, visit in visits.items()}
    assert now == {"family": "booked", "skin": "cancelled", "heart": "booked"}


@on("sms-es", "web-en")
async def test_the_day_in_the_first_message(scene: Scene) -> None:
    visits = await _three(scene)
    day = scene.world.day_of(visits["heart"], scene.language)
    await scene.play(
        en=[
            (f"cancel my appointment on {day}", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            ("I am out of town", "cancelled"),
        ],
        es=[
            (f"cancele mi cita del {day}", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            ("estoy fuera de la ciudad", "cancelled"),
        ],
    )
    now = {name: (await _now(scene, visit))["status"] for name, visit in visits.items()}
    assert now == {"family": "booked", "skin": "booked", "heart": "cancelled"}


@on("sms-en", "whatsapp-es")
async def test_a_visit_that_the_clinic_called_off_meanwhile(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-kim", days=5)

    async def the_clinic_calls_it_off(scene: Scene) -> None:
        await scene.world.call_off(visit)

    await scene.play(
        en=[
            ("cancel my appointment", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            the_clinic_calls_it_off,
            ("my car broke down", "visit_gone"),
        ],
        es=[
            ("cancelar mi cita", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            the_clinic_calls_it_off,
            ("se descompuso mi carro", "visit_gone"),
        ],
    )


@on("sms-en", "web-es")
async def test_never_mind_before_it_is_cancelled(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-kim", days=5)
    await scene.play(
        en=[
            ("cancel my appointment", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("never mind", "never_mind|visit_kept"),
            ("cancel my appointment", "ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            ("never mind, I want to keep it", "visit_kept"),
            ("cancel my appointment", "ask_cancel_sure"),
            ("don't cancel it", "visit_kept"),
        ],
        es=[
            ("cancelar mi cita", "<who>"),
            (ME, "verified ask_cancel_sure"),
            ("olvídelo", "never_mind|visit_kept"),
            ("cancelar mi cita", "ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            ("olvídelo, ya no quiero cancelar", "visit_kept"),
            ("cancelar mi cita", "ask_cancel_sure"),
            ("no la cancele", "visit_kept"),
        ],
    )
    assert (await _now(scene, visit))["status"] == "booked"


# --- reschedule -------------------------------------------------------------------------------------------------


async def _moved(scene: Scene, visit: Json, offer: int) -> dict[str, Any]:
    now = await _now(scene, visit)
    assert now["status"] == "booked"
    assert now["start"] != visit["start"]
    assert now["slot"][0]["reference"] == f"Slot/{await scene.world.slot_of(scene.offered[offer])}"
    assert scene.world.practitioner_of(now) == scene.world.practitioner_of(visit)
    assert await scene.world.slot_status(visit) == "free"
    assert await scene.world.slot_status(now) == "busy"
    return now


@on(*EVERYWHERE)
async def test_another_time_with_the_same_doctor(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-chen", days=2)
    await scene.play(
        en=[
            ("I need to reschedule my appointment", "<who>"),
            (ME, "verified ask_visit_time"),
            ("any afternoon the week after next", TIMES),
            ("the second one", "rescheduled"),
        ],
        es=[
            ("necesito cambiar mi cita", "<who>"),
            (ME, "verified ask_visit_time"),
            ("cualquier tarde en dos semanas", TIMES),
            ("la segunda", "rescheduled"),
        ],
    )
    await _moved(scene, visit, 1)
    assert scene.who is not None
    assert len(await scene.world.appointments(scene.who)) == 1


@on("sms-en", "whatsapp-es", "web-en")
async def test_the_new_time_in_the_first_message(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-okafor", days=2)
    await scene.play(
        en=[
            ("can I move my appointment to next month?", "<who>"),
            (ME, f"verified {TIMES}"),
            ("3", "rescheduled"),
        ],
        es=[
            ("¿puedo cambiar mi cita para dentro de tres semanas?", "<who>"),
            (ME, f"verified {TIMES}"),
            ("3", "rescheduled"),
        ],
    )
    await _moved(scene, visit, 2)


@on("sms-es", "web-es", "whatsapp-en")
async def test_moving_one_of_several(scene: Scene) -> None:
    visits = await _three(scene)
    await scene.play(
        en=[
            ("I have to change one of my appointments", "<who>"),
            (ME, "verified ask_which_visit"),
            ("the one with Dr. Patel", "ask_visit_time"),
            ("in three weeks", TIMES),
            ("1", "rescheduled"),
        ],
        es=[
            ("tengo que cambiar una de mis citas", "<who>"),
            (ME, "verified ask_which_visit"),
            ("la del doctor Patel", "ask_visit_time"),
            ("en tres semanas", TIMES),
            ("1", "rescheduled"),
        ],
    )
    await _moved(scene, visits["heart"], 0)
    assert (await _now(scene, visits["family"]))["start"] == visits["family"]["start"]


@on("sms-en", "whatsapp-es", "web-en")
async def test_the_new_time_was_taken_meanwhile(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-brooks", days=3)
    await scene.play(
        en=[
            ("reschedule my appointment", "<who>"),
            (ME, "verified ask_visit_time"),
            ("any time", TIMES),
            Scene.somebody_takes_the_offers,
            ("2", f"slot_taken {TIMES}"),
            ("2", "rescheduled"),
        ],
        es=[
            ("cambiar mi cita", "<who>"),
            (ME, "verified ask_visit_time"),
            ("cuando sea", TIMES),
            Scene.somebody_takes_the_offers,
            ("2", f"slot_taken {TIMES}"),
            ("2", "rescheduled"),
        ],
    )
    await _moved(scene, visit, 1)


@on("sms-en", "web-es")
async def test_questions_and_never_mind_while_moving(scene: Scene) -> None:
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-brooks", days=3)
    await scene.play(
        en=[
            ("I need another time for my appointment", "<who>"),
            (ME, "verified ask_visit_time"),
            ("where are you located?", "faq_location ask_visit_time"),
            ("Thursday", TIMES),
            ("can I take ibuprofen with my blood pressure pills?", f"medication_question {TIMES}"),
            ("never mind, leave it as it is", "never_mind"),
        ],
        es=[
            ("necesito otra hora para mi cita", "<who>"),
            (ME, "verified ask_visit_time"),
            ("¿dónde están ubicados?", "faq_location ask_visit_time"),
            ("el jueves", TIMES),
            ("¿puedo tomar ibuprofeno con mis pastillas de la presión?", f"medication_question {TIMES}"),
            ("olvídelo, déjela así", "never_mind"),
        ],
    )
    assert (await _now(scene, visit))["start"] == visit["start"]
    await scene.escalation("clinical_question", severity="soon", team="nurse-line")


@on("sms-en", "web-es", "whatsapp-en")
async def test_actually_cancel_it(scene: Scene) -> None:
    """Another task in the middle of one."""
    who = await scene.patient()
    visit = await scene.world.visit(who, "dr-brooks", days=3)
    await scene.play(
        en=[
            ("I need to reschedule my appointment", "<who>"),
            (ME, "verified ask_visit_time"),
            ("actually I need to cancel my appointment", "ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            ("I am moving away", "cancelled"),
        ],
        es=[
            ("necesito cambiar mi cita", "<who>"),
            (ME, "verified ask_visit_time"),
            ("mejor quiero cancelar mi cita", "ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            ("me voy a mudar", "cancelled"),
        ],
    )
    assert (await _now(scene, visit))["status"] == "cancelled"
