"""What a form computes from its answers: SDC's calculated, initial and enableWhen expressions, constraints, options.

Values and switches are worked out after every answer until nothing changes; each expression is tried a bounded number
of times. One that fails has no value, and says so in an event.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from carethread.questionnaires.definition import (
    NO_EXPRESSIONS,
    AnswerOption,
    Constraint,
    Expressions,
    Item,
    Questionnaire,
    Wording,
    every,
)
from carethread.questionnaires.enabling import enabled_in
from carethread.questionnaires.events import Event, ExpressionFailed
from carethread.questionnaires.fhirpath import CannotEvaluate, Path, plain, typed
from carethread.questionnaires.responses import Draft, draft
from carethread.questionnaires.sessions import UNASKED, Given, Place, Session
from carethread.questionnaires.values import Amount, Coding, Reference, Value, value_from

_MOST_PASSES = 8
_MOST_VALUES = 30  # answers that an expression may give to one item
_DECIMALS = 8  # places of a computed number that are kept

_ITEM_OF_RESPONSE = "QuestionnaireResponse.item"
_ITEM_OF_FORM = "Questionnaire.item"
_NEVER_SETTLES = "it never comes to rest"


def settled(
    questionnaire: Questionnaire, session: Session, now: datetime, message_id: str
) -> tuple[Session, list[Event]]:
    """The session with everything computed anew."""
    if not questionnaire.computes:
        return session, []
    failures: dict[tuple[str, str], str] = {}
    before: Session | None = None
    for _ in range(_MOST_PASSES):
        before = session
        session = _Pass(questionnaire, session, now, failures).run()
        if (session.given, session.off) == (before.given, before.off):
            break
    else:
        unruly = next((item.link_id for item in questionnaire.walk() if item.expressions.calculated), "-")
        failures[unruly, "calculatedExpression"] = _NEVER_SETTLES
    return session, [ExpressionFailed(*where, why, message_id) for where, why in failures.items()]


@dataclass(slots=True)
class _Pass:
    """One time through the form in the order of the file: each value computed is seen by what comes after it."""

    questionnaire: Questionnaire
    session: Session
    now: datetime
    failures: dict[tuple[str, str], str]

    def run(self) -> Session:
        scope = Scope(self.questionnaire, self.session, self.now, self.failures)
        given, off = dict(self.session.by_place), set[Place]()
        for item in self.questionnaire.walk():
            found = item.expressions
            if found.asked_if is not None:
                off |= {
                    place for place in self._asked_about(item) if not scope.true(found.asked_if, item, place, _ASKED_IF)
                }
            if found.calculated is not None or (item.silent and (item.initial or found.initial)):
                for place in scope.places(item):
                    self._compute(item, place, scope, given)
        return replace(self.session, given=tuple(given.values()), off=frozenset(off))

    def _asked_about(self, item: Item) -> Iterator[Place]:
        """The places where an item may be switched on: those that are enabled but for its own expression."""
        without = replace(self.session, off=frozenset(p for p in self.session.off if p.link_id != item.link_id))
        rows = enabled_in(self.questionnaire, without).rows.get(item.link_id, ())
        return (Place(item.link_id, row) for row in rows)

    def _compute(self, item: Item, place: Place, scope: "Scope", given: dict[Place, Given]) -> None:
        before = given.get(place)
        if item.expressions.calculated is None:
            if before is None:
                values = scope.initial(item, place)
                if values:
                    given[place] = Given(place.link_id, values, "", self.now, how="initial", row=place.at)
                    scope.changed(item, place, values)
            return
        values = scope.values(item.expressions.calculated, item, place, "calculatedExpression")
        if (before.values if before is not None else ()) == values:
            return
        given.pop(place, None)
        if values:
            given[place] = Given(place.link_id, values, "", self.now, how="calculated", row=place.at)
        scope.changed(item, place, values)


_ASKED_IF = "enableWhenExpression"


_Key = tuple[str, str, tuple[int, ...]]
_OF_THE_MOMENT = re.compile(r"\b(?:now|timeOfDay)\(\)")


@dataclass(frozen=True, slots=True)
class _Result:
    """What an expression gave, or why nothing, and the answers that it looked at."""

    found: list[Any]
    failure: str
    looked_at: tuple[tuple[Place, tuple[Value, ...]], ...]


@dataclass(slots=True)
class _Memory:
    """Results that hold as long as the answers behind them do: most expressions of a form look at a few."""

    rows: Mapping[str, Any]
    launch: Any
    day: Any
    results: dict[_Key, _Result] = field(default_factory=dict)


def _memory_of(questionnaire: Questionnaire, session: Session, now: datetime) -> _Memory:
    """The results of the form so far, where the same items are enabled, for the same patient, on the same day."""
    rows, day = enabled_in(questionnaire, session).rows, now.date()
    kept = questionnaire.memory
    if kept is None or kept.day != day or kept.rows != rows or kept.launch != session.launch:
        kept = _Memory(rows, session.launch, day)
        object.__setattr__(questionnaire, "memory", kept)
    return kept  # type: ignore[no-any-return]


class Scope:
    """The expressions of a form over the answers of one session."""

    def __init__(
        self,
        questionnaire: Questionnaire,
        session: Session,
        now: datetime,
        failures: dict[tuple[str, str], str] | None = None,
    ) -> None:
        self._questionnaire = questionnaire
        self._session = session
        self._now = now
        self.failures: dict[tuple[str, str], str] = {} if failures is None else failures
        self._built: Draft | None = None
        self._launch = _launched(session.launch)
        self._values = {place: given.values for place, given in session.by_place.items()}
        self._variables: dict[_Key, tuple[list[Any], set[Place]]] = {}
        self._begun: set[_Key] = set()
        self._looked_at: list[set[Place]] = [set()]
        self._changes: list[tuple[Place, Item, Sequence[Value]]] = []
        self._memory = _memory_of(questionnaire, session, now)

    @property
    def _draft(self) -> Draft:
        """The response so far; it is only put together when an expression has to be evaluated."""
        if self._built is None:
            self._built = draft(self._questionnaire, self._session, lambda place: self._looked_at[-1].add(place))
            for place, item, values in self._changes:
                self._built.put(item, place, values)
        return self._built

    def places(self, item: Item) -> list[Place]:
        rows = enabled_in(self._questionnaire, self._session).rows.get(item.link_id, ())
        return [Place(item.link_id, row) for row in rows]

    def changed(self, item: Item, place: Place, values: Sequence[Value]) -> None:
        """Notes a new value, so that expressions evaluated from now on see it."""
        self._values[place] = tuple(values)
        if self._built is None:
            self._changes.append((place, item, values))
        elif place in self._built.elements:
            self._built.put(item, place, values)
        self._variables = {key: kept for key, kept in self._variables.items() if place not in kept[1]}

    # --- what expressions give --------------------------------------------------------------------------------------

    def true(self, path: Path, item: Item | None, place: Place, what: str) -> bool:
        """Whether it is true; nothing is false, as SDC has it."""
        found = self._evaluated(path, item, place, what)
        return bool(found) and found[0] is not False and found[0] != 0

    def values(self, path: Path, item: Item, place: Place, what: str) -> tuple[Value, ...]:
        """The result as answers of the item's own type; what cannot be one is left out."""
        found = self._evaluated(path, item, place, what)
        values = tuple(value for raw in found for value in [as_answer(item, raw)] if value is not None)
        if found and not values:
            self.failures.setdefault((item.link_id, what), f"it gives no {item.type}")
        return values[: _MOST_VALUES if item.repeats else 1]

    def initial(self, item: Item, place: Place) -> tuple[Value, ...]:
        """What the form proposes as the answer: its initialExpression, else its initial value or selected options."""
        if item.expressions.initial is not None:
            found = self.values(item.expressions.initial, item, place, "initialExpression")
            if found:
                return found
        selected = tuple(option.value for option in item.options if option.selected)
        values = item.initial or selected
        return values if item.repeats else values[:1]

    def shaped(self, item: Item, place: Place) -> Item:
        """The item with the text, limits and options that it has for these answers."""
        found = item.expressions
        if found.text is not None:
            words = [str(part) for part in self._evaluated(found.text, item, place, "text") if part not in (None, "")]
            item = replace(item, wording=Wording(" ".join(words))) if words else item
        item = replace(
            item,
            minimum=self._limit(found.minimum, item, place, "minimum") or item.minimum,
            maximum=self._limit(found.maximum, item, place, "maximum") or item.maximum,
        )
        if found.options is not None:
            results = self._evaluated(found.options, item, place, "answerExpression")
            options = tuple(option for raw in results for option in [as_option(raw)] if option is not None)
            unlike = {option.key: option for option in reversed(options)}
            if unlike:
                item = replace(item, options=tuple(unlike.values())[::-1])
        switched_off = {
            key
            for toggle in found.toggles
            if not self.true(toggle.path, item, place, "answerOptionsToggleExpression")
            for key in toggle.keys
        }
        if switched_off:
            left = tuple(option for option in item.options if option.key not in switched_off)
            item = replace(item, options=left)
        return item

    def _limit(self, path: Path | None, item: Item, place: Place, what: str) -> Value | None:
        return None if path is None else next(iter(self.values(path, item, place, what)), None)

    def broken(self, constraints: Sequence[Constraint], item: Item | None, place: Place) -> Constraint | None:
        """The first constraint that these answers do not meet. One that has no result counts as met."""
        for constraint in constraints:
            found = self._evaluated(constraint.path, item, place, f"constraint {constraint.key}")
            if found and found[0] is False:
                return constraint
        return None

    # --- evaluation ---------------------------------------------------------------------------------------------------

    def _evaluated(self, path: Path, item: Item | None, place: Place, what: str) -> list[Any]:
        link_id = item.link_id if item is not None else "-"
        key = (path.text, *place)
        kept = self._memory.results.get(key)
        if kept is None or any(self._values.get(at, ()) != values for at, values in kept.looked_at):
            self._looked_at.append(set())
            try:
                found, failure = plain(self._result(path, item, place)), ""
            except CannotEvaluate as error:
                found, failure = [], str(error)
            looked_at = tuple((at, self._values.get(at, ())) for at in self._looked_at.pop())
            kept = _Result(found, failure, looked_at)
            if not _OF_THE_MOMENT.search(path.text):
                self._memory.results[key] = kept
        if kept.failure:
            self.failures.setdefault((link_id, what), kept.failure)
        return kept.found

    def _result(self, path: Path, item: Item | None, place: Place) -> list[Any]:
        variables: dict[str, Any] = {}
        for name in path.names:
            variables[name] = self._named(name, item, place)
        if item is None:
            return path.evaluate(self._draft.response, variables, now=self._now)
        element = self._draft.elements.get(place, {"linkId": item.link_id})
        return path.evaluate(element, variables, now=self._now, base_type=_ITEM_OF_RESPONSE)

    def _named(self, name: str, item: Item | None, place: Place) -> Any:
        """What a %name stands for where an item stands: a variable of it or of what is around it, else a given one."""
        for owner, at in self._around(item, place):
            for variable in _expressions_of(self._questionnaire, owner).variables:
                if variable.name == name:
                    return self._variable(name, variable.path, owner, at)
        if name in ("resource", "rootResource"):
            return self._draft.response
        if name == "questionnaire":
            return self._questionnaire.resource
        if name == "qitem":
            return typed(item.raw, _ITEM_OF_FORM) if item is not None else []
        if name == "context":
            if item is None:
                return self._draft.response
            return typed(self._draft.elements.get(place, {"linkId": item.link_id}), _ITEM_OF_RESPONSE)
        return self._launch.get(name, _SYSTEMS.get(name, []))

    def _around(self, item: Item | None, place: Place) -> Iterator[tuple[Item | None, Place]]:
        """The item and what it stands in, from the inside out, each with the row that this row lies in."""
        while item is not None:
            depth = len(self._questionnaire.rows_above(item.link_id))
            yield item, Place(item.link_id, place.at[: depth + (1 if item.has_rows and not item.is_question else 0)])
            item = self._questionnaire.parent(item.link_id)
        yield None, Place("")

    def _variable(self, name: str, path: Path, owner: Item | None, place: Place) -> list[Any]:
        key = (name, *place)
        if key not in self._variables:
            if key in self._begun:
                return []  # variables that need each other
            self._begun.add(key)
            self._looked_at.append(set())
            try:
                found = self._result(path, owner, place)
            except CannotEvaluate as error:
                link_id = owner.link_id if owner is not None else "-"
                self.failures.setdefault((link_id, f"variable {name}"), str(error))
                found = []
            finally:
                self._begun.discard(key)
            self._variables[key] = (found, self._looked_at.pop())
        found, looked_at = self._variables[key]
        self._looked_at[-1] |= looked_at
        return found


_SYSTEMS = {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org"}


def _expressions_of(questionnaire: Questionnaire, owner: Item | None) -> Expressions:
    return questionnaire.expressions if owner is None else owner.expressions


def _launched(launch: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a launch context gives by name; a Patient that comes alone is %patient and %subject."""
    found = dict(launch or {})
    if found.get("resourceType"):
        found = {str(found["resourceType"]).lower(): found}
    for name in tuple(found):
        found.setdefault(name[:1].lower() + name[1:], found[name])
    if "patient" in found:
        found.setdefault("subject", found["patient"])
    return found


def constraints_around(
    questionnaire: Questionnaire, item: Item, place: Place, unanswered: set[Place]
) -> Iterator[tuple[Sequence[Constraint], Item | None, Place]]:
    """The constraints that an answer may break: its own, and those of what it completes."""
    if item.expressions is not NO_EXPRESSIONS:
        yield item.expressions.constraints, item, place
    for above in reversed(questionnaire.ancestors(item.link_id)):
        if not above.expressions.constraints:
            continue
        depth = len(questionnaire.rows_above(above.link_id)) + (1 if above.has_rows else 0)
        inside = {below.link_id for below in every(above.items)}
        if not any(one.link_id in inside and one.at[:depth] == place.at[:depth] for one in unanswered):
            yield above.expressions.constraints, above, Place(above.link_id, place.at[:depth])
    if questionnaire.expressions.constraints and not unanswered:
        yield questionnaire.expressions.constraints, None, Place("")


# --- results as answers ---------------------------------------------------------------------------------------------


def as_option(raw: Any) -> AnswerOption | None:
    """An option for what an answerExpression gave: a coding, a concept, a text, a number or a resource."""
    if isinstance(raw, Mapping):
        if isinstance(raw.get("coding"), list) and raw["coding"]:
            raw = {**raw["coding"][0], "display": raw["coding"][0].get("display") or raw.get("text") or ""}
        if raw.get("resourceType"):
            name = str(raw.get("title") or raw.get("name") or raw.get("id") or "")
            reference = f"{raw['resourceType']}/{raw.get('id', '')}"
            return AnswerOption(reference, Value("Reference", Reference(reference, name)), Wording(name or reference))
        if not raw.get("code") and not raw.get("display"):
            return None
        coding = Coding(*(str(raw.get(name) or "") for name in ("code", "system", "display")))
        return AnswerOption(
            coding.code or coding.display, Value("Coding", coding), Wording(coding.display or coding.code)
        )
    if raw is None or isinstance(raw, bool):
        return None
    value = Value("Integer", int(raw)) if isinstance(raw, int) else Value("String", str(raw))
    return AnswerOption(str(raw), value, Wording(str(raw)))


def as_answer(item: Item, raw: Any) -> Value | None:
    """A result as an answer of the item's type; None where it cannot be one."""
    if item.type in ("choice", "open-choice"):
        return _as_choice(item, raw)
    if item.type == "boolean":
        return Value("Boolean", raw) if isinstance(raw, bool) else None
    if item.type in ("integer", "decimal", "quantity"):
        return _as_number(item, raw)
    if item.type in ("string", "text", "url"):
        kind = "Uri" if item.type == "url" else "String"
        if isinstance(raw, Mapping):
            raw = raw.get("text") or raw.get("display") or raw.get("code")
        if isinstance(raw, Decimal):
            raw = f"{raw.normalize():f}"
        text = str(raw).lower() if isinstance(raw, bool) else str(raw or "") if raw != 0 else "0"
        return Value(kind, text) if text.strip() else None
    if item.type in _MOMENTS:
        kind, pattern = _MOMENTS[item.type]
        match = re.match(pattern, raw) if isinstance(raw, str) else None
        return Value(kind, match.group()) if match else None
    if isinstance(raw, Mapping) and item.type in ("reference", "attachment"):
        kind = "Reference" if item.type == "reference" else "Attachment"
        if raw.get("resourceType") and kind == "Reference":
            raw = {"reference": f"{raw['resourceType']}/{raw.get('id', '')}"}
        return value_from({f"value{kind}": raw})
    return None


_DAY = r"\d{4}(-\d\d(-\d\d)?)?"
_CLOCK = r"\d\d:\d\d(:\d\d(\.\d+)?)?"
_MOMENTS = {
    "date": ("Date", _DAY),
    "dateTime": ("DateTime", rf"{_DAY}(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?"),
    "time": ("Time", _CLOCK),
}


def _as_choice(item: Item, raw: Any) -> Value | None:
    option = as_option(raw)
    if option is None:
        return None
    wanted = option.value.value
    for one in item.options:
        own = one.value.value
        if isinstance(own, Coding) and isinstance(wanted, Coding) and own.code == wanted.code and own.same(wanted):
            return one.value
        names = {one.key.casefold(), one.wording.text.casefold()}
        if not isinstance(wanted, Coding) and option.key.casefold() in names:
            return one.value
    if isinstance(raw, int | Decimal) and not isinstance(raw, bool):
        return next((one.value for one in item.options if one.score == raw), None)
    if isinstance(wanted, Coding):
        return option.value if item.type == "open-choice" or not item.options else None
    return Value("String", option.key) if item.type == "open-choice" else None


def _as_number(item: Item, raw: Any) -> Value | None:
    unit = item.units[0] if item.units else None
    amount = Amount(Decimal(0), unit.display, unit.code) if unit is not None else Amount(Decimal(0))
    if isinstance(raw, Mapping):
        value = value_from({"valueQuantity": raw}) if "value" in raw else None
        if value is None or not isinstance(value.value, Amount):
            return None
        amount, number = value.value, value.value.value
    elif isinstance(raw, bool) or not isinstance(raw, int | Decimal):
        return None
    else:
        number = Decimal(raw)
    if not number.is_finite() or abs(number) >= 10**15:
        return None
    places = min(_DECIMALS, item.max_decimals) if item.max_decimals is not None else _DECIMALS
    number = round(number, places)
    if item.type == "integer":
        whole = number == number.to_integral_value() and abs(number) < 2**31
        return Value("Integer", int(number)) if whole else None
    number = number.normalize() if number != number.to_integral_value() else Decimal(int(number))
    if item.type == "decimal":
        return Value("Decimal", number)
    return Value("Quantity", replace(amount, value=number))


def asked_for(given: Given) -> bool:
    """Whether a value is the patient's own."""
    return given.how not in UNASKED
