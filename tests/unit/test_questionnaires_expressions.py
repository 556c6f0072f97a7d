"""SDC expressions over answers: scores, switches, proposals, constraints, options; and what fails quietly."""

from __future__ import annotations

from typing import Any

import pytest
from forms import HL7, NOW, asked, constraint, extension, fhirpath, form, hold, q, scored, talk, variable

from carethread.questionnaires import ConstraintBroken, ExpressionFailed, Skipped, load, start

FREQUENCY = ("Not at all", "Several days", "More than half the days", "Nearly every day")
PATIENT = {"patient": {"resourceType": "Patient", "id": "1", "gender": "female", "birthDate": "1980-02-03",
                       "name": [{"given": ["Ana"], "family": "Ruiz"}]}}  # fmt: skip


def instrument(items: int, total: str, **more: Any) -> dict[str, Any]:
    """An instrument of our own that is scored as PHQ-9 and GAD-7 are: each item 0 to 3, and their sum."""
    questions = [q(f"i{n}", "choice", required=True, answerOption=scored(*FREQUENCY)) for n in range(1, items + 1)]
    return form(*questions, q("total", "integer", fhirpath("calculatedExpression", total), readOnly=True), **more)


SUMS = [
    "%resource.item.answer.value.ordinal().sum()",
    "%resource.item.answer.value.weight().sum()",
    "%resource.item.answers().weight().sum()",
    f"%resource.item.answer.valueCoding.extension.where(url='{HL7}ordinalValue').valueDecimal.sum()",
    f"%resource.item.answer.value.extension('{HL7}ordinalValue').value.aggregate($this + $total, 0)",
    "%resource.descendants().where(linkId.startsWith('i')).answer.value.ordinal().sum()",
    "%questionnaire.item.where(linkId='i1').answerOption.where(valueCoding.code=%resource.item.where(linkId='i1').answer"
    ".value.code).extension.value.sum() + %resource.item.where(linkId != 'i1').answer.value.ordinal().sum()",
]  # fmt: skip


@pytest.mark.parametrize("total", SUMS)
@pytest.mark.parametrize(
    ("answers", "score"),
    [([0] * 9, 0), ([3] * 9, 27), ([1, 2, 0, 3, 1, 0, 0, 2, 1], 10), ([0, 0, 0, 0, 0, 0, 0, 0, 3], 3)],
)
def test_a_score_is_the_sum_by_hand(total: str, answers: list[int], score: int) -> None:
    _, found = hold(instrument(9, total), *(FREQUENCY[answer] for answer in answers))
    assert found["total"] == score


def test_a_score_through_a_variable_switches_a_question_on() -> None:
    resource = instrument(7, "%sum", extension=[variable("sum", SUMS[0])])
    resource["item"].append(q("hard", "boolean", fhirpath("enableWhenExpression", "%sum > 0")))
    assert asked(hold(resource, *["Not at all"] * 7)[0])[-1] == "i7"
    steps, found = hold(resource, *["Not at all"] * 6, "Nearly every day", "yes")
    assert asked(steps)[-1] == "hard"
    assert found["total"] == 3
    assert found["hard"] is True


def test_values_computed_from_values_come_to_rest_in_one_step() -> None:
    after = "%resource.item.where(linkId='k{}').answer.value + 1"
    chain = [q(f"k{n}", "integer", fhirpath("calculatedExpression", after.format(n + 1))) for n in range(5)]
    _, found = hold(form(*chain, q("k5", "integer")), "10")
    assert found == {"k0": 15, "k1": 14, "k2": 13, "k3": 12, "k4": 11, "k5": 10}


@pytest.mark.parametrize(
    ("kind", "expression", "value"),
    [
        ("decimal", "80 / (1.8 * 1.8)", 24.69135802),
        ("decimal", "(80 / (1.8 * 1.8)).round(1)", 24.7),
        ("integer", "3.0", 3),
        ("integer", "2.5", None),
        ("integer", "'abc'", None),
        ("string", "'a' & 'b'", "ab"),
        ("string", "5", "5"),
        ("boolean", "1 > 0", True),
        ("date", "today()", "2026-03-04"),
        ("date", "today() - 1 year", "2025-03-04"),
        ("dateTime", "now()", "2026-03-04T16:00:00.000+00:00"),
        ("quantity", "70 'kg'", 70),
        ("choice", "'b'", "b"),
        ("choice", "'nowhere'", None),
        ("open-choice", "'nowhere'", "nowhere"),
        ("url", "'https://x.example'", "https://x.example"),
        ("integer", "{}", None),
    ],
)
def test_a_result_becomes_an_answer_of_the_items_type(kind: str, expression: str, value: Any) -> None:
    options = {"answerOption": scored("A", "B")} if "choice" in kind else {}
    _, found = hold(form(q("c", kind, fhirpath("calculatedExpression", expression), **options), q("end")), "x")
    assert found.get("c") == value


@pytest.mark.parametrize(
    "expression",
    ["1 / 'a'", "%resource.item.single()", "('a' | 'b').toInteger() + 1", "'x'.matches('(a+)+$')", "%a + %b.x + 'y'",
     "%resource.repeat(item | $this)", "today() + 'x'", "-'a'"],
)  # fmt: skip
def test_an_expression_that_fails_gives_no_value_and_an_event(expression: str) -> None:
    resource = form(q("a"), q("b"), q("c", "integer", fhirpath("calculatedExpression", expression)))
    steps, found = hold(resource, "pear", "plum")
    assert found == {"a": "pear", "b": "plum"}
    assert steps[-1].status == "completed"


def test_the_event_names_item_expression_and_reason() -> None:
    resource = form(q("a"), q("c", "integer", fhirpath("calculatedExpression", "%resource.item.answer.value * 2")))
    steps, _ = hold(resource, "x")
    failed = [event for event in steps[-1].events if isinstance(event, ExpressionFailed)]
    assert [(one.link_id, one.what, one.message_id) for one in failed] == [("c", "calculatedExpression", "m1")]
    assert "number" in failed[0].reason


@pytest.mark.parametrize(
    "expression",
    [
        "iif(%context.answer.exists(), {}, 1)",
        "iif(%context.answer.exists(), %context.answer.value + 1, 1)",
    ],
)
def test_a_value_that_never_comes_to_rest_is_left_and_said(expression: str) -> None:
    steps, _ = hold(form(q("a", "integer", fhirpath("calculatedExpression", expression)), q("b")), "x")
    assert steps[-1].status == "completed"
    assert any(isinstance(event, ExpressionFailed) and "rest" in event.reason for event in steps[0].events)


def test_variables_that_need_each_other_are_empty() -> None:
    resource = form(q("c", "integer", fhirpath("calculatedExpression", "%a")), q("b"))
    resource["extension"] = [variable("a", "%b + 1"), variable("b", "%a + 1")]
    assert hold(resource, "x")[1] == {"b": "x"}


def test_an_expression_with_a_name_is_a_variable_for_the_others() -> None:
    resource = form(
        q("a", "integer"),
        q("b", "integer", fhirpath("calculatedExpression", "%twice + 1")),
        extension=[fhirpath("calculatedExpression", "%resource.item.where(linkId='a').answer.value * 2", name="twice")],
    )
    assert hold(resource, "4")[1] == {"a": 4, "b": 9}


# --- proposals ------------------------------------------------------------------------------------


def test_what_is_known_of_the_patient_is_proposed_and_a_yes_takes_it() -> None:
    resource = form(
        q("name", "string", fhirpath("initialExpression", "%patient.name.first().given.first()")),
        q("gender", "choice", fhirpath("initialExpression", "%patient.gender"), answerOption=scored("Male", "Female")),
        q("born", "date", fhirpath("initialExpression", "%patient.birthDate")),
    )
    steps, found = hold(resource, "yes", "yes", "March 1 1981", launch=PATIENT)
    assert found == {"name": "Ana", "gender": "female", "born": "1981-03-01"}
    assert [[option.label for option in step.question.proposed] for step in steps if step.question] == [
        ["Ana"], ["Female"], ["1980-02-03"],
    ]  # fmt: skip
    assert hold(resource, "Bea", "skip", "skip")[1] == {"name": "Bea"}


@pytest.mark.parametrize(
    ("item", "proposed"),
    [
        (q("a", initial=[{"valueString": "walk"}]), ["walk"]),
        (q("a", "choice", answerOption=[*scored("X"), {**scored("Y")[0], "initialSelected": True}]), ["Y"]),
        (q("a", "boolean", initial=[{"valueBoolean": True}]), []),
    ],
)
def test_a_forms_own_initial_value_is_proposed(item: dict[str, Any], proposed: list[str]) -> None:
    step = start(load(form(item)), language="en", now=NOW)
    assert step.question is not None
    assert [option.label for option in step.question.proposed] == proposed


def test_hidden_and_read_only_items_are_filled_in_and_never_asked() -> None:
    hidden = extension("questionnaire-hidden", valueBoolean=True)
    resource = form(
        q("id", "string", hidden, fhirpath("initialExpression", "%patient.id")),
        q("g", "group", readOnly=True, item=[q("source", initial=[{"valueString": "sms"}])]),
        q("a"),
    )
    steps, found = hold(resource, "x", launch=PATIENT)
    assert asked(steps) == ["a"]
    assert found == {"id": "1", "source": "sms", "a": "x"}


# --- constraints ----------------------------------------------------------------------------------


def test_an_answer_that_breaks_a_constraint_is_questioned_in_the_forms_words() -> None:
    resource = form(
        q("d", "integer", constraint("%context.answer.value > 5", "More than five."), required=True), q("e")
    )
    steps, found = hold(resource, "3", "7", "x")
    assert asked(steps) == ["d", "d constraint", "e"]
    assert steps[1].question is not None
    assert steps[1].question.human == "More than five."
    assert steps[1].events == (ConstraintBroken("d", "c-1", "m1"),)
    assert found == {"d": 7, "e": "x"}
    assert hold(resource, "1", "2", "3")[0][-1].status == "needs-human"


def test_a_constraint_that_only_warns_gives_way() -> None:
    resource = form(q("d", "integer", constraint("answer.value > 5", "Sure?", "warning")), q("e"))
    steps, found = hold(resource, "3", "3", "x")
    assert found == {"d": 3, "e": "x"}
    assert ConstraintBroken("d", "c-1", "m2", kept=True) in steps[2].events


def test_a_constraint_on_several_answers_is_held_against_the_last_and_gives_way() -> None:
    later = "%resource.item.where(linkId='from').answer.value <= %resource.item.where(linkId='to').answer.value"
    resource = form(q("from", "date"), q("to", "date"), extension=[constraint(later, "It ends before it begins.")])
    steps, found = hold(resource, "2026-02-10", "2026-02-01", "2026-02-12")
    assert asked(steps) == ["from", "to", "to constraint"]
    assert found == {"from": "2026-02-10", "to": "2026-02-12"}
    assert hold(resource, "2026-02-10", "2026-02-01", "2026-02-01")[0][-1].status == "completed"


# --- questions that depend on answers -------------------------------------------------------------


def test_options_come_from_answers() -> None:
    resource = form(
        q("names", repeats=True),
        q("best", "choice", fhirpath("answerExpression", "%resource.item.where(linkId='names').answer.value")),
    )
    steps, found = hold(resource, "Ana", "Bea", "no", "Bea")
    assert steps[3].question is not None
    assert [option.label for option in steps[3].question.options] == ["Ana", "Bea"]
    assert found == {"names": ["Ana", "Bea"], "best": "Bea"}
    assert hold(resource, "skip")[0][-1].events[-2:-1] == (Skipped("best", "nothing_offered", "m1"),)


def test_options_are_switched_by_answers() -> None:
    toggle = {
        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-answerOptionsToggleExpression",
        "extension": [
            {"url": "option", "valueCoding": {"system": "s", "code": "pregnant"}},
            {"url": "expression", "valueExpression": {
                "language": "text/fhirpath", "expression": "%patient.gender != 'male'"}},
        ],
    }  # fmt: skip
    resource = form(q("a", "choice", toggle, answerOption=scored("Ill", "Pregnant")))
    for gender, keys in (("male", ["ill"]), ("female", ["ill", "pregnant"])):
        step = talk(load(resource), [], launch={"patient": {"resourceType": "Patient", "gender": gender}})[0]
        assert step.question is not None
        assert [option.key for option in step.question.options] == keys


def test_a_text_and_a_limit_are_computed() -> None:
    words = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/cqf-expression", "valueExpression": {
        "language": "text/fhirpath",
        "expression": "'How is ' + %resource.item.where(linkId='who').answer.value + '?'"}}]}  # fmt: skip
    limit = extension("maxValue", _valueDate={"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/cqf-calculatedValue",
         "valueExpression": {"language": "text/fhirpath", "expression": "today()"}}]})  # fmt: skip
    resource = form(q("who"), q("how", _text=words), q("when", "date", limit))
    steps, found = hold(resource, "Ana", "fine", "2027-01-01", "2026-01-01")
    assert steps[1].question is not None
    assert steps[1].question.text == "How is Ana?"
    assert asked(steps)[-1] == "when range"
    assert found["when"] == "2026-01-01"


# --- what cannot be run ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (q("a", "integer", fhirpath("calculatedExpression", "x", "text/cql")), "calculatedExpression is written in"),
        (q("a", "string", fhirpath("initialExpression", "Patient?x", "application/x-fhir-query")), "x-fhir-query"),
        (q("a", "choice", fhirpath("answerExpression", "bad("), answerOption=scored("A")), "cannot be read"),
        (q("a", "string", constraint("no_such()", "x")), "Not implemented: no_such"),
        (q("a", "integer", fhirpath("calculatedExpression", "%nowhere + 1")), "%nowhere, which nothing gives"),
        (q("a", "string", extension("questionnaire-hidden", valueBoolean=True),
           fhirpath("enableWhenExpression", "x", "text/cql")), "enableWhenExpression is written in text/cql"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_done_without_and_named(item: dict[str, Any], reason: str) -> None:
    warnings = load(form(item, q("b"))).warnings
    assert any(one.link_id == "a" and reason in one.reason and one.mend for one in warnings)


def test_an_item_that_cannot_be_calculated_is_asked() -> None:
    resource = form(q("a", "integer", fhirpath("calculatedExpression", "x", "text/cql")))
    assert asked(hold(resource, "4")[0]) == ["a"]
