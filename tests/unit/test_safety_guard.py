"""The last gate before a text leaves, and how hard texts are to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from carethread.safety.guard import Guard, check_outbound, load_guard
from carethread.safety.reading import count, english_syllables, grade, spanish_syllables
from carethread.safety.tables import TableError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def guard() -> Guard:
    return load_guard(ROOT / "content" / "safety" / "guard.yml")


def found(guard: Guard, text: str, **changes: object) -> set[str]:
    settings: dict[str, object] = {"channel": "sms", "verified": True, "care_detail": False, "max_length": 480}
    findings = check_outbound(text, guard=guard, **(settings | changes))  # type: ignore[arg-type]
    return {finding.rule for finding in findings}


def test_every_rule_keeps_its_word(guard: Guard) -> None:
    assert guard.check() == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Take 2 pills of 500 mg every 6 hours.", "dosing"),
        ("You can double your dose tonight.", "dosing"),
        ("Tómese otra pastilla.", "dosing"),
        ("It sounds like you have the flu.", "diagnosis"),
        ("Don't worry, it's nothing serious.", "diagnosis"),
        ("Usted podría tener una infección.", "diagnosis"),
        ("Your results are normal.", "results-or-prognosis"),
        ("Usted va a recuperarse pronto.", "results-or-prognosis"),
        ("Hello {patient_name}", "placeholder"),
        ("Hello {{ name }}", "placeholder"),
        ("See http://example.org", "plain-link"),
        ("<script>alert(1)</script>", "markup"),
        ("safe\u202etext", "control-character"),
        ("   ", "empty"),
    ],
)
def test_blocked(guard: Guard, text: str, rule: str) -> None:
    assert rule in found(guard, text)


@pytest.mark.parametrize(
    "text",
    [
        "Your visit is on Monday at 9. Reply 1 to keep it.",
        "Please do not stop or change a medicine before you talk with us.",
        "Do you have a fever or an infection?",
        "Traiga todas sus medicinas a la cita.",
        "Si tiene fiebre, llámenos.",
        "We cannot tell you what you have. A nurse will call you.",
        "This may be an emergency. Call 911 now.",
        "Read more at https://example.org",
    ],
)
def test_let_through(guard: Guard, text: str) -> None:
    assert found(guard, text) == set()


def test_care_detail_needs_a_verified_patient(guard: Guard) -> None:
    text = "Your visit is on Monday."
    assert found(guard, text, care_detail=True, verified=False) == {"unverified"}
    assert found(guard, text, care_detail=True, verified=True) == set()
    assert found(guard, text, care_detail=False, verified=False) == set()


def test_a_text_longer_than_the_channel_takes_is_held_back(guard: Guard) -> None:
    assert found(guard, "word " * 100, max_length=160) == {"too-long"}


def test_findings_hold_no_word_of_the_text(guard: Guard) -> None:
    findings = check_outbound(
        "Zebediah, take 2 pills {x}", channel="sms", verified=False, care_detail=True, max_length=5, guard=guard
    )
    assert findings
    assert all("zebediah" not in finding.detail.lower() for finding in findings)


def test_the_span_points_at_the_words(guard: Guard) -> None:
    text = "Hello. You can double your dose tonight."
    (finding,) = guard.wording(text)
    assert text[slice(*finding.span)] == "double your dose"


def test_a_bad_table_says_where(tmp_path: Path) -> None:
    path = tmp_path / "guard.yml"
    said = "{patterns: ['take ..x pills'], examples: [a], counter_examples: [b]}"
    path.write_text(f"rules:\n  - id: dosing\n    source: x\n    en: {said}\n    es: {said}\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"guard\.yml:4: gap '\.\.x' is not '\.\.' and a number"):
        load_guard(path)


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("a", 1), ("visit", 2), ("medicine", 3), ("people", 2), ("table", 2), ("please", 1), ("called", 1),
        ("needed", 2), ("appointment", 3), ("area", 3), ("reschedule", 3), ("nurse's", 1), ("doctors", 2),
    ],
)  # fmt: skip
def test_english_syllables(word: str, syllables: int) -> None:
    assert english_syllables(word) == syllables


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("cita", 2), ("médico", 3), ("día", 2), ("país", 2), ("guerra", 2), ("quiero", 2), ("ciudad", 2),
        ("huevo", 2), ("ayuda", 3), ("leer", 2), ("continuó", 3), ("Uruguay", 3), ("y", 1), ("lingüista", 3),
    ],
)  # fmt: skip
def test_spanish_syllables(word: str, syllables: int) -> None:
    assert spanish_syllables(word) == syllables


def test_counts_leave_numbers_and_placeholders_in_proportion() -> None:
    counts = count("Hi {first_name}. Your visit is on {date} at 9:30!", "en")
    assert counts.sentences == 2
    assert counts.words == 8


def test_the_grade_follows_the_formula() -> None:
    # 0.39 * 7 / 1 + 11.8 * 8 / 7 - 15.59
    assert grade("We will call you back very soon.", "en") == pytest.approx(0.39 * 7 + 11.8 * 8 / 7 - 15.59)


def test_plain_is_easier_than_official() -> None:
    plain = {
        "en": "Your visit is on Monday. Please bring your pills with you.",
        "es": "Su cita es el lunes. Por favor traiga sus pastillas.",
    }
    official = {
        "en": "Documentation regarding pharmaceutical administration necessitates professional consultation.",
        "es": "La documentación sobre la administración farmacológica requiere consulta profesional especializada.",
    }
    for language in ("en", "es"):
        assert grade(plain[language], language) <= 6
        assert grade(official[language], language) > 10
    assert grade("", "en") == 0.0
