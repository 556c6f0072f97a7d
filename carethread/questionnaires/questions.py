"""The question to put next, as data: what to say around it, and in which words of the channel, is the caller's."""

from dataclasses import asdict, dataclass
from typing import Any

from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.enabling import enabled
from carethread.questionnaires.sessions import Current, Session
from carethread.questionnaires.understanding import scale_of


@dataclass(frozen=True, slots=True)
class QuestionOption:
    """`key` is what a button sends back; `label` is empty for yes, no, numbers and dates, which the caller words."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask.

    `framing` says why it is put this way: first, again (repeated on request), retry (not understood: in other
    words), choices (not understood twice: as a numbered list), which (several answers fit: `options` are those),
    range (`doubted` is out of range), too_long, required (cannot be skipped), explain (the patient asked why or
    what: `help` explains if there is any), back (returned to), resumed.
    `kind` is the item's type, or "scale" for a whole number between near limits. `context` are texts of groups and
    displays that lead up to it and have not been shown. `numbered` asks for the number of an option.
    """

    link_id: str
    kind: str
    text: str
    framing: str
    attempt: int
    required: bool
    options: tuple[QuestionOption, ...] = ()
    context: tuple[str, ...] = ()
    help: str = ""
    doubted: str = ""
    numbered: bool = False
    several: bool = False
    low: str = ""
    high: str = ""
    unit: str = ""
    done: int = 0
    total: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def askable(questionnaire: Questionnaire, session: Session) -> list[Item]:
    """The questions that are enabled, in order, answered or not."""
    on = enabled(questionnaire, session.answers)
    return [item for item in questionnaire.walk() if item.is_question and not item.silent and item.link_id in on]


def unseen_context(questionnaire: Questionnaire, session: Session, until: Item | None) -> tuple[str, ...]:
    """Link ids of groups and displays before an item (None: before the end) that lead up to it and are unseen.

    A group leads up to what it holds, a display to whatever comes next.
    """
    on = enabled(questionnaire, session.answers)
    above = {item.link_id for item in questionnaire.ancestors(until.link_id)} if until is not None else set()
    found: list[str] = []
    for item in questionnaire.walk():
        if until is not None and item.link_id == until.link_id:
            break
        leads = item.type == "display" or (item.type == "group" and item.link_id in above)
        if leads and not item.silent and item.link_id in on and item.link_id not in session.introduced:
            found.append(item.link_id)
    return tuple(found)


def texts_of(questionnaire: Questionnaire, link_ids: tuple[str, ...], language: str) -> tuple[str, ...]:
    items = [item for item in map(questionnaire.item, link_ids) if item is not None]
    return tuple(text for item in items for text in [item.wording.in_language(language).strip()] if text)


def question(questionnaire: Questionnaire, session: Session, current: Current) -> Question:
    """The question as it stands in the session."""
    item = questionnaire.item(current.link_id)
    if item is None:
        raise ValueError(f"session: its question '{current.link_id}' is not in {questionnaire.canonical}")
    language = session.language
    wording = item.other_words if current.framing == "retry" and item.other_words is not None else item.wording
    scale = scale_of(item)
    questions = askable(questionnaire, session)
    done = sum(1 for other in questions if session.of(other.link_id) is not None)
    return Question(
        link_id=item.link_id,
        kind="scale" if scale is not None else item.type,
        text=wording.in_language(language).strip() or _substitute(item),
        framing=current.framing,
        attempt=current.attempt,
        required=item.required,
        options=_options(item, current, language),
        context=texts_of(questionnaire, current.context, language) if current.framing in ("first", "resumed") else (),
        help=item.help.in_language(language) if item.help is not None else "",
        doubted=current.doubted,
        numbered=current.framing in ("choices", "which"),
        several=item.repeats and item.type in ("choice", "open-choice"),
        low="" if item.minimum is None else str(_bare(item.minimum.value)),
        high="" if item.maximum is None else str(_bare(item.maximum.value)),
        unit=item.units[0].display if item.units else "",
        done=done,
        total=len(questions),
    )


def _options(item: Item, current: Current, language: str) -> tuple[QuestionOption, ...]:
    if current.framing == "which" and item.type not in ("choice", "open-choice"):
        return tuple(QuestionOption(key, "") for key in current.between)
    if item.type == "boolean":
        return (QuestionOption("true", ""), QuestionOption("false", ""))
    keys = current.between if current.framing == "which" else tuple(option.key for option in item.options)
    return tuple(
        QuestionOption(option.key, option.wording.in_language(language))
        for key in keys
        for option in [item.option(key)]
        if option is not None
    )


def _substitute(item: Item) -> str:
    """What stands in for a missing text."""
    return next((code.display for code in item.codes if code.display), item.link_id)


def _bare(value: object) -> object:
    return getattr(value, "value", value)
