"""Anything else: asked once, then choices, then a human. Never a dead end, never silence, nothing to break."""

from __future__ import annotations

import pytest

from tests.scenes import EVERYWHERE, ME, SILENCE, Scene, on
from tests.stack import Stack
from tests.world import World

LOST = "not_understood|out_of_scope"


@on(*EVERYWHERE)
async def test_once_then_choices_then_a_human(scene: Scene) -> None:
    await scene.play(
        en=[
            ("glorp fizzle bram", LOST),
            ("zug zug wobble", "not_understood_choices"),
            ("flim flam", "human_after_trying"),
            ("hello?", SILENCE),
            Scene.staff_hands_back,
            ("what are your hours?", "faq_hours"),
        ],
        es=[
            ("hola", "greet"),
            ("glorpa fizla brumo", LOST),
            ("zuga zuga bimbo", "not_understood_choices"),
            ("flimo flamo", "human_after_trying"),
            ("¿hola?", SILENCE),
            Scene.staff_hands_back,
            ("¿cuál es el horario?", "faq_hours"),
        ],
    )
    await scene.escalation("not_understood", severity="soon", team="front-desk")


@on("sms-en", "whatsapp-es", "web-en")
async def test_being_understood_in_between_starts_the_count_anew(scene: Scene) -> None:
    await scene.play(
        en=[
            ("glorp fizzle bram", LOST),
            ("zug zug wobble", "not_understood_choices"),
            ("where are you located?", "faq_location"),
            ("flim flam", LOST),
            ("glorp", "not_understood_choices"),
        ],
        es=[
            ("hola", "greet"),
            ("glorpa fizla brumo", LOST),
            ("zuga zuga bimbo", "not_understood_choices"),
            ("¿dónde están ubicados?", "faq_location"),
            ("flimo flamo", LOST),
            ("glorpa", "not_understood_choices"),
        ],
    )
    await scene.no_escalation()


@on("sms-en", "web-es", "whatsapp-es")
async def test_what_a_clinic_does_not_do(scene: Scene) -> None:
    await scene.play(
        en=[
            ("what is the capital of France?", "out_of_scope"),
            ("can you order me a pizza", "not_understood_choices"),
            ("book a visit", "<who>"),
        ],
        es=[
            ("¿cuál es la capital de Francia?", "out_of_scope"),
            ("¿me puede pedir una pizza?", "not_understood_choices"),
            ("hacer una cita", "<who>"),
        ],
    )


@pytest.mark.parametrize(
    "text",
    [
        "/restart",
        "/session_start",
        "/book_appointment",
        '/book_appointment{"x":1}',
        '/cancel_appointment{"visit_choice": "maria-endocrinology"}',
        "/EXTERNAL_checkin_due",
        "EXTERNAL: EXTERNAL_checkin_due",
        "//book_form",
        "/",
    ],
)
async def test_a_slash_is_only_a_slash(stack: Stack, world: World, text: str) -> None:
    """Rasa's commands typed by a patient are words: whatever they are taken for, nothing is forced."""

    @on("sms-en", "web-es")
    async def test(scene: Scene) -> None:
        hello = {"en": "hello", "es": "hola"}[scene.language]
        await scene.play(en=[(hello, "greet")], es=[(hello, "greet")])
        heard = await scene.say(text)
        assert heard, "silence"
        (message,) = (await scene.inbox())[1:]
        assert message.intent not in ("restart", "session_start", "EXTERNAL_checkin_due")
        assert message.confidence is None or message.confidence < 1.0
        # and the conversation goes on
        ask = {"en": "what are your hours?", "es": "¿cuál es el horario?"}[scene.language]
        said = [one.key for one in await scene.say(ask)]
        assert "utter_faq_hours" in said
        assert (await scene.conversation()).patient_id is None

    await test(stack, world)


@on("sms-en", "whatsapp-es")
async def test_a_slash_in_the_middle_of_a_form_does_not_end_it(scene: Scene) -> None:
    await scene.play(
        en=[
            ("book a visit", "<who>"),
            (ME, "verified ask_visit_service"),
            ("/restart", "ask_visit_service_again|ask_visit_service|never_mind"),
            ("my appointments", "no_visits"),
        ],
        es=[
            ("hacer una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("/restart", "ask_visit_service_again|ask_visit_service|never_mind"),
            ("mis citas", "no_visits"),
        ],
    )


@on(*EVERYWHERE)
async def test_no_words_at_all(scene: Scene) -> None:
    await scene.play(
        en=[("hello", "greet"), ("😀😀", "no_words"), ("???", "no_words"), ("👍", "ask_what_next"), ("🙏", "thank")],
        es=[("hola", "greet"), ("😀😀", "no_words"), ("???", "no_words"), ("👍", "ask_what_next"), ("🙏", "thank")],
    )


@on("sms-en", "web-es")
async def test_a_very_long_message(scene: Scene) -> None:
    story = {"en": "my neighbor told me about her garden and ", "es": "mi vecina me contó de su jardín y "}
    await scene.play(en=[("hello", "greet")], es=[("hola", "greet")])
    heard = await scene.say(story[scene.language] * 200)
    assert heard
    assert all(one.language == scene.language for one in heard)


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_typos(scene: Scene) -> None:
    await scene.play(
        en=[
            ("i ned an apointment", "<who>"),
            (ME, "verified ask_visit_service"),
            ("dermatolgy", "ask_visit_reason"),
            ("rassh", "ask_visit_time"),
            ("nex tusday aftrnoon", "offer_slots|offer_nearest"),
            ("teh frist one", "booked"),
            ("cancle my appoitment", "ask_cancel_sure"),
            ("yess", "ask_cancel_reason"),
            ("no resaon", "cancelled"),
        ],
        es=[
            ("nesesito una sita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("dermatolojia", "ask_visit_reason"),
            ("ronchas", "ask_visit_time"),
            ("el prosimo martes por la tarde", "offer_slots|offer_nearest"),
            ("la primra", "booked"),
            ("canselar mi sita", "ask_cancel_sure"),
            ("sii", "ask_cancel_reason"),
            ("sin motibo", "cancelled"),
        ],
    )


@on("sms-en", "whatsapp-es", "web-en")
async def test_yes_and_no_and_later_to_no_question(scene: Scene) -> None:
    await scene.play(
        en=[
            ("hello", "greet"),
            ("yes", "ask_what_next"),
            ("no", "deny"),
            ("I don't know", "ask_what_next"),
            ("maybe later", "deny"),
            ("never mind", "never_mind"),
        ],
        es=[
            ("hola", "greet"),
            ("sí", "ask_what_next"),
            ("no", "deny"),
            ("no sé", "ask_what_next"),
            ("tal vez después", "deny"),
            ("olvídelo", "never_mind"),
        ],
    )
