"""The check-in after a hospital stay: started by the platform, answered in free words, kept in the EHR."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp

from carethread.ehr.client import Json
from carethread.storage.models import Conversation, Touchpoint
from tests.scenes import EVERYWHERE, ME, Scene, Step, on

QUESTION = "question"
ASKS_WHO_IT_IS = "checkin_invitation <who>"


async def _begins(scene: Scene) -> None:
    """The patient has gone home, and the platform starts the check-in where it reaches them."""
    await scene.patient()
    if scene.channel == "whatsapp":
        # Whoever wrote on WhatsApp last, and within its 24 hours, is written to there.
        await scene.play(en=[("hello", "greet")], es=[("hola", "greet")])
        await _an_hour_passes(scene)
    await scene.goes_home_from_hospital()
    if scene.channel != "web":
        await scene.expect_news(ASKS_WHO_IT_IS)
        await scene.play(en=[(ME, f"verified {QUESTION}")], es=[(ME, f"verified {QUESTION}")])
    else:
        # Nobody can be called to a web page: the patient takes the check-in up there.
        await scene.play(
            en=[("I am ready for my check-in", "<who>"), (ME, f"verified checkin_invitation {QUESTION}")],
            es=[("quiero hacer mi seguimiento", "<who>"), (ME, f"verified checkin_invitation {QUESTION}")],
        )


async def _an_hour_passes(scene: Scene) -> None:
    conversation = await scene.conversation()
    async with scene.stack.database.begin(scene.stack.clinic.id) as session:
        row = await session.get_one(Conversation, conversation.id)
        assert row.last_inbound_at is not None
        row.last_inbound_at -= timedelta(hours=1)


async def _response(scene: Scene) -> Json:
    """The one QuestionnaireResponse that the EHR holds of this patient."""
    assert scene.who is not None
    found = await scene.eventually(lambda: scene.world.responses(scene.who))
    assert len(found) == 1
    assert found[0]["status"] == "completed"
    assert found[0]["subject"]["reference"] == f"Patient/{scene.who.id}"
    assert found[0]["questionnaire"].startswith("https://carethread.example/")
    return dict(found[0])


def _answers(response: Json) -> dict[str, Any]:
    """What was answered, by question: the code of a choice, else the value."""
    said: dict[str, Any] = {}
    for item in response["item"]:
        for answer in item.get("answer", ()):
            (value,) = (value for name, value in answer.items() if name.startswith("value"))
            said[item["linkId"]] = value["code"] if isinstance(value, dict) else value
    return said


WELL_EN: list[Step] = [
    ("a lot better, thank you", QUESTION),  # how do you feel
    ("about a 2", QUESTION),  # pain
    ("no nothing new", QUESTION),  # new problems
    ("nope", QUESTION),  # fever
    ("no it looks fine", QUESTION),  # wound
    ("yes I have them all", QUESTION),  # medicines
    ("yes, next week", QUESTION),  # follow-up visit
    ("yes, my daughter helps me", QUESTION),  # help at home
    ("no, thank you", "checkin_done"),  # anything else
]
WELL_ES: list[Step] = [
    ("mucho mejor, gracias", QUESTION),
    ("como un 2", QUESTION),
    ("no, nada nuevo", QUESTION),
    ("no he tenido", QUESTION),
    ("no, se ve bien", QUESTION),
    ("sí, las tengo todas", QUESTION),
    ("sí, es la próxima semana", QUESTION),
    ("sí, mi hija me ayuda", QUESTION),
    ("no, gracias", "checkin_done"),
]


@on(*EVERYWHERE)
async def test_all_is_well(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(en=WELL_EN, es=WELL_ES)
    said = _answers(await _response(scene))
    assert {name: said[name] for name in ("feeling", "pain", "new-symptoms", "fever", "medicines")} == {
        "feeling": "better",
        "pain": 2,
        "new-symptoms": False,
        "fever": False,
        "medicines": True,
    }
    assert said["wound"] in ("no", "no-wound")
    assert (said["appointment-known"], said["help-at-home"]) == (True, True)
    assert "symptoms-what" not in said
    await scene.no_escalation()
    (run,) = await scene.runs()
    assert run.state == "completed"
    async with scene.stack.database.begin(scene.stack.clinic.id) as session:
        touchpoint = await session.get_one(Touchpoint, run.touchpoint_id)
        assert (touchpoint.state, touchpoint.outcome) == ("completed", "completed")


@on("sms-en", "whatsapp-es", "web-es", "web-en")
async def test_bad_answers_reach_a_nurse_at_once_and_go_on(scene: Scene) -> None:
    await _begins(scene)

    async def a_nurse_knows_already(scene: Scene) -> None:
        row = await scene.escalation("checkin", severity="urgent", team="care-coordination")
        assert row.rule == "post_discharge:feeling-worse"

    await scene.play(
        en=[
            ("worse", QUESTION),
            a_nurse_knows_already,
            ("8", QUESTION),
            ("yes, my leg is more swollen", QUESTION),  # says at once what is new
            ("I had a fever last night, 101", QUESTION),
            ("yes it is red and leaking", QUESTION),
            ("no", QUESTION),
            ("I ran out of the water pill", QUESTION),  # what is the problem with the medicines
            ("no, not yet", QUESTION),
            ("no", QUESTION),
            ("someone to cook for me", QUESTION),  # what help
            ("that's all", "checkin_done_alarm"),
        ],
        es=[
            ("peor", QUESTION),
            a_nurse_knows_already,
            ("8", QUESTION),
            ("sí, la pierna está más hinchada", QUESTION),
            ("sí, anoche tuve calentura", QUESTION),
            ("sí, está roja y le sale líquido", QUESTION),
            ("no", QUESTION),
            ("no me dieron la pastilla del agua", QUESTION),
            ("no, todavía no", QUESTION),
            ("no", QUESTION),
            ("que alguien me cocine", QUESTION),
            ("es todo", "checkin_done_alarm"),
        ],
    )
    said = _answers(await _response(scene))
    assert said["feeling"] == "worse"
    assert said["pain"] == 8
    assert (said["new-symptoms"], said["fever"], said["wound"]) == (True, True, "yes")
    assert (said["medicines"], said["appointment-known"], said["help-at-home"]) == (False, False, False)
    assert "swollen" in said["symptoms-what"] or "hinchada" in said["symptoms-what"]
    assert said["medicines-problem"] in ("I ran out of the water pill", "no me dieron la pastilla del agua")
    assert said["help-what"] in ("someone to cook for me", "que alguien me cocine")
    row = await scene.escalation("checkin", severity="urgent", team="care-coordination")
    rules = {report["rule"] for report in scene.reports_of(row)}
    assert {"post_discharge:feeling-worse", "post_discharge:fever", "post_discharge:wound-trouble"} <= rules


@on("sms-en", "whatsapp-es", "web-es")
async def test_numbers_from_the_list_buttons_and_other_tries(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[
            ("1", QUESTION),
            ("eleven", "question_range"),
            ("kind of medium", "question|question_retry|question_range|question_choices"),
            ("5", QUESTION),
        ],
        es=[
            ("1", QUESTION),
            ("once", "question_range"),
            ("más o menos", "question|question_retry|question_range|question_choices"),
            ("5", QUESTION),
        ],
    )
    (run,) = await scene.runs()
    given = {one["link_id"] for one in run.session["given"]}
    assert given >= {"feeling", "pain"}


@on("sms-es", "whatsapp-en", "web-en")
async def test_back_correction_skip_repeat_and_why(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[
            ("the same", QUESTION),
            ("3", QUESTION),
            ("go back", QUESTION),  # the pain again
            ("4", QUESTION),
            ("no wait, 6", QUESTION),  # corrects the answer before
            ("why do you ask?", "question_explain"),
            ("can you repeat that?", "question"),
            ("no", QUESTION),
            ("no", QUESTION),
            ("no", QUESTION),
            ("yes", QUESTION),
            ("yes", QUESTION),
            ("no", QUESTION),
            ("skip", QUESTION),  # what help: may be left out
            ("skip", "checkin_done_alarm|checkin_done"),
        ],
        es=[
            ("igual", QUESTION),
            ("3", QUESTION),
            ("regresar", QUESTION),
            ("4", QUESTION),
            ("no espere, 6", QUESTION),
            ("¿por qué pregunta?", "question_explain"),
            ("¿me lo repite?", "question"),
            ("no", QUESTION),
            ("no", QUESTION),
            ("no", QUESTION),
            ("sí", QUESTION),
            ("sí", QUESTION),
            ("no", QUESTION),
            ("saltar", QUESTION),
            ("saltar", "checkin_done_alarm|checkin_done"),
        ],
    )
    said = _answers(await _response(scene))
    assert (said["feeling"], said["pain"]) == ("same", 6)
    assert "help-what" not in said
    assert "anything-else" not in said


@on("sms-en", "whatsapp-es", "web-en", "web-es")
async def test_questions_by_the_way(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[
            ("what are your hours?", f"faq_hours {QUESTION}"),
            ("better", QUESTION),
            ("are you a robot?", f"bot_challenge {QUESTION}"),
            ("can I take ibuprofen?", f"medication_question|ask_dosing {QUESTION}"),
            ("2", QUESTION),
        ],
        es=[
            ("¿a qué hora abren?", f"faq_hours {QUESTION}"),
            ("mejor", QUESTION),
            ("¿es usted un robot?", f"bot_challenge {QUESTION}"),
            ("¿puedo tomar ibuprofeno?", f"medication_question|ask_dosing {QUESTION}"),
            ("2", QUESTION),
        ],
    )
    await scene.escalation("clinical_question", severity="soon", team="nurse-line")


@on("sms-en", "whatsapp-es", "web-en")
async def test_later_and_on_from_there(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[
            ("better", QUESTION),
            ("not now, I'm busy", "checkin_later"),
            ("what are your hours?", "faq_hours"),
            ("check-in", QUESTION),
            *WELL_EN[1:],
        ],
        es=[
            ("mejor", QUESTION),
            ("ahora no puedo", "checkin_later"),
            ("¿cuál es el horario?", "faq_hours"),
            ("seguimiento", QUESTION),
            *WELL_ES[1:],
        ],
    )
    said = _answers(await _response(scene))
    assert (said["feeling"], said["pain"]) == ("better", 2)


@on("sms-en", "sms-es")
async def test_later_before_it_has_begun(scene: Scene) -> None:
    await scene.patient()
    await scene.goes_home_from_hospital()
    await scene.expect_news(ASKS_WHO_IT_IS)
    on_with_it = [("check-in", "checkin_invitation <who>"), (ME, f"verified {QUESTION}")]
    adelante = [("seguimiento", "checkin_invitation <who>"), (ME, f"verified {QUESTION}")]
    await scene.play(
        en=[("not now please", "checkin_later"), *on_with_it],
        es=[("ahora no por favor", "checkin_later"), *adelante],
    )


@on("sms-en", "whatsapp-es")
async def test_a_human_in_the_middle_and_on_from_there(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[
            ("better", QUESTION),
            ("I want to talk to a real person", "human_coming"),
            ("are you there?", ""),
            Scene.staff_hands_back,
            ("check-in", QUESTION),
            ("1", QUESTION),
        ],
        es=[
            ("mejor", QUESTION),
            ("quiero hablar con una persona", "human_coming"),
            ("¿hay alguien?", ""),
            Scene.staff_hands_back,
            ("seguimiento", QUESTION),
            ("1", QUESTION),
        ],
    )
    await scene.escalation("human_request", severity="soon")
    (run,) = await scene.runs()
    assert [one["link_id"] for one in run.session["given"]] == ["feeling", "pain"]


@on("sms-en", "whatsapp-es", "web-es")
async def test_an_emergency_in_the_middle_and_on_from_there(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[
            ("better", QUESTION),
            ("I have chest pain and I can't breathe", "safety_emergency"),
            ("2", "safety_waiting"),
            Scene.staff_hands_back,
            ("ok thank you", QUESTION),  # the question that waited, not an answer to it
            ("2", QUESTION),
        ],
        es=[
            ("mejor", QUESTION),
            ("me duele el pecho y no puedo respirar", "safety_emergency"),
            ("2", "safety_waiting"),
            Scene.staff_hands_back,
            ("ok gracias", QUESTION),
            ("2", QUESTION),
        ],
    )
    await scene.escalation("emergency", severity="emergency", team="nurse-line")
    (run,) = await scene.runs()
    assert [one["link_id"] for one in run.session["given"]] == ["feeling", "pain"]


@on("sms-en", "whatsapp-es")
async def test_another_task_in_the_middle_and_on_from_there(scene: Scene) -> None:
    await _begins(scene)
    assert scene.who is not None
    visit = await scene.world.visit(scene.who, "dr-chen", days=4)
    await scene.play(
        en=[
            ("better", QUESTION),
            ("when is my next appointment?", "visits"),
            ("check-in", QUESTION),
            ("I need to cancel my appointment", "ask_cancel_sure"),
            ("no", "visit_kept"),
            ("check-in", QUESTION),
            ("3", QUESTION),
        ],
        es=[
            ("mejor", QUESTION),
            ("¿cuándo es mi próxima cita?", "visits"),
            ("seguimiento", QUESTION),
            ("necesito cancelar mi cita", "ask_cancel_sure"),
            ("no", "visit_kept"),
            ("seguimiento", QUESTION),
            ("3", QUESTION),
        ],
    )
    assert (await scene.world.reread(visit))["status"] == "booked"


@on("sms-en", "sms-es")
async def test_an_answer_that_is_never_understood_goes_to_a_human(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(
        en=[("blah", "question_retry"), ("wibble", "question_choices"), ("wobble", "checkin_human")],
        es=[("blablá", "question_retry"), ("patatín", "question_choices"), ("patatán", "checkin_human")],
    )
    await scene.escalation("checkin", severity="soon", team="care-coordination")


@on("sms-en", "web-es")
async def test_no_check_in_waits(scene: Scene) -> None:
    await scene.play(
        en=[("check-in", "<who>"), (ME, "verified no_checkin")],
        es=[("quiero hacer mi seguimiento", "<who>"), (ME, "verified no_checkin")],
    )


@on("sms-en", "sms-es")
async def test_somebody_else_answers_the_phone(scene: Scene) -> None:
    """Two people share the phone; the check-in is for one of them, the other is not asked about it."""
    patient = await scene.patient()
    other = await scene.patient(telecom=[{"system": "phone", "value": patient.phone}])
    scene.who = patient
    await scene.goes_home_from_hospital()
    await scene.expect_news("checkin_invitation ask_birth_date_shared")
    born = other.fact("birth date", scene.language)
    await scene.play(en=[(born, "verified checkin_other_person")], es=[(born, "verified checkin_other_person")])
    await scene.escalation("checkin", severity="soon")


@on("sms-en")
async def test_who_has_stopped_messages_is_not_written_to(scene: Scene) -> None:
    who = await scene.patient()
    await scene.play(en=[("hello", "greet"), ("STOP", "stopped")])
    await _an_hour_passes(scene)
    await scene.goes_home_from_hospital(started=False)
    assert await scene.runs() == []
    assert who.phone


class Page:
    """The web page that a scene's patient was given, in a browser of theirs."""

    def __init__(self, scene: Scene, http: aiohttp.ClientSession) -> None:
        self.scene, self.http = scene, http
        [self.link] = re.findall(r"http\S+/q/\S+", scene.said_last[-1].text)

    async def open(self) -> str:
        assert self.scene.who is not None
        born = self.scene.who.birth_date
        form = {"year": f"{born.year}", "month": f"{born.month}", "day": f"{born.day}"}
        async with self.http.post(f"{self.link}/open", data=form) as response:
            return await response.text()

    async def say(self, **form: str) -> str:
        async with self.http.get(self.link) as response:
            found = re.search(r'name="step" value="([^"]*)"', await response.text())
        assert found, "no question is on the page"
        async with self.http.post(self.link, data={"step": found[1], **form}) as response:
            return await response.text()


@asynccontextmanager
async def _page(scene: Scene) -> AsyncIterator[Page]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield Page(scene, http)


@on("sms-en", "whatsapp-es")
async def test_begun_on_the_web_page_and_ended_in_the_chat(scene: Scene) -> None:
    """The link is given before anybody has proven who they are: the page asks for itself."""
    await scene.patient()
    if scene.channel == "whatsapp":
        await scene.play(es=[("hola", "greet")])
        await _an_hour_passes(scene)
    await scene.goes_home_from_hospital()
    await scene.expect_news(ASKS_WHO_IT_IS)
    await scene.play(en=[("Link please", "checkin_page")], es=[("el enlace", "checkin_page")])
    async with _page(scene) as page:
        assert "1 " in await page.open()
        await page.say(choice="better")
        await page.say(choice="2")
    await scene.play(
        en=[(ME, f"verified {QUESTION}"), *WELL_EN[2:]],
        es=[(ME, f"verified {QUESTION}"), *WELL_ES[2:]],
    )
    said = _answers(await _response(scene))
    assert (said["feeling"], said["pain"], said["fever"]) == ("better", 2, False)


@on("sms-en")
async def test_begun_in_the_chat_and_ended_on_the_web_page(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(en=[("better", QUESTION), ("link", "checkin_page")])
    async with _page(scene) as page:
        await page.open()
        await page.say(choice="9")
        for choice in ("false", "false", "no", "true", "true", "true"):
            await page.say(choice=choice)
        assert "A nurse will contact you" in await page.say(words="no")
    said = _answers(await _response(scene))
    assert (said["feeling"], said["pain"]) == ("better", 9)
    await scene.escalation("checkin", severity="urgent", rule="post_discharge:severe-pain")
    # What the chat asked last is past: this is about something else.
    await scene.play(en=[("what are your hours?", "faq_hours")])


@on("sms-en")
async def test_what_is_asked_in_the_chat_is_asked_anew_after_the_page(scene: Scene) -> None:
    """ "Yes" to a question that the page has had answered is no answer to the one that waits now."""
    await _begins(scene)
    await scene.play(en=[("better", QUESTION), ("link", "checkin_page")])
    async with _page(scene) as page:
        await page.open()
        await page.say(choice="2")
    await scene.play(en=[("3", QUESTION), *WELL_EN[2:]])
    said = _answers(await _response(scene))
    assert (said["pain"], said["new-symptoms"]) == (2, False)


@on("sms-en")
async def test_a_red_flag_on_the_web_page(scene: Scene) -> None:
    await _begins(scene)
    await scene.play(en=[("link", "checkin_page")])
    async with _page(scene) as page:
        await page.open()
        await page.say(choice="worse")
        await page.say(choice="8")
        await page.say(choice="true")
        assert "Call 911 now" in await page.say(words="I cannot breathe and my chest is killing me")
    await scene.expect_news("safety_emergency")
    assert "emergency" in {row.reason for row in await scene.escalations()}
