"""A FHIR Questionnaire as the engine runs it: typed, frozen, checked by `loading.load`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from carethread.questionnaires.fhirpath import Path
from carethread.questionnaires.values import Coding, Value

QUESTION_TYPES = frozenset(
    {
        "boolean", "choice", "open-choice", "string", "text", "integer", "decimal", "quantity", "date", "dateTime",
        "time", "url", "attachment", "reference",
    }
)  # fmt: skip
TABLES = frozenset({"gtable", "table", "htable", "atable"})  # itemControls of groups whose rows share a scale


@dataclass(frozen=True, slots=True)
class Wording:
    """A text and its translations by language code."""

    text: str
    translations: Mapping[str, str] = field(default_factory=dict)

    def in_language(self, language: str) -> str:
        """The translation, else one of a related language tag ("es" for "es-MX" and back), else the text itself."""
        if language in self.translations:
            return self.translations[language]
        base = language.split("-")[0]
        related = (text for tag, text in self.translations.items() if tag.split("-")[0] == base)
        return next(related, self.text)

    def all(self) -> tuple[str, ...]:
        return (self.text, *self.translations.values())


@dataclass(frozen=True, slots=True)
class AnswerOption:
    """One permitted answer. `key` names it within its item; `also_said` are further words patients use for it.

    `exclusive` options ("none of these") stand alone; `selected` ones are the form's default.
    """

    key: str
    value: Value
    wording: Wording
    also_said: tuple[str, ...] = ()
    score: Decimal | None = None  # ordinalValue or itemWeight, what scored instruments add up
    prefix: str = ""
    exclusive: bool = False
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One enableWhen."""

    question: str
    operator: str
    answer: Value


@dataclass(frozen=True, slots=True)
class Variable:
    """A named expression, known to the element it stands on and to all below it."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Constraint:
    """What must be true of the answers: `human` is said where it is not. A `warning` questions once, then gives way."""

    key: str
    human: Wording
    path: Path
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Toggle:
    """Options that are offered only while an expression is true."""

    keys: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Expressions:
    """The SDC expressions of an item, compiled. `asked_if` is its enableWhenExpression, `options` its
    answerExpression; `text`, `minimum` and `maximum` give what the file leaves to be computed.
    """

    variables: tuple[Variable, ...] = ()
    calculated: Path | None = None
    initial: Path | None = None
    asked_if: Path | None = None
    options: Path | None = None
    text: Path | None = None
    minimum: Path | None = None
    maximum: Path | None = None
    toggles: tuple[Toggle, ...] = ()
    constraints: tuple[Constraint, ...] = ()

    @property
    def shapes(self) -> bool:
        """Whether the question itself depends on the answers so far."""
        return bool(self.toggles or self.options or self.text or self.minimum or self.maximum)


NO_EXPRESSIONS = Expressions()


@dataclass(frozen=True, slots=True)
class Item:
    """An item with FHIR's own names. `units` have UCUM codes; the first is the usual one.

    `occurs` are the fewest and the most rows or answers of an item that repeats. `raw` is the item as the file has it.
    """

    link_id: str
    type: str
    wording: Wording
    other_words: Wording | None = None
    help: Wording | None = None
    prefix: str = ""
    required: bool = False
    repeats: bool = False
    silent: bool = False  # hidden, readOnly or calculated: carried along, never asked
    options: tuple[AnswerOption, ...] = ()
    conditions: tuple[Condition, ...] = ()
    all_conditions: bool = False
    initial: tuple[Value, ...] = ()
    minimum: Value | None = None
    maximum: Value | None = None
    min_length: int | None = None
    max_length: int | None = None
    max_decimals: int | None = None
    pattern: str = ""  # a regular expression that the whole text has to fit
    entry_format: Wording | None = None
    occurs: tuple[int, int | None] = (0, None)
    units: tuple[Coding, ...] = ()
    codes: tuple[Coding, ...] = ()
    control: str = ""  # itemControl, such as gtable or slider
    low_label: Wording | None = None
    high_label: Wording | None = None
    support_link: str = ""
    observation: bool = False  # observationExtract
    category: tuple[Coding, ...] = ()
    expressions: Expressions = NO_EXPRESSIONS
    items: tuple["Item", ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _options_by_key: Mapping[str, AnswerOption] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_options_by_key", {option.key: option for option in reversed(self.options)})

    @property
    def is_question(self) -> bool:
        return self.type in QUESTION_TYPES

    @property
    def has_rows(self) -> bool:
        """Whether what lies below it comes once for each of its rows or answers."""
        return self.repeats and bool(self.items)

    @property
    def collects(self) -> bool:
        """Whether its answers are asked for one by one until there are no more."""
        return self.repeats and self.is_question and self.type not in ("choice", "open-choice", "boolean")

    def option(self, key: str) -> AnswerOption | None:
        return self._options_by_key.get(key)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one item of a file: what is wrong and how to mend it."""

    link_id: str
    reason: str
    mend: str

    def __str__(self) -> str:
        return f"item '{self.link_id}': {self.reason}; {self.mend}"


@dataclass(frozen=True, slots=True)
class Questionnaire:
    """A questionnaire that can be run. `warnings` are oddities of the file that were put up with.

    `expressions` are those of the whole form; `resource` is the FHIR resource, which expressions may look at.
    """

    url: str
    version: str
    title: Wording
    items: tuple[Item, ...]
    warnings: tuple[Problem, ...] = ()
    expressions: Expressions = NO_EXPRESSIONS
    observation: bool = False
    resource: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    evaluation_order: tuple[str, ...] = field(
        default=(), repr=False, compare=False
    )  # what an item waits for is earlier
    computes: bool = field(default=False, repr=False, compare=False)  # whether answers make it compute anything
    constrained: bool = field(default=False, repr=False, compare=False)
    memory: Any = field(default=None, init=False, repr=False, compare=False)  # what `calculating` found last, kept
    plan: Any = field(default=None, init=False, repr=False, compare=False)  # what `enabling` makes of it, kept
    _by_link_id: Mapping[str, Item] = field(default_factory=dict, repr=False, compare=False)
    _parents: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    _rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def canonical(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url

    @property
    def has_expressions(self) -> bool:
        """Whether anything of it may be computed from what is known of the patient."""
        every_one = (self.expressions, *(item.expressions for item in self._by_link_id.values()))
        return any(one != NO_EXPRESSIONS for one in every_one)

    def item(self, link_id: str) -> Item | None:
        return self._by_link_id.get(link_id)

    def parent(self, link_id: str) -> Item | None:
        return self._by_link_id.get(self._parents.get(link_id, ""))

    def rows_above(self, link_id: str) -> tuple[str, ...]:
        """The link ids of the repeating items around it, from the outermost in: what its place is counted by."""
        return self._rows.get(link_id, ())

    def ancestors(self, link_id: str) -> tuple[Item, ...]:
        """From the outermost to the parent."""
        found: list[Item] = []
        parent = self.parent(link_id)
        while parent is not None:
            found.insert(0, parent)
            parent = self.parent(parent.link_id)
        return tuple(found)

    def walk(self) -> Iterator[Item]:
        """Every item in the order of the file."""
        yield from self._by_link_id.values()


def _walk(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _walk(item.items)


def every(items: tuple[Item, ...]) -> Iterator[Item]:
    """The items and all below them, in the order of the file."""
    return _walk(items)


def questionnaire(
    url: str,
    version: str,
    title: Wording,
    items: tuple[Item, ...],
    warnings: tuple[Problem, ...],
    *,
    expressions: Expressions = NO_EXPRESSIONS,
    observation: bool = False,
    resource: Mapping[str, Any] | None = None,
) -> Questionnaire:
    """Puts a questionnaire together with its indexes."""
    parents = {child.link_id: item.link_id for item in _walk(items) for child in item.items}
    by_link_id = {item.link_id: item for item in _walk(items)}
    rows: dict[str, tuple[str, ...]] = {}
    for link_id in by_link_id:
        parent = by_link_id.get(parents.get(link_id, ""))
        above = rows[parent.link_id] if parent is not None else ()
        rows[link_id] = (*above, parent.link_id) if parent is not None and parent.has_rows else above
    return Questionnaire(
        url,
        version,
        title,
        items,
        warnings,
        expressions,
        observation,
        resource or {},
        _evaluation_order(by_link_id, parents),
        any(_computes(item) for item in by_link_id.values()),
        any(found.constraints for found in (expressions, *(item.expressions for item in by_link_id.values()))),
        by_link_id,
        parents,
        rows,
    )


def _computes(item: Item) -> bool:
    found = item.expressions
    return bool(found.calculated or found.asked_if or (item.silent and (item.initial or found.initial)))


def _evaluation_order(by_link_id: Mapping[str, Item], parents: Mapping[str, str]) -> tuple[str, ...]:
    """Every link id behind those its being enabled depends on. Without recursion: chains may be long."""
    ordered: dict[str, None] = {}
    begun: set[str] = set()
    for start in by_link_id:
        stack = [(start, False)]
        while stack:
            link_id, leaving = stack.pop()
            if leaving:
                ordered[link_id] = None
            elif link_id in by_link_id and link_id not in begun:
                begun.add(link_id)
                stack.append((link_id, True))
                needs = [condition.question for condition in by_link_id[link_id].conditions]
                stack.extend((need, False) for need in (*needs, parents.get(link_id, "")))
    return tuple(ordered)
