"""Files of other releases and with slips: each is run with a warning that names item, reason and mend."""

from __future__ import annotations

from typing import Any

import pytest
from forms import NOW, extension, form, hold, q, scored

from carethread.questionnaires import QuestionnaireRefused, load
from carethread.questionnaires.walking import walk

YES = {"question": "a", "operator": "=", "answerBoolean": True}

DIRT = [
    # the file, the item a warning names, words of its reason, a question that is asked all the same
    ({"resourceType": "Questionnaire", "item": [q("a")]}, "-", "no status", "a"),
    ({"item": [q("a")], "status": "draft"}, "-", "no resourceType", "a"),
    ({"resourceType": "Bundle", "entry": [{"resource": form(q("a"))}]}, "-", "wrapped", "a"),
    ({"resourceType": "Parameters", "parameter": [{"name": "q", "resource": form(q("a"))}]}, "-", "wrapped", "a"),
    ([form(q("a"))], "-", "wrapped", "a"),
    ([form(q("a")), form(q("b"))], "-", "2 Questionnaires", "a"),
    (form({"linkid": "a", "type": "string", "text": "?"}), "a", "'linkid' for 'linkId'", "a"),
    (form({"link_id": "a", "type": "string", "text": "?"}), "a", "'link_id' for 'linkId'", "a"),
    (form({"linkId": 7, "type": "string", "text": "?"}), "7", "linkId is no text", "7"),
    (form(q("a", "boolean"), q("b", enablewhen=[YES])), "b", "'enablewhen' for 'enableWhen'", "b"),
    (form(q("a", "boolean"), q("b", enableWhen=YES)), "b", "enableWhen is an object", "b"),
    (form(q("a", "choice", answerOptions=scored("X"))), "a", "'answerOptions' for 'answerOption'", "a"),
    (form(q("a", "choice", option=scored("X"))), "a", "'option' for 'answerOption'", "a"),
    (form(q("a", "choice", answerOption=["X", "Y"])), "a", "bare values", "a"),
    (form(q("a", "choice", answerOption=[{"code": "x", "display": "X"}])), "a", "bare codings", "a"),
    (form(q("a", "choise", answerOption=scored("X"))), "a", "type is 'choise'", "a"),
    (form(q("a", "Open_Choice", answerOption=scored("X"))), "a", "type is 'Open_Choice'", "a"),
    (form(q("a", "number")), "a", "type is 'number'", "a"),
    (form({"linkId": "a", "text": "?", "answerOption": scored("X")}), "a", "no type", "a"),
    (form({"linkId": "g", "text": "?", "item": [q("a")]}), "g", "no type", "a"),
    (form(q("a", "string", answerOption=[{"valueString": "X"}])), "a", "has options", "a"),
    (form(q("a", "integer", maxLength="3")), "a", "maxLength is no whole number", "a"),
    (form(q("a", required="true")), "a", "required is no boolean", "a"),
    (form(q("a", "choice", answerOption=[{"valueInteger": "1"}])), "a", "valueInteger is written as '1'", "a"),
    (form(q("a", "choice", initialCoding={"code": "x"}, answerOption=scored("X"))), "a", "initialCoding", "a"),
    (form(q("a"), q("b", enableWhen=[{"question": "a", "hasAnswer": True}])), "b", "hasAnswer", "b"),
    (form(q("a"), q("b", enableWhen=[{"question": "a", "answerString": "x"}])), "b", "no operator", "a"),
    (form(q("a", "coding", answerConstraint="optionsOrString", answerOption=scored("X"))), "a", "R5's 'coding'", "a"),
    (form(q("a", "question", answerOption=scored("X"))), "a", "R5's 'question'", "a"),
    (form(q("a", disabledDisplay="protected")), "a", "disabledDisplay", "a"),
    (form(q("a", text="<p>How&nbsp;are <b>you</b>?</p>")), "a", "HTML", "a"),
    (form(q("a", text="**How** are [you](https://x.example)?")), "a", "Markdown", "a"),
    (form(q("a", "integer", initial=[{"valueInteger": "few"}])), "a", "not of its type", "a"),
    (form(q("a", "integer", extension("minValue", valueInteger="few"))), "a", "not of its type", "a"),
    (form({}, q("a"), None), "-", "items is empty", "a"),
    (form({"type": "display", "text": "Hello"}, q("a")), "-", "display has no linkId", "a"),
    (form(q("d", "display"), q("d", "display"), q("a")), "d", "2 displays have this link id", "a"),
    (form(q("g", "group", item=q("a"))), "g", "item is an object", "a"),
    (form(q("g", "group"), q("a")), "g", "group without items", "a"),
    (form(q("a", enableWhen=[{"question": "a", "operator": "!=", "answerString": "x"}])), "a", "loop", "a"),
    (form(q("A", "boolean"), q("b", enableWhen=[YES])), "b", "writes 'a' for 'A'", "b"),
    (form(q("a", "boolean"), q("b", enableWhen=[{**YES, "answerBoolean": "true"}])), "b", "'true'", "b"),
    (form(q("a", "boolean"), q("b", enableWhen=[{"question": "a", "operator": "=", "answerString": "Yes"}])),
     "b", "compares 'a' with a String", "b"),
    (form(q("a", "choice", answerOption=scored("X")),
          q("b", enableWhen=[{"question": "a", "operator": "=", "answerString": "x"}])), "b", "with a String", "b"),
    (form(q("a", "integer"), q("b", enableWhen=[{"question": "a", "operator": ">", "answerString": "3"}])),
     "b", "with a String", "b"),
    (form(q("a", "date"), q("b", enableWhen=[{"question": "a", "operator": "=", "answerCoding": {"code": "x"}}])),
     "b", "with a Coding", "a"),
    (form(q("g", "group", item=[q("a")]),
          q("b", enableWhen=[{"question": "g", "operator": "exists", "answerBoolean": True}])), "b", "is a group", "b"),
    (form(q("a", extension=[{"url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-subQuestionnaire",
                             "valueCanonical": "x"}])), "a", "another questionnaire", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "link_id", "words", "reached"), DIRT, ids=[row[2] for row in DIRT])
def test_dirt_is_put_up_with_and_named(resource: Any, link_id: str, words: str, reached: str) -> None:
    questionnaire = load(resource)
    named = [one for one in questionnaire.warnings if one.link_id == link_id and words in one.reason]
    assert named, [str(one) for one in questionnaire.warnings]
    assert all(one.mend for one in named)
    found = walk(questionnaire, now=NOW)
    assert reached in found.reached
    assert found.dead_ends == found.loops == []


@pytest.mark.parametrize(
    ("resource", "link_id", "words"),
    [
        ("Dear team", "-", "no FHIR Questionnaire"),
        ([], "-", "no FHIR Questionnaire"),
        ({"resourceType": "Bundle", "entry": []}, "-", "no FHIR Questionnaire"),
        ({"resourceType": "Questionnaire", "item": "x"}, "-", "no items"),
        (form(q("a"), q("a", "integer")), "a", "2 items have this link id"),
        (form(q("g", "group", item=[q("g", "group", item=[q("a")])])), "g", "2 items have this link id"),
        (form(q("a", "choice", answerOption=[{"valueInteger": "few"}])), "a", "not of its type"),
        (form({"type": "string", "text": "?"}), "-", "no linkId"),
        (form(q("a", "")), "a", "no R4 item type"),
    ],
)
def test_what_has_no_clear_meaning_is_refused(resource: Any, link_id: str, words: str) -> None:
    with pytest.raises(QuestionnaireRefused) as refused:
        load(resource)
    assert any(one.link_id == link_id and words in one.reason and one.mend for one in refused.value.problems)


def test_the_old_release_is_read() -> None:
    dstu2 = {
        "resourceType": "Questionnaire", "status": "published",
        "group": {
            "title": "Lungs",
            "group": [{"linkId": "g", "text": "Habits", "question": [
                {"linkId": "smoke", "text": "Do you smoke?", "type": "choice",
                 "option": [{"system": "s", "code": "y", "display": "Daily"}, {"code": "n", "display": "Never"}],
                 "group": [{"linkId": "h", "question": [{"linkId": "many", "text": "How many?", "type": "integer"}]}]},
            ]}],
        },
    }  # fmt: skip
    assert load(dstu2).title.text == "Lungs"
    assert hold(dstu2, "daily", "10")[1] == {"smoke": "y", "many": 10}


def test_nothing_is_changed_in_the_file_itself() -> None:
    resource = form({"linkid": "a", "type": "choise", "answerOptions": ["x"], "required": "true"})
    before = repr(resource)
    load(resource)
    assert repr(resource) == before
