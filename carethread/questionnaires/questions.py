"""The question to put next, as data: what to say around it, and in which words of the channel, is the caller's."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from carethread.questionnaires.calculating import Scope
from carethread.questionnaires.definition import TABLES, Item, Questionnaire, every
from carethread.questionnaires.enabling import Enabled, enabled_in, plan_of
from carethread.questionnaires.sessions import UNASKED, Current, Place, Session
from carethread.questionnaires.understanding import scale_of
from carethread.questionnaires.values import Amount, Attachment, Coding, Reference, Value

MOST_LISTED = 40  # options that are listed; of more, the patient names one in own words
MOST_COLLECTED = 20  # answers or rows of one item
MOST_GIVEN = 250  # answers of a session after which nothing more is collected, so that it stays small


@dataclass(frozen=True, slots=True)
class QuestionOption:
    """`key` is what a button sends back; `label` is empty for yes, no, numbers and dates, which the caller words."""

    key: str
    label: str


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One answer as it is read back; `number` is what the patient may ask to change it by."""

    number: int
    link_id: str
    row: tuple[int, ...]
    text: str
    answers: tuple[QuestionOption, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask.

    `framing` says why it is put this way: first, again (repeated on request), retry (not understood: in other
    words), choices (not understood twice: as a numbered list), which (several answers fit: `options` are those),
    range (`doubted` is out of range), too_long, too_short, format (`entry_format` says what is wanted), too_many (of
    the options), constraint (`human` says what is wrong with the answer), required (cannot be skipped), explain (the
    patient asked why or what: `help` explains if there is any), back (returned to), resumed, change (an answer of the
    summary), more (whether there is anything to add: another answer, or with kind "group" another row of `text`),
    summary (`summary` is read back; is it right?), summary_which (which answer is to be changed).
    `kind` is the item's type, "scale" for a whole number between near limits, "group" or "summary". `context` are texts
    of groups and displays that lead up to it and have not been shown. `numbered` asks for the number of an option.
    `options_shown` says that the same options were just listed. `unlisted` counts options that are too many to list.
    `proposed` is what the form fills in unless the patient says otherwise; a yes takes it. `row` counts from 1 inside a
    group that repeats. `no_photo`: a photo was not asked for because the channel takes none.
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
    row: int = 0
    options_shown: bool = False
    unlisted: int = 0
    proposed: tuple[QuestionOption, ...] = ()
    human: str = ""
    entry_format: str = ""
    low_label: str = ""
    high_label: str = ""
    prefix: str = ""
    support_link: str = ""
    summary: tuple[SummaryLine, ...] = ()
    no_photo: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be asked: an item in a row; `more` whether there is another answer, or row of a group."""

    item: Item
    place: Place
    more: bool = False


def askable(questionnaire: Questionnaire, session: Session) -> list[tuple[Item, Place]]:
    """The questions that are enabled, in order, answered or not."""
    on, plan = enabled_in(questionnaire, session), plan_of(questionnaire)
    if plan.simple is not None:
        rows = on.rows
        return [pair for pair in plan.asked if pair[1][0] in rows and (session.media or pair[0].type != "attachment")]
    return [
        (item, place)
        for item, place in on.places()
        if item.is_question and not item.silent and (session.media or item.type != "attachment")
    ]


def next_asked(questionnaire: Questionnaire, session: Session) -> Ask | None:
    """The first enabled question that is neither answered nor left out, or whether there is more of what repeats."""
    on, plan = enabled_in(questionnaire, session), plan_of(questionnaire)
    if plan.simple is None:
        return _next(questionnaire.items, (), on, session)
    given, rows = session.by_place, on.rows
    for item, place in plan.asked:
        if item.link_id in rows:
            one = given.get(place)
            if one is None or one.open:
                return Ask(item, place, more=one is not None)
    return None


def _next(items: Sequence[Item], at: tuple[int, ...], on: Enabled, session: Session) -> Ask | None:
    for item in items:
        rows = on.rows.get(item.link_id)
        if rows is None or (at and at not in rows):
            continue
        place = Place(item.link_id, at)
        if item.is_question and not item.silent:
            given = session.by_place.get(place)
            if given is None or given.open:
                return Ask(item, place, more=given is not None)
        if not item.items:
            continue
        for row in _rows(item, place, session):
            found = _next(item.items, row, on, session)
            if found is not None:
                return found
        if item.type == "group" and item.has_rows and _may_have_more(item, place, session):
            return Ask(item, place, more=True)
    return None


def _rows(item: Item, place: Place, session: Session) -> Sequence[tuple[int, ...]]:
    if not item.has_rows:
        return (place.at,)
    given = session.by_place.get(place)
    count = session.rows_of(place).count if not item.is_question else len(given.values) if given is not None else 0
    return [(*place.at, number) for number in range(count)]


def _may_have_more(item: Item, place: Place, session: Session) -> bool:
    """Whether to ask for another row: the last one has an answer, and neither patient nor form has enough."""
    rows = session.rows_of(place)
    most = min(item.occurs[1] or MOST_COLLECTED, MOST_COLLECTED)
    if item.silent or rows.closed or rows.count >= most or len(session.given) >= MOST_GIVEN:
        return False
    return row_is_answered(item, (*place.at, rows.count - 1), session)


def row_is_answered(group: Item, row: tuple[int, ...], session: Session) -> bool:
    """Whether the patient has answered anything in a row of a group."""
    inside = {item.link_id for item in every(group.items)}
    return any(
        given.values and given.how not in UNASKED and given.link_id in inside and given.row[: len(row)] == row
        for given in session.given
    )


def unseen_context(questionnaire: Questionnaire, session: Session, until: Item | None) -> tuple[str, ...]:
    """Link ids of groups and displays before an item (None: before the end) that lead up to it and are unseen.

    A group leads up to what it holds, a display to whatever comes next.
    """
    on = enabled_in(questionnaire, session).rows
    above = {item.link_id for item in questionnaire.ancestors(until.link_id)} if until is not None else set()
    seen = set(session.introduced)
    plan = plan_of(questionnaire)
    end = plan.order[until.link_id] if until is not None else len(plan.order)
    found: list[str] = []
    for number, item in plan.leading:
        if number >= end:
            break
        leads = item.type == "display" or (item.type == "group" and item.link_id in above)
        if leads and not item.silent and item.link_id in on and item.link_id not in seen:
            found.append(item.link_id)
    return tuple(found)


def texts_of(questionnaire: Questionnaire, link_ids: tuple[str, ...], language: str) -> tuple[str, ...]:
    items = [item for item in map(questionnaire.item, link_ids) if item is not None]
    return tuple(text for item in items for text in [item.wording.in_language(language).strip()] if text)


def shares_scale(questionnaire: Questionnaire, before: Item | None, item: Item) -> bool:
    """Whether an item is the next row of a table whose options the row before has just shown."""
    parent = questionnaire.parent(item.link_id)
    if before is None or parent is None or parent.control not in TABLES or not item.options:
        return False
    if questionnaire.parent(before.link_id) is not parent:
        return False
    return [option.key for option in before.options] == [option.key for option in item.options]


def shaped_item(questionnaire: Questionnaire, session: Session, item: Item, place: Place) -> Item:
    """The item with the text, limits and options that it has for the answers so far."""
    if not item.expressions.shapes:
        return item
    return Scope(questionnaire, session, session.updated_at).shaped(item, place)


def proposal(questionnaire: Questionnaire, session: Session, item: Item, place: Place) -> tuple[Value, ...]:
    """What the form fills in; nothing for a yes-no question, whose answer would not say what is agreed to."""
    has_any = item.initial or item.expressions.initial or any(option.selected for option in item.options)
    if not has_any or item.type in ("boolean", "attachment"):
        return ()
    return Scope(questionnaire, session, session.updated_at).initial(item, place)


def current_question(questionnaire: Questionnaire, session: Session, *, language: str) -> Question | None:
    """The question that waits, in a language; None where none does. Changes nothing."""
    if session.current is None or session.status == "completed":
        return None
    return question(questionnaire, replace(session, language=language), session.current)


def question(questionnaire: Questionnaire, session: Session, current: Current) -> Question:
    """The question as it stands in the session."""
    asked = askable(questionnaire, session)
    done = sum(1 for _, place in asked if (given := session.by_place.get(place)) is not None and not given.open)
    if current.framing.startswith("summary"):
        return _summary_question(questionnaire, session, current, done, len(asked))
    item = questionnaire.item(current.link_id)
    if item is None:
        raise ValueError(f"session: its question '{current.link_id}' is not in {questionnaire.canonical}")
    language = session.language
    item = shaped_item(questionnaire, session, item, current.place)
    wording = item.other_words if current.framing == "retry" and item.other_words is not None else item.wording
    scale = scale_of(item)
    options = _options(item, current, language)
    proposed = (
        proposal(questionnaire, session, item, current.place)
        if current.framing in ("first", "resumed", "again") and current.place not in session.by_place
        else ()
    )
    return Question(
        link_id=item.link_id,
        kind="scale" if scale is not None else item.type,
        text=wording.in_language(language).strip() or _substitute(item),
        framing=current.framing,
        attempt=current.attempt,
        required=item.required,
        options=options[:MOST_LISTED] if len(options) <= MOST_LISTED else (),
        context=texts_of(questionnaire, current.context, language) if current.framing in ("first", "resumed") else (),
        help=item.help.in_language(language) if item.help is not None else "",
        doubted=current.doubted,
        numbered=current.framing in ("choices", "which"),
        several=item.repeats and item.type in ("choice", "open-choice"),
        low="" if item.minimum is None else str(_bare(item.minimum.value)),
        high="" if item.maximum is None else str(_bare(item.maximum.value)),
        unit=item.units[0].display if item.units else "",
        done=done,
        total=len(asked),
        row=current.row[-1] + 1 if current.row else 0,
        options_shown=current.known_scale and current.framing == "first",
        unlisted=len(options) if len(options) > MOST_LISTED else 0,
        proposed=tuple(shown(item, value, language) for value in proposed),
        human=_human(questionnaire, item, current.broken, language),
        entry_format=item.entry_format.in_language(language) if item.entry_format is not None else "",
        low_label=item.low_label.in_language(language) if item.low_label is not None else "",
        high_label=item.high_label.in_language(language) if item.high_label is not None else "",
        prefix=item.prefix,
        support_link=item.support_link,
        no_photo=current.no_photo,
    )


def _human(questionnaire: Questionnaire, item: Item, key: str, language: str) -> str:
    """What a constraint says of an answer that does not meet it."""
    if not key:
        return ""
    around = [item.expressions, *(above.expressions for above in questionnaire.ancestors(item.link_id))]
    constraints = (one for found in (*around, questionnaire.expressions) for one in found.constraints)
    return next((one.human.in_language(language) for one in constraints if one.key == key), "")


def _options(item: Item, current: Current, language: str) -> tuple[QuestionOption, ...]:
    if item.type == "group":
        return (QuestionOption("true", ""), QuestionOption("false", ""))
    if current.framing == "more":
        return (QuestionOption("false", ""),)
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


# --- the summary ------------------------------------------------------------------------------------------------------


def _summary_question(
    questionnaire: Questionnaire, session: Session, current: Current, done: int, total: int
) -> Question:
    return Question(
        link_id="",
        kind="summary",
        text="",
        framing=current.framing,
        attempt=current.attempt,
        required=True,
        options=(QuestionOption("confirm", ""), QuestionOption("change", "")),
        context=texts_of(questionnaire, current.context, session.language),
        done=done,
        total=total,
        summary=summary(questionnaire, session),
    )


def summary(questionnaire: Questionnaire, session: Session) -> tuple[SummaryLine, ...]:
    """What the patient has answered, in the order of the form."""
    return tuple(
        SummaryLine(number, place.link_id, place.at, text, answers)
        for number, (place, text, answers) in enumerate(_answered(questionnaire, session), 1)
    )


def _answered(
    questionnaire: Questionnaire, session: Session
) -> Iterator[tuple[Place, str, tuple[QuestionOption, ...]]]:
    for item, place in askable(questionnaire, session):
        given = session.by_place.get(place)
        if given is not None and given.values:
            text = item.wording.in_language(session.language).strip() or _substitute(item)
            yield place, text, tuple(shown(item, value, session.language) for value in given.values)


def shown(item: Item, value: Value, language: str) -> QuestionOption:
    """An answer in words: an option's own, a number with its unit; yes and no are the caller's to word."""
    bare = value.value
    if isinstance(bare, bool):
        return QuestionOption("true" if bare else "false", "")
    if isinstance(bare, Coding):
        option = item.option(bare.code) or next((one for one in item.options if one.value == value), None)
        label = option.wording.in_language(language) if option is not None else bare.display or bare.code
        return QuestionOption(bare.code or bare.display, label)
    if isinstance(bare, Amount):
        return QuestionOption(f"{bare.value.normalize():f}", f"{bare.value.normalize():f} {bare.unit}".strip())
    if isinstance(bare, Reference):
        return QuestionOption(bare.reference, bare.display or bare.reference)
    if isinstance(bare, Attachment):
        return QuestionOption(bare.url, bare.title or bare.url)
    return QuestionOption(str(bare), str(bare))


def _substitute(item: Item) -> str:
    """What stands in for a missing text."""
    return next((code.display for code in item.codes if code.display), item.link_id)


def _bare(value: object) -> object:
    return getattr(value, "value", value)
