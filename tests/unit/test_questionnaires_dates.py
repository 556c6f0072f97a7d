"""Birth dates in every way patients write them, and other dates."""

from datetime import date

import pytest

from carethread.questionnaires.readings import read_birth_date, read_date

TODAY = date(2026, 3, 2)
BORN = date(1962, 3, 14)

ONE_READING = [
    ("en", "3/14/1962", BORN),
    ("en", "03/14/1962.", BORN),
    ("en", "03-14-62", BORN),
    ("en", "3.14.62", BORN),
    ("en", "3 / 14 / 1962", BORN),
    ("en", "my dob is 3 14 1962", BORN),
    ("en", "14/3/1962", BORN),
    ("en", "1962-03-14", BORN),
    ("en", "19620314", BORN),
    ("en", "03141962", BORN),
    ("en", "031462", BORN),
    ("en", "March 14 1962", BORN),
    ("en", "March 14, 1962", BORN),
    ("en", "march 14th, 62", BORN),
    ("en", "mar 14 '62", BORN),
    ("en", "14 mar 1962", BORN),
    ("en", "the 14th of march 1962", BORN),
    ("en", "march fourteenth nineteen sixty two", BORN),
    ("en", "Maria Lopez 3/14/62", BORN),
    ("en", "14 de marzo de 1962", BORN),
    ("en", "febuary 2 1980", date(1980, 2, 2)),
    ("en", "sept. 9, 1971", date(1971, 9, 9)),
    ("en", "Sept 9th of 71", date(1971, 9, 9)),
    ("en", "may 3 58", date(1958, 5, 3)),
    ("en", "12/25/2018", date(2018, 12, 25)),
    ("en", "2/29/1960", date(1960, 2, 29)),
    ("es", "14/3/1962", BORN),
    ("es", "3/14/1962", BORN),
    ("es", "14-03-62", BORN),
    ("es", "14 de marzo de 1962", BORN),
    ("es", "14 marzo 62", BORN),
    ("es", "catorce de marzo de mil novecientos sesenta y dos", BORN),
    ("es", "mi fecha de nacimiento es 14/03/1962", BORN),
    ("es", "19620314", BORN),
    ("es", "14031962", BORN),
    ("es", "nacio el 3 de mayo del 58", date(1958, 5, 3)),
    ("es", "tres de mayo del cincuenta y ocho", date(1958, 5, 3)),
    ("es", "primero de enero de 1980", date(1980, 1, 1)),
    ("es", "1ro de mayo del 70", date(1970, 5, 1)),
    ("es", "9 setiembre 71", date(1971, 9, 9)),
    ("es", "3 mayo dos mil cinco", date(2005, 5, 3)),
]

TWO_READINGS = [
    ("en", "4/5/1962", [date(1962, 4, 5), date(1962, 5, 4)]),
    ("es", "4/5/1962", [date(1962, 5, 4), date(1962, 4, 5)]),
    ("en", "04-05-62", [date(1962, 4, 5), date(1962, 5, 4)]),
    ("en", "12/25/20", [date(2020, 12, 25), date(1920, 12, 25)]),
    ("es", "01021980", [date(1980, 2, 1), date(1980, 1, 2)]),
]

NO_DATE = [
    ("en", ""),
    ("en", "hello"),
    ("en", "born in 1962"),
    ("en", "2/30/1980"),
    ("en", "13/13/1980"),
    ("en", "january 1 2027"),
    ("en", "3/14/1862"),
    ("en", "call me at 555-0101"),
    ("en", "1/2"),
    ("es", "31 de febrero de 1980"),
    ("es", "tengo 62 años"),
    ("es", "no me acuerdo"),
]


@pytest.mark.parametrize(("language", "text", "born"), ONE_READING)
def test_the_birth_date_meant_comes_first(language: str, text: str, born: date) -> None:
    readings = read_birth_date(text, language, TODAY)
    assert [reading.value for reading in readings if reading.sure] == [born]


@pytest.mark.parametrize(("language", "text", "candidates"), TWO_READINGS)
def test_both_candidates_the_languages_own_order_first(language: str, text: str, candidates: list[date]) -> None:
    assert [reading.value for reading in read_birth_date(text, language, TODAY)] == candidates


@pytest.mark.parametrize(("language", "text"), NO_DATE)
def test_no_birth_date(language: str, text: str) -> None:
    assert read_birth_date(text, language, TODAY) == ()


def test_the_span_covers_the_date_alone() -> None:
    (reading,) = read_birth_date("Ana, nací el 14 de marzo de 1962 ok", "es", TODAY)
    assert "Ana, nací el 14 de marzo de 1962 ok"[slice(*reading.span)] == "14 de marzo de 1962"


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("en", "2/20/2026", "2026-02-20"),
        ("en", "yesterday", "2026-03-01"),
        ("en", "may 3", "2025-05-03"),
        ("en", "last march", "2025-03"),
        ("en", "march 2026", "2026-03"),
        ("es", "hace como un mes", "2026-02"),
        ("en", "5 years ago", "2021"),
        ("en", "march 2020", "2020-03"),
        ("en", "in 1998", "1998"),
        ("en", "2 weeks ago", "2026-02-16"),
        ("es", "ayer", "2026-03-01"),
        ("es", "el 3 de mayo", "2025-05-03"),
        ("es", "marzo del 2020", "2020-03"),
        ("es", "hace 3 días", "2026-02-27"),
    ],
)
def test_any_date_as_fhir_writes_it(language: str, text: str, value: str) -> None:
    readings = read_date(text, language, TODAY)
    assert readings[0].value == value
    assert readings[0].sure


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "feb 30"), ("en", "dunno"), ("en", "not since tuesday"), ("es", "desde que tenía 12 años")],
)
def test_no_date_where_no_day_or_month_is_meant(language: str, text: str) -> None:
    assert read_date(text, language, TODAY) == ()


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The Tuesday before Thanksgiving.", "2026-11-24"),
        ("es", "el miércoles antes del Día de Acción de Gracias", "2026-11-25"),
        ("en", "the day after christmas", "2025-12-26"),
        ("en", "thanksgiving day", "2026-11-26"),
        ("en", "Two Fridays ago, the 20th.", "2026-11-20"),
        ("es", "hace dos viernes", "2026-11-20"),
        ("es", "El viernes 20.", "2026-11-20"),
        ("en", "The 18th of this month.", "2026-11-18"),
        ("es", "El día primero de este mes.", "2026-11-01"),
        ("es", "el 3 del mes pasado", "2026-10-03"),
        ("es", "Hace exactamente tres semanas, un lunes.", "2026-11-09"),
        ("es", "Hoy hace ocho días, el lunes pasado.", "2026-11-23"),
    ],
)
def test_days_named_by_other_days(language: str, text: str, expected: str) -> None:
    assert [one.value for one in read_date(text, language, date(2026, 11, 30))] == [expected]


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "a couple of weeks ago"), ("en", "three weeks ago, on a friday"), ("en", "the week before thanksgiving")],
)
def test_days_too_vague_or_at_odds(language: str, text: str) -> None:
    assert not read_date(text, language, date(2026, 11, 30))
