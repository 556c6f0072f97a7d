"""Whatever the questionnaire and whatever is written: no crash, no loop, an end, a valid response, replayable."""

import json
from datetime import UTC, datetime
from typing import Any

import fhirkit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carethread.questionnaires import (
    Attachment,
    Input,
    Questionnaire,
    QuestionnaireRefused,
    Session,
    Step,
    answer,
    load,
    start,
    to_response,
)
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
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
TYPES = [
    "boolean", "choice", "open-choice", "string", "text", "integer", "decimal", "quantity", "date", "dateTime", "time",
    "url", "reference", "attachment",
]  # fmt: skip

PHRASES = st.sampled_from(
    [
        "yes", "no", "sí", "nope", "7", "about a 7", "7 or 8", "b", "the second one", "none", "skip", "idk", "back",
        "later", "repeat", "why", "start over", "no wait 3", "one", "two", "yes but not today", "yesterday", "3/4/2020",
        "102 or so", "999999999999999999999", "-5", "1/0", "6.5", "what?", "👍", "", " ", "\x00", "ninguna", "a\u0301",
        "it hurts when I walk", "10000", "that's all", "2026-03-04T10:00:00", "14:30", "www.example.org", 
        "change 2", "first and third", "no sé", "2 weeks ago", "½", "٣", "i", "İ",
    ]
)  # fmt: skip
TEXTS = st.one_of(PHRASES, PHRASES, st.text(max_size=40))


def expression(name: str, text: str) -> dict[str, Any]:
    return {"url": SDC + name, "valueExpression": {"language": "text/fhirpath", "expression": text}}


EXPRESSIONS = [
    "%resource.item.answer.value.ordinal().sum()",
    "%resource.descendants().where(linkId='q0').answer.value",
    "%resource.item.where(linkId='q1').answer.exists()",
    "%resource.item.answer.count() mod 2 = 0",
    "item.answer.value",
    "%context.answer.value + 1",
    "%patient.name.given.first()",
    "1 / 0",
    "'a' + 1",
    "%v1",
    "today()",
    "iif(%resource.item.answer.exists(), 5, {})",
]


@st.composite
def extensions(draw: st.DrawFn) -> list[dict[str, Any]]:
    """At most one expression of a kind, now and then."""
    kind = draw(st.sampled_from(["", "", "", "", "", "calc", "initial", "enable", "constraint", "variable"]))
    text = draw(st.sampled_from(EXPRESSIONS))
    if kind == "constraint":
        parts = [
            {"url": "key", "valueId": "c"},
            {"url": "human", "valueString": "Please look again."},
            {"url": "expression", "valueString": text},
        ]
        return [{"url": BASE + "questionnaire-constraint", "extension": parts}]
    if kind == "variable":
        return [{"url": BASE + "variable", "valueExpression": {"name": "v1", "expression": text}}]
    names = {"calc": "calculatedExpression", "initial": "initialExpression", "enable": "enableWhenExpression"}
    return [expression(names[kind], text)] if kind else []


@st.composite
def questionnaires(draw: st.DrawFn) -> dict[str, Any]:
    """A file with up to eight items, nested, conditional, repeating, computed, required or not."""
    items: list[dict[str, Any]] = []
    roots: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from([*TYPES, "group", "group", "display"]))
        item: dict[str, Any] = {"linkId": f"q{number}", "type": kind, "text": f"Question {number}?"}
        item["extension"] = draw(extensions())
        if kind != "display":
            item["required"] = draw(st.booleans())
            item["repeats"] = draw(st.booleans())
        if kind in ("choice", "open-choice"):
            labels = draw(
                st.lists(st.sampled_from(["One", "Two", "Left", "Right", "Not at all"]), min_size=1, unique=True)
            )
            item["answerOption"] = [
                {"valueCoding": {"code": label, "display": label}, "initialSelected": draw(st.booleans())}
                for label in labels
            ]
        if kind == "integer" and draw(st.booleans()):
            item["extension"] += [
                {"url": BASE + "minValue", "valueInteger": 0},
                {"url": BASE + "maxValue", "valueInteger": 10},
            ]
        if kind in ("string", "text") and draw(st.booleans()):
            item["maxLength"] = draw(st.integers(1, 10))
            item["extension"].append(
                {"url": BASE + "regex", "valueString": draw(st.sampled_from(["[a-z]+", "(", "."]))}
            )
        if items and draw(st.booleans()):
            other = draw(st.sampled_from(items))["linkId"]
            operator = draw(st.sampled_from(["exists", "=", "!=", ">", "<="]))
            value = {"answerBoolean": True} if operator == "exists" or draw(st.booleans()) else {"answerInteger": 5}
            item["enableWhen"] = [{"question": other, "operator": operator, **value}]
        parents = [one for one in items if one["type"] != "display"]
        if parents and draw(st.booleans()):
            draw(st.sampled_from(parents)).setdefault("item", []).append(item)
        else:
            roots.append(item)
        items.append(item)
    return {"resourceType": "Questionnaire", "url": "https://x.example/r", "version": "1", "item": roots}


PATIENT = {"patient": {"resourceType": "Patient", "name": [{"given": ["Ana"]}], "birthDate": "1980-02-03"}}
PHOTO = (Attachment("https://x.example/photo.jpg", "image/jpeg"),)


def begun(questionnaire: Questionnaire, language: str, *, full: bool) -> Step:
    return start(questionnaire, language=language, now=NOW, launch=PATIENT, confirm=full, media=full)


def valid(questionnaire: Questionnaire, session: Session) -> bool:
    response = to_response(questionnaire, session, subject="Patient/1")
    return [issue.message for issue in fhirkit.validate(response) if issue.severity == "error"] == []


@pytest.mark.slow  # two hundred conversations
@settings(max_examples=200, deadline=None)
@given(questionnaires(), st.lists(TEXTS, max_size=15), st.sampled_from(["en", "es"]), st.booleans())
def test_every_conversation_ends_in_a_valid_response(
    resource: dict[str, Any], texts: list[str], language: str, full: bool
) -> None:
    questionnaire = load(resource)
    step = begun(questionnaire, language, full=full)
    inputs = [
        Input(text, language, f"m{number}", NOW, media=PHOTO if full and number % 3 == 0 else ())
        for number, text in enumerate(texts)
    ]
    for message in inputs:
        session = Session.from_json(json.loads(json.dumps(step.session.to_json())))
        assert session == step.session
        step = answer(questionnaire, session, message)
        assert (step.question is not None) == (step.status == "in-progress")
        if step.question is not None:
            json.dumps(step.question.to_json())

    replayed = begun(questionnaire, language, full=full)
    for message in inputs:
        replayed = answer(questionnaire, replayed.session, message)
    assert replayed.session == step.session
    assert valid(questionnaire, step.session)

    # From wherever they got to, somebody who only writes gibberish, and has nothing to add, reaches an end.
    for number in range(200):
        if step.status in ("completed", "needs-human"):
            break
        more = step.question is not None and step.question.framing == "more"
        text = "no" if more else "xyzzy plugh"
        step = answer(questionnaire, step.session, Input(text, language, f"z{number}", NOW))
    assert step.status in ("completed", "needs-human")
    assert valid(questionnaire, step.session)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "q0", "group", "choice", "true", "="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "linkId", "type", "text", "item", "answerOption", "enableWhen", "question", "operator", "answerBoolean",
            "valueCoding", "valueString", "extension", "url", "code", "initial", "required", "answerValueSet",
            "resourceType", "contained", "compose", "include", "concept", "_text", "valueExpression", "expression",
        ]),
        inner, max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, max_size=3), JSON, JSON)
def test_whatever_a_file_holds_it_is_run_or_refused(items: list[Any], contained: Any, extension: Any) -> None:
    form = {"resourceType": "Questionnaire", "item": items, "contained": contained, "extension": extension}
    try:
        questionnaire = load(form)
    except QuestionnaireRefused:
        return
    step = start(questionnaire, language="en", now=NOW)
    for number in range(20):
        step = answer(questionnaire, step.session, Input("7", "en", f"m{number}", NOW))
    assert valid(questionnaire, step.session)


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
