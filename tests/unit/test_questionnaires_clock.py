"""A time of day without "am" or "pm": the question may say which half is meant, else the patient is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from carethread.questionnaires import load
from carethread.questionnaires.outcomes import Taken, Which
from carethread.questionnaires.readings import read_time
from carethread.questionnaires.understanding import understand

NOW = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "asked", "said", "taken"),
    [
        ("en", "What time do you take your evening medicine?", "at 9", "21:00:00"),
        ("en", "What time do you take your evening medicine?", "8:30am", "08:30:00"),
        ("en", "When do you get up in the morning?", "about 7", "07:00:00"),
        ("es", "¿A qué hora toma su medicina de la noche?", "a las nueve y media", "21:30:00"),
        ("es", "¿A qué hora se levanta por la mañana?", "a las 6", "06:00:00"),
        ("en", "What time do you take your pill?", "at 9", None),
        ("en", "When may we call, morning or evening?", "at 9", None),
        ("es", "¿A qué hora es su cita de mañana?", "a las 9", None),
    ],
)
def test_the_question_may_say_which_half_of_the_day_is_meant(
    language: str, asked: str, said: str, taken: str | None
) -> None:
    form = load({"resourceType": "Questionnaire", "item": [{"linkId": "at", "type": "time", "text": asked}]})
    outcome = understand(form.items[0], said, language, NOW)
    if taken is None:
        assert isinstance(outcome, Which)
    else:
        assert isinstance(outcome, Taken)
        assert outcome.values[0].value == taken


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("8 with breakfast", "en", ["08:00:00"]),
        ("a las 8 con el desayuno", "es", ["08:00:00"]),
        ("10 before bed", "en", ["22:00:00"]),
        ("a las 10 antes de dormir", "es", ["22:00:00"]),
        ("at dinner, 6:30", "en", ["18:30:00"]),
        ("a las nueve y media pe eme", "es", ["21:30:00"]),
        ("at 1, before bed", "en", ["01:00:00", "13:00:00"]),
        ("before breakfast", "en", []),
        ("8", "en", ["08:00:00", "20:00:00"]),
    ],
)
def test_what_is_done_then_tells_the_half_of_the_day(text: str, language: str, expected: list[str]) -> None:
    assert [one.value for one in read_time(text, language)] == expected
