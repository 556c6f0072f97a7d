"""The automatic patient: it finds every question that can be asked, says which cannot, and never goes in circles."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from carethread.questionnaires import load
from carethread.questionnaires.walking import Walk, walk

NOW = datetime(2026, 11, 29, 15, 0, tzinfo=UTC)
LETTERS = [{"valueString": text} for text in ("x", "y", "z")]


def walked(*items: dict[str, Any]) -> Walk:
    form = {"resourceType": "Questionnaire", "status": "active", "url": "urn:test", "item": list(items)}
    return walk(load(form), now=NOW)


def item(link_id: str, kind: str = "boolean", **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": kind, "text": f"{link_id}?", **more}


def when(question: str, operator: str, **value: Any) -> dict[str, Any]:
    return {"question": question, "operator": operator, **value}


@pytest.mark.parametrize(
    ("first", "condition"),
    [
        (item("a"), when("a", "=", answerBoolean=True)),
        (item("a"), when("a", "!=", answerBoolean=True)),
        (item("a", "integer"), when("a", ">", answerInteger=41)),
        (item("a", "integer"), when("a", "<=", answerInteger=3)),
        (item("a", "decimal"), when("a", ">=", answerDecimal=38.5)),
        (item("a", "date"), when("a", "<", answerDate="2020-02-01")),
        (item("a", "string"), when("a", "=", answerString="blue")),
        (item("a", "string"), when("a", "exists", answerBoolean=False)),
        (item("a", "choice", answerOption=LETTERS), when("a", "=", answerString="y")),
    ],
    ids=lambda value: value.get("operator", value.get("type")),
)
def test_what_an_answer_switches_on_is_reached(first: dict[str, Any], condition: dict[str, Any]) -> None:
    found = walked(first, item("b", enableWhen=[condition]))
    assert found.reached == ["a", "b"]
    assert (found.unreachable, found.dead_ends, found.loops) == ([], [], [])


def test_every_option_and_no_answer_are_given() -> None:
    assert walked(item("a", "choice", answerOption=LETTERS)).questions_asked >= len(LETTERS) + 1


def test_answers_that_only_together_switch_something_on_are_found() -> None:
    """Among 3 x 3 x 3 ways only one leads on; giving each answer in turn would hardly meet it."""
    questions = [item(name, "choice", answerOption=LETTERS, required=True) for name in ("a", "b", "c")]
    conditions = [when(name, "=", answerString=value) for name, value in (("a", "x"), ("b", "y"), ("c", "z"))]
    hidden = item("deep", "group", enableWhen=conditions, enableBehavior="all", item=[item("found")])
    assert walked(*questions, hidden).unreachable == []


def test_what_no_answer_can_switch_on_is_named() -> None:
    never = [when("a", "=", answerBoolean=True), when("a", "=", answerBoolean=False)]
    found = walked(item("a"), item("b", enableWhen=never, enableBehavior="all"))
    assert (found.items, found.reached, found.unreachable, found.dead_ends) == (2, ["a"], ["b"], [])


def test_a_chain_of_conditions_is_followed() -> None:
    chain = [item("q0", "integer", required=True)]
    chain += [
        item(f"q{n}", "integer", required=True, enableWhen=[when(f"q{n - 1}", "=", answerInteger=90 + n)])
        for n in range(1, 8)
    ]
    assert walked(*chain).unreachable == []


def test_what_only_two_options_together_switch_on_is_found() -> None:
    both = [when("a", "=", answerString="x"), when("a", "=", answerString="z")]
    found = walked(
        item("a", "choice", answerOption=LETTERS, repeats=True), item("b", enableWhen=both, enableBehavior="all")
    )
    assert found.reached == ["a", "b"]


def test_a_text_that_has_to_fit_a_pattern_is_written() -> None:
    zip_code = {"url": "http://hl7.org/fhir/StructureDefinition/regex", "valueString": r"^[A-Z]{2}-\d{5}(\.\d+)?$"}
    found = walked(item("a", "string", required=True, extension=[zip_code]), item("b"))
    assert (found.reached, found.dead_ends) == (["a", "b"], [])


def test_rows_and_photos_are_gone_through() -> None:
    rows = item("g", "group", repeats=True, item=[item("a", "string", repeats=True), item("b", "attachment")])
    found = walked(rows, item("c", "dateTime"), item("d", "time"), item("e", "url"), item("f", "reference"))
    assert found.reached == ["a", "b", "c", "d", "e", "f"]
    assert found.loops == []


def test_hidden_and_display_items_are_not_waited_for() -> None:
    hidden = {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-hidden", "valueBoolean": True}
    found = walked(item("d", "display"), item("h", extension=[hidden]), item("a"))
    assert (found.items, found.reached) == (1, ["a"])


def test_the_same_form_is_walked_the_same_way() -> None:
    form = (item("a"), item("b", "integer", enableWhen=[when("a", "=", answerBoolean=True)]))
    assert walked(*form).to_json() == walked(*form).to_json()
