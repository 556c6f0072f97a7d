"""Which items are enabled by the answers so far: FHIR's enableWhen, all operators, any and all, row by row."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from carethread.questionnaires.definition import Condition, Item, Questionnaire, every
from carethread.questionnaires.sessions import Given, Place, Session
from carethread.questionnaires.values import Value, compare

Answers = Mapping[Place, Sequence[Value]]
Row = tuple[int, ...]

_ALONE: tuple[Row, ...] = ((),)


@dataclass(frozen=True, slots=True)
class Check:
    """A condition as it is looked up in a form without rows; `later` where its question comes after it, in a loop."""

    place: Place
    later: bool
    condition: Condition


@dataclass(frozen=True, slots=True)
class Planned:
    """An item of a form without rows, with all that says whether it is enabled."""

    place: Place
    parent: str | None
    parent_question: Place | None
    checks: tuple[Check, ...]
    all_checks: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a form before any answer.

    `simple` is the order in which items are switched on, for a form without rows; None for one with rows or with
    conditions on groups. `asked` are the questions that may be asked, `leading` groups and displays with their place in
    the file. An answer to an item outside `deciding` switches nothing.
    """

    simple: tuple[Planned, ...] | None
    asked: tuple[tuple[Item, Place], ...]
    leading: tuple[tuple[int, Item], ...]
    order: Mapping[str, int]
    deciding: frozenset[str]


def plan_of(questionnaire: Questionnaire) -> Plan:
    """The plan of a form, made once."""
    if questionnaire.plan is None:
        object.__setattr__(questionnaire, "plan", _plan(questionnaire))
    return questionnaire.plan  # type: ignore[no-any-return]


def _plan(questionnaire: Questionnaire) -> Plan:
    items = list(questionnaire.walk())
    conditions = [condition for item in items for condition in item.conditions]
    asked_about = [questionnaire.item(condition.question) for condition in conditions]
    plain = not any(item.has_rows for item in items) and all(one is None or one.is_question for one in asked_about)
    inside = {below.link_id for one in asked_about if one is not None for below in (one, *every(one.items))}
    places = {link_id: number for number, link_id in enumerate(questionnaire.evaluation_order)}
    return Plan(
        tuple(_planned(questionnaire, link_id, places) for link_id in places) if plain else None,
        tuple((item, Place(item.link_id)) for item in items if item.is_question and not item.silent),
        tuple((number, item) for number, item in enumerate(items) if item.type in ("group", "display")),
        {item.link_id: number for number, item in enumerate(items)},
        frozenset(inside) | {item.link_id for item in items if item.is_question and item.items},
    )


def _planned(questionnaire: Questionnaire, link_id: str, places: Mapping[str, int]) -> Planned:
    item, parent = questionnaire.item(link_id), questionnaire.parent(link_id)
    assert item is not None
    return Planned(
        Place(link_id),
        parent.link_id if parent is not None else None,
        Place(parent.link_id) if parent is not None and parent.is_question else None,
        tuple(
            Check(Place(one.question), places.get(one.question, -1) >= places[link_id], one) for one in item.conditions
        ),
        item.all_conditions,
    )


def _simply_enabled(plan: Sequence[Planned], given: Mapping[Place, Given], off: Set[Place]) -> dict[str, Sequence[Row]]:
    """The enabled items of a form without rows."""
    on: dict[str, Sequence[Row]] = {}
    for item in plan:
        if item.parent is not None and item.parent not in on:
            continue
        if item.parent_question is not None:
            above = given.get(item.parent_question)
            if above is None or not above.values:
                continue
        if item.checks:
            outcomes = (
                holds(check.condition, one.values if one is not None and (check.later or check.place[0] in on) else ())
                for check in item.checks
                for one in (given.get(check.place),)
            )
            if not (all(outcomes) if item.all_checks else any(outcomes)):
                continue
        if off and item.place in off:
            continue
        on[item.place[0]] = _ALONE
    return on


@dataclass(frozen=True, slots=True)
class Enabled:
    """The enabled items, each with the rows it is enabled in."""

    questionnaire: Questionnaire
    rows: Mapping[str, Sequence[Row]]
    _sets: dict[str, frozenset[Row]] = field(default_factory=dict, repr=False, compare=False)

    def __contains__(self, place: object) -> bool:
        if not isinstance(place, Place):
            return False
        rows = self.rows.get(place.link_id, ())
        if len(rows) < 8:
            return place.at in rows
        if place.link_id not in self._sets:
            self._sets[place.link_id] = frozenset(rows)
        return place.at in self._sets[place.link_id]

    @property
    def link_ids(self) -> frozenset[str]:
        return frozenset(link_id for link_id, rows in self.rows.items() if rows)

    def places(self) -> Iterator[tuple[Item, Place]]:
        """Every enabled item in every row, in the order in which they are asked."""
        if plan_of(self.questionnaire).simple is not None:
            for item in self.questionnaire.walk():
                if item.link_id in self.rows:
                    yield item, Place(item.link_id)
            return
        yield from self._below(self.questionnaire.items, ())

    def _below(self, items: Sequence[Item], at: Row) -> Iterator[tuple[Item, Place]]:
        for item in items:
            place = Place(item.link_id, at)
            if place not in self:
                continue
            yield item, place
            if not item.items:
                continue
            if not item.has_rows:
                yield from self._below(item.items, at)
                continue
            depth = len(at)
            under = {row[: depth + 1] for child in item.items for row in self.rows.get(child.link_id, ())}
            for row in sorted(row for row in under if row[:depth] == at):
                yield from self._below(item.items, row)


def with_given(questionnaire: Questionnaire, session: Session, new: Given) -> Session:
    """`Session.with_given`; what is enabled is not worked out again where the answer decides nothing."""
    changed = session.with_given(new)
    kept = session._enabled
    known = kept is not None and kept.questionnaire is questionnaire
    if known and new.link_id not in plan_of(questionnaire).deciding:
        object.__setattr__(changed, "_enabled", kept)
    return changed


def enabled_in(questionnaire: Questionnaire, session: Session) -> Enabled:
    """What is enabled in a session; worked out once for each state of it."""
    kept = session._enabled
    if kept is None or kept.questionnaire is not questionnaire:
        plan = plan_of(questionnaire)
        if plan.simple is not None:
            rows = _simply_enabled(plan.simple, session.by_place, session.off)
            kept = Enabled(questionnaire, rows)
            object.__setattr__(session, "_enabled", kept)
            return kept
        counts = {rows.place: rows.count for rows in session.rows}
        kept = enabled(questionnaire, session.answers, counts, session.off)
        object.__setattr__(session, "_enabled", kept)
    return kept  # type: ignore[no-any-return]


def enabled(
    questionnaire: Questionnaire,
    answers: Answers,
    counts: Mapping[Place, int] | None = None,
    off: Set[Place] = frozenset(),
) -> Enabled:
    """What the answers enable. An item under a disabled one is disabled, and a disabled item's answer enables nothing;
    an item under a question needs that question answered.

    `counts` are the rows of repeating groups, one where nothing is said; `off` are places that an expression has
    switched off. Where conditions go round in a loop, the answer counts whether or not its question is still enabled.
    """
    rows: dict[str, Sequence[Row]] = {}
    reader = _Reader(questionnaire, answers, rows)
    for link_id in questionnaire.evaluation_order:
        item = questionnaire.item(link_id)
        if item is None:
            continue
        parent = questionnaire.parent(link_id)
        found = _ALONE if parent is None else _rows_below(parent, rows.get(parent.link_id, ()), answers, counts or {})
        if item.conditions and not all(reader.fulfilled(item, row) for row in found):
            found = tuple(row for row in found if reader.fulfilled(item, row))
        if off and any(Place(link_id, row) in off for row in found):
            found = tuple(row for row in found if Place(link_id, row) not in off)
        if found:
            rows[link_id] = found
        reader.decided.add(link_id)
    return Enabled(questionnaire, rows)


def _rows_below(parent: Item, rows: Sequence[Row], answers: Answers, counts: Mapping[Place, int]) -> Sequence[Row]:
    """The rows that an item has under its parent."""
    if not parent.is_question:
        if not parent.has_rows:
            return rows
        return tuple(
            (*row, number) for row in rows for number in range(max(1, counts.get(Place(parent.link_id, row), 1)))
        )
    answered = [row for row in rows if answers.get(Place(parent.link_id, row))]
    if not parent.has_rows:
        return rows if len(answered) == len(rows) else tuple(answered)
    return tuple((*row, number) for row in answered for number in range(len(answers[Place(parent.link_id, row)])))


@dataclass(slots=True)
class _Reader:
    """Reads the answers that the conditions of an item in one row ask for."""

    questionnaire: Questionnaire
    answers: Answers
    rows: Mapping[str, Sequence[Row]]
    decided: set[str] = field(default_factory=set)  # items of which it is known whether they are enabled

    def fulfilled(self, item: Item, row: Row) -> bool:
        outcomes = (holds(condition, self.given(condition.question, item, row)) for condition in item.conditions)
        return all(outcomes) if item.all_conditions else any(outcomes)

    def given(self, question: str, item: Item, row: Row) -> Sequence[Value]:
        """The answers to a question that count for an item in a row: those of the same row, where both are in it."""
        asked = self.questionnaire.item(question)
        if asked is None:
            return ()
        if not asked.is_question:
            return [value for below in every(asked.items) for value in self.given(below.link_id, item, row)]
        if not row and not self.questionnaire.rows_above(question):
            return self._at(question, ())
        own, others = self.questionnaire.rows_above(item.link_id), self.questionnaire.rows_above(question)
        if question in own:  # the item stands under one answer of the question
            depth = own.index(question)
            values = self._at(question, row[:depth])
            return values[row[depth] : row[depth] + 1]
        shared = 0
        while shared < min(len(own), len(others)) and own[shared] == others[shared]:
            shared += 1
        if len(others) == shared:
            return self._at(question, row[:shared])
        known = self.rows.get(question)
        places = known if known is not None else [place.at for place in self.answers if place.link_id == question]
        return [value for at in places if at[:shared] == row[:shared] for value in self._at(question, at)]

    def _at(self, question: str, row: Row) -> Sequence[Value]:
        values = self.answers.get(Place(question, row), ())
        if not values or question not in self.decided:
            return values
        return values if row in self.rows.get(question, ()) else ()


def holds(condition: Condition, given: Sequence[Value]) -> bool:
    """Whether an enableWhen is fulfilled by what is given for its question."""
    if condition.operator == "exists":
        return bool(given) is bool(condition.answer.value)
    orders = [compare(value, condition.answer) for value in given]
    if condition.operator == "=":
        return 0 in orders
    if condition.operator == "!=":
        return 0 not in orders
    known = [order for order in orders if order is not None]
    if condition.operator == ">":
        return any(order > 0 for order in known)
    if condition.operator == "<":
        return any(order < 0 for order in known)
    if condition.operator == ">=":
        return any(order >= 0 for order in known)
    return any(order <= 0 for order in known)
