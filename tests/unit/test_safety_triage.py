"""Where a complaint goes that is no red flag."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carethread.safety.tables import TableError
from carethread.safety.triage import DISPOSITIONS, TriageTable, complaint_of, dispose, load_triage

ROOT = Path(__file__).parents[2]
TABLE = load_triage(ROOT / "content" / "safety" / "triage.yml")
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


@pytest.mark.parametrize(
    ("text", "severity", "duration", "age", "pregnant", "level"),
    [
        ("chest pain", 3, DAY, 40, None, "emergency_now"),
        ("I get short of breath", 8, DAY, 50, None, "emergency_now"),
        ("short of breath", None, None, None, None, "emergency_now"),
        ("winded on stairs", 3, WEEK, 70, None, "today"),
        ("fever", 4, DAY, 0.1, None, "emergency_now"),
        ("calentura", 4, DAY, 1, None, "today"),
        ("fever", 4, DAY, 72, None, "today"),
        ("fever", 4, 4 * DAY, 30, None, "today"),
        ("fever", 4, DAY, 30, None, "within_3_days"),
        ("fever and cough", 2, DAY, 30, None, "within_3_days"),
        ("my stomach hurts", 9, 2 * HOUR, 35, None, "emergency_now"),
        ("me duele la panza", 7, DAY, 35, None, "today"),
        ("stomach ache", 2, DAY, 35, None, "self_care"),
        ("belly cramps", 7, DAY, 28, True, "emergency_now"),
        ("belly cramps", 2, DAY, 28, True, "today"),
        ("headache", 10, HOUR, 50, None, "emergency_now"),
        ("dolor de cabeza", 5, DAY, 50, None, "within_3_days"),
        ("a slight headache", 2, HOUR, 50, None, "self_care"),
        ("numbness in my hand", 4, 5 * HOUR, 60, None, "emergency_now"),
        ("it burns when I pee", 5, DAY, 30, None, "today"),
        ("it burns when I pee and my back hurts", 2, DAY, 30, None, "today"),
        ("arde al orinar", 2, DAY, 30, None, "within_3_days"),
        ("my wound is red with pus", 3, 2 * DAY, 50, None, "today"),
        ("a small cut on my hand", 1, DAY, 50, None, "within_3_days"),
        ("sore throat", 2, DAY, 25, None, "self_care"),
        ("sore throat", 5, DAY, 25, None, "within_3_days"),
        ("dolor de oído", 3, DAY, 1, None, "today"),
        ("runny nose", 2, 2 * DAY, 30, None, "self_care"),
        ("cough", 3, 4 * WEEK, 30, None, "within_3_days"),
        ("diarrea", 3, DAY, 80, None, "today"),
        ("throwing up", 3, 2 * DAY, 30, None, "today"),
        ("knee pain", 3, 4 * WEEK, 55, None, "routine"),
        ("knee pain", 2, DAY, 55, None, "self_care"),
        ("rash", 2, 2 * DAY, 20, None, "self_care"),
        ("sarpullido con ampollas", 4, DAY, 20, None, "today"),
        ("I feel sad", 8, WEEK, 40, None, "today"),
        ("ansiedad", 4, WEEK, 40, None, "within_3_days"),
        ("tired all the time", 3, 4 * WEEK, 40, None, "routine"),
        ("my left calf is swollen", 3, DAY, 40, None, "today"),
        ("dizzy", 2, DAY, 70, None, "today"),
        ("dog bite", 2, HOUR, 20, None, "today"),
        ("tooth hurts and my face is swollen", 4, DAY, 30, None, "today"),
        ("something odd with my nail", None, None, None, None, "within_3_days"),
        ("something odd with my nail", 9, None, None, None, "today"),
        ("", None, None, None, None, "within_3_days"),
    ],
)
def test_disposition(
    text: str, severity: int | None, duration: timedelta | None, age: float | None, pregnant: bool | None, level: str
) -> None:
    found = dispose(text, severity, duration, age, pregnant, TABLE)
    assert found.level == level, found
    assert found.reason
    assert found.source


@given(
    text=st.text(max_size=60) | st.sampled_from(["fever", "tos", "stomach pain", "mareo", "rash", "headache"]),
    severity=st.none() | st.integers(0, 10),
    hours=st.none() | st.integers(0, 2000),
    age=st.none() | st.floats(0, 110),
    pregnant=st.none() | st.booleans(),
)
def test_every_complaint_has_a_disposition(
    text: str, severity: int | None, hours: int | None, age: float | None, pregnant: bool | None
) -> None:
    duration = None if hours is None else timedelta(hours=hours)
    assert dispose(text, severity, duration, age, pregnant, TABLE).level in DISPOSITIONS


@given(
    text=st.sampled_from([name for phrases in TABLE.complaints.values() for phrase in phrases for name in phrase]),
    severity=st.integers(0, 9),
    age=st.floats(0, 110),
)
def test_worse_is_never_less_urgent(text: str, severity: int, age: float) -> None:
    milder = dispose(text, severity, DAY, age, None, TABLE).level
    worse = dispose(text, severity + 1, DAY, age, None, TABLE).level
    assert DISPOSITIONS.index(worse) <= DISPOSITIONS.index(milder)


def test_a_slip_of_the_finger_is_understood() -> None:
    assert complaint_of("hedache since monday", TABLE) == "headache"
    assert complaint_of("garganra", TABLE) == "sore_throat"


def _table(tmp_path: Path, rules: str) -> TriageTable:
    path = tmp_path / "triage.yml"
    path.write_text(
        f"levels: [{', '.join(DISPOSITIONS)}]\ncomplaints:\n  - {{id: cough, en: [cough], es: [tos]}}\nrules:\n{rules}",
        encoding="utf-8",
    )
    return load_triage(path)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            "  - {id: a, complaint: [caugh], level: today, reason: r, source: s}\n",
            r"triage\.yml:5: complaint 'caugh' is not in the list above \(cough\)",
        ),
        (
            "  - {id: a, complaint: [cough], level: soon, reason: r, source: s}\n",
            r"triage\.yml:5: level 'soon' is not known",
        ),
        (
            "  - {id: a, complaint: [cough], severity: bad, level: today, reason: r, source: s}\n",
            r"triage\.yml:5: severity is 'bad', not a range; write for example 3-5, 12h-3d or 2w-",
        ),
        (
            "  - {id: a, complaint: [cough], level: today, reason: r, source: s}\n",
            r"triage\.yml:5: the last rule must fit everything",
        ),
        (
            "  - {id: a, complaint: any, level: today, reason: r}\n",
            r"triage\.yml:5: a rule lacks 'source'; add it",
        ),
    ],
)
def test_a_bad_table_says_where(tmp_path: Path, rules: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        _table(tmp_path, rules)


def test_the_most_urgent_of_several_complaints_stands() -> None:
    assert dispose("runny nose and burning when i pee with fever", 3, DAY, None, None, TABLE).level == "today"
