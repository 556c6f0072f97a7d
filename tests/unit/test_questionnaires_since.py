"""Since when. It is Wednesday, 4 March 2026, ten in the morning."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from carethread.questionnaires.readings import read_since

NOW = datetime(2026, 3, 4, 10, 0, tzinfo=ZoneInfo("America/Chicago"))

DAYS_AGO = [
    ("en", "3 days", 3),
    ("en", "for 3 days now", 3),
    ("en", "3 days ago", 3),
    ("en", "started like 2 days ago", 2),
    ("en", "2 wks", 14),
    ("en", "about two weeks", 14),
    ("en", "since last week", 7),
    ("en", "few days", 3),
    ("en", "a week and a half", 10.5),
    ("en", "1 1/2 weeks", 10.5),
    ("es", "3 dias", 3),
    ("es", "hace dos semanas", 14),
    ("es", "ase 2 semanas", 14),
    ("es", "desde hace 3 días", 3),
    ("es", "llevo dos días con dolor", 2),
    ("es", "como 4 dias", 4),
    ("es", "desde la semana pasada", 7),
    ("es", "una semana y media", 10.5),
    ("es", "hace unos días", 3),
]

ON_A_DAY = [
    ("en", "since yesterday", "2026-03-03"),
    ("en", "yesterday morning", "2026-03-03"),
    ("en", "last night", "2026-03-03"),
    ("en", "this morning", "2026-03-04"),
    ("en", "today", "2026-03-04"),
    ("en", "since monday", "2026-03-02"),
    ("en", "not since tuesday", "2026-03-03"),
    ("en", "last friday", "2026-02-27"),
    ("en", "since the 1st", "2026-03-01"),
    ("en", "since february 20", "2026-02-20"),
    ("es", "desde ayer", "2026-03-03"),
    ("es", "anoche", "2026-03-03"),
    ("es", "antier", "2026-03-02"),
    ("es", "esta mañana", "2026-03-04"),
    ("es", "desde hoy en la mañana", "2026-03-04"),
    ("es", "desde el lunes", "2026-03-02"),
    ("es", "el viernes pasado", "2026-02-27"),
    ("es", "desde el 20 de febrero", "2026-02-20"),
]


@pytest.mark.parametrize(("language", "text", "days"), DAYS_AGO)
def test_how_long(language: str, text: str, days: float) -> None:
    reading = read_since(text, language, NOW)
    assert reading is not None
    assert reading.value.length == timedelta(days=days)
    assert reading.value.start == NOW - timedelta(days=days)


@pytest.mark.parametrize(("language", "text", "day"), ON_A_DAY)
def test_since_which_day(language: str, text: str, day: str) -> None:
    reading = read_since(text, language, NOW)
    assert reading is not None
    assert reading.value.start.date().isoformat() == day
    assert reading.value.start <= NOW


@pytest.mark.parametrize(
    ("language", "text", "hours"),
    [
        ("en", "a couple hours ago", 2),
        ("en", "half an hour", 0.5),
        ("es", "un par de horas", 2),
        ("es", "media hora", 0.5),
    ],
)
def test_hours(language: str, text: str, hours: float) -> None:
    reading = read_since(text, language, NOW)
    assert reading is not None
    assert reading.value.length == timedelta(hours=hours)


@pytest.mark.parametrize(("language", "text"), [("en", ""), ("en", "it hurts a lot"), ("es", "me duele")])
def test_nothing_said_about_when(language: str, text: str) -> None:
    assert read_since(text, language, NOW) is None
