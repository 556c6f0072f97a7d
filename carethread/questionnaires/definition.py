"""A FHIR Questionnaire as the engine runs it: typed, frozen, checked by `loading.load`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from carethread.questionnaires.values import Coding, Value

QUESTION_TYPES = frozenset(
    {"boolean", "choice", "open-choice", "string", "text", "integer", "decimal", "quantity", "date"}
)


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
    """One permitted answer. `key` names it within its item; `also_said` are further words patients use for it."""

    key: str
    value: Value
    wording: Wording
    also_said: tuple[str, ...] = ()
    score: Decimal | None = None  # ordinalValue, what scored instruments add up


@dataclass(frozen=True, slots=True)
class Condition:
    """One enableWhen."""

    question: str
    operator: str
    answer: Value


@dataclass(frozen=True, slots=True)
class Item:
    """An item with FHIR's own names. `units` have UCUM codes; the first is the usual one."""

    link_id: str
    type: str
    wording: Wording
    other_words: Wording | None = None
    help: Wording | None = None
    prefix: str = ""
    required: bool = False
    repeats: bool = False
    silent: bool = False  # hidden or readOnly: carried along, never asked
    options: tuple[AnswerOption, ...] = ()
    conditions: tuple[Condition, ...] = ()
    all_conditions: bool = False
    initial: tuple[Value, ...] = ()
    minimum: Value | None = None
    maximum: Value | None = None
    max_length: int | None = None
    max_decimals: int | None = None
    units: tuple[Coding, ...] = ()
    codes: tuple[Coding, ...] = ()
    items: tuple["Item", ...] = ()

    @property
    def is_question(self) -> bool:
        return self.type in QUESTION_TYPES

    def option(self, key: str) -> AnswerOption | None:
        return next((option for option in self.options if option.key == key), None)


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
    """A questionnaire that can be run. `warnings` are oddities of the file that were put up with."""

    url: str
    version: str
    title: Wording
    items: tuple[Item, ...]
    warnings: tuple[Problem, ...] = ()
    evaluation_order: tuple[str, ...] = field(
        default=(), repr=False, compare=False
    )  # what an item waits for is earlier
    _by_link_id: Mapping[str, Item] = field(default_factory=dict, repr=False, compare=False)
    _parents: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def canonical(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url

    def item(self, link_id: str) -> Item | None:
        return self._by_link_id.get(link_id)

    def parent(self, link_id: str) -> Item | None:
        return self._by_link_id.get(self._parents.get(link_id, ""))

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
        yield from _walk(self.items)


def _walk(items: tuple[Item, ...]) -> Iterator[Item]:
    for item in items:
        yield item
        yield from _walk(item.items)


def questionnaire(
    url: str, version: str, title: Wording, items: tuple[Item, ...], warnings: tuple[Problem, ...]
) -> Questionnaire:
    """Puts a questionnaire together with its indexes."""
    parents = {child.link_id: item.link_id for item in _walk(items) for child in item.items}
    by_link_id = {item.link_id: item for item in _walk(items)}
    return Questionnaire(
        url, version, title, items, warnings, _evaluation_order(by_link_id, parents), by_link_id, parents
    )


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
