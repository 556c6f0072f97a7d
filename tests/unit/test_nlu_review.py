"""`carethread nlu review`: nobody is named, decisions are read, and examples are added where they belong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import click
import pytest

from carethread.cli import review
from carethread.cli.review import (
    Decision,
    decide,
    everyday_words,
    given_names,
    proof_texts,
    read_decisions,
    teach,
)
from carethread.config import PROJECT
from carethread.dialogue.deidentify import Known, deidentified
from carethread.dialogue.taught import NotTaught, Taught
from carethread.messaging.review import Message
from carethread.safety.examples import digest, example_texts
from carethread.yamls import parse


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(["María López", "Ana Delgado"], ["+13125550192"], ["RB-00123"], everyday_words(), given_names())


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "my name is Emily Novak, call me at 312-555-0199", "my name is [name], call me at [phone]"),
        ("en", "text (312) 555 0192 please", "text [phone] please"),
        ("en", "can u tell garcia i called", "can u tell [name] i called"),
        ("en", "I live at 123 Main Street apt 4, need a ride", "I live at [address], need a ride"),
        ("en", "i was born 3/14/62 and my mrn is 004512", "i was born [date] and my mrn is [number]"),
        ("en", "RB-00123 is mine", "[number] is mine"),
        ("en", "my daughter maria has a rash", "my daughter [name] has a rash"),
        ("en", "dr patel told me to come back", "[name] told me to come back"),
        ("en", "mail me at joe@example.org", "mail me at [email]"),
        ("en", "my zip is 60615", "my zip is [number]"),
        ("en", "is ana there today", "is [name] there today"),
        ("es", "soy maría lópez y quiero cambiar mi cita", "soy [name] y quiero cambiar mi cita"),
        ("es", "Hola, mi hija Lucía tiene fiebre", "Hola, mi hija [name] tiene fiebre"),
        ("en", "i need to reschdule my apointment plz", "i need to reschdule my apointment plz"),
        ("es", "ocupo una sita pal jueves", "ocupo una sita pal jueves"),
        ("en", "about the bill thing", "about the bill thing"),
        ("en", "can Bill come with me", "can [name] come with me"),
        ("en", "need refill of Lipitor 20 mg", "need refill of Lipitor 20 mg"),
    ],
)  # fmt: skip
def test_whoever_wrote_it_is_taken_out(known: Known, language: str, text: str, expected: str) -> None:
    assert deidentified(text, language, known) == expected


@pytest.mark.parametrize(
    "text", ["novak", "tell zbigniew hi", "please ask Wozniak about it", "see [name] there", "xqzv wants a visit"]
)
def test_in_doubt_there_is_no_text(known: Known, text: str) -> None:
    assert deidentified(text, "en", known) is None


@pytest.fixture
def nlu(tmp_path: Path) -> Path:
    folder = tmp_path / "nlu"
    shutil.copytree(PROJECT / "data" / "nlu", folder)
    return folder


def test_an_example_is_added_at_the_end_of_its_intent_and_nothing_else_changes(nlu: Path) -> None:
    path = Taught(nlu / "es").file_of("faq_parking")
    before = path.read_text(encoding="utf-8")
    assert Taught(nlu / "es").add("dónde meto mi troca cuando vaya", "faq_parking") == path
    after = path.read_text(encoding="utf-8")
    assert after.replace("      - dónde meto mi troca cuando vaya\n", "") == before
    blocks = parse(after)["nlu"]
    (block,) = [one for one in blocks if one.get("intent") == "faq_parking"]
    assert block["examples"].splitlines()[-1] == "- dónde meto mi troca cuando vaya"


@pytest.mark.parametrize(
    ("text", "intent", "why"),
    [
        ("zoo wing", "no_such_intent", "no examples of 'no_such_intent'"),
        ("a [knee](body_part) thing", "report_symptom", "plain words"),
        ("  ", "greet", "plain words"),
    ],
)
def test_what_cannot_be_added_is_refused(nlu: Path, text: str, intent: str, why: str) -> None:
    with pytest.raises(NotTaught, match=why):
        Taught(nlu / "en").add(text, intent)


def test_an_example_is_taught_once_whatever_its_capitals(nlu: Path) -> None:
    Taught(nlu / "en").add("zoo wing elevator question", "faq_location")
    with pytest.raises(NotTaught, match="an example of 'faq_location' already"):
        Taught(nlu / "en").add("Zoo wing  elevator QUESTION", "faq_location")


def shown(text: str, language: str = "en") -> Message:
    return Message(7, text, language, "nlu_fallback", 0.3, "answered", "unsure")


def test_a_proof_is_never_taught(nlu: Path) -> None:
    text = next(iter(sorted(proof_texts(PROJECT / "tests" / "data"))))
    with pytest.raises(NotTaught, match="tests/data"):
        teach(shown(text), Decision(7, "greet"), nlu)


def test_only_words_of_the_message_are_taught(nlu: Path) -> None:
    with pytest.raises(NotTaught, match="only delete words"):
        teach(shown("zoo wing elevator"), Decision(7, "faq_location", "zoo wing stairs"), nlu)
    path = teach(shown("zoo wing elevator umm"), Decision(7, "faq_location", "zoo wing elevator"), nlu)
    assert "      - zoo wing elevator\n" in path.read_text(encoding="utf-8")


def test_decisions_are_read_from_a_file_and_bad_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text('{"id": 7, "intent": "greet"}\n\n{"id": 8, "intent": "skip"}\n', encoding="utf-8")
    assert read_decisions(path) == [Decision(7, "greet"), Decision(8, "skip")]
    for line, why in (
        ("x", "not JSON"),
        ('{"id": 7}', "give an object like"),
        ('{"id": 7, "intent": "x"}', "no intent"),
    ):
        path.write_text(f"\n{line}\n", encoding="utf-8")
        with pytest.raises(click.ClickException, match=f":2: .*{why}"):
            read_decisions(path)


def test_answers_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["d umm", "2", "nonsense", "s", "o", "faq_hours", "q"])
    monkeypatch.setattr(click, "prompt", lambda *_, **__: next(answers))
    asked: list[str] = []

    def ask(text: str) -> dict[str, Any]:
        asked.append(text)
        return {"ranking": [{"name": "greet", "confidence": 0.4}, {"name": "thank", "confidence": 0.3}]}

    texts = [shown(text) for text in ("umm hello", "second", "third", "fourth", "fifth")]
    decisions = decide(texts, ask, ["faq_hours", "greet", "out_of_scope", "thank"])
    assert [(one.intent, one.text) for one in decisions] == [
        ("thank", "hello"), ("skip", "second"), ("out_of_scope", "third"), ("faq_hours", "fourth"),
    ]  # fmt: skip
    assert asked[:2] == ["umm hello", "hello"], "what was deleted is asked anew"


def test_the_safety_set_of_new_models_is_of_todays_examples() -> None:
    path = PROJECT / "data" / "regression" / "safety.jsonl"
    head, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    examples = example_texts(PROJECT / "content" / "safety")
    assert head["examples"] == digest(examples), "run `carethread safety missed`"
    alarming = sum(example.level in ("emergency", "crisis") for example in examples)
    assert head["screened"] + sum(row["level"] != "none" for row in rows) == alarming


def test_the_utterances_of_new_models_are_no_proofs() -> None:
    path = PROJECT / "data" / "regression" / "utterances.jsonl"
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    proofs = proof_texts(PROJECT / "tests" / "data")
    assert [text for text in texts if " ".join(review.words(text)) in proofs] == []
