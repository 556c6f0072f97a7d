"""What patients say about a question instead of answering it, and how they take an answer back."""

import pytest

from carethread.questionnaires.readings import Control, read_control, read_correction

REQUESTS = [
    ("en", "idk", Control.DONT_KNOW),
    ("en", "I don't know", Control.DONT_KNOW),
    ("en", "not sure", Control.DONT_KNOW),
    ("en", "no idea tbh", Control.DONT_KNOW),
    ("en", "skip", Control.SKIP),
    ("en", "skip this one please", Control.SKIP),
    ("en", "next", Control.SKIP),
    ("en", "n/a", Control.SKIP),
    ("en", "rather not say", Control.DECLINE),
    ("en", "I prefer not to answer", Control.DECLINE),
    ("en", "later", Control.LATER),
    ("en", "not now sorry", Control.LATER),
    ("en", "im driving", Control.LATER),
    ("en", "go back", Control.BACK),
    ("en", "previous question", Control.BACK),
    ("en", "change my answer", Control.BACK),
    ("en", "repeat that please", Control.REPEAT),
    ("en", "what was the question", Control.REPEAT),
    ("en", "why do you ask?", Control.WHY),
    ("en", "what for", Control.WHY),
    ("en", "what do you mean?", Control.WHAT),
    ("en", "i dont understand", Control.WHAT),
    ("en", "start over", Control.RESTART),
    ("es", "no sé", Control.DONT_KNOW),
    ("es", "pues no sé la verdad", Control.DONT_KNOW),
    ("es", "quien sabe", Control.DONT_KNOW),
    ("es", "siguiente", Control.SKIP),
    ("es", "saltar", Control.SKIP),
    ("es", "no aplica", Control.SKIP),
    ("es", "prefiero no decir", Control.DECLINE),
    ("es", "es privado", Control.DECLINE),
    ("es", "más tarde", Control.LATER),
    ("es", "ahorita no puedo", Control.LATER),
    ("es", "atrás", Control.BACK),
    ("es", "quiero cambiar mi respuesta", Control.BACK),
    ("es", "repita por favor", Control.REPEAT),
    ("es", "¿mande?", Control.REPEAT),
    ("es", "¿por qué pregunta?", Control.WHY),
    ("es", "¿qué significa?", Control.WHAT),
    ("es", "no entiendo", Control.WHAT),
    ("es", "empezar de nuevo", Control.RESTART),
]

ANSWERS = [
    ("en", "later that day it hurt"),
    ("en", "i dont know how to swim"),
    ("en", "next tuesday"),
    ("en", "my back hurts"),
    ("en", "yes"),
    ("en", "7"),
    ("en", ""),
    ("es", "no"),
    ("es", "me duele la parte de atrás de la rodilla"),
    ("es", "después de comer me duele"),
]


@pytest.mark.parametrize(("language", "text", "request_"), REQUESTS)
def test_a_request(language: str, text: str, request_: Control) -> None:
    reading = read_control(text, language)
    assert reading is not None
    assert (reading.value, reading.sure) == (request_, True)


@pytest.mark.parametrize(("language", "text"), ANSWERS)
def test_an_answer_is_no_request(language: str, text: str) -> None:
    assert read_control(text, language) is None


@pytest.mark.parametrize(
    ("language", "text", "rest"),
    [
        ("en", "no wait 3", "3"),
        ("en", "oops i meant yes", "yes"),
        ("en", "sorry, 4", "4"),
        ("en", "actually 5", "5"),
        ("en", "make that an 8", "an 8"),
        ("es", "no espere 3", "3"),
        ("es", "perdón 4", "4"),
        ("es", "quise decir peor", "peor"),
        ("es", "me equivoqué es 5", "5"),
        ("en", "3", None),
        ("en", "no", None),
        ("en", "yes wait", None),
        ("es", "espere", None),
    ],
)
def test_a_correction_of_the_answer_before(language: str, text: str, rest: str | None) -> None:
    assert read_correction(text, language) == rest
