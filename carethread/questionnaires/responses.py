"""The result of a session as a FHIR R4 QuestionnaireResponse."""

from datetime import datetime
from typing import Any

from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.enabling import enabled
from carethread.questionnaires.sessions import Given, Session

# On each answer: the id of the message it was read from.
ANSWERED_IN = "https://carethread.example/fhir/StructureDefinition/answered-in-message"
# On the first answer: what the patient said besides it ("yes" of "yes but only at night" leaves the rest).
SAID_BESIDES = "https://carethread.example/fhir/StructureDefinition/said-besides"


def to_response(
    questionnaire: Questionnaire,
    session: Session,
    *,
    authored: datetime | None = None,
    subject: str | None = None,
    encounter: str | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """A QuestionnaireResponse of what is answered so far; only enabled items are in it.

    `subject`, `encounter` and `source` are references ("Patient/17"). `authored` is the session's last change
    unless given. A session that is not completed gives status in-progress.
    """
    on = enabled(questionnaire, session.answers)
    response: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse",
        "language": session.language,
        "questionnaire": questionnaire.canonical,
        "status": "completed" if session.status == "completed" else "in-progress",
    }
    references = {"subject": subject, "encounter": encounter, "source": source}
    response |= {name: {"reference": reference} for name, reference in references.items() if reference}
    response["authored"] = (authored or session.updated_at).isoformat(timespec="seconds")
    items = _items(questionnaire.items, session, on)
    if items:
        response["item"] = items
    return response


def _items(items: tuple[Item, ...], session: Session, on: frozenset[str]) -> list[dict[str, Any]]:
    built = (_item(item, session, on) for item in items if item.link_id in on)
    return [item for item in built if item is not None]


def _item(item: Item, session: Session, on: frozenset[str]) -> dict[str, Any] | None:
    """A group with what it holds, or a question with its answers; None where there is nothing to say."""
    if item.type == "display":
        return None
    base: dict[str, Any] = {"linkId": item.link_id}
    if item.wording.text:
        base["text"] = item.wording.text
    below = _items(item.items, session, on)
    if not item.is_question:
        return {**base, "item": below} if below else None
    given = session.of(item.link_id)
    if given is None or not given.values:
        return None
    answers = [_answer(given, place) for place in range(len(given.values))]
    if below:
        answers[0]["item"] = below
    return {**base, "answer": answers}


def _answer(given: Given, place: int) -> dict[str, Any]:
    extensions = []
    if given.message_id:
        extensions.append({"url": ANSWERED_IN, "valueString": given.message_id})
    if given.rest and place == 0:
        extensions.append({"url": SAID_BESIDES, "valueString": given.rest})
    return ({"extension": extensions} if extensions else {}) | given.values[place].as_fhir()
