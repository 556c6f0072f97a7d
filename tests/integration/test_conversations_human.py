"""A human at any time: asked for in any words, and the assistant is silent until the conversation is handed back."""

from __future__ import annotations

import pytest

from tests.scenes import EVERYWHERE, ME, SILENCE, Scene, on
from tests.stack import Stack
from tests.world import World


@on(*EVERYWHERE)
async def test_silence_until_handed_back(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I want to talk to a person", "human_coming"),
            ("hello?", SILENCE),
            ("what are your hours?", SILENCE),
            Scene.staff_takes_over,
            ("yes I am here", SILENCE),
            Scene.staff_hands_back,
            ("what are your hours?", "faq_hours"),
            ("I need an appointment", "<who>"),
            (ME, "verified ask_visit_service"),
        ],
        es=[
            ("quiero hablar con una persona", "human_coming"),
            ("¿hola?", SILENCE),
            ("¿cuál es el horario?", SILENCE),
            Scene.staff_takes_over,
            ("sí, aquí estoy", SILENCE),
            Scene.staff_hands_back,
            ("¿cuál es el horario?", "faq_hours"),
            ("necesito una cita", "<who>"),
            (ME, "verified ask_visit_service"),
        ],
    )
    row = await scene.escalation("human_request", severity="soon", team="front-desk")
    assert row.state == "taken"  # by the nurse who took over
    outcomes = [message.outcome for message in await scene.inbox()]
    assert outcomes[1:4] == ["to_human"] * 3


@pytest.mark.parametrize(
    ("en", "es"),
    [
        ("agent", "agente"),
        ("operator please", "operadora por favor"),
        ("can I speak with someone at the front desk", "¿puedo hablar con alguien de la recepción?"),
        ("let me talk to a nurse", "páseme con una enfermera"),
        ("I don't want to talk to a machine", "no quiero hablar con una máquina"),
        ("representative", "comuníqueme con alguien"),
        ("is there a real person I can talk to", "necesito que me atienda una persona de verdad"),
        ("please have somebody call me", "que alguien me llame por favor"),
    ],
)
async def test_in_any_words(stack: Stack, world: World, en: str, es: str) -> None:
    @on("sms-en", "web-es")
    async def test(scene: Scene) -> None:
        await scene.play(en=[(en, "human_coming"), ("hello?", SILENCE)], es=[(es, "human_coming"), ("¿hola?", SILENCE)])
        await scene.escalation("human_request", severity="soon", team="front-desk")

    await test(stack, world)


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_in_the_middle_of_every_form(scene: Scene) -> None:
    who = await scene.patient()
    await scene.world.visit(who, "dr-chen", days=3)
    human = {"en": "talk to a human", "es": "hablar con una persona"}[scene.language]
    gone = [(human, "human_coming"), Scene.staff_hands_back]
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            *gone,
            ("my appointments", "<who>"),
            (ME, "verified visits"),
            ("book a visit", "ask_visit_service"),
            *gone,
            ("book a visit", "ask_visit_service"),
            ("dermatology", "ask_visit_reason"),
            *gone,
            ("reschedule my appointment", "ask_visit_time"),
            *gone,
            ("cancel my appointment", "ask_cancel_sure"),
            *gone,
            ("cancel my appointment", "ask_cancel_sure"),
            ("yes", "ask_cancel_reason"),
            *gone,
            ("I have a cough", "triage_hard_breathing"),
            *gone,
            ("my appointments", "visits"),
        ],
        es=[
            ("mis citas", "<who>"),
            *gone,
            ("mis citas", "<who>"),
            (ME, "verified visits"),
            ("hacer una cita", "ask_visit_service"),
            *gone,
            ("hacer una cita", "ask_visit_service"),
            ("dermatología", "ask_visit_reason"),
            *gone,
            ("cambiar mi cita", "ask_visit_time"),
            *gone,
            ("cancelar mi cita", "ask_cancel_sure"),
            *gone,
            ("cancelar mi cita", "ask_cancel_sure"),
            ("sí", "ask_cancel_reason"),
            *gone,
            ("tengo tos", "triage_hard_breathing"),
            *gone,
            ("mis citas", "visits"),
        ],
    )
    assert (await scene.world.appointment(who))["status"] == "booked"


@on("sms-en", "web-es", "whatsapp-en")
async def test_a_nurse_steps_in_and_out_of_a_form(scene: Scene) -> None:
    """What a form asked before she came is past: "no, thank you" is for her, not the reason of a visit."""
    await scene.play(
        en=[
            ("I need to see a skin doctor", "<who>"),
            (ME, "verified ask_visit_reason"),
            Scene.staff_takes_over,
            ("I talked with you about my rash", SILENCE),
            Scene.staff_hands_back,
            ("no, thank you", "deny|thank"),
            ("I need to see a skin doctor", "ask_visit_reason"),
            Scene.staff_takes_over,
            Scene.staff_hands_back,
            ("cancel my appointment", "no_visits"),
        ],
        es=[
            ("necesito ver al doctor de la piel", "<who>"),
            (ME, "verified ask_visit_reason"),
            Scene.staff_takes_over,
            ("le conté de mi sarpullido", SILENCE),
            Scene.staff_hands_back,
            ("no, gracias", "deny|thank"),
            ("necesito ver al doctor de la piel", "ask_visit_reason"),
            Scene.staff_takes_over,
            Scene.staff_hands_back,
            ("cancelar mi cita", "no_visits"),
        ],
    )


@on("sms-en", "whatsapp-es", "web-en")
async def test_a_red_flag_while_a_human_has_it(scene: Scene) -> None:
    """The patient still hears at once where help is, and the line climbs to an emergency."""
    await scene.play(
        en=[
            ("I want a human", "human_coming"),
            ("I can't breathe and my chest hurts", "safety_emergency"),
        ],
        es=[
            ("quiero una persona", "human_coming"),
            ("no puedo respirar y me duele el pecho", "safety_emergency"),
        ],
    )
    assert {row.reason: row.severity for row in await scene.escalations()} == {
        "human_request": "soon",
        "emergency": "emergency",
    }


@on("sms-en", "web-es")
async def test_complaints_and_losses_are_heard_and_told(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I waited two hours and nobody helped me, this is unacceptable", "complaint"),
            ("my mother passed away last week", "grief"),
        ],
        es=[
            ("esperé dos horas y nadie me atendió, qué mal servicio", "complaint"),
            ("mi mamá falleció la semana pasada", "grief"),
        ],
    )
    assert {row.reason for row in await scene.escalations()} == {"complaint", "human_request"}


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_questions_that_only_a_clinician_may_answer(scene: Scene) -> None:
    await scene.play(
        en=[
            ("how many tylenol can I take?", "ask_dosing"),
            ("do you think I have diabetes?", "ask_diagnosis"),
            ("what were my blood test results?", "ask_test_results"),
            ("am I going to get better?", "ask_prognosis"),
            ("can I take aspirin with warfarin?", "medication_question"),
            ("I need a refill of my lisinopril", "medication_refill"),
        ],
        es=[
            ("¿cuántas pastillas de tylenol puedo tomar?", "ask_dosing"),
            ("¿cree que tengo diabetes?", "ask_diagnosis"),
            ("¿cuáles fueron los resultados de mis análisis?", "ask_test_results"),
            ("¿me voy a curar?", "ask_prognosis"),
            ("¿puedo tomar aspirina con warfarina?", "medication_question"),
            ("necesito que me surtan mi receta de lisinopril", "medication_refill"),
        ],
    )
    row = await scene.escalation("clinical_question", severity="soon", team="nurse-line")
    assert [report["details"]["about"] for report in scene.reports_of(row)] == [
        "ask_dosing", "ask_diagnosis", "ask_test_results", "ask_prognosis", "medication_question", "medication_refill",
    ]  # fmt: skip
    assert (await scene.conversation()).owner == "assistant"
