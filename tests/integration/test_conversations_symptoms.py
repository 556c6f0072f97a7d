"""Symptoms: what, since when, how bad, and then the right person in time. Red flags do not wait for the end."""

from __future__ import annotations

from tests.scenes import EVERYWHERE, ME, Scene, on

# What the triage table makes of it, and what is offered then.
TODAY = "symptom_today ask_symptom_next"
SOON = "symptom_within_3_days ask_symptom_next"
SELF_CARE = "symptom_self_care ask_symptom_next"
ANY = "symptom_routine|symptom_self_care|symptom_within_3_days ask_symptom_next"


@on(*EVERYWHERE)
async def test_what_since_when_and_how_bad_in_three_messages(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a sore throat", "ask_symptom_since"),
            ("since yesterday", "ask_symptom_severity"),
            ("2", SELF_CARE),
            ("no thanks", "symptom_watch"),
        ],
        es=[
            ("me duele la garganta", "ask_symptom_since"),
            ("desde ayer", "ask_symptom_severity"),
            ("2", SELF_CARE),
            ("no gracias", "symptom_watch"),
        ],
    )
    await scene.no_escalation()
    await scene.not_verified()


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_what_cannot_wait_reaches_the_nurse_at_once(scene: Scene) -> None:
    await scene.play(
        en=[
            ("it burns when I pee", "ask_symptom_since"),
            ("three days ago", "ask_symptom_severity"),
            ("like a 7", TODAY),
            ("have a nurse call me", "symptom_callback"),
        ],
        es=[
            ("me arde al orinar", "ask_symptom_since"),
            ("hace tres días", "ask_symptom_severity"),
            ("como un 7", TODAY),
            ("que me llame una enfermera", "symptom_callback"),
        ],
    )
    row = await scene.escalation("symptoms", severity="urgent", team="nurse-line")
    assert row.rule
    assert row.source
    assert row.details["severity"] == 7


@on("sms-es", "whatsapp-en", "web-en")
async def test_all_of_it_in_one_message(scene: Scene) -> None:
    await scene.play(
        en=[("I have had a mild sore throat for two days, about a 3 out of 10", SELF_CARE)],
        es=[("tengo dolor de garganta leve desde hace dos días, como un 3 de 10", SELF_CARE)],
    )
    await scene.no_escalation()


@on("sms-en", "whatsapp-es")
async def test_a_visit_is_booked_for_it(scene: Scene) -> None:
    """What hurts becomes the reason of the visit; the patient says who they are only now."""
    await scene.play(
        en=[
            ("my knee has been hurting for two weeks", "ask_symptom_severity"),
            ("5", SOON),
            ("book a visit", "<who>"),
            (ME, "verified ask_visit_service"),
            ("a bone doctor", "ask_visit_time"),
            ("tomorrow or the day after", "offer_slots|offer_nearest"),
            ("1", "booked"),
        ],
        es=[
            ("me duele la rodilla desde hace dos semanas", "ask_symptom_severity"),
            ("5", SOON),
            ("hacer una cita", "<who>"),
            (ME, "verified ask_visit_service"),
            ("un doctor de huesos", "ask_visit_time"),
            ("mañana o pasado mañana", "offer_slots|offer_nearest"),
            ("1", "booked"),
        ],
    )
    assert scene.who is not None
    visit = await scene.world.appointment(scene.who)
    assert scene.world.specialty_of(visit) == "orthopedics"
    hurts = {"en": "my knee has been hurting for two weeks", "es": "me duele la rodilla desde hace dos semanas"}
    assert visit["reasonCode"][0]["text"] == hurts[scene.language]
    await scene.escalation("symptoms", severity="soon", team="nurse-line")


@on(*EVERYWHERE)
async def test_a_red_flag_as_the_first_word(scene: Scene) -> None:
    await scene.play(
        en=[("I have crushing chest pain and I can't breathe", "safety_emergency")],
        es=[("tengo un dolor muy fuerte en el pecho y no puedo respirar", "safety_emergency")],
    )
    row = await scene.escalation("emergency", severity="emergency", team="nurse-line")
    assert row.rule
    assert (await scene.conversation()).owner == "emergency"
    (message,) = await scene.inbox()
    assert (message.level, message.outcome) == ("emergency", "red_flag")


@on(*EVERYWHERE)
async def test_a_red_flag_in_the_middle(scene: Scene) -> None:
    """Guidance comes at once, and until a nurse hands back the assistant only repeats where to find help."""
    await scene.play(
        en=[
            ("I don't feel well", "ask_symptom_what|ask_symptom_since"),
            ("a headache, and now my face is drooping on one side", "safety_emergency"),
            ("ok", "safety_waiting"),
            Scene.staff_hands_back,
            ("no, that is all", "deny|goodbye"),
            ("what are your hours?", "faq_hours"),
        ],
        es=[
            ("me siento mal", "ask_symptom_what|ask_symptom_since"),
            ("dolor de cabeza, y se me cayó un lado de la cara", "safety_emergency"),
            ("ok", "safety_waiting"),
            Scene.staff_hands_back,
            ("no, eso es todo", "deny|goodbye"),
            ("¿a qué hora abren?", "faq_hours"),
        ],
    )
    await scene.escalation("emergency", severity="emergency", team="nurse-line")


@on("sms-en", "web-es", "whatsapp-en")
async def test_thoughts_of_suicide(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I can't sleep", "ask_symptom_since|not_understood"),
            ("I want to kill myself", "safety_crisis"),
        ],
        es=[
            ("no puedo dormir", "ask_symptom_since|not_understood"),
            ("me quiero matar", "safety_crisis"),
        ],
    )
    await scene.escalation("crisis", severity="emergency", team="nurse-line")
    assert (await scene.conversation()).owner == "emergency"


@on("sms-en", "whatsapp-es", "web-en")
async def test_the_worst_pain_is_an_emergency_though_no_word_of_it_was(scene: Scene) -> None:
    """The table decides at the end: 9 of 10 does not wait for a visit."""
    await scene.play(
        en=[
            ("my back hurts", "ask_symptom_since"),
            ("this morning", "ask_symptom_severity"),
            ("9 out of 10", "safety_emergency"),
            ("ok", "safety_waiting"),
        ],
        es=[
            ("me duele la espalda", "ask_symptom_since"),
            ("desde esta mañana", "ask_symptom_severity"),
            ("9 de 10", "safety_emergency"),
            ("ok", "safety_waiting"),
        ],
    )
    await scene.escalation("symptoms", severity="emergency", team="nurse-line")
    assert (await scene.conversation()).owner == "emergency"


@on("sms-es", "web-en", "whatsapp-en")
async def test_words_instead_of_numbers_and_answers_that_need_another_try(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a symptom", "ask_symptom_what"),
            ("runny nose and sneezing", "ask_symptom_since"),
            ("hmm", "ask_symptom_since_again"),
            ("oh, maybe a couple of days", "ask_symptom_severity"),
            ("what do you mean?", "ask_symptom_severity|ask_symptom_severity_again"),
            ("mild", ANY),
            ("nothing", "symptom_watch"),
        ],
        es=[
            ("tengo un síntoma", "ask_symptom_what"),
            ("mocos y estornudos", "ask_symptom_since"),
            ("mmm", "ask_symptom_since_again"),
            ("pues como dos días", "ask_symptom_severity"),
            ("¿cómo?", "ask_symptom_severity|ask_symptom_severity_again"),
            ("leve", ANY),
            ("nada", "symptom_watch"),
        ],
    )


@on("sms-en", "web-es", "whatsapp-es")
async def test_questions_by_the_way_and_the_nurse_hears_of_those_for_her(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a cough", "ask_symptom_since"),
            ("what are your hours?", "faq_hours ask_symptom_since"),
            ("a week ago", "ask_symptom_severity"),
            ("how much cough syrup can I take?", "ask_dosing ask_symptom_severity"),
            ("3", ANY),
            ("are you a robot?", "bot_challenge ask_symptom_next"),
            ("No, thank you", "symptom_watch"),
        ],
        es=[
            ("tengo tos", "ask_symptom_since"),
            ("¿cuál es su horario?", "faq_hours ask_symptom_since"),
            ("hace una semana", "ask_symptom_severity"),
            ("¿cuánto jarabe puedo tomar?", "ask_dosing ask_symptom_severity"),
            ("3", ANY),
            ("¿es usted un robot?", "bot_challenge ask_symptom_next"),
            ("No, gracias", "symptom_watch"),
        ],
    )
    await scene.escalation("clinical_question", severity="soon", team="nurse-line")


@on("sms-en", "whatsapp-es", "web-en")
async def test_never_mind_at_each_step(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a symptom", "ask_symptom_what"),
            ("never mind", "never_mind"),
            ("I have a rash", "ask_symptom_since"),
            ("forget it", "never_mind"),
            ("I have a rash since monday", "ask_symptom_severity"),
            ("never mind", "never_mind"),
            ("I have a rash since monday", "ask_symptom_severity"),
            ("2", ANY),
            ("never mind", "symptom_watch|never_mind"),
        ],
        es=[
            ("tengo un síntoma", "ask_symptom_what"),
            ("olvídelo", "never_mind"),
            ("tengo un sarpullido", "ask_symptom_since"),
            ("ya no, olvídelo", "never_mind"),
            ("tengo un sarpullido desde el lunes", "ask_symptom_severity"),
            ("olvídelo", "never_mind"),
            ("tengo un sarpullido desde el lunes", "ask_symptom_severity"),
            ("2", ANY),
            ("olvídelo", "symptom_watch|never_mind"),
        ],
    )


@on("sms-en", "web-es")
async def test_a_human_in_the_middle(scene: Scene) -> None:
    await scene.play(
        en=[
            ("my ear hurts", "ask_symptom_since"),
            ("I want to talk to a nurse", "human_coming"),
            ("hello?", ""),
        ],
        es=[
            ("me duele el oído", "ask_symptom_since"),
            ("quiero hablar con una enfermera", "human_coming"),
            ("¿hola?", ""),
        ],
    )
    await scene.escalation("human_request", severity="soon")


@on("sms-en", "whatsapp-es")
async def test_a_fever_at_an_age_at_which_it_counts(scene: Scene) -> None:
    """Mabel is over ninety: the chart of a verified patient goes into where a symptom belongs."""
    await scene.patient(birthDate="1938-05-05")
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified no_visits"),
            ("I have a fever", "ask_symptom_since"),
            ("since this morning", "ask_symptom_severity"),
            ("2", TODAY),
            ("no", "symptom_watch"),
        ],
        es=[
            ("mis citas", "<who>"),
            (ME, "verified no_visits"),
            ("tengo fiebre", "ask_symptom_since"),
            ("desde esta mañana", "ask_symptom_severity"),
            ("2", TODAY),
            ("no", "symptom_watch"),
        ],
    )
    assert scene.who is not None
    await scene.escalation("symptoms", severity="urgent", team="nurse-line", patient_id=scene.who.id)
