"""The last gate before a text leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from carethread.safety.guard import Guard, check_outbound, load_guard
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
        ("See http://127.0.0.1.example.org/", "plain-link"),
        ("See http://localhost@example.org/", "plain-link"),
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
        "Your page: http://127.0.0.1:8080/q/riverbend/x and https://example.org/q",
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
    path.write_text(
        f"disclosure: []\nrules:\n  - id: dosing\n    source: x\n    en: {said}\n    es: {said}\n", encoding="utf-8"
    )
    with pytest.raises(TableError, match=r"guard\.yml:5: gap '\.\.x' is not '\.\.' and a number"):
        load_guard(path)


def test_a_bad_line_of_the_disclosure_says_where(tmp_path: Path) -> None:
    path = tmp_path / "guard.yml"
    path.write_text("disclosure:\n  - tells: how to stop\n    source: x\n    said_in: []\n    en: STOP\nrules: []\n")
    with pytest.raises(TableError, match=r"guard\.yml:2: a line of the disclosure lacks 'es'; add it"):
        load_guard(path)
