"""Symptoms: the questions that separate dispositions, then the right person in time. Red flags do not wait for them."""

from __future__ import annotations

import base64

from carethread.ehr.client import Json
from tests.scenes import EVERYWHERE, ME, Scene, on

# What the triage tables make of it, and what is offered then.
TODAY = "symptom_today ask_symptom_next"
SOON = "symptom_within_3_days ask_symptom_next"
SELF_CARE = "symptom_self_care ask_symptom_next"


async def notes(scene: Scene, *, at_least: int = 1) -> list[Json]:
    """The notes that the EHR holds of this patient, the earliest first, once there are so many."""
    assert scene.who is not None
    who = scene.who.id

    async def find() -> list[Json]:
        found = await scene.stack.ehr.search("DocumentReference", {"patient": who})
        mine = sorted((r.raw for r in found if r.type == "DocumentReference"), key=lambda raw: str(raw["date"]))
        return mine if len(mine) >= at_least else []

    found: list[Json] = await scene.eventually(find)
    assert len(found) >= at_least, "\n".join(scene.transcript)
    return found


def written(note: Json) -> str:
    """What a member of staff reads in it."""
    return base64.b64decode(note["content"][0]["attachment"]["data"]).decode()


@on(*EVERYWHERE)
async def test_the_questions_that_separate_then_care_at_home(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a sore throat", "triage_drooling"),
            ("no", "triage_hard_breathing"),
            ("no", "triage_age"),
            ("30", "ask_symptom_severity"),
            ("2", "triage_fever"),
            ("not really", "ask_symptom_since"),
            ("since yesterday", SELF_CARE),
            ("no thanks", "symptom_watch"),
        ],
        es=[
            ("me duele la garganta", "triage_drooling"),
            ("no", "triage_hard_breathing"),
            ("no", "triage_age"),
            ("30", "ask_symptom_severity"),
            ("2", "triage_fever"),
            ("no mucho", "ask_symptom_since"),
            ("desde ayer", SELF_CARE),
            ("no gracias", "symptom_watch"),
        ],
    )
    await scene.no_escalation()
    await scene.not_verified()


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_what_cannot_wait_reaches_the_nurse_with_every_answer(scene: Scene) -> None:
    await scene.play(
        en=[
            ("it burns when I pee", "triage_cannot_pee"),
            ("no", "triage_flank_chills"),
            ("no fever", "triage_flank_chills"),
            ("no", "triage_age"),
            ("30 years", "triage_pregnant"),
            ("no", "triage_urine_blood"),
            ("yes a little", TODAY),
            ("have a nurse call me", "symptom_callback"),
        ],
        es=[
            ("me arde al orinar", "triage_cannot_pee"),
            ("no", "triage_flank_chills"),
            ("no tengo fiebre", "triage_flank_chills"),
            ("no", "triage_age"),
            ("30 años", "triage_pregnant"),
            ("no", "triage_urine_blood"),
            ("sí, un poco", TODAY),
            ("que me llame una enfermera", "symptom_callback"),
        ],
    )
    row = await scene.escalation("symptoms", severity="urgent", team="nurse-line")
    assert row.rule == "urinary:blood"
    assert row.source
    assert row.details["complaint"] == "Urinary complaint"
    assert row.details["disposition"] == "today"
    assert row.details["answers"]["Blood in urine"].startswith("yes")
    assert row.details["answers"]["Fever"].startswith("no")


@on("sms-es", "whatsapp-en", "web-en")
async def test_nothing_is_asked_that_was_said(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have had a mild sore throat for two days, no fever, about a 3 out of 10", "triage_drooling"),
            ("no", "triage_hard_breathing"),
            ("nope", "triage_age"),
            ("29", SELF_CARE),
        ],
        es=[
            ("tengo dolor de garganta leve desde hace dos días, sin fiebre, como un 3 de 10", "triage_drooling"),
            ("no", "triage_hard_breathing"),
            ("para nada", "triage_age"),
            ("29", SELF_CARE),
        ],
    )
    await scene.no_escalation()


@on("sms-en", "whatsapp-es")
async def test_a_visit_is_booked_for_it(scene: Scene) -> None:
    """What hurts becomes the reason of the visit; the patient says who they are only now."""
    await scene.play(
        en=[
            ("my knee has been hurting for two weeks", "triage_limb_crooked"),
            ("no", "triage_joint_hot"),
            ("no", "triage_one_leg_swollen"),
            ("no", "triage_cannot_use"),
            ("no", "ask_symptom_severity"),
            ("5", "triage_fever"),
            ("no", SOON),
            ("book a visit", "<who>"),
            (ME, "verified ask_visit_service"),
            ("a bone doctor", "ask_visit_time"),
            ("tomorrow or the day after", "offer_slots|offer_nearest"),
            ("1", "booked"),
        ],
        es=[
            ("me duele la rodilla desde hace dos semanas", "triage_limb_crooked"),
            ("no", "triage_joint_hot"),
            ("no", "triage_one_leg_swollen"),
            ("no", "triage_cannot_use"),
            ("no", "ask_symptom_severity"),
            ("5", "triage_fever"),
            ("no", SOON),
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
            ("I don't feel well", "ask_symptom_what|triage_hard_breathing"),
            ("a headache, and now my face is drooping on one side", "safety_emergency"),
            ("ok", "safety_waiting"),
            Scene.staff_hands_back,
            ("no, that is all", "deny|goodbye"),
            ("what are your hours?", "faq_hours"),
        ],
        es=[
            ("me siento mal", "ask_symptom_what|triage_hard_breathing"),
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
            ("I can't sleep", "triage_hard_breathing|not_understood"),
            ("I want to kill myself", "safety_crisis"),
        ],
        es=[
            ("no puedo dormir", "triage_hard_breathing|not_understood"),
            ("me quiero matar", "safety_crisis"),
        ],
    )
    await scene.escalation("crisis", severity="emergency", team="nurse-line")
    assert (await scene.conversation()).owner == "emergency"


@on("sms-en", "whatsapp-es", "web-en")
async def test_the_worst_pain_is_an_emergency_though_no_word_of_it_was(scene: Scene) -> None:
    """The tables decide: 9 of 10 does not wait for a visit."""
    await scene.play(
        en=[
            ("my back hurts", "triage_saddle_numb"),
            ("no", "triage_big_fall"),
            ("no", "ask_symptom_severity"),
            ("9 out of 10", "safety_emergency"),
            ("ok", "safety_waiting"),
        ],
        es=[
            ("me duele la espalda", "triage_saddle_numb"),
            ("no", "triage_big_fall"),
            ("no", "ask_symptom_severity"),
            ("9 de 10", "safety_emergency"),
            ("ok", "safety_waiting"),
        ],
    )
    await scene.escalation("symptoms", severity="emergency", team="nurse-line")
    assert (await scene.conversation()).owner == "emergency"


@on("sms-en", "web-es")
async def test_a_yes_to_thoughts_of_harm_brings_a_person_and_the_crisis_line(scene: Scene) -> None:
    await scene.play(
        en=[("I feel sad and anxious all the time", "triage_self_harm"), ("yes", "safety_crisis")],
        es=[("me siento triste y con ansiedad", "triage_self_harm"), ("sí", "safety_crisis")],
    )
    await scene.escalation("crisis", severity="emergency", team="nurse-line")
    assert (await scene.conversation()).owner == "emergency"


@on("sms-es", "web-en", "whatsapp-en")
async def test_words_instead_of_numbers_and_answers_that_need_another_try(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a symptom", "ask_symptom_what"),
            ("runny nose and sneezing", "triage_hard_breathing"),
            ("hmm", "triage_again triage_hard_breathing"),
            ("what do you mean?", "triage_hard_breathing_help triage_hard_breathing"),
            ("no", "triage_age"),
            ("what do you mean?", "triage_why triage_age"),
            ("35", "triage_immune_weak"),
            ("idk", "triage_bad_sinus"),
            ("no", "ask_symptom_since"),
            ("hmm", "ask_symptom_since_again"),
            ("oh, maybe a couple of days", SELF_CARE),
            ("nothing", "symptom_watch"),
        ],
        es=[
            ("tengo un síntoma", "ask_symptom_what"),
            ("mocos y estornudos", "triage_hard_breathing"),
            ("mmm", "triage_again triage_hard_breathing"),
            ("¿qué quiere decir?", "triage_hard_breathing_help triage_hard_breathing"),
            ("no", "triage_age"),
            ("¿qué quiere decir?", "triage_why triage_age"),
            ("35", "triage_immune_weak"),
            ("no sé", "triage_bad_sinus"),
            ("no", "ask_symptom_since"),
            ("mmm", "ask_symptom_since_again"),
            ("pues como dos días", SELF_CARE),
            ("nada", "symptom_watch"),
        ],
    )


@on("sms-en", "web-es", "whatsapp-es")
async def test_questions_by_the_way_and_the_nurse_hears_of_those_for_her(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have a cough", "triage_hard_breathing"),
            ("what are your hours?", "faq_hours triage_hard_breathing"),
            ("no", "triage_age"),
            ("how much cough syrup can I take?", "ask_dosing triage_age"),
            ("40", "triage_cough_blood"),
            ("no", "triage_wheezing"),
            ("no", "triage_fever"),
            ("no", "ask_symptom_since"),
            ("a week ago", SELF_CARE),
            ("are you a robot?", "bot_challenge ask_symptom_next"),
            ("No, thank you", "symptom_watch"),
        ],
        es=[
            ("tengo tos", "triage_hard_breathing"),
            ("¿cuál es su horario?", "faq_hours triage_hard_breathing"),
            ("no", "triage_age"),
            ("¿cuánto jarabe puedo tomar?", "ask_dosing triage_age"),
            ("40", "triage_cough_blood"),
            ("no", "triage_wheezing"),
            ("no", "triage_fever"),
            ("no", "ask_symptom_since"),
            ("hace una semana", SELF_CARE),
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
            ("I have a rash", "triage_purple_spots"),
            ("forget it", "never_mind"),
            ("I have a rash since monday", "triage_purple_spots"),
            ("no", "triage_face_swelling"),
            ("never mind", "never_mind"),
        ],
        es=[
            ("tengo un síntoma", "ask_symptom_what"),
            ("olvídelo", "never_mind"),
            ("tengo un sarpullido", "triage_purple_spots"),
            ("ya no, olvídelo", "never_mind"),
            ("tengo un sarpullido desde el lunes", "triage_purple_spots"),
            ("no", "triage_face_swelling"),
            ("olvídelo", "never_mind"),
        ],
    )


@on("sms-en", "web-es")
async def test_a_human_in_the_middle(scene: Scene) -> None:
    await scene.play(
        en=[
            ("my ear hurts", "triage_hearing_sudden"),
            ("I want to talk to a nurse", "human_coming"),
            ("hello?", ""),
        ],
        es=[
            ("me duele el oído", "triage_hearing_sudden"),
            ("quiero hablar con una enfermera", "human_coming"),
            ("¿hola?", ""),
        ],
    )
    await scene.escalation("human_request", severity="soon")


@on("sms-en", "whatsapp-es")
async def test_a_fever_at_an_age_at_which_it_counts(scene: Scene) -> None:
    """The chart of a verified patient goes into where a symptom belongs, and the note into the chart."""
    await scene.patient(birthDate="1938-05-05")
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified no_visits"),
            ("I have a fever since this morning", "triage_confused"),
            ("no", "triage_hard_breathing"),
            ("no", "triage_stiff_neck"),
            ("no", "triage_purple_spots"),
            ("no", "triage_temperature"),
            ("101", "triage_immune_weak"),
            ("no", TODAY),
            ("no", "symptom_watch"),
        ],
        es=[
            ("mis citas", "<who>"),
            (ME, "verified no_visits"),
            ("tengo fiebre desde esta mañana", "triage_confused"),
            ("no", "triage_hard_breathing"),
            ("no", "triage_stiff_neck"),
            ("no", "triage_purple_spots"),
            ("no", "triage_temperature"),
            ("38.5", "triage_immune_weak"),
            ("no", TODAY),
            ("no", "symptom_watch"),
        ],
    )
    assert scene.who is not None
    row = await scene.escalation("symptoms", severity="urgent", team="nurse-line", patient_id=scene.who.id)
    assert row.rule == "fever:older-adult"
    assert row.details["from the record"]["Age"].endswith("years")
    (note,) = await notes(scene)
    text = written(note)
    assert note["status"] == "current"
    for part in ("Fever", "Disposition: today", "fever:older-adult", "CDC", "Stiff neck: no", "From the record"):
        assert part in text


@on("sms-en")
async def test_a_baby_whose_mother_writes(scene: Scene) -> None:
    """The record behind the phone is the child's, so its age is not asked for."""
    scene.be("noah")
    await scene.play(
        en=[
            ("my appointments", "ask_birth_date_child"),
            (ME, "verified|verified_guardian visits"),
            ("he has a barking cough since last night", "triage_hard_breathing"),
            ("not really", "triage_noisy_breathing"),
            ("no", "triage_cough_blood"),
            ("no", TODAY),
            ("no", "symptom_watch"),
        ],
    )
    row = await scene.escalation("symptoms", severity="urgent", patient_id="noah-fischer")
    assert row.rule == "cough:barking"
    assert any("Barking cough: yes" in written(note) and "months" in written(note) for note in await notes(scene))


@on("whatsapp-es")
async def test_a_child_with_vomiting_in_spanish(scene: Scene) -> None:
    child = await scene.child(years=7, gender="female")
    await scene.play(
        es=[
            ("mis citas", "ask_birth_date_child"),
            (ME, "verified_guardian no_visits"),
            ("mi hija está vomitando desde hace 3 horas", "triage_vomit_blood_green"),
            ("no", "triage_looks_very_ill"),
            ("no", "triage_dehydrated"),
            ("no, pero no retiene nada", TODAY),
            ("no", "symptom_watch"),
        ],
    )
    row = await scene.escalation("symptoms", severity="urgent", patient_id=child.id)
    assert row.rule == "vomiting:fluids"
    assert any("Cannot keep fluids down: yes" in written(note) for note in await notes(scene))


@on("sms-en", "whatsapp-es")
async def test_an_answer_taken_back_is_counted_anew_and_written_anew(scene: Scene) -> None:
    """During the questions and after the disposition; staff hear what changed, and nothing is lost."""
    await scene.patient(birthDate="1988-05-05", gender="male")
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified no_visits"),
            ("I have a headache", "triage_sudden_worst"),
            ("no", "triage_weak_one_side"),
            ("no", "triage_confused"),
            ("no", "triage_stiff_neck"),
            ("no", "ask_symptom_severity"),
            ("5", "triage_head_blow"),
            ("actually it's a 3", "triage_head_blow"),
            ("no", "triage_fever"),
            ("no", "ask_symptom_since"),
            ("since yesterday", SELF_CARE),
            ("no wait, I do have a fever", TODAY),
            ("sorry, I don't have a fever", SELF_CARE),
            ("no thanks", "symptom_watch"),
        ],
        es=[
            ("mis citas", "<who>"),
            (ME, "verified no_visits"),
            ("tengo dolor de cabeza", "triage_sudden_worst"),
            ("no", "triage_weak_one_side"),
            ("no", "triage_confused"),
            ("no", "triage_stiff_neck"),
            ("no", "ask_symptom_severity"),
            ("5", "triage_head_blow"),
            ("en realidad es un 3", "triage_head_blow"),
            ("no", "triage_fever"),
            ("no", "ask_symptom_since"),
            ("desde ayer", SELF_CARE),
            ("perdón, sí tengo fiebre", TODAY),
            ("perdón, no tengo fiebre", SELF_CARE),
            ("no gracias", "symptom_watch"),
        ],
    )
    row = await scene.escalation("symptoms", severity="urgent")
    assert [report["details"]["disposition"] for report in scene.reports_of(row)] == ["today", "care at home"]
    assert scene.reports_of(row)[-1]["details"]["corrected from"] == "today"
    first, second, third = await notes(scene, at_least=3)
    assert "relatesTo" not in first
    for earlier, later in ((first, second), (second, third)):
        [replaced] = later["relatesTo"]
        assert replaced["code"] == "replaces"
        assert replaced["target"]["identifier"]["value"] in [held["value"] for held in earlier["identifier"]]
    assert "Disposition: care at home" in written(third)
    assert "How bad (0-10): 3" in written(third)


@on("sms-en")
async def test_a_correction_upward_alarms_and_nothing_but_staff_ends_the_pause(scene: Scene) -> None:
    """Walter takes a blood thinner, and his record says so: nobody asks him."""
    scene.be("walter")
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified visits"),
            ("I had a nosebleed this morning", "triage_bleeding_hard"),
            ("no", "triage_nose_blow"),
            ("no", "triage_fainted"),
            ("no", TODAY),
            ("wait, it is still bleeding", "safety_emergency"),
            ("sorry, it stopped", "safety_waiting"),
        ],
    )
    row = await scene.escalation("symptoms", severity="emergency", patient_id="walter-grant")
    assert [report["rule"] for report in scene.reports_of(row)] == ["nosebleed:thinner", "nosebleed:not-stopping"]
    assert (await scene.conversation()).owner == "emergency"


@on("sms-en", "web-es")
async def test_a_correction_after_the_talk_ended_goes_on_with_it(scene: Scene) -> None:
    await scene.play(
        en=[
            ("I have had a mild sore throat for two days, no fever, about a 3 out of 10", "triage_drooling"),
            ("no", "triage_hard_breathing"),
            ("no", "triage_age"),
            ("29", SELF_CARE),
            ("no thanks", "symptom_watch"),
            ("no wait, I do have a fever", "symptom_within_3_days ask_symptom_next"),
        ],
        es=[
            ("tengo dolor de garganta leve desde hace dos días, sin fiebre, como un 3 de 10", "triage_drooling"),
            ("no", "triage_hard_breathing"),
            ("no", "triage_age"),
            ("29", SELF_CARE),
            ("no gracias", "symptom_watch"),
            ("perdón, sí tengo fiebre", "symptom_within_3_days ask_symptom_next"),
        ],
    )


@on("sms-en")
async def test_somebody_elses_symptoms_stay_out_of_the_record(scene: Scene) -> None:
    """A mother of forty writes of her son: his age is asked, and her chart gets no note."""
    await scene.patient(birthDate="1986-05-05")
    await scene.play(
        en=[
            ("my appointments", "<who>"),
            (ME, "verified no_visits"),
            ("my son has a barking cough", "triage_hard_breathing"),
            ("no", "triage_age"),
            ("2 years", "triage_noisy_breathing"),
            ("no", "triage_cough_blood"),
            ("no", TODAY),
            ("no", "symptom_watch"),
        ],
    )
    row = await scene.escalation("symptoms", severity="urgent")
    assert row.rule == "cough:barking"
    assert row.details["about"].startswith("somebody else")
    assert scene.who is not None
    assert await scene.stack.ehr.search("DocumentReference", {"patient": scene.who.id}) == []
