"""`carethread questionnaire check | run | walk`: on the form that ships, and on files that cannot be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from carethread.cli.questionnaires import questionnaire
from carethread.config import PROJECT

SHIPPED = PROJECT / "programs" / "post_discharge" / "questionnaire.json"
PAIN: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "status": "active",
    "url": "urn:pain",
    "title": "Pain",
    "item": [
        {"linkId": "hurts", "type": "boolean", "text": "Does it hurt?", "required": True},
        {
            "linkId": "where",
            "type": "choice",
            "text": "Where does it hurt?",
            "enableWhen": [{"question": "hurts", "operator": "=", "answerBoolean": True}],
            "answerOption": [{"valueCoding": {"code": code, "display": code}} for code in ("Leg", "Arm")],
        },
    ],
}


def run(*arguments: object, lines: str | None = None) -> Result:
    return CliRunner().invoke(questionnaire, [str(argument) for argument in arguments], input=lines)


@pytest.fixture
def pain(tmp_path: Path) -> Path:
    path = tmp_path / "pain.json"
    path.write_text(json.dumps(PAIN), encoding="utf-8")
    return path


def test_check_lists_what_will_be_asked(pain: Path) -> None:
    result = run("check", pain)
    assert result.exit_code == 0
    assert "Pain (urn:pain)" in result.output
    assert "2 items, 2 questions" in result.output
    assert "hurts: Does it hurt? [boolean, required]" in result.output
    assert "where: Where does it hurt? [choice, 2 options, if hurts]" in result.output


def test_run_holds_it_and_gives_the_response(pain: Path) -> None:
    result = run("run", pain, "--json", "--patient", "17", lines="yeah\nmy leg i think\n")
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert report["status"] == "completed"
    assert [line["who"] for line in report["transcript"]] == ["assistant", "patient", "assistant", "patient"]
    assert "1. Leg" in report["transcript"][2]["text"]
    response = report["response"]
    assert response["subject"] == {"reference": "Patient/17"}
    assert [entry["linkId"] for entry in response["item"]] == ["hurts", "where"]
    assert response["item"][1]["answer"][0]["valueCoding"]["code"] == "Leg"


def test_run_takes_its_answers_from_a_file_and_speaks_spanish(tmp_path: Path) -> None:
    answers = tmp_path / "answers.txt"
    answers.write_text("bien\n", encoding="utf-8")
    result = run("run", SHIPPED, "--answers", answers, "--lang", "es")
    assert result.exit_code == 1  # the answers ran out
    assert "¿" in result.output
    assert "not finished: in-progress" in result.stderr
    assert '"language": "es"' in result.output


def test_walk_reaches_all_of_the_shipped_form() -> None:
    result = run("walk", SHIPPED, "--json")
    report = json.loads(result.output)
    assert result.exit_code == 0
    assert report["reached"] == report["items"] > 5
    assert report["unreachable"] == report["dead_ends"] == report["loops"] == []


@pytest.mark.parametrize("command", ["check", "run", "walk"])
def test_a_file_that_cannot_be_run_is_refused_with_the_mend(tmp_path: Path, command: str) -> None:
    broken = {**PAIN, "item": [{"linkId": "x", "type": "hologram", "text": "?"}, {"type": "boolean"}]}
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(broken), encoding="utf-8")
    result = run(command, path, lines="")
    assert result.exit_code == 2
    assert "item 'x': its type 'hologram' is no R4 item type" in result.stderr
    assert "give it one" in result.stderr


def test_no_json_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text("Dear team", encoding="utf-8")
    result = run("check", path)
    assert result.exit_code == 2
    assert "this is no JSON" in result.stderr


ALL_FRAMINGS: dict[str, Any] = {
    "resourceType": "Questionnaire",
    "status": "active",
    "url": "urn:all",
    "item": [
        {"linkId": "photo", "type": "attachment", "text": "A photo?"},
        {"linkId": "name", "type": "string", "text": "Your name?", "initial": [{"valueString": "Ana"}]},
        {
            "linkId": "zip",
            "type": "string",
            "text": "Your zip?",
            "extension": [
                {"url": "http://hl7.org/fhir/StructureDefinition/regex", "valueString": "[0-9]{5}"},
                {"url": "http://hl7.org/fhir/StructureDefinition/entryFormat", "valueString": "12345"},
            ],
        },
        {
            "linkId": "age",
            "type": "integer",
            "text": "Your age?",
            "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/minValue", "valueInteger": 18}],
        },
        {
            "linkId": "g",
            "type": "group",
            "repeats": True,
            "text": "Your medicines",
            "item": [{"linkId": "pill", "type": "string", "repeats": True, "text": "Which pill?"}],
        },
    ],
}


@pytest.mark.parametrize(
    ("language", "lines", "said"),
    [
        (
            "en",
            ["yes", "abc", "12345", "5", "30", "aspirin", "no", "no", "change 2", "54321", "no", "yes"],
            [
                "cannot take photos", "so far: Ana", "like this: 12345", "18 or more", "Anything else",
                "another one to add", "what I have from you", "let us change", "Which answer should I change",
            ],
        ),
        (
            "es",
            ["sí", "abc", "12345", "5", "30", "aspirina", "no", "no", "sí"],
            ["no puedo recibir fotos", "tengo esto: Ana", "Debe verse así", "18 o más", "¿Algo más?", "agregar",
             "lo que tengo de usted"],
        ),
    ],
)  # fmt: skip
def test_every_way_to_put_a_question_is_worded(
    tmp_path: Path, language: str, lines: list[str], said: list[str]
) -> None:
    path = tmp_path / "all.json"
    path.write_text(json.dumps(ALL_FRAMINGS), encoding="utf-8")
    result = run("run", path, "--json", "--confirm", "--lang", language, lines="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.output
    texts = "\n".join(line["text"] for line in json.loads(result.output)["transcript"] if line["who"] == "assistant")
    assert [words for words in said if words not in texts] == []


def test_value_sets_and_a_launch_context_are_handed_in(tmp_path: Path) -> None:
    folder = tmp_path / "sets"
    folder.mkdir()
    include = [{"system": "s", "concept": [{"code": "x", "display": "Xylophone"}]}]
    value_set = {"resourceType": "ValueSet", "url": "http://x.example/vs", "compose": {"include": include}}
    (folder / "vs.json").write_text(json.dumps(value_set), encoding="utf-8")
    launch = tmp_path / "patient.json"
    launch.write_text(json.dumps({"resourceType": "Patient", "gender": "female"}), encoding="utf-8")
    url = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression"
    gender = {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": "%patient.gender"}}
    form = {
        "resourceType": "Questionnaire",
        "status": "active",
        "item": [
            {"linkId": "a", "type": "choice", "text": "a", "required": True, "answerValueSet": "http://x.example/vs"},
            {"linkId": "g", "type": "string", "text": "g", "extension": [gender]},
        ],
    }
    path = tmp_path / "form.json"
    path.write_text(json.dumps(form), encoding="utf-8")
    assert run("check", path).exit_code == 2
    assert "Xylophone" in run("check", path, "--value-sets", folder).output
    assert json.loads(run("check", path, "--value-sets", folder, "--json").output)["items"][0]["options"] == 1
    result = run("run", path, "--value-sets", folder, "--launch", launch, "--json", lines="xylophone\n")
    answers = {item["linkId"]: item["answer"][0] for item in json.loads(result.output)["response"]["item"]}
    assert answers["g"]["valueString"] == "female"
