"""Questionnaires run as conversations: scripts of what patients write and what comes of it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import fhirkit
import pytest

from carethread.questionnaires import (
    Answered,
    Completed,
    Corrected,
    Input,
    Misunderstood,
    NeedsHuman,
    OutOfRange,
    Postponed,
    Questionnaire,
    Session,
    Skipped,
    Step,
    Unclear,
    answer,
    load,
    resume,
    start,
    to_response,
)

NOW = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)


def make(*items: dict[str, Any]) -> Questionnaire:
    return load({"resourceType": "Questionnaire", "url": "https://x.example/q", "version": "1", "item": list(items)})


def q(link_id: str, kind: str = "boolean", **more: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": kind, "text": f"{link_id}?", **more}


def when(question: str, **answers: Any) -> dict[str, Any]:
    return {"enableWhen": [{"question": question, "operator": "=", **answers}]}


def limits(low: int, high: int) -> dict[str, Any]:
    base = "http://hl7.org/fhir/StructureDefinition/"
    return {
        "extension": [
            {"url": base + "minValue", "valueInteger": low},
            {"url": base + "maxValue", "valueInteger": high},
        ]
    }


def options(*labels: str) -> dict[str, Any]:
    return {
        "answerOption": [{"valueCoding": {"system": "s", "code": text.lower(), "display": text}} for text in labels]
    }


def talk(
    questionnaire: Questionnaire, lines: Sequence[str], language: str = "en", step: Step | None = None
) -> list[Step]:
    """The steps of a conversation; between two of them the session goes through JSON, as it does in the product."""
    steps = [step or start(questionnaire, language=language, now=NOW)]
    for number, line in enumerate(lines, start=1):
        session = Session.from_json(json.loads(json.dumps(steps[-1].session.to_json())))
        assert session == steps[-1].session
        steps.append(answer(questionnaire, session, Input(line, language, f"m{number}", NOW)))
    return steps


def given(step: Step) -> dict[str, Any]:
    """What is answered, as plain values; None where a question was left out."""
    found: dict[str, Any] = {}
    for one in step.session.given:
        values = [next(iter(value.as_fhir().values())) for value in one.values]
        codes = [value["code"] if isinstance(value, dict) and "code" in value else value for value in values]
        found[one.link_id] = codes[0] if len(codes) == 1 else codes or None
    return found


PAIN = q("pain", "integer", required=True, **limits(0, 10))
FEELING = q("feeling", "choice", required=True, **options("Better", "Same", "Worse"))
NEW = q("new", required=True)
WHAT = q("what", "text", required=True, **when("new", answerBoolean=True))
MORE = q("more", "text")
CHECKIN = make(FEELING, PAIN, NEW, WHAT, MORE)


SCRIPTS = [
    # what the patient writes, what is answered in the end
    (["better", "about a 4", "nope", "no thanks"], {"feeling": "better", "pain": 4, "new": False, "more": None}),
    (["3", "8/10", "yes", "my leg", "that's all"],
     {"feeling": "worse", "pain": 8, "new": True, "what": "my leg", "more": None}),
    (["worse", "7", "yes my leg is swollen", "please call my son"],
     {"feeling": "worse", "pain": 7, "new": True, "what": "my leg is swollen", "more": "please call my son"}),
    (["same", "5", "no wait 6", "no", "no"], {"feeling": "same", "pain": 6, "new": False, "more": None}),
    (["same", "back", "worse", "5", "no", "no"], {"feeling": "worse", "pain": 5, "new": False, "more": None}),
    (["huh?", "the 2nd one", "what for?", "none", "no", "skip"],
     {"feeling": "same", "pain": 0, "new": False, "more": None}),
    (["better", "7 or 8", "8", "no", "no"], {"feeling": "better", "pain": 8, "new": False, "more": None}),
    (["better", "6.5", "2", "no", "no"], {"feeling": "better", "pain": 7, "new": False, "more": None}),
    (["better", "3", "start over", "worse", "4", "no", "no"],
     {"feeling": "worse", "pain": 4, "new": False, "more": None}),
    (["better", "3", "no", "yes", "thank you nurses"],
     {"feeling": "better", "pain": 3, "new": False, "more": "thank you nurses"}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "answers"), SCRIPTS)
def test_a_whole_check_in(lines: list[str], answers: dict[str, Any]) -> None:
    steps = talk(CHECKIN, lines)
    assert given(steps[-1]) == answers
    assert steps[-1].status == "completed"
    assert steps[-1].question is None
    assert isinstance(steps[-1].events[-1], Completed)


@pytest.mark.parametrize(
    ("item", "text", "value"),
    [
        (q("a", "decimal"), "98.6", 98.6),
        (q("a", "string"), "Maria", "Maria"),
        (q("a", "date"), "yesterday", "2026-03-03"),
        (q("a", "date"), "march 2020", "2020-03"),
        (q("a", "open-choice", **options("Cane", "Walker")), "a walker", "walker"),
        (q("a", "open-choice", **options("Cane", "Walker")), "my neighbor carries me", "my neighbor carries me"),
        (q("a", "choice", repeats=True, **options("Fever", "Cough", "Rash")), "1 and 3", ["fever", "rash"]),
        (q("a", "choice", answerOption=[{"valueInteger": 1}, {"valueInteger": 5}]), "5", 5),
        (q("a", "choice", answerOption=[{"valueString": "Mornings"}, {"valueString": "Nights"}]), "nights", "Nights"),
        (q("a", "choice", **options("Yes", "No", "Not sure")), "not sure", "not sure"),
    ],
)
def test_one_answer_of_each_type(item: dict[str, Any], text: str, value: Any) -> None:
    steps = talk(make(item), [text])
    assert given(steps[-1]) == {"a": value}


def test_a_quantity_keeps_the_unit_of_the_question() -> None:
    unit = {"system": "http://unitsofmeasure.org", "code": "[degF]", "display": "°F"}
    extension = [{"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-unit", "valueCoding": unit}]
    (_, last) = talk(make(q("t", "quantity", extension=extension)), ["102 or so"])
    quantity = last.session.given[0].values[0].as_fhir()["valueQuantity"]
    assert quantity == {"value": 102, "unit": "°F", "system": "http://unitsofmeasure.org", "code": "[degF]"}


def test_a_misunderstood_question_is_asked_again_then_as_choices_then_given_to_a_human() -> None:
    steps = talk(CHECKIN, ["blub", "blah", "bleh"])
    framings = [step.question.framing for step in steps if step.question]
    assert framings == ["first", "retry", "choices"]
    assert [type(step.events[0]) for step in steps[1:]] == [Misunderstood] * 3
    assert steps[-1].events[-1] == NeedsHuman("feeling", "misunderstood", "m3")
    assert steps[-1].status == "needs-human"
    choices = steps[2].question
    assert choices is not None
    assert choices.numbered
    assert [option.label for option in choices.options] == ["Better", "Same", "Worse"]


def test_after_the_human_the_same_question_waits() -> None:
    stuck = talk(CHECKIN, ["blub", "blah", "bleh"])[-1]
    assert answer(CHECKIN, stuck.session, Input("better", "en", "m9", NOW)).question is None
    again = resume(CHECKIN, stuck.session, language="en", now=NOW)
    assert again.question is not None
    assert (again.question.link_id, again.question.framing, again.status) == ("feeling", "resumed", "in-progress")
    assert given(answer(CHECKIN, again.session, Input("better", "en", "m10", NOW))) == {"feeling": "better"}


def test_an_optional_question_that_is_not_understood_is_left_out() -> None:
    steps = talk(make(q("a", "integer"), q("b")), ["blub", "blah", "bleh"])
    assert steps[-1].events[-1] == Skipped("a", "misunderstood", "m3")
    assert steps[-1].question is not None
    assert steps[-1].question.link_id == "b"


@pytest.mark.parametrize(
    "text", ["no", "no thanks", "nothing else", "thank you", "im good", "ok", "not right now", "todo bien", "gracias"]
)
def test_politeness_is_no_answer_to_an_open_question(text: str) -> None:
    (_, last) = talk(make(MORE), [text], language="es" if text in ("todo bien", "gracias") else "en")
    assert last.events == (Skipped("more", "nothing", "m1"), Completed())


def test_ok_is_no_answer_to_a_question_of_fact() -> None:
    (_, last) = talk(CHECKIN, ["ok"], step=talk(CHECKIN, ["better", "3"])[-1])
    assert last.question is not None
    assert (last.question.link_id, last.question.framing) == ("new", "retry")


@pytest.mark.parametrize(
    ("required", "text", "event"),
    [
        (False, "skip", Skipped("a", "skip", "m1")),
        (False, "idk", Skipped("a", "dont_know", "m1")),
        (False, "rather not say", Skipped("a", "decline", "m1")),
        (True, "skip", None),
    ],
)
def test_skipping(required: bool, text: str, event: Skipped | None) -> None:
    steps = talk(make(q("a", required=required), q("b")), [text])
    assert steps[-1].question is not None
    if event is not None:
        assert steps[-1].events == (event,)
        assert steps[-1].question.link_id == "b"
    else:
        assert (steps[-1].question.link_id, steps[-1].question.framing) == ("a", "required")


def test_a_required_question_nobody_can_answer_goes_to_a_human() -> None:
    steps = talk(CHECKIN, ["idk", "i dont know", "no idea"])
    assert steps[-1].events[-1] == NeedsHuman("feeling", "dont_know", "m3")


def test_a_number_out_of_range_is_questioned() -> None:
    steps = talk(CHECKIN, ["same", "11"])
    asked = steps[-1].question
    assert asked is not None
    assert (asked.link_id, asked.framing, asked.doubted, asked.low, asked.high) == ("pain", "range", "11", "0", "10")
    assert steps[-1].events == (OutOfRange("pain", "11", "m2"),)


def test_two_options_that_fit_are_named() -> None:
    places = make(q("where", "choice", **options("Left knee", "Right knee", "Back")))
    steps = talk(places, ["my knee", "the second one"])
    asked = steps[1].question
    assert asked is not None
    assert asked.framing == "which"
    assert [option.label for option in asked.options] == ["Left knee", "Right knee"]
    assert steps[1].events == (Unclear("where", ("left knee", "right knee"), "m1"),)
    assert given(steps[2]) == {"where": "right knee"}


def test_yes_but_is_doubted_where_no_would_bring_up_a_problem() -> None:
    medicines = make(q("meds", required=True), q("problem", "text", required=True, **when("meds", answerBoolean=False)))
    steps = talk(medicines, ["yes but im out of the blue ones", "no", "out of the blue ones"])
    assert steps[1].question is not None
    assert (steps[1].question.link_id, steps[1].question.framing) == ("meds", "retry")
    assert given(steps[-1]) == {"meds": False, "problem": "out of the blue ones"}


def test_a_correction_changes_the_answer_before_and_drops_what_hung_on_it() -> None:
    steps = talk(make(NEW, WHAT, MORE), ["yes", "no wait no"])
    assert isinstance(steps[-1].events[0], Corrected)
    assert given(steps[-1]) == {"new": False}
    assert steps[-1].question is not None
    assert steps[-1].question.link_id == "more"


@pytest.mark.parametrize(
    ("language", "line"), [("en", "no, nothing new"), ("es", "no, nada nuevo"), ("en", "no, none")]
)
def test_a_no_with_a_comma_answers_the_question_and_corrects_nothing(language: str, line: str) -> None:
    """ "nada" is a 0, but not the pain of the question before."""
    pain = q("pain", "integer", **limits(0, 10))
    steps = talk(make(pain, NEW, WHAT, MORE), ["2", line], language)
    assert given(steps[-1]) == {"pain": 2, "new": False}
    steps = talk(make(pain, NEW, WHAT, MORE), ["2", "no, 6"], language)
    assert given(steps[-1]) == {"pain": 6}


def test_stale_answers_are_not_in_the_response() -> None:
    steps = talk(make(NEW, WHAT, MORE), ["yes", "my leg", "back", "back", "no", "no"])
    response = to_response(make(NEW, WHAT, MORE), steps[-1].session)
    assert [item["linkId"] for item in response["item"]] == ["new"]


def test_later_keeps_the_place() -> None:
    steps = talk(CHECKIN, ["better", "not now"])
    assert steps[-1].events == (Postponed("pain", "m2"),)
    assert steps[-1].status == "postponed"
    assert steps[-1].question is None
    back = resume(CHECKIN, steps[-1].session, language="es", now=NOW)
    assert back.question is not None
    assert (back.question.link_id, back.question.framing) == ("pain", "resumed")
    on = answer(CHECKIN, steps[-1].session, Input("5", "en", "m8", NOW))  # or they just answer
    assert given(on) == {"feeling": "better", "pain": 5}


def test_requests_cannot_go_on_for_ever() -> None:
    steps = talk(CHECKIN, ["what?"] * 20)
    assert steps[-1].status == "needs-human"


def test_a_button_says_exactly_what_was_meant() -> None:
    first = start(CHECKIN, language="en", now=NOW)
    tapped = answer(CHECKIN, first.session, Input("Worse", "en", "m1", NOW, selected="worse"))
    assert given(tapped) == {"feeling": "worse"}
    unknown = answer(CHECKIN, first.session, Input("better", "en", "m1", NOW, selected="gone"))
    assert given(unknown) == {"feeling": "better"}


def test_a_message_taken_twice_changes_nothing() -> None:
    (_, second) = talk(CHECKIN, ["better"])
    again = answer(CHECKIN, second.session, Input("better", "en", "m1", NOW))
    assert again.session == second.session
    assert again.question == second.question
    assert again.events == ()


def test_another_version_of_the_questionnaire_is_refused() -> None:
    other = load({"resourceType": "Questionnaire", "url": "https://x.example/q", "version": "2", "item": [NEW]})
    with pytest.raises(ValueError, match=r"https://x\.example/q\|1, not https://x\.example/q\|2"):
        answer(other, start(CHECKIN, language="en", now=NOW).session, Input("yes", "en", "m1", NOW))


def test_texts_of_groups_and_displays_are_shown_once_before_what_they_lead_up_to() -> None:
    questionnaire = make(
        {"linkId": "hello", "type": "display", "text": "Welcome."},
        {"linkId": "g", "type": "group", "text": "Over the last 2 weeks:", "item": [q("a"), q("b")]},
        {"linkId": "h", "type": "group", "text": "At home:", "item": [q("c")]},
        {"linkId": "bye", "type": "display", "text": "That is all."},
    )
    steps = talk(questionnaire, ["yes", "no", "yes"])
    assert [step.question.context for step in steps if step.question] == [
        ("Welcome.", "Over the last 2 weeks:"),
        (),
        ("At home:",),
    ]
    assert steps[-1].closing == ("That is all.",)


def test_questions_under_a_question_come_with_its_answer() -> None:
    questionnaire = make(q("a", item=[q("why", "text")]), q("b"))
    steps = talk(questionnaire, ["yes", "because", "no"])
    response = to_response(questionnaire, steps[-1].session)
    assert response["item"][0]["answer"][0]["item"][0]["answer"][0]["valueString"] == "because"
    skipped = talk(questionnaire, ["skip"])
    assert skipped[-1].question is not None
    assert skipped[-1].question.link_id == "b"


def test_hidden_initial_values_are_carried_and_never_asked() -> None:
    hidden = {"url": "http://hl7.org/fhir/StructureDefinition/questionnaire-hidden", "valueBoolean": True}
    questionnaire = make(q("src", "string", extension=[hidden], initial=[{"valueString": "sms"}]), q("a"))
    steps = talk(questionnaire, ["back", "yes"])
    assert [step.question.link_id for step in steps if step.question] == ["a", "a"]
    assert given(steps[-1]) == {"src": "sms", "a": True}


def test_the_response_is_valid_and_names_the_message_of_each_answer() -> None:
    steps = talk(CHECKIN, ["worse", "8", "yes my leg is swollen", "no"])
    response = to_response(
        CHECKIN, steps[-1].session, subject="Patient/1", encounter="Encounter/2", source="Patient/1", authored=NOW
    )
    assert [issue for issue in fhirkit.validate(response) if issue.severity == "error"] == []
    assert response["questionnaire"] == "https://x.example/q|1"
    assert (response["status"], response["authored"]) == ("completed", "2026-03-04T16:00:00+00:00")
    assert response["subject"] == {"reference": "Patient/1"}
    messages = {item["linkId"]: item["answer"][0]["extension"][0]["valueString"] for item in response["item"]}
    assert messages == {"feeling": "m1", "pain": "m2", "new": "m3", "what": "m3"}


def test_unfinished_sessions_give_a_response_in_progress() -> None:
    response = to_response(CHECKIN, talk(CHECKIN, ["worse"])[-1].session)
    assert response["status"] == "in-progress"
    assert [item["linkId"] for item in response["item"]] == ["feeling"]


def test_events_tell_how_an_answer_was_read() -> None:
    (_, step) = talk(make(q("a"), q("b")), ["yes but only at night"])
    (event,) = step.events
    assert isinstance(event, Answered)
    assert (event.how, event.rest, event.message_id) == ("polarity", "but only at night", "m1")


def test_progress_counts_the_questions_that_are_open() -> None:
    steps = talk(CHECKIN, ["better", "3", "yes"])
    assert [(step.question.done, step.question.total) for step in steps if step.question] == [
        (0, 4),
        (1, 4),
        (2, 4),
        (3, 5),
    ]
