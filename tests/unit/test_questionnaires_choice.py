"""Choosing among offered options in one's own words."""

import pytest

from carethread.questionnaires.readings import Option, read_choice

SLOTS = [
    Option("s1", "Tuesday, March 3 at 2:00 PM with Dr. Lee"),
    Option("s2", "Tuesday, March 3 at 3:30 PM with Dr. Lee"),
    Option("s3", "Wednesday, March 4 at 9:00 AM with Dr. Ortiz"),
]
CITAS = [
    Option("s1", "martes 3 de marzo a las 2:00 p. m. con la Dra. Lee"),
    Option("s2", "martes 3 de marzo a las 3:30 p. m. con la Dra. Lee"),
    Option("s3", "miércoles 4 de marzo a las 9:00 a. m. con el Dr. Ortiz"),
]
FEELING = [Option("better", "Better"), Option("same", "About the same"), Option("worse", "Worse")]
SENTIRSE = [Option("better", "Mejor"), Option("same", "Más o menos igual"), Option("worse", "Peor", ("pior",))]
HOW_OFTEN = [
    Option("0", "Not at all"),
    Option("1", "Several days"),
    Option("2", "More than half the days"),
    Option("3", "Nearly every day"),
]
FIELDS = [
    Option("cardio", "Cardiology"),
    Option("derm", "Dermatology"),
    Option("family", "Family medicine"),
    Option("peds", "Pediatrics"),
]
HEALTH = [Option("vg", "Very good"), Option("g", "Good"), Option("f", "Fair"), Option("p", "Poor")]

PICKED = [
    # language, options, text, value
    ("en", SLOTS, "2", "s2"),
    ("en", SLOTS, "2)", "s2"),
    ("en", SLOTS, "#2", "s2"),
    ("en", SLOTS, "option 3", "s3"),
    ("en", SLOTS, "number two please", "s2"),
    ("en", SLOTS, "b", "s2"),
    ("en", SLOTS, "(c)", "s3"),
    ("en", SLOTS, "A", "s1"),
    ("en", SLOTS, "the second one", "s2"),
    ("en", SLOTS, "the 2nd", "s2"),
    ("en", SLOTS, "I'll take the first", "s1"),
    ("en", SLOTS, "last one", "s3"),
    ("en", SLOTS, "the one on wednesday", "s3"),
    ("en", SLOTS, "wendesday morning", "s3"),
    ("en", SLOTS, "wed", "s3"),
    ("en", SLOTS, "tuesday at 2", "s1"),
    ("en", SLOTS, "2pm", "s1"),
    ("en", SLOTS, "the 2:00 one", "s1"),
    ("en", SLOTS, "3:30", "s2"),
    ("en", SLOTS, "tues 330", "s2"),
    ("en", SLOTS, "the 9am", "s3"),
    ("en", SLOTS, "march 4", "s3"),
    ("en", SLOTS, "the 4th", "s3"),
    ("en", SLOTS, "with ortiz", "s3"),
    ("es", CITAS, "la primera", "s1"),
    ("es", CITAS, "la segunda por favor", "s2"),
    ("es", CITAS, "la 2da", "s2"),
    ("es", CITAS, "la última", "s3"),
    ("es", CITAS, "la dos", "s2"),
    ("es", CITAS, "opción 3", "s3"),
    ("es", CITAS, "opcion b", "s2"),
    ("es", CITAS, "a las 2", "s1"),
    ("es", CITAS, "la de las 9", "s3"),
    ("es", CITAS, "el de las 3 y media", "s2"),
    ("es", CITAS, "las 3:30", "s2"),
    ("es", CITAS, "el miercoles", "s3"),
    ("es", CITAS, "miercoles porfa", "s3"),
    ("es", CITAS, "wednesday", "s3"),
    ("en", FEELING, "better", "better"),
    ("en", FEELING, "a lot better", "better"),
    ("en", FEELING, "i feel better than yesterday", "better"),
    ("en", FEELING, "beter", "better"),
    ("en", FEELING, "same", "same"),
    ("en", FEELING, "bout the same", "same"),
    ("en", FEELING, "the same as before", "same"),
    ("en", FEELING, "wrse", "worse"),
    ("en", FEELING, "feeling worse", "worse"),
    ("es", SENTIRSE, "mejor", "better"),
    ("es", SENTIRSE, "un poco mejor", "better"),
    ("es", SENTIRSE, "estoy igual", "same"),
    ("es", SENTIRSE, "me siento peor", "worse"),
    ("es", SENTIRSE, "pior", "worse"),
    ("en", HOW_OFTEN, "2", "1"),
    ("en", HOW_OFTEN, "nope", "0"),
    ("en", HOW_OFTEN, "never", "0"),
    ("en", HOW_OFTEN, "several", "1"),
    ("en", HOW_OFTEN, "more than half", "2"),
    ("en", HOW_OFTEN, "nearly everyday", "3"),
    ("en", HOW_OFTEN, "every day", "3"),
    ("en", FIELDS, "cardio", "cardio"),
    ("en", FIELDS, "dermatologist", "derm"),
    ("en", FIELDS, "pediatrcis", "peds"),
    ("en", FIELDS, "family", "family"),
    ("en", HEALTH, "good", "g"),
    ("en", HEALTH, "very good", "vg"),
    ("en", HEALTH, "pretty poor", "p"),
]

BETWEEN = [
    ("en", SLOTS, "tuesday", {"s1", "s2"}),
    ("en", SLOTS, "1 or 2", {"s1", "s2"}),
    ("en", SLOTS, "Dr Lee", {"s1", "s2"}),
    ("en", SLOTS, "the afternoon one", {"s1", "s2"}),
    ("en", SLOTS, "not the first", {"s2", "s3"}),
    ("es", CITAS, "el martes", {"s1", "s2"}),
    ("es", CITAS, "la 1 o la 3", {"s1", "s3"}),
    ("en", [Option("a", "1-2 days"), Option("b", "3-5 days"), Option("c", "2 weeks")], "2", {"a", "b", "c"}),
]

NOT_UNDERSTOOD = [
    ("en", SLOTS, "9"),
    ("en", SLOTS, "tomorrow"),
    ("en", SLOTS, ""),
    ("en", SLOTS, "???"),
    ("en", SLOTS, "what is parking like"),
    ("en", FEELING, "not better"),
    ("en", FEELING, "not much better"),
    ("en", [Option("worse", "Worse", ("weaker",)), Option("x", "Better")], "weak"),
    ("en", [Option("same", "Same", ("not any better",)), Option("x", "Worse")], "better"),
    ("es", [Option("yes", "Sí", ("roja",)), Option("x", "Mejor")], "no está roja"),
    ("en", FIELDS, "skin"),
    ("es", SENTIRSE, "no sé"),
    ("es", CITAS, "¿dónde queda la clínica?"),
]

NONE = [
    ("en", "none of those"),
    ("en", "none"),
    ("en", "neither"),
    ("en", "none of those work for me"),
    ("en", "something else"),
    ("en", "other times?"),
    ("es", "ninguna"),
    ("es", "ninguna de esas"),
    ("es", "ninguno me sirve"),
    ("es", "otro día"),
    ("es", "otros horarios por favor"),
]


@pytest.mark.parametrize(("language", "options", "text", "value"), PICKED)
def test_picks_the_option_meant(language: str, options: list[Option], text: str, value: str) -> None:
    choice = read_choice(text, options, language)
    assert choice.picked is not None, choice
    assert (choice.picked.value, choice.picked.sure) == (value, True)


@pytest.mark.parametrize(("language", "options", "text", "values"), BETWEEN)
def test_names_the_options_it_cannot_tell_apart(
    language: str, options: list[Option], text: str, values: set[str]
) -> None:
    choice = read_choice(text, options, language)
    assert choice.picked is None
    assert {reading.value for reading in choice.between} == values


@pytest.mark.parametrize(("language", "options", "text"), NOT_UNDERSTOOD)
def test_takes_nothing_it_is_not_sure_of(language: str, options: list[Option], text: str) -> None:
    assert not read_choice(text, options, language).understood


@pytest.mark.parametrize(("language", "text"), NONE)
def test_none_of_those(language: str, text: str) -> None:
    assert read_choice(text, SLOTS if language == "en" else CITAS, language).none


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "any"), ("en", "either one"), ("en", "doesnt matter"), ("es", "cualquiera"), ("es", "me da igual")],
)
def test_leaves_it_to_us(language: str, text: str) -> None:
    assert read_choice(text, SLOTS if language == "en" else CITAS, language).any


def test_several_at_once_are_all_named() -> None:
    choice = read_choice("1 and 3", FEELING, "en")
    assert [reading.value for reading in choice.several] == ["better", "worse"]


def test_an_option_that_is_called_none_can_be_chosen() -> None:
    options = [Option("help", "Family helps me"), Option("none", "None of these")]
    choice = read_choice("none of these", options, "en")
    assert choice.picked is not None
    assert choice.picked.value == "none"


def test_a_number_that_was_asked_for_is_the_place_in_the_list() -> None:
    options = [Option("a", "1-2 days"), Option("b", "3-5 days"), Option("c", "2 weeks")]
    choice = read_choice("2", options, "en", numbered=True)
    assert choice.picked is not None
    assert choice.picked.value == "b"
