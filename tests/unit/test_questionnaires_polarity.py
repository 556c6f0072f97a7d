"""Yes and no as patients text them."""

import pytest

from carethread.questionnaires.readings import read_yes_no

YES, NO = True, False

SURE_ANSWERS = [
    # language, text, meaning
    ("en", "yes", YES),
    ("en", "YES!!", YES),
    ("en", "yep", YES),
    ("en", "yesss", YES),
    ("en", "yeah", YES),
    ("en", "y", YES),
    ("en", "um yeah", YES),
    ("en", "sure", YES),
    ("en", "of course", YES),
    ("en", "defnitely", YES),
    ("en", "absolutley", YES),
    ("en", "uh huh", YES),
    ("en", "i do", YES),
    ("en", "Yes, thank you", YES),
    ("en", "ok", YES),
    ("en", "👍🏽", YES),
    ("en", "i think so", YES),
    ("en", "no wait yes", YES),
    ("en", "sí", YES),
    ("en", "no", NO),
    ("en", "No.", NO),
    ("en", "n", NO),
    ("en", "nope", NO),
    ("en", "noooo", NO),
    ("en", "nah im good", NO),
    ("en", "no im ok", NO),
    ("en", "ok no", NO),
    ("en", "not really", NO),
    ("en", "not at all", NO),
    ("en", "not yet", NO),
    ("en", "no thanks", NO),
    ("en", "i dont think so", NO),
    ("en", "I don’t have any", NO),
    ("en", "of course not", NO),
    ("en", "nothing else thanks", NO),
    ("en", "no pain", NO),
    ("en", "fever? no", NO),
    ("en", "well no not really", NO),
    ("en", "yes wait no", NO),
    ("en", "my wife helps me so yes", YES),
    ("es", "sí", YES),
    ("es", "si", YES),
    ("es", "siii", YES),
    ("es", "sip", YES),
    ("es", "simón", YES),
    ("es", "claro", YES),
    ("es", "claro que sí", YES),
    ("es", "por supuesto", YES),
    ("es", "como no", YES),
    ("es", "pues sí", YES),
    ("es", "creo que si", YES),
    ("es", "está bien", YES),
    ("es", "bueno", YES),
    ("es", "ya los tengo", YES),
    ("es", "si me duele", YES),
    ("es", "asi es", YES),
    ("es", "no espere sí", YES),
    ("es", "yes", YES),
    ("es", "no", NO),
    ("es", "no gracias", NO),
    ("es", "claro que no", NO),
    ("es", "por supuesto que no", NO),
    ("es", "no, todo bien", NO),
    ("es", "para nada", NO),
    ("es", "todavia no", NO),
    ("es", "creo que no", NO),
    ("es", "la verdad no", NO),
    ("es", "no tengo fiebre", NO),
    ("es", "nada", NO),
    ("es", "ninguno", NO),
    ("es", "yo no", NO),
    ("es", "bueno, no", NO),
]

DOUBTFUL = [
    ("en", "kinda"),
    ("en", "maybe"),
    ("en", "sometimes"),
    ("en", "yes and no"),
    ("en", "yes no"),
    ("en", "not sure"),
    ("en", "idk"),
    ("en", "my knee hurts"),
    ("en", "my right leg hurts"),
    ("en", "im not feeling good"),
    ("en", ""),
    ("en", "???"),
    ("en", "im good"),
    ("es", "más o menos"),
    ("es", "un poco"),
    ("es", "a veces"),
    ("es", "no sé"),
    ("es", "quien sabe"),
    ("es", "no puedo dormir"),
    ("es", "y ahora que"),
    ("es", "bueno, me duele la cabeza"),
    ("es", "no me siento bien"),
    ("es", "me duele si camino"),
]

COMMENTS = [
    ("en", "yes but only at night", YES, "but only at night"),
    ("en", "yeah, when I climb stairs", YES, "when I climb stairs"),
    ("en", "no i have not had any fever", NO, "i have not had any fever"),
    ("en", "Yes, thank you", YES, ""),
    ("es", "si pero solo de noche", YES, "pero solo de noche"),
    ("es", "sí, desde ayer en la tarde", YES, "desde ayer en la tarde"),
    ("es", "no gracias", NO, ""),
]


@pytest.mark.parametrize(("language", "text", "meaning"), SURE_ANSWERS)
def test_says_yes_or_no(language: str, text: str, meaning: bool) -> None:
    reading = read_yes_no(text, language)
    assert reading is not None
    assert (reading.value, reading.sure) == (meaning, True)


@pytest.mark.parametrize(("language", "text"), DOUBTFUL)
def test_a_doubtful_answer_is_not_taken(language: str, text: str) -> None:
    reading = read_yes_no(text, language)
    assert reading is None or not reading.sure


@pytest.mark.parametrize(("language", "text", "meaning", "rest"), COMMENTS)
def test_what_else_was_said_is_kept(language: str, text: str, meaning: bool, rest: str) -> None:
    reading = read_yes_no(text, language)
    assert reading is not None
    assert (reading.value, reading.rest) == (meaning, rest)


def test_the_span_is_in_the_patients_own_text() -> None:
    reading = read_yes_no("Pues ¡SÍ!, gracias", "es")
    assert reading is not None
    assert "Pues ¡SÍ!, gracias"[slice(*reading.span)] == "SÍ"


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        ("Todavía no, voy saliendo del trabajo y paso mañana", "es", False),
        ("No, me falta el aire y tengo que parar", "es", False),
        ("yes had eggs n bacon", "en", True),
        ("Nothing at all, just a sip of water", "en", False),
        ("yes, all the way without a break", "en", True),
        ("Fui, pero estaba cerrado, así que no.", "es", False),
        ("Less than usual, but yes, a few times", "en", True),
        ("It's a long walk with no bench, so yes", "en", True),
    ],
)
def test_small_words_inside_a_sentence_do_not_contradict(text: str, language: str, value: bool) -> None:
    reading = read_yes_no(text, language)
    assert reading is not None
    assert reading.value is value
    assert reading.sure


@pytest.mark.parametrize(("text", "language"), [("no, yes", "en"), ("sí, no", "es"), ("yes, no, i dunno", "en")])
def test_whole_opposites_contradict(text: str, language: str) -> None:
    reading = read_yes_no(text, language)
    assert reading is None or not reading.sure
