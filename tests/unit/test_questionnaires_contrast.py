"""One time set against another, and lists of which nothing applies."""

import pytest

from carethread.questionnaires.readings import current_part, opens_with_none

# question, message → the part that counts
PARTS = [
    ("How bad is your pain?", "It was severe last week but it's only mild now.", "it's only mild now."),
    ("How often do you drink?", "Used to be daily, but it's monthly since May", "it's monthly since May"),
    ("How tall are you?", "I used to be 5'9\", now I'm 5'8\"", "now I'm 5'8\""),
    ("¿Cuánto mide?", "Antes medía 1.68, pero ya mido 1.65", "ya mido 1.65"),
    ("¿Cuántas horas durmió anoche?", "Normalmente ocho, pero anoche cuatro", "anoche cuatro"),
    ("¿Qué síntomas tiene hoy?", "Ayer vomitó, hoy solo mocos", "hoy solo mocos"),
    ("¿Fuma?", "ya no, antes sí", "ya no"),
    ("Do you smoke?", "I used to. Not now.", "Not now."),
    ("How bad is your pain?", "mild now, it was severe last week", "mild now"),
]  # fmt: skip

# question, message of which nothing may be left out
WHOLE = [
    ("Have you ever smoked?", "I used to smoke, but not now"),
    ("Have you had any falls in the past 30 days?", "I fell yesterday, but I'm fine today"),
    ("¿Ha vomitado en los últimos 3 días?", "ayer sí, hoy no"),
    ("How do you feel?", "dizzy, but only in the morning"),
    ("¿Cuándo se la toma?", "antes de comer, pero a veces después"),
    ("What was your last A1C?", "8.4"),
    ("How many hours do you usually sleep?", "usually eight, last night four"),
]


@pytest.mark.parametrize(("question", "text", "part"), PARTS)
def test_what_is_over_does_not_count(question: str, text: str, part: str) -> None:
    assert current_part(text, question) == part


@pytest.mark.parametrize(("question", "text"), WHOLE)
def test_what_the_question_asks_about_counts(question: str, text: str) -> None:
    assert current_part(text, question) is None


@pytest.mark.parametrize(
    "text", ["None of those today", "Ninguna, gracias a Dios.", "nada d eso", "Nothing, I manage on my own", "none 👍",
             "Not a thing, back to his old self", "No, none of them", "con nada grasias"],
)  # fmt: skip
def test_nothing_of_a_list(text: str) -> None:
    assert opens_with_none(text)


@pytest.mark.parametrize(
    "text", ["nothing but nausea", "nada más náusea", "none except the cough", "none too bad", "nada bien, mareada",
             "nothing new", "ninguna de las dos primeras, pero sí tos", "none of them?"],
)  # fmt: skip
def test_something_after_all(text: str) -> None:
    assert not opens_with_none(text)
