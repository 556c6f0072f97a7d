"""The answers read back at the end, and changed where the patient says so."""

from __future__ import annotations

import pytest
from forms import asked, fhirpath, form, hold, q, scored

from carethread.questionnaires import Completed, Confirmed, Corrected

FORM = form(
    q("pain", "integer", text="How bad is the pain?"),
    q("worse", "boolean", text="Is it getting worse?"),
    q("how", enableWhen=[{"question": "worse", "operator": "=", "answerBoolean": True}]),
    q("double", "integer", fhirpath("calculatedExpression", "%resource.item.where(linkId='pain').answer.value * 2")),
)


def test_the_answers_are_read_back_and_confirmed() -> None:
    steps, found = hold(FORM, "4", "yes", "at night", "yes", confirm=True)
    asked_last = steps[3].question
    assert asked_last is not None
    assert (asked_last.kind, asked_last.framing) == ("summary", "summary")
    lines = [(one.number, one.text, [shown.label or shown.key for shown in one.answers]) for one in asked_last.summary]
    assert lines == [
        (1, "How bad is the pain?", ["4"]),
        (2, "Is it getting worse?", ["true"]),
        (3, "how?", ["at night"]),
    ]
    assert steps[-1].events == (Confirmed("m4"), Completed())
    assert found == {"pain": 4, "worse": True, "how": "at night", "double": 8}


@pytest.mark.parametrize("words", ["change 1", "1", "change the pain one", "the pain is wrong"])
def test_an_answer_is_changed_by_its_number_or_by_words(words: str) -> None:
    steps, found = hold(FORM, "4", "no", words, "7", "yes", confirm=True)
    assert asked(steps) == ["pain", "worse", " summary", "pain change", " summary"]
    assert any(isinstance(event, Corrected) and event.link_id == "pain" for event in steps[4].events)
    assert found == {"pain": 7, "worse": False, "double": 14}


def test_what_hung_on_a_changed_answer_is_gone_or_asked() -> None:
    steps, found = hold(FORM, "4", "yes", "at night", "change 2", "no", "yes", confirm=True)
    assert found == {"pain": 4, "worse": False, "double": 8}
    steps, found = hold(FORM, "4", "no", "change 2", "yes", "at noon", "yes", confirm=True)
    assert asked(steps)[-3:] == ["worse change", "how", " summary"]
    assert found["how"] == "at noon"


def test_a_no_asks_which_and_nothing_goes_on_for_ever() -> None:
    steps, _ = hold(FORM, "4", "no", "no", "xyzzy", "plugh", confirm=True)
    assert asked(steps) == ["pain", "worse", " summary", " summary_which", " summary_which"]
    assert steps[-1].status == "completed"
    assert hold(FORM, "4", "no", *["1", "4"] * 12, confirm=True)[0][-1].status == "completed"


def test_a_changed_answer_takes_what_was_said_about_it_along() -> None:
    parent = q("where", "choice", answerOption=scored("Leg", "Arm"), item=[q("since")])
    _, found = hold(form(parent), "leg", "monday", "change 1", "arm", "today", "yes", confirm=True)
    assert found == {"where": "arm", "since": "today"}


def test_back_and_later_work_on_the_summary() -> None:
    steps, _ = hold(FORM, "4", "no", "back", "yes", confirm=True)
    assert asked(steps)[-2:] == ["worse back", "how"]
    assert hold(FORM, "4", "no", "later", confirm=True)[0][-1].status == "postponed"
