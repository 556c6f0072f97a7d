"""Stop, start, help, language, repeat, what can you do, are you a robot, privacy."""

from __future__ import annotations

from tests.scenes import EVERYWHERE, ME, SILENCE, Scene, on


@on("sms-en", "sms-es", "whatsapp-en", "whatsapp-es")
async def test_stop_and_start(scene: Scene) -> None:
    async def it_is_recorded(scene: Scene) -> None:
        assert await scene.stopped()

    await scene.play(
        en=[
            ("hello", "greet"),
            ("STOP", "stopped"),
            it_is_recorded,
            ("what are your hours?", SILENCE),
            ("start", "started"),
            ("what are your hours?", "faq_hours"),
        ],
        es=[
            ("hola", "greet"),
            ("ALTO", "stopped"),
            it_is_recorded,
            ("¿cuál es el horario?", SILENCE),
            ("iniciar", "started"),
            ("¿cuál es el horario?", "faq_hours"),
        ],
    )
    assert not await scene.stopped()
    await scene.escalation("opted_out", severity="routine", team="front-desk")


@on("web-en", "web-es")
async def test_stop_on_the_web_is_recorded_and_the_page_still_answers(scene: Scene) -> None:
    """Nobody is sent anything there: whoever has the page open and writes wants an answer."""
    await scene.play(
        en=[("hello", "greet"), ("stop", "stopped"), ("what are your hours?", "faq_hours")],
        es=[("hola", "greet"), ("alto", "stopped"), ("¿cuál es el horario?", "faq_hours")],
    )
    assert await scene.stopped()


@on(*EVERYWHERE)
async def test_stop_in_a_sentence(scene: Scene) -> None:
    await scene.play(
        en=[("please stop sending me messages", "stopped")],
        es=[("por favor ya no me mande mensajes", "stopped")],
    )
    assert await scene.stopped()


@on("sms-en", "whatsapp-es")
async def test_stop_in_the_middle_of_a_form(scene: Scene) -> None:
    await scene.play(
        en=[
            ("book a visit", "<who>"),
            (ME, "verified ask_visit_service"),
            ("STOP", "stopped"),
            ("START", "started"),
            ("what are your hours?", "faq_hours|faq_hours ask_visit_service"),
        ],
        es=[
            ("hacer una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("ALTO", "stopped"),
            ("INICIAR", "started"),
            ("¿cuál es el horario?", "faq_hours|faq_hours ask_visit_service"),
        ],
    )


@on("sms-en", "whatsapp-es")
async def test_an_emergency_is_answered_even_after_stop(scene: Scene) -> None:
    await scene.play(
        en=[("hello", "greet"), ("STOP", "stopped"), ("I am having a stroke, my face droops", "safety_emergency")],
        es=[("hola", "greet"), ("ALTO", "stopped"),
            ("se me cae un lado de la cara y no hablo bien", "safety_emergency")],
    )  # fmt: skip


@on(*EVERYWHERE)
async def test_help(scene: Scene) -> None:
    await scene.play(
        en=[("HELP", "help"), ("I need help with this", "help"), ("how does this work?", "help")],
        es=[("AYUDA", "help"), ("necesito ayuda con esto", "help"), ("¿cómo funciona esto?", "help")],
    )
    await scene.no_escalation()


@on(*EVERYWHERE)
async def test_the_other_language_and_back(scene: Scene) -> None:
    await scene.play(
        en=[
            ("hello", "greet"),
            ("español por favor", "change_language", "es"),
            ("mis citas", "<who>", "es"),
            ("olvídelo", "never_mind", "es"),
            ("in English please", "change_language", "en"),
            ("what are your hours?", "faq_hours", "en"),
        ],
        es=[
            ("hola", "greet"),
            ("can we speak English?", "change_language", "en"),
            ("my appointments", "<who>", "en"),
            ("never mind", "never_mind", "en"),
            ("en español", "change_language", "es"),
            ("¿cuál es el horario?", "faq_hours", "es"),
        ],
    )


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_the_language_changes_by_itself_in_the_middle_of_a_form(scene: Scene) -> None:
    """A daughter goes on in English where her mother began in Spanish, and the other way round."""
    await scene.play(
        en=[
            ("I need to see a skin doctor", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("tengo una mancha en la piel que me pica mucho", "ask_visit_time", "es"),
            ("olvídelo", "never_mind", "es"),
        ],
        es=[
            ("necesito ver al doctor de la piel", "<who>"),
            (ME, "verified ask_visit_reason"),
            ("she has a spot on her skin that itches a lot", "ask_visit_time", "en"),
            ("never mind", "never_mind", "en"),
        ],
    )


@on(*EVERYWHERE)
async def test_say_that_again(scene: Scene) -> None:
    await scene.play(
        en=[
            ("where are you located?", "faq_location"),
            ("can you repeat that?", "faq_location"),
            ("book a visit", "<who>"),
            ("sorry, what did you say?", "<who>"),
            (ME, "verified ask_visit_service"),
            ("say that again please", "ask_visit_service"),
            ("dermatology", "ask_visit_reason"),
            ("can you repeat the question?", "ask_visit_reason"),
        ],
        es=[
            ("¿dónde están ubicados?", "faq_location"),
            ("¿me lo puede repetir?", "faq_location"),
            ("hacer una cita", "<who>"),
            ("perdón, ¿qué dijo?", "<who>"),
            (ME, "verified ask_visit_service"),
            ("repita por favor", "ask_visit_service"),
            ("dermatología", "ask_visit_reason"),
            ("¿puede repetir la pregunta?", "ask_visit_reason"),
        ],
    )
    first, second = [reply.text for reply in scene.replies if reply.key == "utter_faq_location"]
    assert first == second


@on("sms-en", "web-es")
async def test_say_that_again_before_anything_was_said(scene: Scene) -> None:
    await scene.play(en=[("repeat that please", "ask_capabilities")], es=[("repita por favor", "ask_capabilities")])


@on(*EVERYWHERE)
async def test_what_it_can_do_what_it_is_and_who_reads_it(scene: Scene) -> None:
    await scene.play(
        en=[
            ("what can you do?", "ask_capabilities"),
            ("are you a robot?", "bot_challenge"),
            ("am I talking to a real person?", "bot_challenge"),
            ("who can read my messages?", "privacy"),
            ("is this safe?", "privacy"),
            ("how are you today?", "small_talk"),
        ],
        es=[
            ("¿qué puede hacer?", "ask_capabilities"),
            ("¿es usted un robot?", "bot_challenge"),
            ("¿estoy hablando con una persona real?", "bot_challenge"),
            ("¿quién puede leer mis mensajes?", "privacy"),
            ("¿esto es seguro?", "privacy"),
            ("¿cómo está usted hoy?", "small_talk"),
        ],
    )
    await scene.no_escalation()
    assert (await scene.conversation()).owner == "assistant"
