"""Booking: whom to see, what for, when, three free times, one of them taken; and what may come between."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.scenes import EVERYWHERE, ME, Scene, on

# What comes when a wish for a time was heard: fitting times, or the nearest there are.
TIMES = "offer_slots|offer_nearest"


async def _booked(scene: Scene, **expected: Any) -> dict[str, Any]:
    """The EHR has one visit of this patient's, in a slot that is no longer free."""
    assert scene.who is not None
    visit = await scene.world.appointment(scene.who)
    assert visit["status"] == "booked"
    assert await scene.world.slot_status(visit) == "busy"
    slot = visit["slot"][0]["reference"].removeprefix("Slot/")
    offered = [await scene.world.slot_of(offer) for offer in scene.offered]
    assert slot in offered, "booked something that was not offered"
    if "specialty" in expected:
        assert scene.world.specialty_of(visit) == expected["specialty"]
    if "practitioner" in expected:
        assert scene.world.practitioner_of(visit) == expected["practitioner"]
    if "reason" in expected:
        assert visit["reasonCode"][0]["text"] == expected["reason"]
    if "offer" in expected:
        assert slot == offered[expected["offer"]]
    await scene.verified_as("name+birth_date+fact" if scene.channel == "web" else "phone+birth_date")
    return visit


@on(*EVERYWHERE)
async def test_a_doctor_in_lay_words_and_the_second_time(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I need to see a skin doctor", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("a mole on my arm", "ask_visit_time"),
            ("next Tuesday afternoon", TIMES),
            ("2", "booked"),
        ],
        es=[
            ("necesito ver a un doctor de la piel", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("un lunar en el brazo", "ask_visit_time"),
            ("el martes por la tarde", TIMES),
            ("2", "booked"),
        ],
    )
    reason = {"en": "a mole on my arm", "es": "un lunar en el brazo"}[scene.language]
    await _booked(scene, specialty="dermatology", reason=reason, offer=1)
    await scene.no_escalation()
    starts = [datetime.fromisoformat(offer["start"]).astimezone(scene.stack.clinic.zone) for offer in scene.offered]
    assert len(set(starts)) == 3
    if scene.said("offer_slots"):
        assert all(start.weekday() == 1 and start.hour >= 12 for start in starts[:1])


@on("sms-es", "web-en")
async def test_a_doctor_by_name_and_everything_in_one_message(scene: Scene) -> None:
    await scene.play(
        en=[
            ("can I get an appointment with Dr. Patel next Thursday morning", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("heart check", TIMES),
            ("the first one", "booked"),
        ],
        es=[
            ("quiero una cita con la doctora Reyes el jueves en la mañana", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("control de la diabetes", TIMES),
            ("la primera", "booked"),
        ],
    )
    await _booked(scene, practitioner={"en": "dr-patel", "es": "dr-reyes"}[scene.language], offer=0)


@on("sms-en", "web-es", "whatsapp-en")
async def test_choosing_from_the_list_of_specialties(scene: Scene) -> None:
    await scene.play(
        en=[
            ("book a visit", "<who>"),
            (ME, "verified ask_visit_service"),
            ("3", "ask_visit_reason"),
            ("my knee hurts when I climb stairs", "ask_visit_time"),
            ("any morning", TIMES),
            ("the <3rd day> one", "booked"),
        ],
        es=[
            ("hacer una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("ortopedia", "ask_visit_reason"),
            ("me duele la rodilla al subir escaleras", "ask_visit_time"),
            ("cualquier mañana", TIMES),
            ("la del <3rd day>", "booked"),
        ],
    )
    await _booked(scene, specialty="orthopedics")


@on("whatsapp-en", "sms-es")
async def test_who_does_not_know_whom_to_see_starts_with_family_medicine(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I'd like to schedule a visit", "<who>"),
            (ME, "verified ask_visit_service"),
            ("I don't know", "ask_visit_reason"),
            ("I am tired all the time", "ask_visit_time"),
            ("as soon as possible", TIMES),
            ("1", "booked"),
        ],
        es=[
            ("quisiera una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("no sé", "ask_visit_reason"),
            ("me siento cansada todo el tiempo", "ask_visit_time"),
            ("lo más pronto posible", TIMES),
            ("1", "booked"),
        ],
    )
    await _booked(scene, specialty="family-medicine", offer=0)


@on("sms-en", "whatsapp-es", "web-en")
async def test_picking_by_the_words_on_the_button(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I want to make an appointment with cardiology", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("palpitations sometimes", "ask_visit_time"),
            ("any time", TIMES),
            ("<2nd button>", "booked"),
        ],
        es=[
            ("quiero una cita con cardiología", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("a veces palpitaciones", "ask_visit_time"),
            ("cuando sea", TIMES),
            ("<2nd button>", "booked"),
        ],
    )
    await _booked(scene, specialty="cardiology", offer=1)


@on("web-es", "sms-en")
async def test_picking_by_the_hour(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I need to see the eye... sorry, the thyroid doctor", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("thyroid check", "ask_visit_time"),
            ("<a weekday>", TIMES),
            ("the one at <3rd time> on <3rd day>", "booked"),
        ],
        es=[
            ("necesito ver al doctor de la tiroides", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("control de tiroides", "ask_visit_time"),
            ("<a weekday>", TIMES),
            ("la de las <3rd time> del <3rd day>", "booked"),
        ],
    )
    await _booked(scene, specialty="endocrinology", offer=2)


@on("sms-es", "whatsapp-en", "web-en")
async def test_another_day_then_none_of_them_then_a_time(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I want to see Dr. Brooks", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("shoulder pain", "ask_visit_time"),
            ("tomorrow", TIMES),
            ("another day", "ask_visit_time"),
            ("next week", TIMES),
            ("none of those work for me", "ask_visit_time"),
            ("any afternoon", TIMES),
            ("number 1 please", "booked"),
        ],
        es=[
            ("quiero una cita con el doctor Brooks", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("dolor de hombro", "ask_visit_time"),
            ("mañana", TIMES),
            ("otro día", "ask_visit_time"),
            ("la próxima semana", TIMES),
            ("ninguna me sirve", "ask_visit_time"),
            ("cualquier tarde", TIMES),
            ("la número 1 por favor", "booked"),
        ],
    )
    await _booked(scene, practitioner="dr-brooks", offer=0)


@on("web-es", "sms-en")
async def test_a_new_wish_instead_of_a_pick_brings_new_times(scene: Scene) -> None:
    await scene.play(
        en=[
            ("book a visit with Dr. Kim", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("a rash", "ask_visit_time"),
            ("this week", TIMES),
            ("do you have anything in two weeks?", TIMES),
            ("ok the last one", "booked"),
        ],
        es=[
            ("quiero hacer una cita con el doctor Kim", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("un sarpullido", "ask_visit_time"),
            ("esta semana", TIMES),
            ("¿tiene algo en dos semanas?", TIMES),
            ("bueno, la última", "booked"),
        ],
    )
    visit = await _booked(scene, practitioner="dr-kim", offer=2)
    assert (datetime.fromisoformat(visit["start"]) - scene.world.now()).days >= 5


@on(*EVERYWHERE)
async def test_somebody_else_took_it_meanwhile(scene: Scene) -> None:
    """Behind the patient's back every time that was offered is given to others; they get other times."""
    await scene.play(
        en=[
            ("I need to see a heart doctor", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("follow up", "ask_visit_time"),
            ("any time", TIMES),
            Scene.somebody_takes_the_offers,
            ("1", f"slot_taken {TIMES}"),
            ("3", "booked"),
        ],
        es=[
            ("necesito ver al doctor del corazón", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("seguimiento de la presión", "ask_visit_time"),
            ("cuando sea", TIMES),
            Scene.somebody_takes_the_offers,
            ("1", f"slot_taken {TIMES}"),
            ("3", "booked"),
        ],
    )
    await _booked(scene, specialty="cardiology", offer=2)


@on("whatsapp-es", "web-en", "sms-en")
async def test_no_free_time_at_all_goes_to_the_front_desk(scene: Scene) -> None:
    doctor = await scene.world.doctor_without_free_slots()
    await scene.play(
        en=[
            (f"I want an appointment with {doctor}", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("a check-up", "ask_visit_time"),
            ("any time", "no_slots"),
            ("thanks", "thank"),
        ],
        es=[
            (f"quiero una cita con {doctor}", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("un chequeo", "ask_visit_time"),
            ("cuando sea", "no_slots"),
            ("gracias", "thank"),
        ],
    )
    assert scene.who is not None
    assert await scene.world.appointments(scene.who) == []
    await scene.escalation("scheduling", severity="soon", team="front-desk", patient_id=scene.who.id)


@on("sms-en", "web-es", "whatsapp-es")
async def test_questions_by_the_way_at_every_step(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I need an appointment", "<who>"),
            ("are you a robot?", "bot_challenge <who>"),
            (ME, "verified ask_visit_service"),
            ("where do I park?", "faq_parking ask_visit_service"),
            ("dermatology", "ask_visit_reason"),
            ("what are your hours?", "faq_hours ask_visit_reason"),
            ("dry skin", "ask_visit_time"),
            ("do you take Medicare?", "faq_insurance ask_visit_time"),
            ("next week", TIMES),
            ("what is the address of the clinic?", f"faq_location {TIMES}"),
            ("2", "booked"),
        ],
        es=[
            ("necesito una cita", "<who>"),
            ("¿es usted un robot?", "bot_challenge <who>"),
            (ME, "verified ask_visit_service"),
            ("¿dónde me estaciono?", "faq_parking ask_visit_service"),
            ("dermatología", "ask_visit_reason"),
            ("¿a qué hora abren?", "faq_hours ask_visit_reason"),
            ("piel seca", "ask_visit_time"),
            ("¿aceptan Medicare?", "faq_insurance ask_visit_time"),
            ("la próxima semana", TIMES),
            ("¿cuál es la dirección de la clínica?", f"faq_location {TIMES}"),
            ("2", "booked"),
        ],
    )
    await _booked(scene, specialty="dermatology", offer=1)


@on("sms-en", "web-es", "whatsapp-en")
async def test_never_mind_at_every_step(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I need an appointment", "<who>"),
            ("never mind", "never_mind"),
            ("I need an appointment", "<who>"),
            (ME, "verified ask_visit_service"),
            ("never mind", "never_mind"),
            ("I need an appointment", "ask_visit_service"),
            ("cardiology", "ask_visit_reason"),
            ("forget it", "never_mind"),
            ("I need to see a heart doctor", "ask_visit_reason"),
            ("chest check-up", "ask_visit_time"),
            ("nevermind, leave it", "never_mind"),
            ("I need to see a heart doctor", "ask_visit_reason"),
            ("blood pressure", "ask_visit_time"),
            ("next week", TIMES),
            ("never mind", "never_mind"),
        ],
        es=[
            ("necesito una cita", "<who>"),
            ("olvídelo", "never_mind"),
            ("necesito una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("mejor no, olvídelo", "never_mind"),
            ("necesito una cita", "ask_visit_service"),
            ("cardiología", "ask_visit_reason"),
            ("ya no, déjelo así", "never_mind"),
            ("necesito ver al doctor del corazón", "ask_visit_reason"),
            ("revisión", "ask_visit_time"),
            ("olvídelo", "never_mind"),
            ("necesito ver al doctor del corazón", "ask_visit_reason"),
            ("la presión", "ask_visit_time"),
            ("la próxima semana", TIMES),
            ("olvídelo", "never_mind"),
        ],
    )
    assert scene.who is not None
    assert await scene.world.appointments(scene.who) == []
    await scene.no_escalation()


@on("whatsapp-en", "sms-es")
async def test_three_answers_not_understood_bring_a_human(scene: Scene) -> None:
    await scene.play(
        en=[
            ("book an appointment", "<who>"),
            (ME, "verified ask_visit_service"),
            ("purple elephants", "ask_visit_service_again"),
            ("blah blah", "ask_visit_service_again"),
            ("wibble", "human_after_trying"),
        ],
        es=[
            ("hacer una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("elefantes morados", "ask_visit_service_again"),
            ("bla bla", "ask_visit_service_again"),
            ("wibble", "human_after_trying"),
        ],
    )
    await scene.escalation("not_understood", severity="soon", team="front-desk")
    assert (await scene.conversation()).owner == "human"
