"""Questions about the clinic: the facts stand in clinics/riverbend/clinic.yml, and nobody has to say who they are."""

from __future__ import annotations

from tests.scenes import EVERYWHERE, Scene, on

# The fact that an answer must hold, where it holds one.
FACTS = {
    "utter_faq_hours": "hours",
    "utter_faq_location": "location",
    "utter_faq_parking": "parking",
    "utter_faq_insurance": "insurance",
    "utter_faq_billing": "billing",
    "utter_faq_records": "records",
    "utter_faq_first_visit": "first_visit",
}


@on(*EVERYWHERE)
async def test_every_question_about_the_clinic(scene: Scene) -> None:
    await scene.play(
        en=[
            ("what are your hours?", "faq_hours"),
            ("are you open on Saturday?", "faq_hours"),
            ("where are you located?", "faq_location"),
            ("where can I park?", "faq_parking"),
            ("do you take my insurance?", "faq_insurance"),
            ("I have a question about my bill", "faq_billing"),
            ("what is your phone number?", "faq_phone"),
            ("how do I get my medical records?", "faq_records"),
            ("what do I need to bring to my first visit?", "faq_first_visit"),
        ],
        es=[
            ("¿cuál es el horario?", "faq_hours"),
            ("¿abren los sábados?", "faq_hours"),
            ("¿dónde están?", "faq_location"),
            ("¿dónde puedo estacionarme?", "faq_parking"),
            ("¿aceptan mi seguro?", "faq_insurance"),
            ("tengo una pregunta sobre mi factura", "faq_billing"),
            ("¿cuál es su número de teléfono?", "faq_phone"),
            ("¿cómo pido mi expediente médico?", "faq_records"),
            ("¿qué tengo que llevar a mi primera cita?", "faq_first_visit"),
        ],
    )
    clinic = scene.stack.clinic
    for reply in scene.replies:
        if fact := FACTS.get(reply.key):
            assert clinic.facts[fact][scene.language] in reply.text
        if reply.key == "utter_faq_phone":
            assert clinic.phone in reply.text
    await scene.not_verified()
    await scene.no_escalation()


@on("sms-en", "whatsapp-es", "web-en")
async def test_as_people_type_on_a_phone(scene: Scene) -> None:
    await scene.play(
        en=[
            ("wat time u open", "faq_hours"),
            ("adress pls", "faq_location"),
            ("do u take medicaid", "faq_insurance"),
            ("PARKING???", "faq_parking"),
        ],
        es=[
            ("a ke ora abren", "faq_hours"),
            ("direccion porfa", "faq_location"),
            ("aseptan medicaid", "faq_insurance"),
            ("ESTACIONAMIENTO???", "faq_parking"),
        ],
    )
