"""What a message gives to triage: statements, answers to the question, and what it takes back, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from carethread.config import PROJECT
from carethread.conversations.symptom_facts import answer, from_chart, hear, stated
from carethread.conversations.symptom_summary import details, text
from carethread.ehr.chart import NOTHING, ChartFacts, Vital
from carethread.safety.triage import UNSURE, Disposition, Value, next_step
from carethread.safety.triage_loading import load_triage

TABLE = load_triage(PROJECT / "content" / "safety" / "triage")
NOW = datetime(2026, 11, 27, 18, tzinfo=UTC)  # a Friday
KNOWN: dict[str, Value] = {"fever": False, "severity": 3, "duration": 20.0}


@pytest.mark.parametrize(
    ("language", "said", "facts"),
    [
        ("en", "fever of 102 since yesterday, throwing up",
         {"fever": True, "temperature": 102.0, "vomiting": True, "duration": 30.0}),
        ("en", "my 2 year old has had a barking cough for 2 days",
         {"barking_cough": True, "age": 2.0, "duration": 48.0}),
        ("en", "mild sore throat for two days, about a 3 out of 10", {"duration": 48.0, "severity": 3}),
        ("en", "sugar is 310 and I'm shaky", {"sugar_ill": True, "blood_sugar": 310.0}),
        ("en", "I threw up 3 times", {"vomiting": True}),
        ("en", "a bad cough", {}),
        ("es", "mi hijo de 3 meses tiene fiebre de 38.9", {"fever": True, "age": 0.25, "temperature": 102.0}),
        ("es", "desde ayer me duele la garganta, como un 8 de 10", {"duration": 30.0, "severity": 8}),
        ("es", "diarrea con sangre y no retengo nada", {"gut_blood": True, "cannot_keep_fluids_down": True}),
    ],
)  # fmt: skip
def test_what_a_message_states(language: str, said: str, facts: dict[str, Value]) -> None:
    assert stated(said, language, NOW, TABLE) == facts


@pytest.mark.parametrize(
    ("language", "asked", "said", "value"),
    [
        ("en", "fever", "yes but only at night", True),
        ("en", "fever", "not really", False),
        ("en", "fever", "no fever", False),
        ("en", "fever", "idk", UNSURE),
        ("en", "fever", "skip", UNSURE),
        ("en", "fever", "ok", None),
        ("en", "fever", "the weather is nice", None),
        ("en", "hard_breathing", "a little", True),
        ("en", "hard_breathing", "maybe", UNSURE),
        ("en", "hard_breathing", "nope, just tired", False),
        ("en", "hard_breathing", "no fever or vomiting", None),
        ("en", "hard_breathing", "no, no fever", False),
        ("en", "age", "she is 45", 45),
        ("en", "age", "6 months", 0.5),
        ("en", "age", "old enough", None),
        ("en", "temperature", "102", 102),
        ("en", "temperature", "39.5", 103.1),
        ("en", "temperature", "7", None),
        ("en", "temperature", "I don't know", UNSURE),
        ("en", "temperature", "no", UNSURE),
        ("en", "temperature", "no, 7", None),
        ("es", "temperature", "no", UNSURE),
        ("es", "temperature", "no se la tomé", UNSURE),
        ("en", "systolic", "150 over 90", 150),
        ("en", "systolic", "9000", None),
        ("en", "severity", "like a 7", 7),
        ("en", "severity", "pretty bad", 8),
        ("en", "duration", "since Monday", 102.0),
        ("es", "fever", "sí, desde anoche", True),
        ("es", "fever", "no tengo fiebre", False),
        ("es", "fever", "no sé", UNSURE),
        ("es", "hard_breathing", "un poco", True),
        ("es", "hard_breathing", "no le cuesta", False),
        ("es", "hard_breathing", "no puedo ni hablar", None),
        ("en", "hard_breathing", "I can breathe fine", False),
        ("es", "pregnant", "estoy embarazada de 20 semanas", True),
        ("es", "age", "tiene 3 meses", 0.25),
        ("es", "temperature", "38 y medio", 101.3),
        ("es", "severity", "como un 7", 7),
    ],
)
def test_answers(language: str, asked: str, said: str, value: Value | None) -> None:
    found = answer(TABLE.facts[asked], said, language, NOW, TABLE)
    assert found == value
    assert (found is True) == (value is True)


@pytest.mark.parametrize(
    ("language", "asking", "said", "facts", "answered"),
    [
        # an answer, and more
        ("en", "hard_breathing", "no, but I'm throwing up", {"hard_breathing": False, "vomiting": True}, True),
        ("es", "hard_breathing", "no, pero vomito mucho", {"hard_breathing": False, "vomiting": True}, True),
        ("en", "hard_breathing", "yes, since Monday", {"hard_breathing": True}, True),
        ("en", "fever", "102.4", {"temperature": 102.4}, True),
        ("en", "fever", "39 C", {"temperature": 102.2}, True),
        ("en", "hard_breathing", "no fever", {"fever": False}, False),
        # an age is no duration
        ("es", "age", "30 años", {"age": 30.0}, True),
        ("en", "age", "6 months", {"age": 0.5}, True),
        # something is taken back, and the question still waits
        ("en", "hard_breathing", "no wait, I do have a fever", {"fever": True}, False),
        ("en", "hard_breathing", "actually it's an 8", {"severity": 8}, False),
        ("en", "hard_breathing", "I meant since Monday", {"duration": 102.0}, False),
        ("en", "hard_breathing", "no wait, yes", {"fever": True}, False),
        ("es", "hard_breathing", "no espere, sí tengo fiebre", {"fever": True}, False),
        ("es", "hard_breathing", "en realidad es un 8", {"severity": 8}, False),
        ("es", "hard_breathing", "quise decir desde el lunes", {"duration": 102.0}, False),
        # politeness takes nothing back
        ("en", "hard_breathing", "sorry, no", {"hard_breathing": False}, True),
        # nothing is asked any more
        ("en", None, "no wait, I do have a fever", {"fever": True}, False),
        ("en", None, "actually it's an 8", {"severity": 8}, False),
        ("en", None, "book a visit", {}, False),
        ("en", None, "no thanks", {}, False),
        ("es", None, "no gracias", {}, False),
    ],
)  # fmt: skip
def test_what_is_heard(language: str, asking: str | None, said: str, facts: dict[str, Value], answered: bool) -> None:
    heard = hear(said, language, NOW, TABLE, known=KNOWN if asking != "age" else {}, asking=asking, before="fever")
    assert (dict(heard.facts), heard.answered) == (facts, answered)


@pytest.mark.parametrize(
    ("language", "said", "wants"),
    [("en", "what do you mean?", "help"), ("en", "why do you ask?", "help"), ("es", "¿qué quiere decir?", "help"),
     ("en", "say that again", "again")],
)  # fmt: skip
def test_a_question_about_the_question(language: str, said: str, wants: str) -> None:
    assert hear(said, language, NOW, TABLE, known={}, asking="fever").wants == wants


def test_what_the_record_answers() -> None:
    flags = {
        "pregnant": False,
        "recent_birth": False,
        "asthma": True,
        "copd": False,
        "blood_thinner": True,
        "diabetes": False,
    }
    chart = ChartFacts(61.5, "male", flags, {}, {"temperature": Vital(101.2, NOW), "oxygen": Vital(89, NOW)})
    found = from_chart(chart, TABLE)
    assert found == {
        "age": 61.5, "sex": "male", "pregnant": False, "lung_disease": True, "blood_thinner": True, "diabetes": False,
        "temperature": 101.2, "oxygen": 89,
    }  # fmt: skip
    assert from_chart(NOTHING, TABLE) == {}
    end = next_step(["breathing"], found, TABLE, 0)
    assert isinstance(end, Disposition)
    assert end.level == "emergency_now"


def test_the_summary_says_everything_staff_need() -> None:
    known = {
        "age": {"value": 0.5, "from": "chart"},
        "fever": {"value": True, "from": "asked", "words": "yes, since last night"},
        "duration": {"value": 96.0, "from": "said"},
        "confused": {"value": UNSURE, "from": "asked"},
        "temperature": {"value": 102.2, "from": "asked"},
    }
    found = next_step(["fever"], {name: held["value"] for name, held in known.items()}, TABLE, 0)  # type: ignore[misc]
    assert isinstance(found, Disposition)
    note = text("my baby is hot", known, found, TABLE, now=NOW, corrected=True)
    for part in ("my baby is hot", "Fever: yes (“yes, since last night”)", "6 months", "4 days", "102.2 °F",
                 "does not know", found.reason, found.source, found.rule, "corrected"):  # fmt: skip
        assert part in note
    shown = details("my baby is hot", known, found, TABLE)
    assert shown["answers"]["Fever"] == "yes (“yes, since last night”)"
    assert shown["from the record"] == {"Age": "6 months"}
    assert shown["why"] == found.reason
