"""The result of a session as a FHIR R4 QuestionnaireResponse."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.enabling import Enabled, enabled_in
from carethread.questionnaires.sessions import Given, Place, Session
from carethread.questionnaires.values import Coding, Value

# On each answer: the id of the message it was read from.
ANSWERED_IN = "https://carethread.example/fhir/StructureDefinition/answered-in-message"
# On the first answer: what the patient said besides it ("yes" of "yes but only at night" leaves the rest).
SAID_BESIDES = "https://carethread.example/fhir/StructureDefinition/said-besides"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


def to_response(
    questionnaire: Questionnaire,
    session: Session,
    *,
    authored: datetime | None = None,
    subject: str | None = None,
    encounter: str | None = None,
    source: str | None = None,
) -> dict[str, Any]:
    """A QuestionnaireResponse of what is answered so far; only enabled items are in it, one item for each row.

    `subject`, `encounter` and `source` are references ("Patient/17"). `authored` is the session's last change
    unless given. A session that is not completed gives status in-progress.
    """
    response: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse",
        "language": session.language,
        "questionnaire": questionnaire.canonical,
        "status": "completed" if session.status == "completed" else "in-progress",
    }
    references = {"subject": subject, "encounter": encounter, "source": source}
    response |= {name: {"reference": reference} for name, reference in references.items() if reference}
    response["authored"] = (authored or session.updated_at).isoformat(timespec="seconds")
    items = _Builder(session, enabled_in(questionnaire, session)).items(questionnaire.items, ())
    if items:
        response["item"] = items
    return response


class Element(dict[str, Any]):
    """An item of a response that tells when its answer is looked at."""

    __slots__ = ("looked_at", "place")

    def __init__(self, content: dict[str, Any], place: Place, looked_at: Callable[[Place], None]) -> None:
        super().__init__(content)
        self.place = place
        self.looked_at = looked_at

    def __getitem__(self, key: str) -> Any:
        if key == "answer":
            self.looked_at(self.place)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key == "answer":
            self.looked_at(self.place)
        return super().get(key, default)


@dataclass(frozen=True, slots=True)
class Draft:
    """A response for expressions to look at: every enabled item, answered or not, and where each one stands.

    `looked_at` is told of every answer that an expression reads.
    """

    response: dict[str, Any]
    looked_at: Callable[[Place], None]
    elements: dict[Place, dict[str, Any]] = field(default_factory=dict)

    def put(self, item: Item, place: Place, values: Sequence[Value]) -> None:
        """Puts values in the place of an item's answers; what lies below them stays with the first."""
        element = self.elements[place]
        below = [one["item"] for one in element.pop("answer", []) if "item" in one][:1]
        answers = [_scored(item, value) for value in values]
        if answers:
            element["answer"] = answers
            if below:
                answers[0]["item"] = below[0]


def draft(questionnaire: Questionnaire, session: Session, looked_at: Callable[[Place], None]) -> Draft:
    """The response as expressions see it, answers with their scores (ordinalValue)."""
    found = Draft({"resourceType": "QuestionnaireResponse", "questionnaire": questionnaire.canonical}, looked_at)
    builder = _Builder(session, enabled_in(questionnaire, session), found)
    found.response.update(status="in-progress", item=builder.items(questionnaire.items, ()))
    return found


@dataclass(slots=True)
class _Builder:
    session: Session
    on: Enabled
    draft: Draft | None = None

    def items(self, items: Sequence[Item], row: tuple[int, ...]) -> list[dict[str, Any]]:
        places = [(item, Place(item.link_id, row)) for item in items]
        return [built for item, place in places if place in self.on for built in self.item(item, place)]

    def item(self, item: Item, place: Place) -> list[dict[str, Any]]:
        """A group's rows with what they hold, or a question with its answers; nothing where there is nothing to say."""
        if item.type == "display":
            return []
        base: dict[str, Any] = {"linkId": item.link_id}
        if item.wording.text:
            base["text"] = item.wording.text
        if item.is_question:
            built = self.question(item, place, base)
            return [built] if built is not None else []
        if not item.has_rows:
            return self.group(item, place, base, place.at)
        count = self.session.rows_of(place).count
        return [one for number in range(count) for one in self.group(item, place, base, (*place.at, number))]

    def group(self, item: Item, place: Place, base: dict[str, Any], row: tuple[int, ...]) -> list[dict[str, Any]]:
        below = self.items(item.items, row)
        if not below and self.draft is None:
            return []
        built = {**base, "item": below} if below else dict(base)
        if self.draft is not None:
            self.draft.elements[Place(item.link_id, row)] = built
            self.draft.elements.setdefault(place, built)
        return [built]

    def question(self, item: Item, place: Place, base: dict[str, Any]) -> dict[str, Any] | None:
        given = self.session.of(*place)
        built = dict(base)
        if given is not None and given.values:
            built["answer"] = [self.answer(item, place, given, number) for number in range(len(given.values))]
        elif self.draft is None:
            return None
        if self.draft is not None:
            built = self.draft.elements[place] = Element(built, place, self.draft.looked_at)
        return built

    def answer(self, item: Item, place: Place, given: Given, number: int) -> dict[str, Any]:
        value = given.values[number]
        built = _answer(given, number) if self.draft is None else _scored(item, value)
        if item.items and (item.has_rows or number == 0):
            below = self.items(item.items, (*place.at, number) if item.has_rows else place.at)
            if below:
                built["item"] = below
        return built


def _answer(given: Given, number: int) -> dict[str, Any]:
    extensions = []
    if given.message_id:
        extensions.append({"url": ANSWERED_IN, "valueString": given.message_id})
    if given.rest and number == 0:
        extensions.append({"url": SAID_BESIDES, "valueString": given.rest})
    return ({"extension": extensions} if extensions else {}) | given.values[number].as_fhir()


def _scored(item: Item, value: Value) -> dict[str, Any]:
    """An answer with its option's score, as forms expect to find it."""
    built = value.as_fhir()
    if isinstance(value.value, Coding):
        option = item.option(value.value.code) or next((one for one in item.options if one.value == value), None)
        if option is not None and option.score is not None:
            score = {"url": ORDINAL, "valueDecimal": _number(option.score)}
            built["valueCoding"] = {"extension": [score], **built["valueCoding"]}
    return built


def _number(value: Any) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
