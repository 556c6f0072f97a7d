"""Small forms and conversations about them, for the tests of the questionnaire engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import fhirkit

from carethread.questionnaires import Input, Questionnaire, Session, Step, answer, load, start, to_response

NOW = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
HL7 = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"


def form(*items: Any, **more: Any) -> dict[str, Any]:
    base = {"resourceType": "Questionnaire", "url": "https://x.example/f", "version": "1", "status": "active"}
    return {**base, "item": list(items), **more}


def q(link_id: str, kind: str = "string", *extensions: dict[str, Any], **more: Any) -> dict[str, Any]:
    item = {"linkId": link_id, "type": kind, "text": f"{link_id}?", **more}
    return {**item, "extension": list(extensions)} if extensions else item


def extension(name: str, **value: Any) -> dict[str, Any]:
    return {"url": HL7 + name, **value}


def fhirpath(kind: str, text: str, language: str = "text/fhirpath", **more: Any) -> dict[str, Any]:
    return {"url": SDC + kind, "valueExpression": {"language": language, "expression": text, **more}}


def variable(name: str, text: str) -> dict[str, Any]:
    return {**fhirpath("", text, name=name), "url": HL7 + "variable"}


def constraint(text: str, human: str, severity: str = "error") -> dict[str, Any]:
    parts = [
        {"url": "key", "valueId": "c-1"},
        {"url": "severity", "valueCode": severity},
        {"url": "human", "valueString": human},
        {"url": "expression", "valueString": text},
    ]
    return {"url": HL7 + "questionnaire-constraint", "extension": parts}


def scored(*labels: str) -> list[dict[str, Any]]:
    """Options scored 0, 1, 2, …"""
    return [
        {
            "extension": [extension("ordinalValue", valueDecimal=score)],
            "valueCoding": {"system": "s", "code": label.lower(), "display": label},
        }
        for score, label in enumerate(labels)
    ]


def talk(questionnaire: Questionnaire, lines: Sequence[str], step: Step | None = None, **begin: Any) -> list[Step]:
    """The steps of a conversation; between two of them the session goes through JSON, as it does in the product."""
    steps = [step or start(questionnaire, language="en", now=NOW, **begin)]
    for number, line in enumerate(lines, start=1):
        session = Session.from_json(json.loads(json.dumps(steps[-1].session.to_json())))
        assert session == steps[-1].session
        steps.append(answer(questionnaire, session, Input(line, "en", f"m{number}", NOW)))
    response = to_response(questionnaire, steps[-1].session, subject="Patient/1")
    assert [issue.message for issue in fhirkit.validate(response) if issue.severity == "error"] == []
    return steps


def asked(steps: Sequence[Step]) -> list[str]:
    """What was asked, in order: link ids, with the framing where it is not the first."""
    return [
        step.question.link_id + ("" if step.question.framing == "first" else f" {step.question.framing}")
        for step in steps
        if step.question is not None
    ]


def values(questionnaire: Questionnaire, step: Step) -> dict[str, Any]:
    """Every answer of the response by link id, as plain values; a list where an item stands more than once."""
    found: dict[str, list[Any]] = {}

    def look(items: Sequence[dict[str, Any]]) -> None:
        for item in items:
            for one in item.get("answer", []):
                value = next(one[key] for key in one if key.startswith("value"))
                names = ("value", "code", "display", "url")
                plain = next((value[n] for n in names if n in value), None) if isinstance(value, dict) else value
                found.setdefault(item["linkId"], []).append(plain)
                look(one.get("item", []))
            look(item.get("item", []))

    look(to_response(questionnaire, step.session).get("item", []))
    return {link_id: many[0] if len(many) == 1 else many for link_id, many in found.items()}


def hold(resource: dict[str, Any], *lines: str, **begin: Any) -> tuple[list[Step], dict[str, Any]]:
    """A form held with these lines: its steps, and what is answered in the end."""
    questionnaire = load(resource)
    steps = talk(questionnaire, lines, **begin)
    return steps, values(questionnaire, steps[-1])
