"""Reading Questionnaire files: what is run, what is put up with, what is refused and why."""

from collections.abc import Mapping
from typing import Any

import pytest

from carethread.questionnaires import QuestionnaireRefused, load

URL = "https://clinic.example/Questionnaire/q"


def file(*items: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Questionnaire",
        "url": URL,
        "version": "1",
        "status": "active",
        "item": list(items),
        **more,
    }


def question(link_id: str, kind: str = "boolean", **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "text": f"{link_id}?", "type": kind, **more}


def spanish(text: str) -> dict[str, Any]:
    parts = [{"url": "lang", "valueCode": "es"}, {"url": "content", "valueString": text}]
    return {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/translation", "extension": parts}]}


REFUSED = [
    # file, link id named, words of the reason
    ({"resourceType": "Patient"}, "-", "no FHIR Questionnaire"),
    (file(), "-", "no items"),
    (file({"text": "?", "type": "string"}), "-", "no linkId"),
    (file(question("a", "colour")), "a", "'colour' is no R4 item type"),
    (file(question("a"), question("a")), "a", "2 items have this link id"),
    (file(question("a", "choice", required=True)), "a", "nothing to choose"),
    (file(question("a", "choice", required=True, answerValueSet="http://x.example/vs")), "a", "not in the file"),
    (
        file(question("a"), question("b", enableWhen=[{"question": "a", "operator": "~", "answerBoolean": True}])),
        "b",
        "operator '~'",
    ),
    (file(question("a"), question("b", enableWhen=[{"question": "a", "operator": "="}])), "b", "compares with nothing"),
    (
        file(
            question("a", enableWhen=[{"question": "b", "operator": "=", "answerBoolean": True}]),
            question("b", enableWhen=[{"question": "a", "operator": "=", "answerBoolean": True}]),
        ),
        "a",
        "loop: a → b → a",
    ),
    (
        file(
            question(
                "a",
                extension=[
                    {
                        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression",
                        "valueExpression": {"language": "text/cql", "expression": "true"},
                    }
                ],
            )
        ),
        "a",
        "enableWhenExpression is written in text/cql",
    ),
    (file(question("a", "choice", answerOption=[{"valueInteger": "one"}])), "a", "not of its type"),
]

WARNED = [
    (file(question("a", "string", text="<b>Name</b>?")), "a", "HTML"),
    (file({"linkId": "a", "type": "string"}), "a", "no text"),
    (file(question("a", repeats=True)), "a", "repeats"),
    (file(question("a", "choice")), "a", "nothing to choose"),
    (file(question("a", "choice", answerValueSet="http://x.example/vs")), "a", "not in the file"),
    (file(question("a", "open-choice", answerValueSet="http://x.example/vs")), "a", "not in the file"),
    (
        file(question("a", enableWhen=[{"question": "z", "operator": "=", "answerBoolean": True}])),
        "a",
        "'z', which no item is",
    ),
    (file(question("a", "choice", answerOption=[{"valueCoding": {"code": "x"}}])), "a", "no display"),
    (
        file(question("a", enableWhen=[{"question": "b", "operator": "exists", "answerBoolean": True}]), question("b")),
        "a",
        "later item 'b'",
    ),
    (
        file(
            question("a"),
            question(
                "b",
                enableWhen=[
                    {"question": "a", "operator": "=", "answerBoolean": True},
                    {"question": "a", "operator": "exists", "answerBoolean": True},
                ],
            ),
        ),
        "b",
        "no enableBehavior",
    ),
]


@pytest.mark.parametrize(("resource", "link_id", "words"), REFUSED)
def test_refused_with_link_id_reason_and_mend(resource: dict[str, Any], link_id: str, words: str) -> None:
    with pytest.raises(QuestionnaireRefused) as refused:
        load(resource)
    problem = refused.value.problems[0]
    assert problem.link_id == link_id
    assert words in problem.reason
    assert problem.mend
    assert str(problem) in str(refused.value)


@pytest.mark.parametrize(("resource", "link_id", "words"), WARNED)
def test_put_up_with_but_named(resource: dict[str, Any], link_id: str, words: str) -> None:
    assert any(warning.link_id == link_id and words in warning.reason for warning in load(resource).warnings)


def test_every_bad_item_is_named_at_once() -> None:
    with pytest.raises(QuestionnaireRefused) as refused:
        load(file(question("a", "colour"), question("b", "choice", required=True), question("c")))
    assert [problem.link_id for problem in refused.value.problems] == ["a", "b"]


def test_texts_and_options_are_read_in_both_languages() -> None:
    questionnaire = load(
        file(
            {
                **question("mood", "choice", _text=spanish("¿Ánimo?")),
                "answerOption": [
                    {
                        "extension": [
                            {
                                "url": "https://carethread.example/fhir/StructureDefinition/also-said",
                                "valueString": "grand",
                            }
                        ],
                        "valueCoding": {
                            "extension": [
                                {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 2}
                            ],
                            "code": "good",
                            "display": "Good",
                            "_display": spanish("Bueno"),
                        },
                    }
                ],
            },
            title="Mood",
            _title=spanish("Ánimo"),
        )
    )
    item = questionnaire.item("mood")
    assert item is not None
    assert item.wording.in_language("es") == "¿Ánimo?"
    assert item.wording.in_language("es-MX") == "¿Ánimo?"
    assert item.wording.in_language("fr") == "mood?"
    (option,) = item.options
    assert (option.key, option.wording.in_language("es"), option.also_said, option.score) == (
        "good",
        "Bueno",
        ("grand",),
        2,
    )
    assert questionnaire.title.in_language("es") == "Ánimo"
    assert questionnaire.canonical == f"{URL}|1"


def test_options_of_a_contained_value_set_with_designations() -> None:
    value_set = {
        "resourceType": "ValueSet",
        "id": "yn",
        "status": "active",
        "compose": {
            "include": [
                {
                    "system": "s",
                    "concept": [
                        {"code": "y", "display": "Yes", "designation": [{"language": "es", "value": "Sí"}]},
                        {"code": "n", "display": "No"},
                    ],
                }
            ]
        },
    }
    item = load(file(question("a", "choice", answerValueSet="#yn"), contained=[value_set])).item("a")
    assert item is not None
    assert [(option.key, option.wording.in_language("es")) for option in item.options] == [("y", "Sí"), ("n", "No")]


def test_options_with_one_code_in_two_systems_keep_apart() -> None:
    options = [{"valueCoding": {"system": system, "code": "1", "display": system}} for system in ("a", "b")]
    item = load(file(question("x", "choice", answerOption=options))).item("x")
    assert item is not None
    assert [option.key for option in item.options] == ["a|1", "b|1"]


def test_help_belongs_to_its_question() -> None:
    concept = {"coding": [{"code": "help"}]}
    control = {
        "url": "http://hl7.org/fhir/StructureDefinition/questionnaire-itemControl",
        "valueCodeableConcept": concept,
    }
    item = load(
        file(question("a", item=[{"linkId": "h", "type": "display", "text": "Because.", "extension": [control]}]))
    ).item("a")
    assert item is not None
    assert item.help is not None
    assert item.help.text == "Because."
    assert item.items == ()


def test_a_long_chain_of_conditions_is_no_trouble() -> None:
    items = [question("q0")] + [
        question(f"q{n}", enableWhen=[{"question": f"q{n - 1}", "operator": "=", "answerBoolean": True}])
        for n in range(1, 1500)
    ]
    assert len(list(load(file(*items)).walk())) == 1500
    assert len(list(load(file(*reversed(items))).walk())) == 1500
