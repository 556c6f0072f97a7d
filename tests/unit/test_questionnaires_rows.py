"""What repeats: items asked for until there are no more, groups row by row, questions under answers."""

from __future__ import annotations

from typing import Any

import pytest
from forms import NOW, asked, constraint, extension, fhirpath, form, hold, q, scored, variable

from carethread.questionnaires import Input, RowAdded, Session, answer, load, start, to_response

ALLERGIES = form(q("what", repeats=True), q("end", "boolean"))
MEDICINES = form(
    q(
        "meds", "group", repeats=True, item=[
            q("name", required=True),
            q("often", "choice", answerOption=scored("Daily", "Other")),
            q("how", enableWhen=[{"question": "often", "operator": "=", "answerCoding": {"code": "other"}}]),
        ],
    ),
    q("end", "boolean"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["pollen", "nuts", "that's all", "yes"], ["pollen", "nuts"]),
        (["pollen", "no", "yes"], "pollen"),
        (["pollen", "yes", "nuts", "nothing else", "yes"], ["pollen", "nuts"]),
        (["pollen", "skip", "yes"], "pollen"),
        (["pollen", "back", "nuts", "no more", "yes"], "nuts"),
    ],
)
def test_answers_are_collected_until_there_are_no_more(lines: list[str], what: Any) -> None:
    steps, found = hold(ALLERGIES, *lines)
    assert found == {"what": what, "end": True}
    assert steps[-1].status == "completed"


def test_anything_else_is_a_framing_of_its_own() -> None:
    steps, _ = hold(ALLERGIES, "pollen", "nuts", "no")
    assert asked(steps) == ["what", "what more", "what more", "end"]


def test_no_more_are_taken_than_the_form_wants_and_fewer_are_questioned() -> None:
    most = form(q("n", "integer", extension("questionnaire-maxOccurs", valueInteger=2), repeats=True), q("end"))
    assert asked(hold(most, "1", "2")[0]) == ["n", "n more", "end"]
    least = form(q("n", "integer", extension("questionnaire-minOccurs", valueInteger=2), repeats=True), q("end"))
    assert asked(hold(least, "1", "no", "5", "no")[0]) == ["n", "n more", "n more", "n more", "end"]


def test_each_row_of_a_group_has_its_own_answers_and_its_own_conditions() -> None:
    steps, _ = hold(MEDICINES, "aspirin", "other", "weekly", "yes", "metformin", "daily", "no", "no")
    assert asked(steps) == ["name", "often", "how", "meds more", "name", "often", "meds more", "end"]
    assert [event for step in steps for event in step.events if isinstance(event, RowAdded)] == [
        RowAdded("meds", 1, "m4")
    ]
    response = to_response(load(MEDICINES), steps[-1].session)
    rows = [item for item in response["item"] if item["linkId"] == "meds"]
    assert [[one["linkId"] for one in row["item"]] for row in rows] == [["name", "often", "how"], ["name", "often"]]
    assert steps[4].question is not None
    assert steps[4].question.row == 2


def test_an_answer_to_whether_there_is_another_opens_its_row() -> None:
    steps, found = hold(MEDICINES, "aspirin", "daily", "metformin", "daily", "no", "yes")
    assert found["name"] == ["aspirin", "metformin"]
    assert steps[-1].status == "completed"


def test_a_row_without_any_answer_is_the_last_and_not_in_the_response() -> None:
    optional = form(q("g", "group", repeats=True, item=[q("a"), q("b")]), q("end"))
    steps, found = hold(optional, "skip", "skip", "x")
    assert asked(steps) == ["a", "b", "end"]
    assert found == {"end": "x"}


def test_back_leads_out_of_an_empty_row() -> None:
    steps, found = hold(MEDICINES, "aspirin", "daily", "yes", "back", "other", "weekly", "no", "no")
    assert asked(steps) == [
        "name", "often", "meds more", "name", "often back", "how", "meds more", "end",
    ]  # fmt: skip
    assert found == {"name": "aspirin", "often": "other", "how": "weekly", "end": False}


def test_questions_under_an_answer_are_asked_for_each_answer() -> None:
    below = [q("since"), q("how", "group", item=[q("bad", "integer")])]
    resource = form(
        q("where", "choice", repeats=True, answerOption=scored("Leg", "Arm", "Back"), item=below),
        q("end"),
    )
    steps, found = hold(resource, "1 and 3", "today", "3", "a week", "5", "x")
    assert found == {"where": ["leg", "back"], "since": ["today", "a week"], "bad": [3, 5], "end": "x"}
    answers = to_response(load(resource), steps[-1].session)["item"][0]["answer"]
    assert [one["item"][0]["answer"][0]["valueString"] for one in answers] == ["today", "a week"]


def test_a_condition_on_the_answer_above_looks_at_that_answer() -> None:
    only_leg = [{"question": "where", "operator": "=", "answerCoding": {"code": "leg"}}]
    resource = form(
        q("where", "choice", repeats=True, answerOption=scored("Leg", "Arm"), item=[q("walk", enableWhen=only_leg)])
    )
    steps, found = hold(resource, "1 and 2", "badly")
    assert found == {"where": ["leg", "arm"], "walk": "badly"}
    assert steps[-1].status == "completed"


def test_groups_in_groups() -> None:
    resource = form(q("g", "group", repeats=True, item=[q("a"), q("h", "group", repeats=True, item=[q("b")])]))
    _, found = hold(resource, "a1", "b1", "b2", "no", "a2", "b3", "no", "no")
    assert found == {"a": ["a1", "a2"], "b": ["b1", "b2", "b3"]}


def test_what_is_computed_in_a_row_is_of_that_row() -> None:
    total = fhirpath("calculatedExpression", "%n * 2")
    rows = [q("n", "integer"), q("twice", "integer", total, readOnly=True)]
    group = q("g", "group", variable("n", "item.where(linkId='n').answer.value"), repeats=True, item=rows)
    all_rows = "%resource.item.item.where(linkId='n').answer.value.sum()"
    everything = q("sum", "integer", fhirpath("calculatedExpression", all_rows))
    _, found = hold(form(group, everything), "3", "yes", "4", "no")
    assert found == {"n": [3, 4], "twice": [6, 8], "sum": 7}


def test_a_constraint_in_a_row_questions_that_row() -> None:
    small = constraint("item.where(linkId='n').answer.value < 10", "Less than ten, please.")
    group = q("g", "group", small, repeats=True, item=[q("n", "integer")])
    steps, found = hold(form(group), "3", "yes", "40", "4", "no")
    assert asked(steps) == ["n", "g more", "n", "n constraint", "g more"]
    assert found == {"n": [3, 4]}


def test_however_much_is_said_the_session_stays_small_and_ends() -> None:
    questionnaire = load(MEDICINES)
    step = start(questionnaire, language="en", now=NOW)
    for number in range(400):
        if step.question is None:
            break
        text = {"name": "amoxicillin", "often": "daily", "meds": "yes", "end": "no"}[step.question.link_id]
        step = answer(questionnaire, step.session, Input(text, "en", f"m{number}", NOW))
    assert step.status == "completed"
    assert len(str(step.session.to_json())) < 50_000


def test_an_older_session_is_refused_with_a_word() -> None:
    step = start(load(ALLERGIES), language="en", now=NOW)
    with pytest.raises(ValueError, match="format 1, but this version reads 2"):
        Session.from_json({**step.session.to_json(), "format": 1})
