"""Observations out of answers: SDC's observationExtract, for answers with a code, as FHIR R4 resources."""

from collections.abc import Iterator, Mapping
from typing import Any

from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.enabling import enabled_in
from carethread.questionnaires.sessions import Given, Session
from carethread.questionnaires.values import Amount, Coding, Value

_SURVEY = Coding("survey", "http://terminology.hl7.org/CodeSystem/observation-category", "Survey")
_UCUM = "http://unitsofmeasure.org"


def to_observations(
    questionnaire: Questionnaire,
    session: Session,
    *,
    subject: str,
    derived_from: str | None = None,
    encounter: str | None = None,
    performer: str | None = None,
) -> list[dict[str, Any]]:
    """One Observation for each answer of an enabled item that is marked for extraction and has a code.

    `subject`, `derived_from` (the QuestionnaireResponse), `encounter` and `performer` are references ("Patient/17").
    The moment is when the answer was given. Attachments and references are no values of an Observation. A form that is
    not completed gives none: its scores would be of a part of the answers.
    """
    if session.status != "completed":
        return []
    references = {"subject": subject, "encounter": encounter}
    common: dict[str, Any] = {name: {"reference": one} for name, one in references.items() if one}
    if performer:
        common["performer"] = [{"reference": performer}]
    if derived_from:
        common["derivedFrom"] = [{"reference": derived_from}]
    found = []
    for item, given in _extracted(questionnaire, session):
        for value in given.values:
            measured = _measured(item, value)
            if measured:
                found.append(_observation(item, given, measured, common))
    return found


def _extracted(questionnaire: Questionnaire, session: Session) -> Iterator[tuple[Item, Given]]:
    for item, place in enabled_in(questionnaire, session).places():
        given = session.by_place.get(place)
        if item.observation and item.is_question and item.codes and given is not None and given.values:
            yield item, given


def _observation(item: Item, given: Given, measured: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [_coding(one)]} for one in item.category or (_SURVEY,)],
        "code": {
            "coding": [_coding(one) for one in item.codes],
            **({"text": item.wording.text} if item.wording.text else {}),
        },
        "effectiveDateTime": given.at.isoformat(timespec="seconds"),
        **common,
        **measured,
    }


def _measured(item: Item, value: Value) -> dict[str, Any]:
    """The value[x] of an Observation; nothing for a type that it cannot have."""
    bare = value.value
    if isinstance(bare, Coding):
        return {"valueCodeableConcept": {"coding": [_coding(bare)]}}
    if isinstance(bare, Amount):
        return dict(value.as_fhir())
    if value.kind in ("Integer", "Decimal") and item.units:
        unit = item.units[0]
        quantity = {"value": next(iter(value.as_fhir().values())), "unit": unit.display or unit.code}
        return {"valueQuantity": {**quantity, "system": _UCUM, "code": unit.code}}
    if value.kind == "Decimal":
        return {"valueQuantity": {"value": next(iter(value.as_fhir().values()))}}
    if value.kind in ("Date", "DateTime"):
        return {"valueDateTime": bare}
    if value.kind in ("Boolean", "Integer", "String", "Time"):
        return value.as_fhir()
    return {"valueString": bare} if isinstance(bare, str) else {}


def _coding(coding: Coding) -> dict[str, str]:
    pairs = {"system": coding.system, "code": coding.code, "display": coding.display}
    return {name: text for name, text in pairs.items() if text}
