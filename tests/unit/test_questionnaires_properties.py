"""Whatever the questionnaire and whatever is written: no crash, no loop, an end, a valid response, replayable."""

import json
from datetime import UTC, datetime
from typing import Any

import fhirkit
from hypothesis import given, settings
from hypothesis import strategies as st

from carethread.questionnaires import Input, Session, answer, load, start, to_response
from carethread.questionnaires.readings import (
    Option,
    Scale,
    read_birth_date,
    read_choice,
    read_control,
    read_correction,
    read_date,
    read_number,
    read_person_name,
    read_quantity,
    read_severity,
    read_since,
    read_yes_no,
)

NOW = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
BASE = "http://hl7.org/fhir/StructureDefinition/"
TYPES = ["boolean", "choice", "open-choice", "string", "text", "integer", "decimal", "quantity", "date"]

PHRASES = st.sampled_from(
    [
        "yes", "no", "sí", "nope", "7", "about a 7", "7 or 8", "b", "the second one", "none", "skip", "idk", "back",
        "later", "repeat", "why", "start over", "no wait 3", "one", "two", "yes but not today", "yesterday", "3/4/2020",
        "102 or so", "999999999999999999999", "-5", "1/0", "6.5", "what?", "👍", "", " ", "\x00", "ninguna", "a\u0301",
        "it hurts when I walk", "10000", "first and third", "no sé", "2 weeks ago", "½", "٣", "i", "İ",
    ]
)  # fmt: skip
TEXTS = st.one_of(PHRASES, PHRASES, st.text(max_size=40))


@st.composite
def questionnaires(draw: st.DrawFn) -> dict[str, Any]:
    """A file with up to eight items, nested, conditional, required or not."""
    items: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from([*TYPES, "group", "display"]))
        item: dict[str, Any] = {"linkId": f"q{number}", "type": kind, "text": f"Question {number}?"}
        if kind not in ("group", "display"):
            item["required"] = draw(st.booleans())
            item["repeats"] = draw(st.booleans())
        if kind in ("choice", "open-choice"):
            labels = draw(
                st.lists(st.sampled_from(["One", "Two", "Left", "Right", "Not at all"]), min_size=1, unique=True)
            )
            item["answerOption"] = [{"valueCoding": {"code": label, "display": label}} for label in labels]
        if kind == "integer" and draw(st.booleans()):
            item["extension"] = [
                {"url": BASE + "minValue", "valueInteger": 0},
                {"url": BASE + "maxValue", "valueInteger": 10},
            ]
        if kind in ("string", "text") and draw(st.booleans()):
            item["maxLength"] = draw(st.integers(1, 10))
        if items and draw(st.booleans()):
            other = draw(st.sampled_from(items))["linkId"]
            operator = draw(st.sampled_from(["exists", "=", "!=", ">", "<="]))
            value = {"answerBoolean": True} if operator == "exists" or draw(st.booleans()) else {"answerInteger": 5}
            item["enableWhen"] = [{"question": other, "operator": operator, **value}]
        parents = [one for one in items if one["type"] != "display"]
        if parents and draw(st.booleans()):
            draw(st.sampled_from(parents)).setdefault("item", []).append(item)
        else:
            items.append(item)
    return {"resourceType": "Questionnaire", "url": "https://x.example/r", "version": "1", "item": items}


@settings(max_examples=150, deadline=None)
@given(questionnaires(), st.lists(TEXTS, max_size=15), st.sampled_from(["en", "es"]))
def test_every_conversation_ends_in_a_valid_response(resource: dict[str, Any], texts: list[str], language: str) -> None:
    questionnaire = load(resource)
    step = start(questionnaire, language=language, now=NOW)
    inputs = [Input(text, language, f"m{number}", NOW) for number, text in enumerate(texts)]
    for message in inputs:
        session = Session.from_json(json.loads(json.dumps(step.session.to_json())))
        assert session == step.session
        step = answer(questionnaire, session, message)
        assert (step.question is not None) == (step.status == "in-progress")

    replayed = start(questionnaire, language=language, now=NOW)
    for message in inputs:
        replayed = answer(questionnaire, replayed.session, message)
    assert replayed.session == step.session

    response = to_response(questionnaire, step.session, subject="Patient/1")
    assert [issue.message for issue in fhirkit.validate(response) if issue.severity == "error"] == []

    # From wherever they got to, somebody who only writes gibberish reaches an end.
    for number in range(4 * 8 + 1):
        if step.status in ("completed", "needs-human"):
            break
        step = answer(questionnaire, step.session, Input("xyzzy plugh", language, f"z{number}", NOW))
    assert step.status in ("completed", "needs-human")


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(PHRASES, max_size=5).map(" ".join)), st.sampled_from(["en", "es"]))
def test_no_text_upsets_a_reader(text: str, language: str) -> None:
    options = [Option("a", "Tuesday, March 3 at 2:00 PM"), Option("b", "Not at all"), Option("c", "🙂")]
    choice = read_choice(text, options, language)
    readings = [
        read_yes_no(text, language),
        read_control(text, language),
        read_person_name(text, language),
        read_severity(text, language),
        read_since(text, language, NOW),
        *read_birth_date(text, language, NOW.date()),
        *read_date(text, language, NOW.date()),
        *read_number(text, language),
        *read_number(text, language, Scale(0, 10)),
        *read_quantity(text, language, ["[degF]", "Cel"]),
        choice.picked,
        *choice.between,
        *choice.several,
    ]
    for reading in readings:
        if reading is not None:
            assert 0 < reading.confidence <= 1
            assert 0 <= reading.span[0] <= reading.span[1] <= len(text)
    correction = read_correction(text, language)
    assert correction is None or correction in text
    assert all(born.value <= NOW.date() for born in read_birth_date(text, language, NOW.date()))
