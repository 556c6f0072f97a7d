"""Numbers, scales, severity words and quantities."""

from decimal import Decimal

import pytest

from carethread.questionnaires.readings import Scale, read_number, read_quantity, read_severity, read_sum

PAIN = Scale(0, 10)

ON_A_SCALE = [
    ("en", "7", 7),
    ("en", "seven", 7),
    ("en", "Sevenn", 7),
    ("en", "about a 7", 7),
    ("en", "7ish", 7),
    ("en", "like a 7 or so", 7),
    ("en", "id say 4", 4),
    ("en", "8/10", 8),
    ("en", "8 out of 10", 8),
    ("en", "ten out of ten", 10),
    ("en", "zero", 0),
    ("en", "none", 0),
    ("en", "no pain", 0),
    ("en", "no pain at all", 0),
    ("en", "it was a 7 three days ago", 7),
    ("en", "a 6 and a half", Decimal("6.5")),
    ("en", "7 1/2", Decimal("7.5")),
    ("en", "worst pain of my life", 10),
    ("en", "11", 11),
    ("en", "-3", -3),
    ("es", "siete", 7),
    ("es", "un siete", 7),
    ("es", "como un 7", 7),
    ("es", "un 8 más o menos", 8),
    ("es", "ocho de diez", 8),
    ("es", "8 de 10", 8),
    ("es", "8/10", 8),
    ("es", "diez", 10),
    ("es", "cero", 0),
    ("es", "nada", 0),
    ("es", "ninguno", 0),
    ("es", "no tengo dolor", 0),
    ("es", "siete punto cinco", Decimal("7.5")),
    ("es", "treinta y ocho y medio", Decimal("38.5")),
    ("es", "el peor dolor de mi vida", 10),
]

SUMMED_UP = [
    ("en", "3 and then 2 more so 5 in total", 5),
    ("en", "two in the morning, one at night, 3 altogether", 3),
    ("en", "a total of 6, 4 at night and a 2 hour nap", 6),
    ("es", "Tres horas y luego otras dos en la madrugada, cinco en total.", 5),
    ("es", "2 en la mañana y 1 en la noche, 3 en total", 3),
]

SEVERAL = [
    ("en", "2 in the morning and 3 at night", [2, 3]),
    ("en", "4 in total or 5 in total", [4, 5]),
    ("en", "7 or 8", [7, 8]),
    ("en", "7-8", [7, 8]),
    ("en", "5 maybe 6", [5, 6]),
    ("en", "a 9 at night but 5 in the day", [9, 5]),
    ("es", "7 u 8", [7, 8]),
    ("es", "entre 7 y 8", [7, 8]),
]

NO_NUMBER = [
    ("en", ""),
    ("en", "pretty bad"),
    ("en", "i dont know"),
    ("en", "for 3 days"),
    ("en", "there is some"),
    ("en", "just one thing hurts"),
    ("es", "un poco"),
    ("es", "una molestia"),
    ("es", "fuerte"),
    ("es", "no sé"),
    ("es", "desde hace 3 días"),
]

NUMBERS = [
    ("en", "two hundred", "200"),
    ("en", "1,200", "1200"),
    ("en", "98.6", "98.6"),
    ("en", "one hundred and two", "102"),
    ("en", "twenty-one", "21"),
    ("es", "mil doscientos", "1200"),
    ("es", "1.200", "1200"),
    ("es", "38,5", "38.5"),
    ("es", "ciento dos", "102"),
    ("es", "veintiuno", "21"),
]

SEVERITIES = [
    ("en", "pretty bad", "severe", None),
    ("en", "really bad", "severe", None),
    ("en", "worst ever", "severe", None),
    ("en", "horible", "severe", None),
    ("en", "not too bad", "mild", None),
    ("en", "mild", "mild", None),
    ("en", "a little", "mild", None),
    ("en", "moderate", "moderate", None),
    ("en", "so so", "moderate", None),
    ("en", "none", "none", None),
    ("en", "a 9", "severe", 9),
    ("en", "2/10", "mild", 2),
    ("en", "5 or 6", "moderate", 6),
    ("es", "leve", "mild", None),
    ("es", "un poco", "mild", None),
    ("es", "no tan fuerte", "mild", None),
    ("es", "regular", "moderate", None),
    ("es", "más o menos", "moderate", None),
    ("es", "muy fuerte", "severe", None),
    ("es", "insoportable", "severe", None),
    ("es", "un 9", "severe", 9),
    ("es", "ya no me duele", "none", None),
]

QUANTITIES = [
    ("en", "102", ["[degF]", "Cel"], "102", "[degF]", True),
    ("en", "102 or so", ["[degF]"], "102", "[degF]", True),
    ("en", "102 F", ["[degF]"], "102", "[degF]", False),
    ("en", "38.5", ["[degF]", "Cel"], "38.5", "Cel", True),
    ("en", "38.5", ["[degF]"], "101.30", "[degF]", True),
    ("en", "102 degrees", ["Cel"], "38.89", "Cel", True),
    ("en", "two hundred lbs", ["kg", "[lb_av]"], "200", "[lb_av]", False),
    ("en", "two hundred lbs", ["kg"], "90.72", "kg", False),
    ("en", "180", ["[lb_av]"], "180", "[lb_av]", True),
    ("en", "3 weeks", ["d"], "21.00", "d", False),
    ("es", "38 y medio grados", ["Cel"], "38.5", "Cel", True),
    ("es", "90 kilos", ["kg"], "90", "kg", False),
    ("es", "doscientas libras", ["kg"], "90.72", "kg", False),
]


@pytest.mark.parametrize(("language", "text", "value"), ON_A_SCALE)
def test_a_number_on_a_scale(language: str, text: str, value: Decimal | int) -> None:
    (reading,) = read_number(text, language, PAIN)
    assert (reading.value, reading.sure) == (value, True)


@pytest.mark.parametrize(("language", "text", "values"), SEVERAL)
def test_several_numbers_are_left_to_the_patient(language: str, text: str, values: list[int]) -> None:
    assert [reading.value for reading in read_number(text, language, PAIN)] == values


@pytest.mark.parametrize(("language", "text"), NO_NUMBER)
def test_no_number_on_the_scale(language: str, text: str) -> None:
    assert read_number(text, language, PAIN) == ()


def test_a_fraction_of_another_scale_is_doubtful() -> None:
    (reading,) = read_number("4/5", "en", PAIN)
    assert not reading.sure


@pytest.mark.parametrize(("language", "text", "value"), NUMBERS)
def test_a_number(language: str, text: str, value: str) -> None:
    assert [reading.value for reading in read_number(text, language)] == [Decimal(value)]


@pytest.mark.parametrize(("language", "text", "level", "score"), SEVERITIES)
def test_how_bad(language: str, text: str, level: str, score: int | None) -> None:
    reading = read_severity(text, language)
    assert reading is not None
    assert (reading.value.level, reading.value.score, reading.sure) == (level, score, True)


@pytest.mark.parametrize(("language", "text", "units", "value", "unit", "assumed"), QUANTITIES)
def test_a_quantity(language: str, text: str, units: list[str], value: str, unit: str, assumed: bool) -> None:
    (reading,) = read_quantity(text, language, units)
    assert (reading.value.value, reading.value.unit, reading.value.assumed) == (Decimal(value), unit, assumed)


def test_a_unit_of_another_kind_is_not_taken() -> None:
    assert read_quantity("5 days", "en", ["kg"]) == ()


@pytest.mark.parametrize(("language", "text", "value"), SUMMED_UP)
def test_the_number_that_sums_up_the_others_is_meant(language: str, text: str, value: int) -> None:
    assert [reading.value for reading in read_number(text, language)] == [value]
    total = read_sum(text, language)
    assert total is not None
    assert total.value == value


@pytest.mark.parametrize("text", ["7", "2 and 3", "5 in total"])
def test_one_number_alone_sums_up_nothing(text: str) -> None:
    assert read_sum(text, "en") is None


def test_a_number_and_some_more_is_no_number() -> None:
    assert read_number("siete y fracción", "es") == ()
