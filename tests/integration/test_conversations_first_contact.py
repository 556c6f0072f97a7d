"""First contact: whoever writes hears at once that this is a machine, how to reach a human, and how to stop."""

from __future__ import annotations

import pytest

from tests.scenes import EVERYWHERE, ME, Scene, Step, on
from tests.stack import Stack
from tests.world import World


@on(*EVERYWHERE)
async def test_hello(scene: Scene) -> None:
    await scene.play(
        en=[("hello", "introduction greet"), ("hello", "greet"), ("thanks", "thank"), ("bye", "goodbye")],
        es=[("hola", "introduction greet"), ("buenas tardes", "greet"), ("gracias", "thank"), ("adiós", "goodbye")],
    )
    conversation = await scene.conversation()
    assert conversation.introduced_at is not None
    assert conversation.language == scene.language
    await scene.not_verified()
    await scene.no_escalation()


@on(*EVERYWHERE)
async def test_who_begins_with_a_wish_gets_both(scene: Scene) -> None:
    await scene.play(
        en=[("I need an appointment", "introduction <who>"), (ME, "verified ask_visit_service")],
        es=[("necesito una cita", "introduction <who>"), (ME, "verified ask_visit_service")],
    )


@on("sms-en", "whatsapp-es", "web-en")
async def test_who_begins_with_an_emergency_gets_guidance_first(scene: Scene) -> None:
    await scene.play(
        en=[("my husband is not breathing", "safety_emergency"), ("what now", "safety_waiting introduction")],
        es=[("mi esposo no respira", "safety_emergency"), ("¿y ahora?", "safety_waiting introduction")],
    )


@on(*EVERYWHERE)
async def test_who_begins_with_help_hears_everything_once(scene: Scene) -> None:
    await scene.play(
        en=[("help", "help"), ("hello", "greet"), ("help", "help")],
        es=[("ayuda", "help"), ("hola", "greet"), ("ayuda", "help")],
    )
    said = scene.replies[0].text
    machine, *words = {
        "en": ("automated assistant", '"human"', "STOP", "911"),
        "es": ("asistente automático", '"persona"', "ALTO", "911"),
    }[scene.language]
    assert machine in said
    assert all(said.count(word) == 1 for word in words)
    assert (await scene.conversation()).introduced_at is not None
    assert not scene.said("introduction")


@on("sms-en", "whatsapp-es", "web-en")
async def test_who_begins_with_stop_gets_the_confirmation_only(scene: Scene) -> None:
    await scene.play(
        en=[("STOP", "stopped"), ("START", "introduction started")],
        es=[("ALTO", "stopped"), ("INICIAR", "introduction started")],
    )


@on("sms-en", "sms-es")
async def test_a_checkin_that_we_start_says_first_who_writes(scene: Scene) -> None:
    await scene.patient()
    await scene.goes_home_from_hospital()
    await scene.expect_news("introduction checkin_invitation <who>")


@on("sms-en", "whatsapp-es", "web-en")
async def test_where_staff_write_first_the_assistant_introduces_itself_when_it_gets_the_conversation(
    scene: Scene,
) -> None:
    """Guidance comes first, then a nurse by name; the patient has not heard yet how the assistant works."""
    await scene.play(
        en=[("my husband is not breathing", "safety_emergency"), Scene.staff_takes_over],
        es=[("mi esposo no respira", "safety_emergency"), Scene.staff_takes_over],
    )
    await scene.world.does((await scene.conversation()).id, "hand-back")
    await scene.expect_news("introduction")
    await scene.play(en=[("thanks", "thank")], es=[("gracias", "thank")])


@on(*EVERYWHERE)
async def test_what_the_introduction_says_to_write_works(scene: Scene) -> None:
    """ "Say human", "say STOP": the words that are promised do what is promised."""
    await scene.play(
        en=[("hi", "introduction greet"), ("human", "human_coming")],
        es=[("hola", "introduction greet"), ("persona", "human_coming")],
    )
    words = {"en": ("human", "STOP"), "es": ("persona", "ALTO")}[scene.language]
    introduction = scene.replies[0].text
    assert all(word in introduction for word in words)
    await scene.escalation("human_request", severity="soon", team="front-desk")


# What a message puts between quotes, or as a word in capitals, and what comes when a patient writes just that.
@pytest.mark.parametrize(
    ("said", "en", "es", "comes"),
    [
        ("utter_help", "book a visit", "hacer una cita", "<who>"),
        ("utter_help", "my appointments", "mis citas", "<who>"),
        ("utter_help", "STOP", "ALTO", "stopped"),
        ("utter_stopped", "START", "INICIAR", "started"),
        ("utter_bot_challenge", "human", "persona", "human_coming"),
        ("utter_checkin_later", "check-in", "seguimiento", "<who>"),
    ],
)
async def test_words_that_messages_tell_people_to_write(
    stack: Stack, world: World, said: str, en: str, es: str, comes: str
) -> None:
    @on("sms-en", "whatsapp-es")
    async def test(scene: Scene) -> None:
        word = {"en": en, "es": es}[scene.language]
        assert word in scene.content.message(said).wordings[scene.language].text
        await scene.play(en=[("hello", "greet"), (en, comes)], es=[("hola", "greet"), (es, comes)])

    await test(stack, world)


@on("web-en", "web-es", "whatsapp-en", "whatsapp-es")
async def test_every_button_leads_where_it_says(scene: Scene) -> None:
    """The quick replies that stand under messages outside any form, pressed one after the other."""
    comes = {
        "Book a visit": "<who>",
        "Hacer una cita": "<who>",
        "My appointments": "<who>",
        "Mis citas": "<who>",
        "I have a symptom": "ask_symptom_what",
        "Tengo un síntoma": "ask_symptom_what",
        "Clinic hours": "faq_hours",
        "Horario de la clínica": "faq_hours",
        "No, thank you": "deny",
        "No, gracias": "deny",
        "Talk to a human": "human_coming",
        "Hablar con una persona": "human_coming",
    }
    outside = ("greet", "ask_what_next", "ask_capabilities", "not_understood_choices", "out_of_scope", "no_visits")
    buttons = dict.fromkeys(
        option.label
        for key in outside
        for option in scene.content.message(f"utter_{key}").wordings[scene.language].quick_replies
    )
    assert set(buttons) <= set(comes)
    hello, forget = {"en": ("hello", "never mind"), "es": ("hola", "olvídelo")}[scene.language]
    last = {"en": "Talk to a human", "es": "Hablar con una persona"}[scene.language]
    steps: list[Step] = [(hello, "greet")]
    for button in [*(button for button in buttons if button != last), last]:
        steps.append((button, comes[button]))
        if comes[button] in ("<who>", "ask_symptom_what"):
            steps.append((forget, "never_mind"))
    await scene.play(en=steps, es=steps)
