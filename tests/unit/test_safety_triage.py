"""Dispositions as a table: what a patient says, how bad, how long, who → where it belongs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from carethread.safety.triage import DISPOSITIONS, TriageTable, dispose, load_triage

TABLE = Path("content/safety/triage.yml")
D = timedelta(days=1)


@pytest.fixture(scope="module")
def table() -> TriageTable:
    return load_triage(TABLE)


@pytest.mark.parametrize(
    ("text", "severity", "duration", "age", "pregnant", "level"),
    [
        ("sore throat", 3, 1 * D, 30, None, "self_care"),
        ("sore throat and fever", 5, 2 * D, 30, None, "today"),
        ("me duele la garganta", 3, 6 * D, None, None, "within_3_days"),
        ("fever", 3, 1 * D, 1, None, "today"),
        ("tengo fiebre", 3, 4 * D, 40, None, "today"),
        ("fever of 101", 3, 1 * D, 70, None, "today"),
        ("fever", 2, 1 * D, 25, None, "within_3_days"),
        ("burning when i pee", 4, 2 * D, 25, None, "today"),
        ("me arde al orinar y me duele la espalda", 4, 2 * D, 25, None, "today"),
        ("headache", 3, 1 * D, 30, None, "self_care"),
        ("headache", 3, 1 * D, 30, True, "today"),
        ("dolor de cabeza muy fuerte", 9, 1 * D, 30, None, "emergency_now"),
        ("my knee hurts", 4, 1 * D, 30, None, "self_care"),
        ("Me duele la rodilla", 2, 1 * D, 30, None, "self_care"),
        ("my knee hurts, i fell", 4, 1 * D, 30, None, "today"),
        ("my stitches are red and leaking", 3, 1 * D, 30, None, "today"),
        ("la herida esta hinchada", 3, 1 * D, 30, None, "today"),
        ("vomiting", 4, 3 * D, 30, None, "today"),
        ("diarrea", 3, 1 * D, 30, None, "self_care"),
        ("diarrhea", 3, 1 * D, 1, None, "today"),
        ("i feel sad", 5, 20 * D, 30, None, "within_3_days"),
        ("weird mole on my arm", 1, 60 * D, 30, None, "routine"),
        ("bulto en el seno", 1, 6 * D, 30, None, "within_3_days"),
        ("something odd that no table knows", None, None, None, None, "within_3_days"),
        ("something odd that no table knows", 9, None, None, None, "today"),
        ("a runny nose", 9, 1 * D, 30, None, "today"),
        ("", None, None, None, None, "within_3_days"),
    ],
)
def test_where_a_symptom_belongs(
    table: TriageTable,
    text: str,
    severity: int | None,
    duration: timedelta | None,
    age: int | None,
    pregnant: bool | None,
    level: str,
) -> None:
    made = dispose(text, severity, duration, age, pregnant, table)
    assert made.level == level
    assert made.reason
    assert made.source


def test_the_most_urgent_of_several_complaints_stands(table: TriageTable) -> None:
    assert dispose("runny nose and burning when i pee with fever", 3, D, None, None, table).level == "today"


@pytest.mark.parametrize("words", ["cough", "rash", "back pain", "tooth", "dizzy", "nobody knows"])
def test_worse_is_never_less_urgent(table: TriageTable, words: str) -> None:
    urgency = [DISPOSITIONS.index(dispose(words, n, D, 30, None, table).level) for n in range(11)]
    assert urgency == sorted(urgency, reverse=True)
